// SPDX-License-Identifier: Apache-2.0
// Every form of expectation, both ways: it holds where the kernel is as it says, and is reported where not.
#include "sim/scenario/check_expect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "fmt/format.h"
#include "sim/audit/validator.h"
#include "sim/scenario/runner.h"

namespace mmsim::scenario {
namespace {

constexpr int kX86 = 1, kArm = 2, kBoth = 3;

struct Ran {
  absl::Status status;
  std::vector<Mismatch> mismatches;
  std::vector<std::string> findings;  // of the validator
};

Ran RunText(const std::string& text, Arch arch) {
  auto scenario = Scenario::FromText(text, "t");
  if (!scenario.ok()) return {scenario.status(), {}, {}};
  if (absl::Status s = Check(**scenario, arch); !s.ok()) return {s, {}, {}};
  Ran ran;
  RunnerOptions options;
  options.kernel.arch = arch;
  options.audit = [&ran](Kernel& kernel) { ran.findings = Validate(kernel.system()); };
  Runner runner(**scenario, options);
  ran.status = runner.RunAll();
  ran.mismatches = runner.mismatches();
  return ran;
}

// Two pages of which one was written, a page that was only read, and a child that shares both.
constexpr const char* kSetUp =
    "100 mmap(NULL, 0x2000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = $a\n"
    "100 mmap(NULL, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = $z\n"
    "100 store($a, \"before\") = 6\n"
    "100 load($z, 1) = \"\\0\"\n"
    "100 fork() = 101\n";

struct Row {
  const char* expect;
  bool holds;
  int archs = kBoth;
};

constexpr Row kRows[] = {
    {"100 maps $a-$a+0x2000 { $a-$a+0x2000 rw-p }", true},
    {"100 maps $a-$a+0x2000 { $a-$a+0x2000 rw-s }", false},
    {"100 maps $a-$a+0x2000 { $a-$a+0x1000 rw-p }", false},
    {"100 maps $a-$a+0x2000 { $a-$a+0x2000 rw-p 0 00:00 0 }", true},
    {"100 maps $a-$a+0x2000 { $a-$a+0x2000 rw-p 1000 }", false},
    {"100 maps $a-$a+0x2000 { $a-$a+0x2000 rw-p * 00:01 }", false},
    {"100 maps $a-$a+0x2000 { $a-$a+0x2000 rw-p * * 7 }", false},
    {"100 maps $a-$a+0x2000 { $a-$a+0x2000 rw-p * * * /x }", false},
    {"100 maps $a-$a+0x2000 { }", false},
    {"100 maps 400000-401000 { 400000-401000 rwxp 00000000 * * /victim }", true},
    {"100 maps 400000-401000 { 400000-401000 rwxp 00000000 * 0 }", false},
    {"100 maps { $a-$a+0x2000 rw-p; ... }", true},
    {"100 maps { $a-$a+0x2000 rw-p }", false},
    {"100 maps { $a-$a+0x2000 r--p; ... }", false},
    {"101 maps { $a-$a+0x2000 rw-p; ... }", true},
    {"102 maps { ... }", false},

    {"100 smaps $a { Rss: 4 kB  Pss: 2 kB  Shared_Dirty: 4 kB }", true},
    {"100 smaps $a+0x1000 { Rss: 4 kB }", true},
    {"100 smaps $a { Rss: 8 kB }", false},
    {"100 smaps 0x1000 { Rss: 0 kB }", false},
    {"100 smaps $a { VmFlags: rd wr mr mw me ac sd }", true, kX86},
    {"100 smaps $a { VmFlags: rd wr mr mw me ac }", true, kArm},
    {"100 smaps $a { VmFlags: rd wr mr mw me }", false},

    {"100 pte $a { pgd: table; pud: table present; pmd: table !huge; pte: present !write }", true},
    {"100 pte $a { pte: present write }", false},
    {"100 pte $a { pmd: huge }", false},
    {"100 pte $a { pmd: none }", false},
    {"100 pte $a+0x1000 { pmd: table; pte: none !present }", true},
    {"100 pte $a+0x1000 { pte: present }", false},
    {"100 pte 0x10000000000 { pgd: table }", false},
    {"100 pte 0x10000000000 { pgd: none; pud: none; pmd: none; pte: none }", true},
    {"100 pte $z { pte: present zero special !write }", true},
    {"100 pte $a { pte: zero }", false},
    {"100 pte $a { pte: = present user accessed dirty soft_dirty }", true, kX86},
    {"100 pte $a { pte: = present user accessed dirty }", false, kX86},
    {"100 pte $a { pte: = present user accessed dirty }", true, kArm},
    {"100 pte $a { pte: = P US A NX }", true, kX86},
    {"100 pte $a { pte: = P US A }", false, kX86},
    {"100 pte $a { pte: P US !RW !G present }", true, kX86},
    {"100 pte $a { pte: RW }", false, kX86},
    {"100 pte $a { pte: VALID TABLE USER RDONLY AF NG !DBM !WRITE DIRTY }", true, kArm},
    {"100 pte $a { pte: DBM }", false, kArm},
    {"100 pte $a { pte: 1/1 }", true},
    {"100 pte $a { pte: 0/1 }", false},
    {"100 pte $a+0x1000 { pte: 0 }", true},

    {"100 pagemap $a { present !exclusive !swap !file }", true},
    {"100 pagemap $a { present exclusive }", false},
    {"100 pagemap $a { soft_dirty !uffd_wp }", true, kX86},
    {"100 pagemap $a { soft_dirty }", false, kArm},
    {"100 pagemap $a+0x1000 { !present }", true},
    {"100 pagemap $a+0x1000 { present }", false},

    {"100 pageflags $a { ANON SWAPBACKED MMAP UPTODATE !THP !ZERO_PAGE }", true},
    {"100 pageflags $a { ZERO_PAGE }", false},
    {"100 pageflags $z { ZERO_PAGE !ANON }", true},
    {"100 pageflags $a+0x1000 { ANON }", false},

    {"100 pagecount $a 2", true},
    {"100 pagecount $a 1", false},
    {"100 pagecount $z 0", true},
    {"100 pagecount $a+0x1000 0", true},  // no page is there
    {"100 pagecount $a+0x1000 1", false},

    {"frame 100:$a == 101:$a", true},
    {"frame 100:$a != 101:$a", false},
    {"frame 100:$a == 100:$z", false},
    {"frame 100:$a != 100:$z", true},
    {"frame 100:$z == zero", true},
    {"frame zero == 100:$z", true},
    {"frame zero == 101:$z", false},
    {"frame 100:$a == zero", false},
    {"frame 100:$a != zero", true},
    {"frame 100:$a == 100:$a+0x1000", false},
    {"frame 100:$a != 102:$a", false},

    {"100 bytes $a \"before\"", true},
    {"100 bytes $a \"after!\"", false},
    {"100 bytes $a+0x1000 \"\\0\\0\"", true},
    {"100 bytes $a+0x1ffc \"\\0\\0\\0\\0more\"", false},
    {"100 bytes 0x1000 \"\\0\"", false},

    {"100 signal none", true},
    {"100 signal SIGSEGV", false},
    {"100 error_code 0x4", true, kX86},  // of the load from $z
    {"100 error_code 0x5", false, kX86},
    {"101 error_code 0x4", false},  // it has had none

    {"100 counters { map_count: 6 }", true},
    {"100 counters { map_count: 7 }", false},
    {"100 counters { VmRSS: 12 kB  RssAnon: 12 kB  RssFile: 0 kB  VmLck: 0 kB  VmSwap: 0 kB }", true},
    {"100 counters { VmRSS: 16 kB }", false},
    {"100 counters { Pid: 100  Threads: 1  locked_vm: 0  stack_vm: 33 }", true},
    {"101 counters { PPid: 100 }", true},
    {"101 counters { PPid: 1 }", false},
    {"counters { SwapTotal: 0 kB  MemTotal: 1048576 kB }", true},
    {"counters { Committed_AS: 0 kB }", false},
};

class CheckExpect : public testing::TestWithParam<Arch> {
 protected:
  bool Runs(const Row& row) const { return (row.archs >> static_cast<int>(GetParam())) & 1; }
};

TEST_P(CheckExpect, EveryFormHoldsOrIsReported) {
  for (const Row& row : kRows) {
    if (!Runs(row)) continue;
    SCOPED_TRACE(row.expect);
    const Ran ran = RunText(std::string(kSetUp) + "expect " + row.expect + "\n", GetParam());
    ASSERT_TRUE(ran.status.ok()) << ran.status.message();
    EXPECT_THAT(ran.findings, testing::IsEmpty());
    EXPECT_EQ(ran.mismatches.empty(), row.holds)
        << (ran.mismatches.empty() ? "" : ran.mismatches[0].expected + " / " + ran.mismatches[0].actual);
    for (const Mismatch& m : ran.mismatches) EXPECT_EQ(m.where.line, 6u);
  }
}

// An expectation looks and touches nothing: what was not there is not there after it.
TEST_P(CheckExpect, LookingIsNoAccess) {
  const Ran ran = RunText(std::string(kSetUp) +
                              "expect 100 bytes $a+0x1000 \"\\0\"\n"
                              "expect 100 pte $a+0x1000 { pte: none }\n"
                              "expect 100 counters { VmRSS: 12 kB }\n",
                          GetParam());
  ASSERT_TRUE(ran.status.ok()) << ran.status.message();
  EXPECT_TRUE(ran.mismatches.empty());
}

TEST_P(CheckExpect, SignalsOfTheLastStep) {
  static constexpr std::pair<const char*, bool> kSignals[] = {
      {"expect 100 signal SIGSEGV\n", true},
      {"expect 100 signal SIGSEGV {si_code=SEGV_MAPERR, si_addr=0x10}\n", true},
      {"expect 100 signal SIGSEGV {si_code=SEGV_ACCERR}\n", false},
      {"expect 100 signal SIGSEGV {si_addr=0x11}\n", false},
      {"expect 100 signal SIGBUS\n", false},
      {"expect 100 signal none\n", false},
      {"100 --- SIGSEGV {si_addr=0x10} ---\n100 brk(NULL) = 0x401000\nexpect 100 signal none\n", true},
  };
  for (const auto& [line, holds] : kSignals) {
    SCOPED_TRACE(line);
    const Ran ran = RunText(std::string("100 load(0x10, 1) = ?\n") + line, GetParam());
    ASSERT_TRUE(ran.status.ok()) << ran.status.message();
    EXPECT_EQ(ran.mismatches.empty(), holds);
  }
}

// A name is the frame that the page had when the name was first used.
TEST_P(CheckExpect, NamedFrames) {
  const std::string text = std::string(kSetUp) + "expect frame 100:$a == $f\n101 store($a, \"after!\") = 6\n";
  EXPECT_TRUE(RunText(text + "expect frame 100:$a == $f\n", GetParam()).mismatches.empty());
  EXPECT_EQ(RunText(text + "expect frame 101:$a == $f\n", GetParam()).mismatches.size(), 1u);
}

TEST_P(CheckExpect, SwappedPagesKeepTheirBytes) {
  const Ran ran = RunText(
      "100 mmap(NULL, 0x1000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = $a\n"
      "100 store($a, \"before\") = 6\n"
      "100 madvise($a, 0x1000, MADV_FREE) = 0\n"
      "expect 100 pte $a { pte: present !dirty }\n"
      "expect 100 bytes $a \"before\"\n",
      GetParam());
  ASSERT_TRUE(ran.status.ok()) << ran.status.message();
  EXPECT_TRUE(ran.mismatches.empty());
}

TEST_P(CheckExpect, WaysToEnd) {
  static constexpr std::pair<const char*, bool> kEnds[] = {
      {"100 exit_group(3) = ?\n100 +++ exited with 3 +++\n", true},
      {"100 exit_group(3) = ?\n100 +++ exited with 0 +++\n", false},
      {"100 exit_group(3) = ?\n100 +++ killed by SIGKILL +++\n", false},
      {"100 +++ exited with 0 +++\n", false},
      {"100 +++ killed by SIGKILL +++\n", true},
  };
  for (const auto& [line, holds] : kEnds) {
    SCOPED_TRACE(line);
    const Ran ran = RunText(std::string("pid 100\n100 brk(NULL) = 0x401000\n") + line, GetParam());
    ASSERT_TRUE(ran.status.ok()) << ran.status.message();
    EXPECT_EQ(ran.mismatches.empty(), holds);
  }
}

TEST_P(CheckExpect, WhatNobodyKnowsIsAnError) {
  for (const char* line : {"expect 100 counters { NoSuchField: 1 }\n",
                           "expect 100 smaps $a { NoSuchField: 1 }\n", "expect counters { Zswap: 1 kB }\n"}) {
    SCOPED_TRACE(line);
    EXPECT_THAT(std::string(RunText(std::string(kSetUp) + line, GetParam()).status.message()),
                testing::HasSubstr("t:6:"));
  }
  const char* foreign = GetParam() == Arch::kX86_64 ? "UXN" : "NX";
  const Ran ran = RunText(fmt::format("{}expect 100 pte $a {{ pte: {} }}\n", kSetUp, foreign), GetParam());
  EXPECT_THAT(std::string(ran.status.message()), testing::HasSubstr("is no bit of"));
}

// set transparent_hugepage: the mode decides whether a first write brings 2 MiB.
TEST_P(CheckExpect, HugePagesByTheMode) {
  static constexpr struct {
    const char* mode;
    bool advised, huge;
  } kModes[] = {{"always", false, true},
                {"madvise", false, false},
                {"madvise", true, true},
                {"never", false, false},
                {"never", true, false}};
  for (const auto& m : kModes) {
    SCOPED_TRACE(m.mode);
    const Ran ran =
        RunText(fmt::format("set transparent_hugepage {}\n"
                            "100 mmap(0x10000000, 0x200000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|"
                            "MAP_FIXED_NOREPLACE, -1, 0) = 0x10000000\n"
                            "100 madvise(0x10000000, 0x200000, {}) = 0\n"
                            "100 store(0x10000000, \"x\") = 1\n"
                            "expect 100 smaps 0x10000000 {{ AnonHugePages: {} kB }}\n",
                            m.mode, m.advised ? "MADV_HUGEPAGE" : "MADV_NORMAL", m.huge ? 2048 : 0),
                GetParam());
    ASSERT_TRUE(ran.status.ok()) << ran.status.message();
    EXPECT_TRUE(ran.mismatches.empty());
  }
  EXPECT_THAT(std::string(RunText("set transparent_hugepage often\n", GetParam()).status.message()),
              testing::HasSubstr("expected always, madvise or never"));
}

std::string Readme() {
  std::ifstream file(MMSIM_SOURCE_DIR "/scenarios/README.md");
  std::stringstream text;
  text << file.rdbuf();
  const std::string page = text.str(), fence = "```scenario\n";
  const size_t begin = page.find(fence) + fence.size();
  return page.substr(begin, page.find("```", begin) - begin);
}

TEST_P(CheckExpect, TheReadmesExampleHolds) {
  const Ran ran = RunText(Readme(), GetParam());
  ASSERT_TRUE(ran.status.ok()) << ran.status.message();
  for (const Mismatch& m : ran.mismatches) ADD_FAILURE() << m.line << "\n" << m.expected << "\n" << m.actual;
  EXPECT_THAT(ran.findings, testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Both, CheckExpect, testing::Values(Arch::kX86_64, Arch::kArm64),
                         [](const auto& p) { return p.param == Arch::kX86_64 ? "x86_64" : "arm64"; });

}  // namespace
}  // namespace mmsim::scenario
