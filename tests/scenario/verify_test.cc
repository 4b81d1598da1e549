// SPDX-License-Identifier: Apache-2.0
// Every recording of the repository, replayed: no result differs, and the final maps are the recorded ones.
#include "sim/scenario/verify.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sim/audit/validator.h"
#include "sim/scenario/recorded_machine.h"

namespace mmsim::scenario {
namespace {

namespace fs = std::filesystem;

TEST(Verify, EveryRecording) {
  int recordings = 0;
  for (const auto& entry : fs::directory_iterator(MMSIM_SOURCE_DIR "/scenarios/recorded")) {
    if (!entry.is_directory()) continue;
    ++recordings;
    const std::string name = entry.path().filename();
    SCOPED_TRACE(name);
    const absl::StatusOr<VerifyResult> result =
        Verify(entry.path(), {.profile = "", .audit = false, .arch = {}, .host_env = ""});
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_GT(result->processes, 0u);
    for (const Mismatch& m : result->mismatches) {
      ADD_FAILURE() << m.where.line << ": expected " << m.expected << ", got " << m.actual;
    }
    EXPECT_EQ(result->differences, std::vector<std::string>());
    EXPECT_EQ(result->identical, result->processes);
  }
  EXPECT_GT(recordings, 30);
}

TEST(Verify, EveryStepOfARecordingPassesTheValidator) {
  const absl::StatusOr<VerifyResult> result =
      Verify(MMSIM_SOURCE_DIR "/scenarios/recorded/x86_64-6.12-perl-grow",
             {.profile = "", .audit = true, .arch = {}, .host_env = ""});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->audit, std::vector<std::string>());
}

TEST(Verify, AFolderThatIsNone) {
  EXPECT_FALSE(Verify(MMSIM_SOURCE_DIR "/scenarios/nothing", {}).ok());
}

TEST(Verify, AProfileThatIsNone) {
  EXPECT_FALSE(Verify(MMSIM_SOURCE_DIR "/scenarios/recorded/x86_64-6.12-gawk",
                      {.profile = "nonsense", .audit = false, .arch = {}, .host_env = ""})
                   .ok());
}

TEST(Verify, AKernelWithoutAProfileIsSaidToHaveNone) {
  const RecordedEnv env = ParseEnv("architecture x86_64\nkernel 6.15.2\ncpu_flags\n", "env");
  const absl::StatusOr<RecordedMachine> machine = MachineOf(env, "", std::nullopt);
  ASSERT_TRUE(machine.ok()) << machine.status();
  EXPECT_EQ(machine->options.profile, "6.12");
  EXPECT_EQ(machine->options.pkeys, false);
  EXPECT_EQ(machine->note, "there is no profile of kernel 6.15.2; 6.12 is taken instead");
  EXPECT_EQ(MachineOf(ParseEnv("kernel 6.12.9-arch1", "env"), "", std::nullopt)->note, "");
  EXPECT_EQ(MachineOf(env, "6.18", Arch::kArm64)->options.profile, "6.18");
  EXPECT_FALSE(MachineOf(ParseEnv("architecture riscv64", "env"), "", std::nullopt).ok());
}

// Every hand-written scenario holds, on each architecture it is for, and every step leaves a state that the
// validator finds nothing wrong with.
TEST(Run, EveryScenario) {
  int scenarios = 0;
  for (const auto& entry : fs::recursive_directory_iterator(MMSIM_SOURCE_DIR "/scenarios")) {
    if (entry.path().extension() != ".scn") continue;
    ++scenarios;
    const auto scenario = Scenario::Open(entry.path());
    ASSERT_TRUE(scenario.ok()) << scenario.status();
    for (const Arch arch : {Arch::kX86_64, Arch::kArm64}) {
      if (!(*scenario)->RunsOn(arch)) continue;
      SCOPED_TRACE(entry.path().string() + " on " + std::string(ArchName(arch)));
      RunnerOptions options;
      options.kernel.arch = arch;
      std::vector<std::string> findings;
      options.audit = [&findings](Kernel& kernel) {
        for (std::string& finding : Validate(kernel.system())) findings.push_back(std::move(finding));
      };
      if (!(*scenario)->profile().empty()) options.kernel.profile = (*scenario)->profile();
      Runner runner(**scenario, options);
      const absl::Status status = runner.RunAll();
      ASSERT_TRUE(status.ok()) << status;
      for (const Mismatch& m : runner.mismatches()) {
        ADD_FAILURE() << m.where.file << ":" << m.where.line << ": expected " << m.expected << ", got "
                      << m.actual;
      }
      EXPECT_EQ(findings, std::vector<std::string>()) << entry.path();
    }
  }
  EXPECT_GT(scenarios, 0);
}

}  // namespace
}  // namespace mmsim::scenario
