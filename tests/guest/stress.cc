// SPDX-License-Identifier: Apache-2.0
// A tool, no test: random programs over address-space calls and accesses, each carried out twice in one boot;
// the two must be the same but for the names of the frames. `guest_stress ARCH SEED PROGRAMS STEPS`.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <string>

#include "absl/time/clock.h"
#include "sim/base/random.h"
#include "sim/guest/guest.h"
#include "tests/guest/calls.h"
#include "tests/guest/picture.h"

namespace mmsim::guest {
namespace {

class Generator {
 public:
  Generator(Arch arch, uint64_t seed) : calls_(arch), random_(seed) {}

  Program Make(size_t steps) {
    Program program{.name = fmt::format("seed {}", random_.Next()), .steps = {Spawn(100)}};
    processes_ = {100};
    next_ = 101;
    while (program.steps.size() < steps && !processes_.empty()) program.steps.push_back(Next());
    for (Step& s : program.steps)
      if (random_.Percent(10)) s.observe |= OBSERVE_SMAPS;
    return program;
  }

 private:
  uint64_t Address() { return 0x10000000 + random_.Below(64) * 0x1000; }
  uint64_t Len() { return (1 + random_.Below(8)) * 0x1000; }
  uint64_t Prot() { return random_.Below(8); }
  Arg Lit(uint64_t v) { return Arg::Literal(v); }

  Step Next() {
    const size_t who = random_.Below(processes_.size());
    const uint32_t p = processes_[who];
    const uint64_t kind = random_.Below(100);
    if (kind < 20)
      return Store(p, Lit(Address() + random_.Below(4096)), std::string(1 + random_.Below(20), 's'));
    if (kind < 35) return Load(p, Lit(Address() + random_.Below(4096)), 1 + random_.Below(20));
    if (kind < 38) return Fetch(p, Lit(Address()));
    if (kind < 58) return calls_.Mmap(p, Address(), Len(), Prot(), random_.Percent(80) ? 0x32 : 0x31);
    if (kind < 66) return calls_.Munmap(p, Lit(Address()), Len());
    if (kind < 76) return calls_.Mprotect(p, Lit(Address()), Len(), Prot());
    if (kind < 82) return calls_.Call(p, 28, 233, {Lit(Address()), Lit(Len()), Lit(random_.Below(26))});
    if (kind < 87)
      return calls_.Call(p, 25, 216,
                         {Lit(Address()), Lit(Len()), Lit(Len()), Lit(random_.Below(8)), Lit(Address())});
    if (kind < 89) return calls_.Call(p, 12, 214, {Lit(0x401000 + random_.Below(0x10000))});
    if (kind < 91) return calls_.Call(p, 149, 228, {Lit(Address()), Lit(Len())});
    if (kind < 92) return calls_.Call(p, 26, 227, {Lit(Address()), Lit(Len()), Lit(random_.Below(8))});
    if (kind < 96 && processes_.size() < 4) {
      processes_.push_back(next_);
      return calls_.Fork(p, next_++);
    }
    if (kind < 98 && processes_.size() > 1) {
      processes_.erase(processes_.begin() + static_cast<std::ptrdiff_t>(who));
      return random_.Percent(50) ? calls_.ExitGroup(p, 0) : Access(OBSERVE_STEP_KILL, p, 0, {});
    }
    if (kind < 99) return calls_.Execve(p, "/victim");
    return Store(p, Lit(0x7ffff0000000 - random_.Below(1 << 24)), "x");
  }

  Calls calls_;
  Random random_;
  std::vector<uint32_t> processes_;
  uint32_t next_ = 101;
};

int Main(int argc, char** argv) {
  if (argc < 5) return 2;
  Options options;
  if (std::string(argv[1]) == "arm64") options.arch = Arch::kArm64;
  Generator generator(options.arch, std::strtoull(argv[2], nullptr, 10));
  std::vector<Program> programs;
  for (size_t i = std::strtoull(argv[3], nullptr, 10); i > 0; --i) {
    programs.push_back(generator.Make(std::strtoull(argv[4], nullptr, 10)));
    programs.push_back(programs.back());
  }
  auto guest = Guest::Boot(options);
  if (!guest.ok()) {
    fmt::print(stderr, "{}\n", std::string(guest.status().message()));
    return 2;
  }
  const absl::Time start = absl::Now();
  std::vector<std::string> first, second;
  size_t steps = 0, succeeded = 0, refused = 0, differences = 0;
  const absl::Status status = (*guest)->Run(
      programs,
      [&](size_t p, const Outcome& o, const State& state) {
        ++steps;
        succeeded += o.ending == OBSERVE_ENDING_DONE && o.result >= 0;
        if (o.ending == OBSERVE_ENDING_REFUSED) {
          ++refused;
          fmt::print("{} step {} kind {} refused {}\n", programs[p].name, o.step,
                     int{programs[p].steps[o.step].kind}, o.result);
        }
        (p % 2 ? second : first).push_back(Picture(o, state));
      },
      [&](size_t p, const Ending& e) {
        if (e.kind != Ending::kDone)
          fmt::print("{} ended {} at step {}: {}\n", programs[p].name, int{e.kind}, e.step, e.console);
        if (p % 2 == 0) return;
        const auto at = std::mismatch(first.begin(), first.end(), second.begin(), second.end()).first;
        if (at != first.end()) {
          const auto index = at - first.begin();
          fmt::print("{} step {} kind {} differs:\n{}---\n{}", programs[p].name, index,
                     int{programs[p].steps[static_cast<size_t>(index)].kind}, *at,
                     second[static_cast<size_t>(index)]);
          ++differences;
        }
        first.clear();
        second.clear();
      });
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  fmt::print("{} steps, {} succeeded, {} refused, {} programs differ, {:.0f} steps/s; {}\n", steps, succeeded,
             refused, differences, double(steps) / seconds, status.ToString());
  return status.ok() && differences == 0 ? 0 : 1;
}

}  // namespace
}  // namespace mmsim::guest

int main(int argc, char** argv) {
  return mmsim::guest::Main(argc, argv);
}
