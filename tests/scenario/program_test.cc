// SPDX-License-Identifier: Apache-2.0
// Scenarios as programs of a guest.
#include "sim/scenario/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mmsim::scenario {
namespace {

using ::testing::HasSubstr;

struct Made {
  std::unique_ptr<Scenario> scenario;
  ScenarioProgram program;
  absl::Status status;
};

Made Make(const std::string& text, Arch arch = Arch::kX86_64, uint32_t smaps_every = 1) {
  Made made;
  auto scenario = Scenario::FromText(text, "t.scn");
  EXPECT_TRUE(scenario.ok()) << scenario.status();
  if (!scenario.ok()) return made;
  made.scenario = *std::move(scenario);
  absl::StatusOr<ScenarioProgram> program =
      MakeProgram(*made.scenario, {.arch = arch, .smaps_every = smaps_every, .modelled_only = true});
  made.status = program.status();
  if (program.ok()) made.program = *std::move(program);
  return made;
}

TEST(Program, ANameIsAReferenceToItsResult) {
  const Made m = Make(
      "100 mmap(NULL, 0x2000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = $a\n"
      "let $b = $a+0x1000\n"
      "100 munmap($b-1, 0x1000) = ?\n");
  ASSERT_TRUE(m.status.ok()) << m.status;
  // The spawn of the first process, mmap, munmap.
  ASSERT_EQ(m.program.program.steps.size(), 3u);
  EXPECT_EQ(m.program.program.steps[0].kind, OBSERVE_STEP_SPAWN);
  EXPECT_EQ(m.program.steps[0], nullptr);
  const guest::Step& mmap = m.program.program.steps[1];
  EXPECT_EQ(mmap.number, 9u);
  EXPECT_EQ(mmap.args[4].value, ~uint64_t{0});
  const guest::Arg& start = m.program.program.steps[2].args[0];
  EXPECT_EQ(start.kind, OBSERVE_ARG_RESULT);
  EXPECT_EQ(start.ref, 1u);
  EXPECT_EQ(start.value, 0xfffu);
}

TEST(Program, ANameThatALoadBoundIsWhatItLoaded) {
  const Made m =
      Make("pid 100\n100 load(0x400000, 8) = $f\n100 shadowpt_page_contents($f+1, 0x400000) = ?\n");
  ASSERT_TRUE(m.status.ok()) << m.status;
  const guest::Arg& pfn = m.program.program.steps.back().args[0];
  EXPECT_EQ(pfn.kind, OBSERVE_ARG_LOADED);
  EXPECT_EQ(pfn.ref, 1u);
  EXPECT_EQ(pfn.value, 1u);
}

TEST(Program, ArithmeticThatNoGuestCanDoIsAnErrorWithItsPlace) {
  const Made m = Make("100 brk(0) = $a\n100 brk($a*2) = ?\n");
  EXPECT_THAT(std::string(m.status.message()),
              HasSubstr("t.scn:2:9: expected a number, or a $name plus or minus"));
}

TEST(Program, ANameInsideOfAStructureIsAPatch) {
  const Made m = Make(
      "100 mmap(NULL, 0x2000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = $a\n"
      "100 process_vm_readv(100, [{iov_base=$a+0x10, iov_len=4}], 1, [{iov_base=$a, iov_len=4}], 1, 0) = "
      "?\n");
  ASSERT_TRUE(m.status.ok()) << m.status;
  const guest::Step& call = m.program.program.steps.back();
  ASSERT_EQ(call.patches.size(), 2u);
  EXPECT_EQ(call.patches[0].arg, 1u);
  EXPECT_EQ(call.patches[0].offset, 0u);
  EXPECT_EQ(call.patches[0].value.kind, OBSERVE_ARG_RESULT);
  EXPECT_EQ(call.patches[0].value.value, 0x10u);
}

TEST(Program, ArgvPointsIntoItsOwnBuffer) {
  const Made m = Make("pid 100\n100 execve(\"/victim\", [\"ab\", \"c\"], NULL) = 0\n");
  ASSERT_TRUE(m.status.ok()) << m.status;
  const guest::Step& exec = m.program.program.steps.back();
  ASSERT_EQ(exec.args[1].bytes.size(), 24u + 3 + 2);
  ASSERT_EQ(exec.patches.size(), 2u);
  EXPECT_EQ(exec.patches[1].value.kind, OBSERVE_ARG_BUFFER);
  EXPECT_STREQ(exec.args[1].bytes.data() + exec.patches[1].value.value, "c");
}

TEST(Program, LimitsAreSetFromOutsideAfterTheSpawn) {
  const Made m = Make("limit RLIMIT_AS 0x100000 RLIM_INFINITY\npid 7\n7 brk(0) = ?\n");
  ASSERT_TRUE(m.status.ok()) << m.status;
  ASSERT_EQ(m.program.program.steps.size(), 3u);
  EXPECT_EQ(m.program.program.steps[1].kind, OBSERVE_STEP_OUTSIDE);
  EXPECT_EQ(m.program.program.steps[1].number, 302u);
  EXPECT_EQ(m.program.program.steps[0].observe, 0u);  // the scenario's step is observed once, at its end
  EXPECT_NE(m.program.program.steps[1].observe, 0u);
  EXPECT_FALSE(m.program.IsLast(0));
  EXPECT_TRUE(m.program.IsLast(1));
}

TEST(Program, ForkIsCloneWhereThereIsNoFork) {
  const Made m = Make("pid 100\n100 fork() = 101\n100 vfork() = 102\n", Arch::kArm64);
  ASSERT_TRUE(m.status.ok()) << m.status;
  const guest::Step& fork = m.program.program.steps[1];
  EXPECT_EQ(fork.number, 220u);
  EXPECT_EQ(fork.args[0].value, 17u);
  EXPECT_EQ(fork.child, 101u);
  EXPECT_EQ(m.program.program.steps[2].args[0].value, 0x4111u);
}

TEST(Program, SmapsAfterSoManyStepsAndAfterTheLast) {
  std::string text;
  for (int i = 0; i < 7; ++i) text += "100 load(0x10000000, 1) = ?\n";
  const Made m = Make(text, Arch::kX86_64, /*smaps_every=*/3);
  ASSERT_TRUE(m.status.ok()) << m.status;
  std::string observed;
  for (const guest::Step& step : m.program.program.steps) {
    observed += step.observe == 0 ? '-' : (step.observe & OBSERVE_SMAPS) != 0 ? 's' : '.';
  }
  EXPECT_EQ(observed, "-..s..ss");  // the spawn, then the loads
}

TEST(Program, WhichKernelCanCarryItOut) {
  const auto why = [](const std::string& text, bool has_shadowpt) {
    return std::string(WhyNotOn(**Scenario::FromText("pid 100\n" + text, "t.scn"), has_shadowpt));
  };
  EXPECT_EQ(why("100 brk(0) = ?\n", false), "");
  EXPECT_THAT(why("100 shadowpt_start() = ?\n", false), HasSubstr("about shadowpt"));
  EXPECT_EQ(why("100 shadowpt_start() = ?\nset swap_pages 8\n", true), "");
  EXPECT_EQ(why("set swap_pages 8\n", false), "");
  EXPECT_EQ(why("100 mseal(0, 0, 0) = ?\n", false), "");
  EXPECT_THAT(why("100 mseal(0, 0, 0) = ?\n", true), HasSubstr("mseal"));
  EXPECT_THAT(why("inject frame 1\n", true), HasSubstr("allocations fail"));
}

TEST(Program, WhatNoGuestCanDoIsRefused) {
  EXPECT_FALSE(Make("inject frame 1\n100 brk(0) = ?\n").status.ok());
  EXPECT_FALSE(Make("set stack_guard_gap 1\n100 brk(0) = ?\n").status.ok());
  EXPECT_FALSE(Make("100 fork() = $child\n").status.ok());
  EXPECT_THAT(std::string(Make("100 brk(NULL) = 0x5000\n").status.message()), HasSubstr("a log of strace"));
}

}  // namespace
}  // namespace mmsim::scenario
