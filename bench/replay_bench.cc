// SPDX-License-Identifier: Apache-2.0
// What a line of an strace log costs, parsed, replayed and verified: every recording of scenarios/recorded
// (at most 30 lookups a line).
#include <benchmark/benchmark.h>

#include <filesystem>
#include <string>
#include <vector>

#include "bench/lookup.h"
#include "bench/ratio_reporter.h"
#include "sim/scenario/recording.h"
#include "sim/scenario/step.h"
#include "sim/scenario/verify.h"

namespace mmsim::scenario {
namespace {

std::vector<std::string> Recordings() {
  std::vector<std::string> folders;
  for (const auto& entry : std::filesystem::directory_iterator(MMSIM_SOURCE_DIR "/scenarios/recorded")) {
    if (entry.is_directory()) folders.push_back(entry.path());
  }
  return folders;
}

int64_t Lines(const std::string& folder) {
  const std::string log = folder + "/strace.log";
  auto scenario = Scenario::Open(std::filesystem::exists(log) ? log : log + ".gz");
  return scenario.ok() ? static_cast<int64_t>((*scenario)->steps().size()) : 0;
}

void Replay(benchmark::State& state) {
  int64_t lines = 0;
  const std::vector<std::string> folders = Recordings();
  for (const std::string& folder : folders) lines += Lines(folder);
  for (auto _ : state) {
    for (const std::string& folder : folders) {
      if (!Verify(folder, {}).ok()) state.SkipWithError("a recording does not replay");
    }
  }
  state.SetItemsProcessed(state.iterations() * lines);
}

BENCHMARK(Lookup);
BENCHMARK(Replay)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace mmsim::scenario

int main(int argc, char** argv) {
  return mmsim::RunBenchmarks(argc, argv, "lookups");
}
