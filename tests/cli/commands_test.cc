// SPDX-License-Identifier: Apache-2.0
// The program as a person meets it: what it prints, where, and its exit status.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "sim/cli/progress.h"

namespace mmsim::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

struct Ran {
  int status = -1;
  std::string text;  // standard output and error
};

Ran Mmsim(const std::string& arguments) {
  const std::string command = "cd " MMSIM_SOURCE_DIR " && " MMSIM_BINARY_DIR "/mmsim " + arguments + " 2>&1";
  Ran ran;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return ran;
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof(buffer), pipe)) != 0;) ran.text.append(buffer, n);
  ran.status = WEXITSTATUS(pclose(pipe));
  return ran;
}

std::string FileWith(const std::string& name, const std::string& text) {
  std::string path = testing::TempDir() + "/" + name;
  std::ofstream(path) << text;
  return path;
}

TEST(Commands, EachHelpHasAnExample) {
  for (const char* command : {"blame", "compare", "record", "run", "show", "verify"}) {
    SCOPED_TRACE(command);
    const Ran ran = Mmsim(std::string(command) + " --help");
    EXPECT_EQ(ran.status, 0);
    EXPECT_THAT(ran.text, HasSubstr(std::string("mmsim ") + command));
    EXPECT_THAT(ran.text, HasSubstr("Example"));
  }
}

TEST(Run, ObserveIsParsedStrictly) {
  const Ran ran = Mmsim("run --observe mapz scenarios/first/fork.scn");
  EXPECT_EQ(ran.status, 2);
  EXPECT_THAT(ran.text, AllOf(HasSubstr("mapz"), HasSubstr("maps"), HasSubstr("pagemap")));
  EXPECT_EQ(Mmsim("run --on moon scenarios/first/fork.scn").status, 2);
}

TEST(Run, ObservesAfterEachStepOrAtTheEnd) {
  const Ran steps = Mmsim("run --observe maps,pagemap scenarios/first/fork.scn");
  EXPECT_EQ(steps.status, 0) << steps.text;
  EXPECT_THAT(steps.text, AllOf(HasSubstr("process 101:"), HasSubstr("[stack]"), HasSubstr("pfn 0x")));
  const Ran end = Mmsim("run --observe maps --at-end --json scenarios/first/fork.scn");
  EXPECT_EQ(end.status, 0);
  EXPECT_EQ(std::count(end.text.begin(), end.text.end(), '\n'), 1);
  EXPECT_THAT(end.text, AllOf(HasSubstr("\"processes\":"), Not(HasSubstr("pagemap"))));
}

TEST(Run, ChangesAreWhatAStepChanged) {
  const Ran ran = Mmsim("run --observe maps --changes scenarios/first/touch.scn");
  EXPECT_EQ(ran.status, 0) << ran.text;
  EXPECT_THAT(ran.text,
              AllOf(HasSubstr("\n6: 100 munmap($a, 0x2000) = 0\nprocess 100:\n- 7ffff7ff7000-7ffff7ff9000"),
                    HasSubstr("\n5: 100 load($a, 1) = 1\n6: ")));
  EXPECT_EQ(Mmsim("run --changes scenarios/first/touch.scn").status, 2);
  EXPECT_EQ(Mmsim("run --observe maps --changes --json scenarios/first/touch.scn").status, 2);
}

TEST(Run, OfTheShadowTableIsSaidWhatThereIs) {
  const Ran ran = Mmsim("run --observe shadow scenarios/shadowpt/session.scn");
  EXPECT_EQ(ran.status, 0) << ran.text;
  EXPECT_THAT(ran.text, AllOf(Not(HasSubstr("process 1")), Not(HasSubstr("\n0-1000 none")),
                              HasSubstr("not tracking\n7: 100 shadowpt_start() = 0\n"
                                        "shadow page table of 10000000-10008000, tracking\n"
                                        "10000000-10008000 none\n")));
}

TEST(Run, WatchWaitsForSeconds) {
  for (const char* seconds : {"-1", "nan", "1e9", "soon"}) {
    const Ran ran = Mmsim(std::string("run --watch=") + seconds + " scenarios/shadowpt/session.scn");
    EXPECT_EQ(ran.status, 2) << ran.text;
    EXPECT_THAT(ran.text, AllOf(HasSubstr("expected seconds from 0 to 3600"), HasSubstr(seconds)));
  }
}

// Findings of --audit are on the screen of their step, and again after the last one.
TEST(Run, WatchShowsWhatTheAuditFinds) {
  const Ran ran =
      Mmsim("run --watch 0.001 --audit --without-hook move_huge_pmd scenarios/shadowpt/pte_move_huge.scn");
  EXPECT_EQ(ran.status, 2) << ran.text;
  const size_t on_screen = ran.text.find("\nshadow: "), at_end = ran.text.find(".scn: step 11: shadow: ");
  ASSERT_NE(on_screen, std::string::npos);
  ASSERT_NE(at_end, std::string::npos);
  EXPECT_LT(on_screen, at_end);
  EXPECT_LT(ran.text.rfind(" changed\n"), at_end);
}

TEST(Run, FoldersStandForTheirScenarios) {
  const Ran ran = Mmsim("run --audit --arch arm64 scenarios/first scenarios/huge");
  EXPECT_EQ(ran.status, 0) << ran.text;
  EXPECT_THAT(ran.text, HasSubstr(" 0 failed"));
}

TEST(Run, WhatDoesNotHoldIsExitStatusOne) {
  const std::string file = FileWith("wrong.scn", "pid 100\n100 brk(NULL) = 0x1000\n");
  const Ran ran = Mmsim("run " + file);
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.text, AllOf(HasSubstr("wrong.scn:2:5: the model differs"), HasSubstr("expected: = 0x1000"),
                              HasSubstr("actual:   = 0x401000")));
}

TEST(Compare, WhichPatchedKernelIsOnlySaidOfThePatchedOne) {
  for (const char* option : {"--debug", "--mutant errno-order"}) {
    const Ran ran = Mmsim(std::string("compare ") + option + " scenarios/first/touch.scn");
    EXPECT_EQ(ran.status, 2);
    EXPECT_THAT(ran.text, HasSubstr("--with patched"));
  }
}

// The bar is for a terminal; a pipe gets nothing of it.
TEST(Progress, NothingIsShownInAPipe) {
  EXPECT_THAT(Mmsim("run scenarios/first scenarios/huge").text, Not(HasSubstr("\x1b")));
  EXPECT_EQ(ProgressLine(3, 12, "a.scn", 80), "[######..................]  3/12 a.scn");
  EXPECT_EQ(ProgressLine(12, 12, "a.scn", 80), "[########################] 12/12 a.scn");
  EXPECT_EQ(ProgressLine(0, 9, "scenarios/long/name.scn", 40).size(), 40u);
}

TEST(Show, DrawsVmasAndTables) {
  // Line 7 is the child's store, which copies the page.
  const Ran ran = Mmsim("show scenarios/first/fork.scn --at 4");
  EXPECT_EQ(ran.status, 0) << ran.text;
  EXPECT_THAT(ran.text, AllOf(HasSubstr("process 100"), HasSubstr("fork() = 101"), HasSubstr("[stack]"),
                              HasSubstr("anon_vma#"), HasSubstr("page tables, root 0x"), HasSubstr("pgd[0]"),
                              HasSubstr("ref 2 map 2 with 101"), Not(HasSubstr("\x1b"))));
  const Ran later =
      Mmsim("show scenarios/first/fork.scn --at step:4 --process 101 --arch arm64 --color always");
  EXPECT_EQ(later.status, 0) << later.text;
  EXPECT_THAT(later.text, AllOf(HasSubstr("process 101"), HasSubstr("\x1b[3"), HasSubstr("VALID")));
}

TEST(Show, MomentsAndProcessesThatAreNot) {
  EXPECT_EQ(Mmsim("show scenarios/first/fork.scn --at soon").status, 2);
  EXPECT_EQ(Mmsim("show scenarios/first/fork.scn --at step:0").status, 2);
  const Ran ran = Mmsim("show scenarios/first/fork.scn --at 2 --process 101");
  EXPECT_EQ(ran.status, 2);
  EXPECT_THAT(ran.text, HasSubstr("no process 101 lives at that moment: 100"));
}

TEST(Show, FoldsEntriesThatAreAlike) {
  const std::string file = FileWith("run.scn",
                                    "# Shows: sixteen pages that are alike\n"
                                    "100 mmap(0x10000000, 0x10000, PROT_READ|PROT_WRITE, "
                                    "MAP_PRIVATE|MAP_ANONYMOUS|MAP_POPULATE|MAP_FIXED, -1, "
                                    "0) = 0x10000000\n"
                                    "100 mprotect(0x10004000, 0x1000, PROT_READ) = 0\n");
  const Ran ran = Mmsim("show " + file);
  EXPECT_THAT(ran.text, AllOf(HasSubstr("pte[0-3] 10000000 16K"), HasSubstr("pte[4] 10004000 4K"),
                              HasSubstr("pte[5-15] 10005000 44K")));
}

TEST(Blame, TellsWhyAPageWasCopied) {
  const Ran ran = Mmsim("blame scenarios/first/fork.scn --process 101 '$a'");
  EXPECT_EQ(ran.status, 0) << ran.text;
  EXPECT_THAT(ran.text, AllOf(HasSubstr("__copy_present_ptes"), HasSubstr("wp_page_copy"),
                              HasSubstr("copied, because it is mapped elsewhere too"),
                              HasSubstr("references 2, mapped 2 times")));
  const Ran parent = Mmsim("blame scenarios/first/fork.scn '$a'");
  EXPECT_EQ(parent.status, 0) << parent.text;
  EXPECT_THAT(parent.text,
              AllOf(HasSubstr("do_anonymous_page"), HasSubstr("-write"), HasSubstr("mapped by 100:"),
                    HasSubstr(", 101:"), Not(HasSubstr("copied, because"))));
}

TEST(Blame, AFrameThroughAllItsMappings) {
  const std::string file =
      FileWith("reuse.scn",
               "# Shows: a page that is the parent's alone again is reused\n"
               "100 mmap(NULL, 0x1000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = $a\n"
               "100 store($a, \"x\") = 1\n"
               "100 fork() = 101\n"
               "101 exit_group(0) = ?\n"
               "100 store($a, \"y\") = 1\n"
               "expect 100 pagecount $a 1\n");
  const Ran page = Mmsim("blame " + file + " '$a'");
  EXPECT_THAT(page.text, HasSubstr("reused, because nothing but this entry refers to it"));
  const size_t at = page.text.find("= frame 0x");
  ASSERT_NE(at, std::string::npos) << page.text;
  const std::string frame = page.text.substr(at + 8, page.text.find(':', at) - at - 8);
  const Ran ran = Mmsim("blame " + file + " frame:" + frame);
  EXPECT_EQ(ran.status, 0);
  EXPECT_THAT(ran.text, AllOf(HasSubstr("frame " + frame), HasSubstr("101:"), HasSubstr("zap_pte_range"),
                              HasSubstr("reused, because")));
}

TEST(Blame, QuestionsThatAreNone) {
  EXPECT_EQ(Mmsim("blame scenarios/first/fork.scn '$nobody'").status, 2);
  EXPECT_EQ(Mmsim("blame scenarios/first/fork.scn frame:many").status, 2);
  EXPECT_EQ(Mmsim("blame scenarios/first/fork.scn frame:0xffffffffffff").status, 2);
  EXPECT_EQ(Mmsim("blame scenarios/first/fork.scn --process 7 0x1000").status, 2);
}

}  // namespace
}  // namespace mmsim::cli
