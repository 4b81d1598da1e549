// SPDX-License-Identifier: Apache-2.0
// Every recording of the repository, replayed: no result differs, and the final maps are the recorded ones.
#include "sim/scenario/verify.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
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

TEST(Scenario, AStepBeginsWhereItsLineIs) {
  for (const char* name : {"x86_64-6.12-dash-pipeline", "x86_64-6.12-perl-grow"}) {
    const auto log =
        Scenario::Open(std::string(MMSIM_SOURCE_DIR "/scenarios/recorded/") + name + "/strace.log.gz");
    ASSERT_TRUE(log.ok()) << log.status();
    for (const Step& step : (*log)->steps()) {
      const Location counted = (*log)->Locate(step.text), known = (*log)->LocateStep(step);
      EXPECT_EQ(known.line, counted.line);
      EXPECT_EQ(known.column, counted.column);
    }
  }
}

TEST(Verify, EveryStepOfARecordingPassesTheValidator) {
  const absl::StatusOr<VerifyResult> result =
      Verify(MMSIM_SOURCE_DIR "/scenarios/recorded/x86_64-6.12-perl-grow",
             {.profile = "", .audit = true, .arch = {}, .host_env = ""});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->audit, std::vector<std::string>());
}

// A program that gives itself a right to write and takes it back; what its end says of the pages beside it.
VerifyResult VerifyRights(const std::string& end_lines) {
  const fs::path dir = fs::path(testing::TempDir()) / "rights";
  fs::create_directories(dir);
  const std::string program = "00400000-00401000 r-xp 00000000 00:00 0\n",
                    stack = "7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0 [stack]\n";
  std::ofstream(dir / "env") << "architecture x86_64\nkernel 6.12.1\n";
  std::ofstream(dir / "start.100") << program << stack;
  std::ofstream(dir / "end.100") << program << end_lines << stack;
  std::ofstream(dir / "strace.log")
      << "100 execve(\"/bin/x\", [\"x\"], 0x7ffe00000000 /* 0 vars */) = 0\n"
         "100 mmap(NULL, 16384, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7ffff7ffb000\n"
         "100 mprotect(0x7ffff7ffb000, 4096, PROT_READ|PROT_WRITE) = 0\n"
         "100 mprotect(0x7ffff7ffb000, 4096, PROT_READ) = 0\n"
         "100 exit_group(0) = ?\n"
         "100 +++ exited with 0 +++\n";
  const absl::StatusOr<VerifyResult> result =
      Verify(dir, {.profile = "", .audit = true, .arch = {}, .host_env = ""});
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? *result : VerifyResult();
}

// Whether the page was written to, no log says: mprotect_fixup() gives the promise of memory back if not.
TEST(Verify, WhatCountsAsTouchedIsWhatTheRecordedMapsNeed) {
  const VerifyResult written = VerifyRights(
      "7ffff7ffb000-7ffff7ffc000 r--p 00000000 00:00 0\n7ffff7ffc000-7ffff7fff000 r--p 00000000 00:00 0\n");
  EXPECT_EQ(written.identical, 1u);
  EXPECT_EQ(written.untouched, std::vector<std::string>());
  const VerifyResult not_written = VerifyRights("7ffff7ffb000-7ffff7fff000 r--p 00000000 00:00 0\n");
  EXPECT_EQ(not_written.identical, 1u);
  EXPECT_EQ(
      not_written.untouched,
      std::vector<std::string>{
          "7ffff7ffb000-7ffff7ffc000 counts as not written to: the recorded maps are matched better so"});
  const VerifyResult wrong = VerifyRights("7ffff7ffb000-7ffff7fff000 rw-p 00000000 00:00 0\n");
  EXPECT_EQ(wrong.identical, 0u);
  EXPECT_EQ(wrong.differences.size(), 1u);
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
