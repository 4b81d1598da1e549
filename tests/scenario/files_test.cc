// SPDX-License-Identifier: Apache-2.0
// Every scenario of the repository can be read, says what it shows, and passes the check of its steps.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "sim/scenario/lower.h"
#include "sim/scenario/step.h"

namespace mmsim::scenario {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> FilesNamed(bool (*wanted)(const fs::path&)) {
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(MMSIM_SOURCE_DIR "/scenarios")) {
    if (entry.is_regular_file() && wanted(entry.path())) files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

TEST(ScenarioFiles, EveryScenarioWrittenByHandIsOne) {
  for (const std::string& file : FilesNamed([](const fs::path& p) { return p.extension() == ".scn"; })) {
    SCOPED_TRACE(file);
    const auto scenario = Scenario::Open(file);
    ASSERT_TRUE(scenario.ok()) << scenario.status().message();
    EXPECT_TRUE((*scenario)->header().starts_with("# Shows: ")) << "the header says what the file shows";
    EXPECT_TRUE((*scenario)->arch_mask() == 3 || !(*scenario)->arch_reason().empty()) << "`arch` says why";
    for (const Arch arch : {Arch::kX86_64, Arch::kArm64}) {
      if (!(*scenario)->RunsOn(arch)) continue;
      const absl::Status status = Check(**scenario, arch);
      EXPECT_TRUE(status.ok()) << status.message();
    }
  }
}

TEST(ScenarioFiles, EveryRecordingIsALog) {
  for (const std::string& file :
       FilesNamed([](const fs::path& p) { return p.filename().string().starts_with("strace.log"); })) {
    SCOPED_TRACE(file);
    const auto scenario = Scenario::Open(file);
    ASSERT_TRUE(scenario.ok()) << scenario.status().message();
    EXPECT_TRUE((*scenario)->is_log());
    LoweredCall call;
    for (const Step& step : (*scenario)->steps()) {
      if (step.kind != StepKind::kCall) continue;
      const absl::Status status = Lower(**scenario, step, Arch::kX86_64, {}, &call);
      ASSERT_TRUE(status.ok()) << status.message();
    }
  }
}

}  // namespace
}  // namespace mmsim::scenario
