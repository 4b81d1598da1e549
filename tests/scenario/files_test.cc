// SPDX-License-Identifier: Apache-2.0
// Every scenario of the repository can be read, says what it shows, and passes the check of its steps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "sim/audit/validator.h"
#include "sim/scenario/lower.h"
#include "sim/scenario/runner.h"
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

// And holds in the model, with nothing out of order after any step.
TEST(ScenarioFiles, EveryScenarioWrittenByHandHolds) {
  for (const std::string& file : FilesNamed([](const fs::path& p) { return p.extension() == ".scn"; })) {
    const auto scenario = Scenario::Open(file);
    ASSERT_TRUE(scenario.ok()) << scenario.status().message();
    for (const Arch arch : {Arch::kX86_64, Arch::kArm64}) {
      if (!(*scenario)->RunsOn(arch)) continue;
      SCOPED_TRACE(file + (arch == Arch::kX86_64 ? " on x86_64" : " on arm64"));
      RunnerOptions options;
      options.kernel.arch = arch;
      if (!(*scenario)->profile().empty()) options.kernel.profile = (*scenario)->profile();
      std::vector<std::string> findings;
      options.audit = [&](Kernel& kernel) {
        for (std::string& finding : Validate(kernel.system())) findings.push_back(std::move(finding));
      };
      Runner runner(**scenario, options);
      const absl::Status status = runner.RunAll();
      EXPECT_TRUE(status.ok()) << status.message();
      EXPECT_THAT(findings, testing::IsEmpty());
      for (const Mismatch& m : runner.mismatches()) {
        ADD_FAILURE() << m.where.line << ": " << m.line << "\nexpected: " << m.expected
                      << "\nactual: " << m.actual;
      }
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
