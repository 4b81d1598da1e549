// SPDX-License-Identifier: Apache-2.0
// What a line of an strace log costs, parsed, replayed and verified: every recording of scenarios/recorded
// (at most 30 lookups a line). Packed logs are unpacked before: what gzip costs is no matter of the replay.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "bench/lookup.h"
#include "bench/ratio_reporter.h"
#include "sim/scenario/recording.h"
#include "sim/scenario/step.h"
#include "sim/scenario/verify.h"

namespace mmsim::scenario {
namespace {

namespace fs = std::filesystem;

// Opening a log unpacks it.
void Unpack(const fs::path& packed, const fs::path& to) {
  const auto log = Scenario::Open(packed);
  MMSIM_CHECK(log.ok());
  std::ofstream(to) << (*log)->text();
}

// Copies of the recordings with their logs unpacked, which go with it.
class Recordings {
 public:
  Recordings() {
    std::string name = (fs::temp_directory_path() / "replay_bench.XXXXXX").string();
    MMSIM_CHECK(mkdtemp(name.data()) != nullptr);
    root_ = name;
    fs::copy(MMSIM_SOURCE_DIR "/scenarios/recorded", root_, fs::copy_options::recursive);
    for (const auto& entry : fs::directory_iterator(root_)) {
      if (!entry.is_directory()) continue;
      const fs::path packed = entry.path() / "strace.log.gz";
      if (fs::exists(packed)) {
        Unpack(packed, entry.path() / "strace.log");
        fs::remove(packed);
      }
      folders_.push_back(entry.path());
    }
  }
  ~Recordings() { fs::remove_all(root_); }
  const std::vector<std::string>& folders() const { return folders_; }

 private:
  fs::path root_;
  std::vector<std::string> folders_;
};

int64_t Lines(const std::string& folder) {
  const auto scenario = Scenario::Open(folder + "/strace.log");
  return scenario.ok() ? static_cast<int64_t>((*scenario)->steps().size()) : 0;
}

void Replay(benchmark::State& state) {
  int64_t lines = 0;
  const Recordings recordings;
  for (const std::string& folder : recordings.folders()) lines += Lines(folder);
  for (auto _ : state) {
    for (const std::string& folder : recordings.folders()) {
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
