// SPDX-License-Identifier: Apache-2.0
// Recordings with page faults: the files, the faults' places among the calls, and the pages at the end.
#include "sim/scenario/recorded_faults.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "sim/scenario/verify.h"

namespace mmsim::scenario {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(RecordedFaults, ALineAFault) {
  const auto faults = ParseFaults("7 0 7ffff7fe3000 14\n\n7 12 10000fff 6 in\n", "faults");
  ASSERT_TRUE(faults.ok()) << faults.status();
  EXPECT_THAT(*faults, ElementsAre(RecordedFault{7, 0, 0x7ffff7fe3000, 0x14, false},
                                   RecordedFault{7, 12, 0x10000fff, 6, true}));
}

TEST(RecordedFaults, WhatIsNoneIsNamed) {
  for (const char* text : {"7 0 10\n", "7 0 10 6 out\n", "7 0 10 6 in in\n", "x 0 10 6\n", "7 -1 10 6\n"}) {
    const auto faults = ParseFaults(text, "r/faults");
    ASSERT_FALSE(faults.ok()) << text;
    EXPECT_THAT(std::string(faults.status().message()), HasSubstr("r/faults:1:1: expected THREAD CALLS"))
        << text;
  }
}

TEST(RecordedPages, RunsAndWords) {
  const auto pages = ParsePagemap("1000-3000 present exclusive\n5000-6000 swap\n", "pagemap.7");
  ASSERT_TRUE(pages.ok()) << pages.status();
  ASSERT_EQ(pages->size(), 2u);
  EXPECT_EQ((*pages)[0].end, 0x3000u);
  EXPECT_EQ((*pages)[0].state, kPagePresent | kPageExclusive);
  EXPECT_EQ((*pages)[1].state, kPageSwap);
  for (const char* text :
       {"1000 present\n", "1000-1000 present\n", "1000-1800 present\n", "1000-2000 there\n"}) {
    EXPECT_FALSE(ParsePagemap(text, "pagemap.7").ok()) << text;
  }
}

// A recording of a program that maps three pages in two calls, forks, and ends; its child ends first.
class VerifyWithFaults : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "/faultsXXXXXX";
    folder_ = mkdtemp(name.data());
    Write("env", "architecture x86_64\nkernel 6.12.0\nthp never\ncpu_flags\n");
    Write("strace.log",
          "7 execve(\"/x\", [\"/x\"], NULL) = 0\n"
          "7 mmap(0x10000000, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0) = "
          "0x10000000\n"
          "7 mmap(0x20000000, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0) = "
          "0x20000000\n"
          "7 fork() = 8\n"
          "8 exit_group(0) = ?\n8 +++ exited with 0 +++\n"
          "7 wait4(-1, NULL, 0, NULL) = 8\n"
          "7 exit_group(0) = ?\n7 +++ exited with 0 +++\n");
    const std::string start =
        "00400000-00401000 r-xp 00000000 08:01 12 /x\n7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0 "
        "[stack]\n";
    const std::string end =
        "00400000-00401000 r-xp 00000000 08:01 12 /x\n10000000-10002000 rw-p 00000000 00:00 0 \n"
        "20000000-20001000 rw-p 00000000 00:00 0 \n7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0 [stack]\n";
    Write("start.7", start);
    Write("end.7", end);
    Write("end.8", end);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  // The page of the stack that exec writes is always there; pagemap.8 is of the time before 8 has ended.
  void WritePages(const std::string& of_7, const std::string& of_8) {
    Write("pagemap.7", of_7 + "7fffffffe000-7ffffffff000 present exclusive\n");
    Write("pagemap.8", of_8 + "7fffffffe000-7ffffffff000 present\n");
  }
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name) << text;
  }
  VerifyResult Run() {
    const absl::StatusOr<VerifyResult> result =
        Verify(folder_, {.profile = "", .audit = true, .arch = {}, .host_env = ""});
    EXPECT_TRUE(result.ok()) << result.status();
    if (!result.ok()) return {};
    EXPECT_THAT(result->audit, ::testing::IsEmpty());
    EXPECT_THAT(result->mismatches, ::testing::IsEmpty());
    return *result;
  }
  std::string folder_;
};

TEST_F(VerifyWithFaults, PagesAreWhatTheFaultsMade) {
  // A write and a read before the fork; after it the child copies a page that its parent keeps.
  Write("faults", "7 1 7fffffffe000 6 in\n7 2 10000000 6\n7 3 20000000 4\n8 0 10000000 7\n7 5 10001000 6\n");
  WritePages("10000000-10002000 present exclusive\n20000000-20001000 present\n",
             "10000000-10001000 present exclusive\n");
  const VerifyResult result = Run();
  EXPECT_THAT(result.differences, ::testing::IsEmpty());
  EXPECT_EQ(result.identical, 2u);
  EXPECT_EQ(result.pages, 2u);
}

TEST_F(VerifyWithFaults, AFaultInTheWrongPlaceShows) {
  // The page that the child shared, touched by the parent after the fork instead of before.
  Write("faults", "7 4 10000000 6\n8 0 10000000 6\n");
  WritePages("10000000-10001000 present exclusive\n", "10000000-10001000 present\n");
  const VerifyResult result = Run();
  EXPECT_THAT(result.differences,
              ElementsAre("process 8: page 10000000: recorded present, replayed present exclusive"));
  EXPECT_EQ(result.identical, 1u);
}

TEST_F(VerifyWithFaults, AChildsFaultsWaitForTheChild) {
  // Nothing of the parent stands between the child's fault and the fork.
  Write("faults", "8 0 10000000 6\n");
  WritePages("", "10000000-10001000 present exclusive\n");
  EXPECT_THAT(Run().differences, ::testing::IsEmpty());
}

TEST_F(VerifyWithFaults, WithoutFaultsPagesAreNotCompared) {
  Write("pagemap.7", "10000000-10001000 present exclusive\n");
  const VerifyResult result = Run();
  EXPECT_THAT(result.differences, ::testing::IsEmpty());
  EXPECT_EQ(result.pages, 0u);
}

TEST_F(VerifyWithFaults, WithFaultsNothingElseCountsAsTouched) {
  // By the rule for logs alone the areas that fork copied are written to; here nothing was.
  Write("faults", "");
  WritePages("", "");
  const VerifyResult result = Run();
  EXPECT_THAT(result.differences, ::testing::IsEmpty());
  EXPECT_EQ(result.pages, 2u);
}

}  // namespace
}  // namespace mmsim::scenario
