// SPDX-License-Identifier: Apache-2.0
// Boots the packaged kernel and carries programs out on it. One test an architecture, because a boot takes
// seconds: all programs run in one boot, and each is checked by the function that stands beside it. Skipped
// where QEMU, the compiler for the executor or the package sources are missing; everything else is a failure.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <iostream>

#include "sim/guest/embedded.h"
#include "sim/guest/guest.h"
#include "sim/guest/subprocess.h"
#include "tests/guest/calls.h"
#include "tests/guest/picture.h"

namespace mmsim::guest {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint64_t kPfnMask = (uint64_t{1} << 55) - 1;
constexpr uint64_t kCloneVm = 0x100, kCloneVfork = 0x4000, kSigchld = 17;
constexpr uint64_t kCloneThread = 0x10000 | 0x800 | 0x400 | 0x200 | kCloneVm;

struct After {
  Outcome outcome;
  State state;
};
struct Ran {
  std::vector<After> steps;
  Ending ending;
  int nr_endings = 0;
};

std::string Path(const std::string& path) {
  return path + std::string(1, '\0');
}

Step WriteFile(const std::string& path, const std::string& bytes) {
  return Access(OBSERVE_STEP_WRITE_FILE, 0, 0, {Arg::In(Path(path)), Arg::In(bytes)});
}
Step ReadFile(const std::string& path) {
  return Access(OBSERVE_STEP_READ_FILE, 0, 4096, {Arg::In(Path(path))});
}

uint64_t PageWord(const State& state, uint32_t process, uint64_t address) {
  for (const observe_live& l : state.live)
    if (l.process == process)
      for (const observe_page& p : state.spaces.at(l.space).pages)
        if (p.vaddr == (address & ~uint64_t{0xfff})) return p.entry;
  return 0;
}
uint64_t FrameOf(const State& state, uint32_t process, uint64_t address) {
  return PageWord(state, process, address) & kPfnMask;
}
std::vector<uint32_t> Live(const State& state) {
  std::vector<uint32_t> processes;
  for (const observe_live& l : state.live) processes.push_back(l.process);
  return processes;
}
const observe_live& LiveOne(const State& state, uint32_t process) {
  for (const observe_live& l : state.live)
    if (l.process == process) return l;
  ADD_FAILURE() << "process " << process << " does not live";
  return state.live.at(0);
}
void ExpectResult(const Ran& ran, size_t step, int64_t result) {
  EXPECT_EQ(ran.steps.at(step).outcome.ending, OBSERVE_ENDING_DONE) << "step " << step;
  EXPECT_EQ(ran.steps.at(step).outcome.result, result) << "step " << step;
}
void ExpectSignal(const Ran& ran, size_t step, int signo, int code, uint64_t address) {
  const Outcome& o = ran.steps.at(step).outcome;
  EXPECT_EQ(o.ending, OBSERVE_ENDING_SIGNAL) << "step " << step;
  EXPECT_EQ(o.signo, signo) << "step " << step;
  EXPECT_EQ(o.signal_code, code) << "step " << step;
  EXPECT_EQ(o.fault_address, address) << "step " << step;
}

struct Case {
  Program program;
  std::function<void(const Ran&)> check;
};

Case CopyOnWrite(const Calls& calls) {
  const uint64_t a = 0x10000000;
  Program p{"copy on write",
            {Spawn(100), calls.Mmap(100, a, 0x3000, 3, 0x32), Store(100, Arg::Result(1), "a"),
             Load(100, Arg::Literal(a + 0x1000), 2), calls.Fork(100, 101), Store(101, Arg::Literal(a), "b"),
             Load(100, Arg::Literal(a), 1), calls.Munmap(100, Arg::Literal(a), 0x1000),
             Load(100, Arg::Literal(a), 1), calls.Mprotect(101, Arg::Literal(a), 0x1000, 1),
             Store(101, Arg::Literal(a + 8), "c"), Fetch(101, Arg::Literal(a)),
             Access(OBSERVE_STEP_KILL, 100, 0, {}), Load(100, Arg::Literal(a), 1)}};
  return {p, [a](const Ran& r) {
            ExpectResult(r, 0, 100);
            ExpectResult(r, 1, static_cast<int64_t>(a));
            ExpectResult(r, 2, 1);
            EXPECT_NE(FrameOf(r.steps[2].state, 100, a), 0u);
            EXPECT_EQ(r.steps[3].outcome.out.at(0), std::string(2, '\0'));
            ExpectResult(r, 4, 101);
            const State& forked = r.steps[4].state;
            EXPECT_EQ(FrameOf(forked, 100, a), FrameOf(forked, 101, a));
            EXPECT_EQ(forked.frames.at(FrameOf(forked, 100, a)).count, 2u);
            // The page of the stubs is parted at once.
            EXPECT_NE(FrameOf(forked, 100, 0x400000), FrameOf(forked, 101, 0x400000));
            EXPECT_EQ(FrameOf(forked, 100, 0x400000), FrameOf(r.steps[3].state, 100, 0x400000));
            const State& copied = r.steps[5].state;
            EXPECT_EQ(FrameOf(copied, 100, a), FrameOf(forked, 100, a));
            EXPECT_NE(FrameOf(copied, 101, a), FrameOf(forked, 100, a));
            EXPECT_EQ(copied.frames.at(FrameOf(copied, 100, a)).count, 1u);
            EXPECT_EQ(r.steps[6].outcome.out.at(0), "a");
            ExpectResult(r, 7, 0);
            ExpectSignal(r, 8, 11, 1, a);
            ExpectSignal(r, 10, 11, 2, a + 8);
            ExpectSignal(r, 11, 11, 2, a);
            EXPECT_THAT(Live(r.steps[12].state), ElementsAre(101));
            EXPECT_EQ(r.steps[13].outcome.ending, OBSERVE_ENDING_REFUSED);
            EXPECT_EQ(r.steps[13].outcome.result, OBSERVE_REFUSED_NO_PROCESS);
          }};
}

Case Vfork(const Calls& calls) {
  const uint64_t a = 0x10000000;
  Program p{"vfork",
            {Spawn(100), calls.Mmap(100, a, 0x1000, 3, 0x32),
             calls.Clone(100, 103, kCloneVm | kCloneVfork | kSigchld), Load(100, Arg::Literal(a), 1),
             Store(103, Arg::Literal(a), "v"), calls.Exit(103, 7), Load(100, Arg::Literal(a), 1),
             calls.Clone(100, 104, kCloneVm | kCloneVfork | kSigchld), calls.Execve(104, "/victim"),
             Load(100, Arg::Literal(a), 1), Load(104, Arg::Literal(a), 1)}};
  return {p, [a](const Ran& r) {
            EXPECT_EQ(r.steps[2].outcome.ending, OBSERVE_ENDING_SUSPENDED);
            EXPECT_EQ(r.steps[2].outcome.result, 103);
            EXPECT_EQ(LiveOne(r.steps[2].state, 100).suspended, 1u);
            EXPECT_EQ(LiveOne(r.steps[2].state, 100).space, LiveOne(r.steps[2].state, 103).space);
            EXPECT_EQ(r.steps[3].outcome.result, OBSERVE_REFUSED_SUSPENDED);
            EXPECT_EQ(r.steps[5].outcome.ending, OBSERVE_ENDING_DIED);
            EXPECT_EQ(r.steps[5].outcome.wait_status, 7u << 8);
            EXPECT_EQ(LiveOne(r.steps[5].state, 100).suspended, 0u);
            EXPECT_EQ(r.steps[6].outcome.out.at(0), "v");
            ExpectResult(r, 8, 0);
            EXPECT_NE(LiveOne(r.steps[8].state, 100).space, LiveOne(r.steps[8].state, 104).space);
            ExpectResult(r, 9, 1);
            ExpectSignal(r, 10, 11, 1, a);
          }};
}

Case Threads(const Calls& calls) {
  const uint64_t a = 0x10000000;
  Program p{"threads",
            {Spawn(100), calls.Clone(100, 200, kCloneThread), calls.Mmap(200, a, 0x1000, 3, 0x32),
             Store(100, Arg::Literal(a), "t"), calls.Clone(100, 201, kCloneThread), calls.Exit(100, 0),
             Load(200, Arg::Literal(a), 1), calls.Execve(201, "/victim"), Load(100, Arg::Literal(a), 1),
             calls.Clone(100, 202, kCloneThread), calls.ExitGroup(202, 3)}};
  return {p, [a](const Ran& r) {
            ExpectResult(r, 1, 200);
            EXPECT_EQ(LiveOne(r.steps[1].state, 200).group, 100u);
            EXPECT_EQ(LiveOne(r.steps[1].state, 200).space, LiveOne(r.steps[1].state, 100).space);
            ExpectResult(r, 2, static_cast<int64_t>(a));
            ExpectResult(r, 3, 1);
            EXPECT_EQ(r.steps[5].outcome.ending, OBSERVE_ENDING_DIED);
            EXPECT_THAT(Live(r.steps[5].state), ElementsAre(200, 201));
            EXPECT_EQ(r.steps[6].outcome.out.at(0), "t");
            ExpectResult(r, 7, 0);
            EXPECT_THAT(Live(r.steps[7].state), ElementsAre(100));
            ExpectSignal(r, 8, 11, 1, a);
            EXPECT_EQ(r.steps[10].outcome.ending, OBSERVE_ENDING_DIED);
            EXPECT_THAT(Live(r.steps[10].state), IsEmpty());
            EXPECT_THAT(r.steps[10].state.spaces, IsEmpty());
            EXPECT_THAT(r.steps[10].state.frames, IsEmpty());
          }};
}

Case Buffers(const Calls& calls) {
  Program p{"buffers",
            {Spawn(100), calls.Call(100, 293, 59, {Arg::Out(8), Arg::Literal(0)}),
             calls.Call(100, 0, 63, {Arg::Literal(3), Arg::Out(4), Arg::Literal(4)}),
             calls.Call(100, 1, 64, {Arg::Literal(4), Arg::In("hello"), Arg::Literal(5)}),
             calls.Call(100, 0, 63, {Arg::Literal(3), Arg::InOut("........"), Arg::Literal(8)}),
             calls.Call(100, 39, 172, {}), calls.Call(100, 110, 173, {}),
             calls.Call(100, 257, 56,
                        {Arg::Literal(~uint64_t{99}), Arg::In(Path("/tmp/f")), Arg::Literal(0102),
                         Arg::Literal(0644)}),
             Store(100, Arg::Literal(0x400f00), "0123456789"), calls.Call(100, 310, 270, {Arg::Literal(1)}),
             Spawn(100)}};
  // process_vm_readv from outside: ten bytes of the victim at 0x400f00.
  Step& read = p.steps[9];
  read.kind = OBSERVE_STEP_OUTSIDE;
  read.args = {Arg::Literal(100), Arg::In(std::string(16, '\0')),
               Arg::Literal(1),   Arg::In(std::string(16, '\0')),
               Arg::Literal(1),   Arg::Out(10)};
  read.patches = {{1, 0, Arg::Buffer(5)},
                  {1, 8, Arg::Literal(10)},
                  {3, 0, Arg::Literal(0x400f00)},
                  {3, 8, Arg::Literal(10)}};
  return {p, [](const Ran& r) {
            ExpectResult(r, 1, 0);
            EXPECT_EQ(r.steps[1].outcome.out.at(0), std::string("\3\0\0\0\4\0\0\0", 8));
            EXPECT_EQ(r.steps[2].outcome.ending, OBSERVE_ENDING_BLOCKED);
            EXPECT_EQ(r.steps[2].outcome.result, -4);
            ExpectResult(r, 3, 5);
            ExpectResult(r, 4, 5);
            EXPECT_EQ(r.steps[4].outcome.out.at(1), "hello...");
            ExpectResult(r, 5, 100);
            ExpectResult(r, 6, 1);
            ExpectResult(r, 7, 5);
            ExpectResult(r, 8, 10);
            // The sixth argument is the flags of process_vm_readv, which must be 0: an address there is
            // refused.
            ExpectResult(r, 9, -22);
            EXPECT_EQ(r.steps[10].outcome.result, OBSERVE_REFUSED_EXISTS);
          }};
}

Case Signals(const Calls& calls) {
  Program p{"signals and limits",
            {Spawn(100), calls.Fork(100, 101), calls.Call(100, 62, 129, {Arg::Literal(101), Arg::Literal(9)}),
             calls.Mmap(100, 0, 0x1000, 3, 0x32), Spawn(300), calls.Mmap(300, 0, 0x1000, 3, 0x32),
             Load(300, Arg::Literal(0xffe), 4), Store(300, Arg::Literal(0xffd), "wxyz"),
             Store(300, Arg::Literal(0xf00), std::string(5000, 'q')), Fetch(100, Arg::Literal(0x4000c0))}};
  p.steps[4].flags = OBSERVE_SPAWN_PRIVILEGED;
  return {p, [](const Ran& r) {
            ExpectResult(r, 2, 0);
            EXPECT_THAT(Live(r.steps[2].state), ElementsAre(100));
            ASSERT_EQ(r.steps[2].outcome.died.size(), 1u);
            EXPECT_EQ(r.steps[2].outcome.died[0].process, 101u);
            EXPECT_EQ(r.steps[2].outcome.died[0].wait_status, 9u);
            ExpectResult(r, 3, -1);
            ExpectResult(r, 5, 0);
            ExpectSignal(r, 6, 11, 1, 0x1000);
            EXPECT_EQ(r.steps[6].outcome.result, 2);
            ExpectSignal(r, 7, 11, 1, 0x1000);
            EXPECT_EQ(r.steps[7].outcome.result, 3);
            ExpectSignal(r, 8, 11, 1, 0x1000);
            EXPECT_EQ(r.steps[8].outcome.result, 0x100);
            ExpectResult(r, 9, 0);
          }};
}

Case SettingsOn() {
  return {{"settings",
           {Spawn(100), WriteFile("/proc/sys/vm/overcommit_memory", "2"),
            ReadFile("/proc/sys/vm/overcommit_memory"), WriteFile("/tmp/left", "behind"),
            WriteFile("/proc/100/clear_refs", "4"), WriteFile("/nowhere/file", "x")}},
          [](const Ran& r) {
            ExpectResult(r, 1, 1);
            EXPECT_EQ(r.steps[2].outcome.out.at(0), "2\n");
            ExpectResult(r, 3, 6);
            ExpectResult(r, 5, -2);
          }};
}
Case SettingsOff() {
  return {{"after settings", {ReadFile("/proc/sys/vm/overcommit_memory"), ReadFile("/tmp/left")}},
          [](const Ran& r) {
            EXPECT_EQ(r.steps[0].outcome.out.at(0), "0\n");
            ExpectResult(r, 1, -2);
          }};
}

Case LargeMapping(const Calls& calls) {
  const uint64_t a = 0x100000000;
  Program p{
      "large mapping",
      {Spawn(100), calls.Mmap(100, a, uint64_t{1} << 36, 3, 0x4032),
       Store(100, Arg::Literal(a + 0x5000), "1"), Store(100, Arg::Literal(a + (uint64_t{1} << 35)), "2"),
       calls.Munmap(100, Arg::Literal(a), 0x10000)}};
  p.steps[4].observe |= OBSERVE_SMAPS;
  return {p, [a](const Ran& r) {
            ExpectResult(r, 1, static_cast<int64_t>(a));
            const State& s = r.steps[3].state;
            EXPECT_NE(FrameOf(s, 100, a + 0x5000), 0u);
            EXPECT_NE(FrameOf(s, 100, a + (uint64_t{1} << 35)), 0u);
            EXPECT_EQ(s.spaces.begin()->second.pages.size(), 4u);
            EXPECT_EQ(FrameOf(r.steps[4].state, 100, a + 0x5000), 0u);
            EXPECT_THAT(r.steps[4].state.spaces.begin()->second.smaps, HasSubstr("VmFlags:"));
          }};
}

// Whatever else was in the boot before, two runs of one program give the same but for the names of the
// frames.
std::string Pictures(const Ran& ran) {
  std::string text;
  for (const After& after : ran.steps) text += Picture(after.outcome, after.state);
  return text;
}

Case SysRequest(const std::string& what) {
  return {{"panic", {Spawn(100), WriteFile("/proc/sysrq-trigger", what), Spawn(101)}}, {}};
}

std::vector<Ran> RunAll(Guest& guest, const std::vector<Case>& cases) {
  std::vector<Program> programs;
  programs.reserve(cases.size());
  for (const Case& c : cases) programs.push_back(c.program);
  std::vector<Ran> ran(programs.size());
  const absl::Status status = guest.Run(
      programs,
      [&](size_t p, const Outcome& outcome, const State& state) {
        EXPECT_EQ(outcome.step, ran[p].steps.size());
        ran[p].steps.push_back({outcome, state});
      },
      [&](size_t p, const Ending& ending) {
        ran[p].ending = ending;
        ++ran[p].nr_endings;
      });
  EXPECT_TRUE(status.ok()) << status;
  for (const Ran& r : ran) EXPECT_EQ(r.nr_endings, 1);
  return ran;
}

// Says why, when no guest can be booted here.
bool CanBoot(Arch arch) {
  const bool x86 = arch == Arch::kX86_64;
  const std::string qemu = x86 ? "qemu-system-x86_64" : "qemu-system-aarch64";
  std::string missing;
  if (FindProgram(qemu).empty()) {
    missing = qemu + " is not installed";
  } else if (EmbeddedExecutor(arch).empty()) {
    missing = "built without the executor for this architecture";
  } else if (absl::StatusOr<Kernel> kernel = FetchKernel(arch); !kernel.ok()) {
    missing = std::string(kernel.status().message());
  }
  if (!missing.empty()) std::cout << "  not checked: " << missing << "\n";
  return missing.empty();
}

void RunOn(Arch arch) {
  if (!CanBoot(arch)) return;
  Options options;
  options.arch = arch;
  absl::StatusOr<std::unique_ptr<Guest>> guest = Guest::Boot(options);
  ASSERT_TRUE(guest.ok()) << guest.status();
  EXPECT_THAT((*guest)->release(), HasSubstr("6.12."));

  const Calls calls(arch);
  const std::vector<Case> cases{CopyOnWrite(calls), Vfork(calls),    Threads(calls), Buffers(calls),
                                Signals(calls),     SettingsOn(),    SettingsOff(),  LargeMapping(calls),
                                CopyOnWrite(calls), SysRequest("c"), Vfork(calls)};
  const std::vector<Ran> ran = RunAll(**guest, cases);
  for (size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(cases[i].program.name);
    if (!cases[i].check) continue;
    EXPECT_EQ(ran[i].ending.kind, Ending::kDone) << ran[i].ending.console;
    ASSERT_EQ(ran[i].steps.size(), cases[i].program.steps.size());
    cases[i].check(ran[i]);
  }
  EXPECT_EQ(Pictures(ran[0]), Pictures(ran[8]));
  EXPECT_EQ(ran[9].ending.kind, Ending::kPanicked);
  EXPECT_EQ(ran[9].ending.step, 1u);
  EXPECT_EQ(ran[9].steps.size(), 1u);
  EXPECT_THAT(ran[9].ending.console, HasSubstr("Kernel panic"));
}

TEST(Boot, X86_64) {
  RunOn(Arch::kX86_64);
}
TEST(Boot, Arm64) {
  RunOn(Arch::kArm64);
}

// A step that makes the executor itself wait for ever stands for a guest that hangs.
TEST(Boot, HangIsReportedWithItsStep) {
  if (!CanBoot(Arch::kX86_64)) return;
  Options options;
  options.step_timeout = absl::Seconds(3);
  absl::StatusOr<std::unique_ptr<Guest>> guest = Guest::Boot(options);
  ASSERT_TRUE(guest.ok()) << guest.status();
  const Calls calls(Arch::kX86_64);
  // Its timer would wake it from pause(2), so all signals are blocked first.
  Step block = calls.Call(
      0, 14, 135, {Arg::Literal(0), Arg::In(std::string(8, '\xff')), Arg::Literal(0), Arg::Literal(8)});
  Step wait = calls.Call(0, 130, 133, {Arg::In(std::string(8, '\xff')), Arg::Literal(8)});
  block.kind = wait.kind = OBSERVE_STEP_OUTSIDE;
  const std::vector<Ran> ran =
      RunAll(**guest, {{{"hang", {Spawn(100), block, wait, Spawn(102)}}, {}}, CopyOnWrite(calls)});
  EXPECT_EQ(ran[0].ending.kind, Ending::kHung);
  EXPECT_EQ(ran[0].ending.step, 2u);
  EXPECT_EQ(ran[0].steps.size(), 2u);
  EXPECT_EQ(ran[1].ending.kind, Ending::kDone);
  EXPECT_EQ(ran[1].steps.size(), 14u);
}

}  // namespace
}  // namespace mmsim::guest
