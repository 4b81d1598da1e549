// SPDX-License-Identifier: Apache-2.0
// What a line of an strace log costs before anything is replayed: read into steps, and lowered to numbers and
// bytes; as a ratio to a lookup in an absl::btree_map of 64,000 entries. A line, parsed and replayed, may
// cost 30 of these.
#include <benchmark/benchmark.h>

#include <iterator>
#include <string>

#include "bench/lookup.h"
#include "bench/ratio_reporter.h"
#include "fmt/format.h"
#include "sim/base/random.h"
#include "sim/scenario/lower.h"
#include "sim/scenario/step.h"

namespace mmsim::scenario {
namespace {

constexpr int kNrLines = 50000;

// Lines as the start of a dynamically linked program prints them, in their usual proportions.
std::string MakeLog() {
  static constexpr std::string_view kLines[] = {
      ("openat(AT_FDCWD</srv/u>, \"/lib/x86_64-linux-gnu/libc.so.6\", O_RDONLY|O_CLOEXEC) = "
       "3</usr/lib/x86_64-linux-gnu/libc.so.6>"),
      ("read(3</usr/lib/x86_64-linux-gnu/libc.so.6>, "
       "\"\\177ELF\\2\\1\\1\\3\\0\\0\\0\\0\\0\\0\\0\\0\\3\\0>\\0\\1\\0\\0\\0\\20t\\2\\0\\0\\0\\0\\0\"..., "
       "832) = 832"),
      "newfstatat(3</usr/lib/x86_64-linux-gnu/libc.so.6>, \"\", {{st_mode=S_IFREG|0755, st_size=1926232, "
      "...}}, "
      "AT_EMPTY_PATH) = 0",
      "mmap(NULL, 1974096, PROT_READ, MAP_PRIVATE|MAP_DENYWRITE, 3</usr/lib/x86_64-linux-gnu/libc.so.6>, 0) "
      "= {0:#x}",
      "mmap({0:#x}, 1400832, PROT_READ|PROT_EXEC, MAP_PRIVATE|MAP_FIXED|MAP_DENYWRITE, "
      "3</usr/lib/x86_64-linux-gnu/libc.so.6>, 0x26000) = {0:#x}",
      "mmap({0:#x}, 53072, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0) = {0:#x}",
      "close(3</usr/lib/x86_64-linux-gnu/libc.so.6>) = 0",
      "mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = {0:#x}",
      "mprotect({0:#x}, 16384, PROT_READ)  = 0",
      "munmap({0:#x}, 50083)           = 0",
      "brk({0:#x})                         = {0:#x}",
      "rt_sigprocmask(SIG_SETMASK, [], NULL, 8) = 0",
  };
  std::string log;
  Random random(1);
  for (int i = 0; i < kNrLines; ++i) {
    const uint64_t address = 0x7fff00000000 + random.Below(1 << 20) * 4096;
    log += "5070  ";
    log += fmt::format(fmt::runtime(kLines[i % std::size(kLines)]), address);
    log += '\n';
  }
  return log;
}

void Parse(benchmark::State& state) {
  const std::string log = MakeLog();
  for (auto _ : state) {
    auto scenario = Scenario::FromText(log, "bench");
    benchmark::DoNotOptimize((*scenario)->steps().size());
  }
  state.SetItemsProcessed(state.iterations() * kNrLines);
}

void LowerAll(benchmark::State& state) {
  auto scenario = Scenario::FromText(MakeLog(), "bench");
  LoweredCall call;
  const Names names;
  for (auto _ : state) {
    for (const Step& step : (*scenario)->steps()) {
      Lower(**scenario, step, Arch::kX86_64, names, &call).IgnoreError();
      benchmark::DoNotOptimize(call.args.data());
    }
  }
  state.SetItemsProcessed(state.iterations() * kNrLines);
}

BENCHMARK(Lookup);
BENCHMARK(Parse)->Unit(benchmark::kMillisecond);
BENCHMARK(LowerAll)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace mmsim::scenario

int main(int argc, char** argv) {
  return mmsim::RunBenchmarks(argc, argv, "lookups");
}
