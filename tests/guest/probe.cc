// SPDX-License-Identifier: Apache-2.0
// A small tool, no test: boots a guest, carries a few steps out and prints what came back, raw. `guest_probe
// x86_64` or `guest_probe arm64`; a second argument N measures N steps instead.
#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "absl/time/clock.h"
#include "sim/guest/guest.h"
#include "tests/guest/calls.h"

namespace mmsim::guest {
namespace {

void Print(const Program& program, const Outcome& o, const State& state) {
  const Step& step = program.steps[o.step];
  fmt::print("step {}: kind {} process {} number {} -> ending {} result {:#x} made {}", o.step,
             int{step.kind}, step.process, step.number, int{o.ending}, static_cast<uint64_t>(o.result),
             o.made);
  if (o.ending == OBSERVE_ENDING_SIGNAL)
    fmt::print(" signal {} code {} at {:#x}", o.signo, o.signal_code, o.fault_address);
  fmt::print("\n");
  for (const auto& [arg, bytes] : o.out) {
    fmt::print("  out {}:", arg);
    for (unsigned char c : bytes.substr(0, 64)) fmt::print(" {:02x}", c);
    if (step.kind == OBSERVE_STEP_READ_FILE) fmt::print("\n{}", bytes);
    fmt::print("\n");
  }
  for (const observe_fault& f : o.faults)
    fmt::print("  fault {:#x} ip {:#x} error {:#x} user {} process {}\n", f.address, f.ip, f.error, f.user,
               f.process);
  for (const observe_died& d : o.died) fmt::print("  died {} status {:#x}\n", d.process, d.wait_status);
  for (const observe_live& l : state.live)
    fmt::print("  live {} space {} group {} suspended {}\n", l.process, l.space, l.group, l.suspended);
  for (uint32_t id : state.changed_spaces) {
    const auto at = state.spaces.find(id);
    if (at == state.spaces.end()) continue;
    fmt::print("  space {}:\n{}{}", id, at->second.maps, at->second.smaps);
    for (const observe_page& p : at->second.pages) {
      fmt::print("    {:#x} {:#018x}", p.vaddr, p.entry);
      const auto frame = state.frames.find(p.entry & ((uint64_t{1} << 55) - 1));
      if (p.entry >> 63 && frame != state.frames.end())
        fmt::print(" count {} flags {:#x}", frame->second.count, frame->second.flags);
      fmt::print("\n");
    }
  }
}

Program Example(const Calls& calls) {
  Program program{.name = "example", .steps = {}};
  auto& s = program.steps;
  s.push_back(Spawn(100));
  s.push_back(calls.Mmap(100, 0, 0x5000, 3, 0x22));
  s.push_back(Store(100, Arg::Result(1), "a"));
  s.push_back(Load(100, Arg::Result(1, 0x1000), 1));
  s.push_back(Store(100, Arg::Result(1, 0x1ffa), "0123456789abcdef"));
  s.push_back(calls.Fork(100, 101));
  s.push_back(Store(101, Arg::Result(1), "b"));
  s.push_back(Load(100, Arg::Result(1), 4));
  s.push_back(calls.Munmap(100, Arg::Result(1), 0x2000));
  s.push_back(Load(100, Arg::Result(1), 1));
  s.push_back(Load(101, Arg::Result(1), 8));
  s.push_back(Fetch(100, Arg::Result(1, 0x2000)));
  s.push_back(Fetch(100, Arg::Literal(0x4000c0)));
  s.push_back(Store(100, Arg::Literal(0x7ffffffdd000), "x"));
  s.push_back(Load(100, Arg::Literal(0xffff800000000000), 1));
  s.push_back(Load(100, Arg::Literal(0x8000000000000000), 1));
  s.push_back({.kind = OBSERVE_STEP_KILL, .process = 100, .args = {}, .patches = {}});
  for (Step& step : s) step.observe |= OBSERVE_FAULTS;
  return program;
}

// The stack's words that are not zero, and the auxiliary vector as a table.
void PrintFresh(const Program& program, const Outcome& o, const State& state) {
  if (o.step == 0) return Print(program, o, state);
  const auto out = o.out.find(0);
  if (out == o.out.end()) return;
  const std::string& bytes = out->second;
  const Step& step = program.steps[o.step];
  if (step.kind == OBSERVE_STEP_READ_FILE && step.args[0].bytes.find("auxv") == std::string::npos) {
    fmt::print("{}\n{}\n", step.args[0].bytes.c_str(), bytes);
    return;
  }
  const uint64_t base = step.kind == OBSERVE_STEP_LOAD ? step.args[0].value : 0;
  fmt::print("{}\n", base ? "stack" : "auxv");
  for (size_t i = 0; i + 8 <= bytes.size(); i += 8) {
    uint64_t word;
    std::memcpy(&word, bytes.data() + i, 8);
    if (base && word == 0) continue;
    fmt::print("{:#x}{}", base ? base + i : word,
               base     ? fmt::format(": {:#018x}\n", word)
               : i % 16 ? "\n"
                        : " ");
  }
}

Program Fresh(Arch arch) {
  const uint64_t top = arch == Arch::kX86_64 ? 0x7ffffffff000 : 0x1000000000000;
  Program program{.name = "fresh", .steps = {Spawn(100), Load(100, Arg::Literal(top - 4096), 4096)}};
  for (const char* path :
       {"/proc/100/auxv", "/proc/100/smaps", "/proc/100/limits", "/proc/100/status", "/proc/100/stat",
        "/proc/meminfo", "/proc/sys/vm/mmap_min_addr", "/proc/sys/vm/overcommit_memory",
        "/proc/sys/vm/max_map_count", "/proc/sys/vm/overcommit_ratio", "/proc/sys/vm/user_reserve_kbytes",
        "/proc/sys/vm/admin_reserve_kbytes", "/proc/sys/kernel/randomize_va_space",
        "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/kernel/mm/transparent_hugepage/shmem_enabled",
        "/sys/kernel/mm/lru_gen/enabled", "/proc/sys/kernel/shmmax", "/proc/sys/vm/legacy_va_layout"})
    program.steps.push_back({.kind = OBSERVE_STEP_READ_FILE,
                             .number = 1 << 16,
                             .args = {Arg::In(path + std::string(1, '\0'))},
                             .patches = {}});
  return program;
}

Program ReadFile(const std::string& path) {
  Program program{.name = path, .steps = {}};
  program.steps.push_back(Spawn(100));
  program.steps.push_back({.kind = OBSERVE_STEP_READ_FILE,
                           .number = 1 << 16,
                           .args = {Arg::In(path + std::string(1, '\0'))},
                           .patches = {}});
  return program;
}

// Eight VMAs of eight pages, two processes, and stores, loads and protections over them.
Program Busy(const Calls& calls, size_t steps, uint32_t observe) {
  Program program{.name = "busy", .steps = {}};
  auto& s = program.steps;
  s.push_back(Spawn(100));
  for (uint64_t i = 0; i < 8; ++i) {
    s.push_back(calls.Mmap(100, 0x10000000 + i * 0x10000, 0x8000, 3, 0x32));
    s.push_back(Store(100, Arg::Result(static_cast<uint32_t>(s.size() - 1)), std::string(0x8000, 'x')));
  }
  s.push_back(calls.Fork(100, 101));
  for (uint64_t i = 0; s.size() < steps; ++i) {
    const uint64_t address = 0x10000000 + i % 8 * 0x10000 + i / 8 % 8 * 0x1000;
    const uint32_t process = 100 + i / 64 % 2;
    switch (i % 3) {
      case 0:
        s.push_back(Store(process, Arg::Literal(address), "y"));
        break;
      case 1:
        s.push_back(Load(process, Arg::Literal(address), 1));
        break;
      default:
        s.push_back(calls.Mprotect(process, Arg::Literal(address & ~0xffffull), 0x2000, i / 192 % 2 ? 1 : 3));
    }
  }
  for (Step& step : s) step.observe = observe;
  return program;
}

int Main(int argc, char** argv) {
  Options options;
  if (argc > 1 && std::string(argv[1]) == "arm64") options.arch = Arch::kArm64;
  const absl::Time start = absl::Now();
  auto guest = Guest::Boot(options);
  if (!guest.ok()) {
    fmt::print(stderr, "{}\n", std::string(guest.status().message()));
    return 2;
  }
  fmt::print("{} booted in {:.2f} s\n", (*guest)->release(), absl::ToDoubleSeconds(absl::Now() - start));
  const Calls calls(options.arch);
  std::vector<Program> programs;
  const bool fresh = argc > 2 && std::string(argv[2]) == "fresh";
  const bool measure = argc > 2 && !fresh && argv[2][0] != '/';
  std::vector<uint32_t> masks{0, 1, 5, 13, 15};
  if (fresh)
    programs.push_back(Fresh(options.arch));
  else if (argc > 2 && !measure)
    for (int i = 2; i < argc; ++i) programs.push_back(ReadFile(argv[i]));
  else if (!measure)
    programs.push_back(Example(calls));
  else
    for (uint32_t mask : masks) programs.push_back(Busy(calls, std::strtoull(argv[2], nullptr, 10), mask));
  absl::Time last = absl::Now();
  absl::Status status = (*guest)->Run(
      programs,
      [&](size_t p, const Outcome& o, const State& state) {
        if (fresh) PrintFresh(programs[p], o, state);
        if (!measure && !fresh) Print(programs[p], o, state);
        if (measure && o.ending == OBSERVE_ENDING_REFUSED) fmt::print("refused {}\n", o.step);
      },
      [&](size_t p, const Ending& e) {
        const double seconds = absl::ToDoubleSeconds(absl::Now() - last);
        last = absl::Now();
        fmt::print("{}: ending {} step {} {}\n", programs[p].name, int{e.kind}, e.step, e.console);
        if (measure)
          fmt::print("mask {:#x}: {:.0f} steps/s\n", masks[p], double(programs[p].steps.size()) / seconds);
      });
  if (!status.ok()) fmt::print(stderr, "{}\n", std::string(status.message()));
  return status.ok() ? 0 : 2;
}

}  // namespace
}  // namespace mmsim::guest

int main(int argc, char** argv) {
  return mmsim::guest::Main(argc, argv);
}
