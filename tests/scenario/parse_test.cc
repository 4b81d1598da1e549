// SPDX-License-Identifier: Apache-2.0
// What strace prints, construct by construct: lines, columns, arguments, results, and calls in pieces.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/scenario/step.h"

namespace mmsim::scenario {
namespace {

using testing::ElementsAre;

std::unique_ptr<Scenario> Parse(std::string text) {
  auto scenario = Scenario::FromText(std::move(text), "t");
  EXPECT_TRUE(scenario.ok()) << scenario.status().message();
  return scenario.ok() ? *std::move(scenario) : nullptr;
}

std::vector<std::string> Args(const Scenario& s, size_t step) {
  std::vector<std::string> args;
  for (int i = 0; i < s.steps()[step].nr_args; ++i) args.emplace_back(s.Arg(s.steps()[step], i));
  return args;
}

TEST(Parse, ACallWithPathsOfDescriptors) {
  const auto s = Parse(
      "5070  mmap(0x7ffff7f8c000, 110592, PROT_READ|PROT_EXEC, MAP_PRIVATE|MAP_FIXED|MAP_DENYWRITE, "
      "3</usr/lib/libselinux.so.1>, 0x7000) = 0x7ffff7f8c000\n");
  ASSERT_EQ(s->steps().size(), 1u);
  const Step& step = s->steps()[0];
  EXPECT_EQ(step.kind, StepKind::kCall);
  EXPECT_EQ(step.sys, Sys::k_mmap);
  EXPECT_EQ(step.pid, 5070);
  EXPECT_EQ(step.result, ResultKind::kValue);
  EXPECT_EQ(step.value, 0x7ffff7f8c000);
  EXPECT_THAT(Args(*s, 0),
              ElementsAre("0x7ffff7f8c000", "110592", "PROT_READ|PROT_EXEC",
                          "MAP_PRIVATE|MAP_FIXED|MAP_DENYWRITE", "3</usr/lib/libselinux.so.1>", "0x7000"));
  EXPECT_TRUE(s->is_log());
}

TEST(Parse, ColumnsBeforeTheEvent) {
  // -t, -tt, -ttt, -r, -r with -t, -n, -i, -Y, [pid N], and none.
  const auto s = Parse(
      "7 20:21:03 brk(NULL) = 0x1\n"
      "7 20:21:03.394393 brk(NULL) = 0x1\n"
      "7 1700000000.394393 brk(NULL) = 0x1\n"
      "7      0.000000 brk(NULL) = 0x1\n"
      "7  20:21:03 (+     0.000123) brk(NULL) = 0x1\n"
      "7 [  12] brk(NULL) = 0x1\n"
      "7 [00007ffff7fe9c2b] brk(NULL) = 0x1\n"
      "7<ls> brk(NULL) = 0x1\n");
  ASSERT_EQ(s->steps().size(), 8u);
  for (const Step& step : s->steps()) {
    EXPECT_EQ(step.pid, 7);
    EXPECT_EQ(step.Text(), "brk(NULL) = 0x1");
  }
  EXPECT_EQ(Parse("     0.000123 brk(NULL) = 0x1\n")->steps()[0].pid, kNoPid);
  EXPECT_EQ(Parse("[pid  42] brk(NULL) = 0x1\n")->steps()[0].pid, 42);
  EXPECT_EQ(Parse("[pid  42<a b>] brk(NULL) = 0x1\n")->steps()[0].pid, 42);
}

TEST(Parse, ArgumentsMayHoldAnything) {
  const auto s = Parse(
      "clone3({flags=CLONE_VM|CLONE_FS, exit_signal=0, tls=0x7f} => {parent_tid=[11544]}, 88) = 11544\n"
      "execve(\"/bin/a \\\"b,(\", [\"a\", \"x)\"...], 0x7ffe /* 41 vars, (yes) */) = 0\n"
      "rt_sigprocmask(SIG_BLOCK, ~[RTMIN RT_1], [], 8) = 0\n"
      "newfstatat(3<socket:[1]>, \"\", {st_mode=S_IFREG|0644, st_rdev=makedev(0x1, 0x3), ...}, 0) = 0\n"
      "read(4<TCP:[127.0.0.1:1->127.0.0.1:2]>, 1</dev/null<char 1:3>>, 3</tmp/a\\76b>(deleted)) = 0\n"
      "restart_syscall(<... resuming interrupted nanosleep ...>) = 0\n"
      "mmap(NULL, 2, 21<<MAP_HUGE_SHIFT, 'x') = ?\n"
      "fork() = 5\n");
  EXPECT_THAT(
      Args(*s, 0),
      ElementsAre("{flags=CLONE_VM|CLONE_FS, exit_signal=0, tls=0x7f} => {parent_tid=[11544]}", "88"));
  EXPECT_THAT(Args(*s, 1),
              ElementsAre("\"/bin/a \\\"b,(\"", "[\"a\", \"x)\"...]", "0x7ffe /* 41 vars, (yes) */"));
  EXPECT_THAT(Args(*s, 2), ElementsAre("SIG_BLOCK", "~[RTMIN RT_1]", "[]", "8"));
  EXPECT_THAT(Args(*s, 3), ElementsAre("3<socket:[1]>", "\"\"",
                                       "{st_mode=S_IFREG|0644, st_rdev=makedev(0x1, 0x3), ...}", "0"));
  EXPECT_THAT(Args(*s, 4), ElementsAre("4<TCP:[127.0.0.1:1->127.0.0.1:2]>", "1</dev/null<char 1:3>>",
                                       "3</tmp/a\\76b>(deleted)"));
  EXPECT_THAT(Args(*s, 5), ElementsAre("<... resuming interrupted nanosleep ...>"));
  EXPECT_THAT(Args(*s, 6), ElementsAre("NULL", "2", "21<<MAP_HUGE_SHIFT", "'x'"));
  EXPECT_THAT(Args(*s, 7), ElementsAre());
}

struct ResultCase {
  std::string_view text;
  ResultKind kind;
  int64_t value;
  int error;
  std::string_view token, path;
};

TEST(Parse, Results) {
  const ResultCase kCases[] = {
      {"= 0", ResultKind::kValue, 0, 0, "0", ""},
      {"= 0x7ffff7fc0000", ResultKind::kValue, 0x7ffff7fc0000, 0, "0x7ffff7fc0000", ""},
      {"= 022", ResultKind::kValue, 18, 0, "022", ""},
      {"= -1", ResultKind::kValue, -1, 0, "-1", ""},
      {"= -1 ENOMEM (Cannot allocate memory)", ResultKind::kErrno, 0, 12, "-1", ""},
      {"= -1 EINVAL (Invalid argument) (INJECTED)", ResultKind::kErrno, 0, 22, "-1", ""},
      {"= -1 (errno 524)", ResultKind::kErrno, 0, 524, "-1", ""},
      {"= ?", ResultKind::kUnknown, 0, 0, "?", ""},
      {"= ? ERESTARTNOHAND (To be restarted if no handler)", ResultKind::kUnknown, 0, 514, "?", ""},
      {"= 3</usr/lib/x.so>", ResultKind::kValue, 3, 0, "3", "/usr/lib/x.so"},
      {"= 3<TCP:[1->2]> <0.000012>", ResultKind::kValue, 3, 0, "3", "TCP:[1->2]"},
      {"= 0 <0.000123>", ResultKind::kValue, 0, 0, "0", ""},
      {"= 0 (DELAYED) <0.600123>", ResultKind::kValue, 0, 0, "0", ""},
      {"= 0x8000 (flags O_RDONLY|O_LARGEFILE)", ResultKind::kValue, 0x8000, 0, "0x8000", ""},
      {"= 1 ([{fd=3, revents=POLLIN}], left {tv_sec=0, tv_nsec=1})", ResultKind::kValue, 1, 0, "1", ""},
      {"= 5075 /* 2 in strace's PID NS */", ResultKind::kValue, 5075, 0, "5075", ""},
      {"= $a", ResultKind::kName, 0, 0, "$a", ""},
      {"= 0  # a remark", ResultKind::kValue, 0, 0, "0", ""},
      {"= 0xffffffffffffffff", ResultKind::kValue, -1, 0, "0xffffffffffffffff", ""},
  };
  for (const ResultCase& c : kCases) {
    SCOPED_TRACE(c.text);
    const auto s = Parse("munmap(NULL, 1)   " + std::string(c.text) + "\n");
    ASSERT_NE(s, nullptr);
    const Step& step = s->steps()[0];
    EXPECT_EQ(step.result, c.kind);
    EXPECT_EQ(step.value, c.value);
    EXPECT_EQ(step.error, c.error);
    EXPECT_EQ(s->ResultToken(step), c.token);
    EXPECT_EQ(s->ResultPath(step), c.path);
  }
}

TEST(Parse, SignalsAndExits) {
  const auto s = Parse(
      "9 --- SIGSEGV {si_signo=SIGSEGV, si_code=SEGV_ACCERR, si_addr=0x1000} ---\n"
      "9 --- stopped by SIGSTOP ---\n"
      "9 --- SIGRT_1 ---\n"
      "9 +++ exited with 3 +++\n"
      "9 +++ killed by SIGSEGV (core dumped) +++\n"
      "9 +++ superseded by execve in pid 11 +++\n");
  const auto steps = s->steps();
  ASSERT_EQ(steps.size(), 6u);
  EXPECT_EQ(steps[0].kind, StepKind::kSignal);
  EXPECT_EQ(steps[0].Name(), "SIGSEGV");
  EXPECT_THAT(Args(*s, 0), ElementsAre("si_signo=SIGSEGV, si_code=SEGV_ACCERR, si_addr=0x1000"));
  EXPECT_EQ(steps[1].Name(), "SIGSTOP");
  EXPECT_EQ(steps[1].nr_args, 0);
  EXPECT_EQ(steps[2].Name(), "SIGRT_1");
  EXPECT_EQ(steps[3].exit, ExitKind::kExited);
  EXPECT_EQ(steps[3].value, 3);
  EXPECT_EQ(steps[4].exit, ExitKind::kKilled);
  EXPECT_EQ(steps[4].Name(), "SIGSEGV");
  EXPECT_EQ(steps[5].exit, ExitKind::kSuperseded);
  EXPECT_EQ(steps[5].value, 11);
}

TEST(Parse, UnfinishedAndResumedAreOneStepWithItsInterval) {
  const auto s = Parse(
      "1 mmap(NULL, 8192, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0 <unfinished ...>\n"
      "2 wait4(-1,  <unfinished ...>\n"
      "3 brk(NULL) = 0x5000\n"
      "1 <... mmap resumed>)      = 0x7000 <0.1>\n"
      "2 <... wait4 resumed>[{WIFEXITED(s) && WEXITSTATUS(s) == 0}], 0, NULL) = 3\n");
  const auto steps = s->steps();
  ASSERT_EQ(steps.size(), 3u);
  EXPECT_EQ(steps[0].sys, Sys::k_mmap);
  EXPECT_EQ(steps[0].first_line, 1u);
  EXPECT_EQ(steps[0].last_line, 4u);
  EXPECT_EQ(steps[0].value, 0x7000);
  EXPECT_FALSE(steps[0].partial);
  EXPECT_THAT(Args(*s, 0), ElementsAre("NULL", "8192", "PROT_READ", "MAP_PRIVATE|MAP_ANONYMOUS", "-1", "0"));
  EXPECT_EQ(steps[1].sys, Sys::k_wait4);
  EXPECT_THAT(Args(*s, 1), ElementsAre("-1", "[{WIFEXITED(s) && WEXITSTATUS(s) == 0}]", "0", "NULL"));
  // A place in the second piece is a place in the line of the second piece.
  EXPECT_EQ(s->Locate(s->Arg(steps[1], 1).data()).line, 5u);
  EXPECT_EQ(s->Locate(s->Arg(steps[1], 1).data()).column, 22u);
  EXPECT_EQ(s->Locate(s->Arg(steps[1], 0).data()).line, 2u);
}

TEST(Parse, AnArgumentMayBeSplit) {
  const auto s = Parse(
      "1 clone3({flags=CLONE_VM} <unfinished ...>\n"
      "1 <... clone3 resumed> => {parent_tid=[2]}, 88) = 2\n");
  EXPECT_THAT(Args(*s, 0), ElementsAre("{flags=CLONE_VM}  => {parent_tid=[2]}", "88"));
}

TEST(Parse, WhatNeverResumed) {
  const auto s = Parse(
      "1 munmap(0x1000, 8192 <unfinished ...>\n"
      "1 +++ killed by SIGKILL +++\n"
      "2 futex(0x7000, FUTEX_WAIT, 1, NULL <unfinished ...>) = ?\n"
      "3 pause( <unfinished ...>\n"
      "4 read(0<pipe:[1]>,  <detached ...>\n");
  const auto steps = s->steps();
  EXPECT_EQ(steps[0].result, ResultKind::kUnfinished);
  EXPECT_TRUE(steps[0].partial);
  EXPECT_THAT(Args(*s, 0), ElementsAre("0x1000", "8192"));
  EXPECT_EQ(steps[2].result, ResultKind::kUnknown);
  EXPECT_THAT(Args(*s, 2), ElementsAre("0x7000", "FUTEX_WAIT", "1", "NULL"));
  EXPECT_THAT(Args(*s, 3), ElementsAre());
  EXPECT_THAT(Args(*s, 4), ElementsAre("0<pipe:[1]>"));
}

TEST(Parse, AttachedInTheMiddleOfACall) {
  const auto s = Parse("1 <... futex resumed>) = 0\n1 brk(NULL) = 0x1\n");
  EXPECT_TRUE(s->steps()[0].partial);
  EXPECT_EQ(s->steps()[0].sys, Sys::k_futex);
  EXPECT_EQ(s->steps()[0].result, ResultKind::kUnknown);
}

TEST(Parse, AThreadsExecveGoesOnUnderTheLeadersId) {
  const auto s = Parse(
      "7 pause( <unfinished ...>\n"
      "8 execve(\"/bin/true\", [\"true\"], 0x7ffe /* 41 vars */ <unfinished ...>\n"
      "7 <... pause resumed>)              = ?\n"
      "7 +++ superseded by execve in pid 8 +++\n"
      "7 <... execve resumed>)             = 0\n");
  const auto steps = s->steps();
  ASSERT_EQ(steps.size(), 3u);
  EXPECT_EQ(steps[1].sys, Sys::k_execve);
  EXPECT_EQ(steps[1].pid, 8);
  EXPECT_EQ(steps[1].last_line, 5u);
  EXPECT_EQ(steps[1].result, ResultKind::kValue);
}

TEST(Parse, AThreadsExecveSaysItsNewPid) {
  const auto s = Parse(
      "8 execve(\"/bin/true\", [\"true\"], 0x7ffe /* 41 vars */ <pid changed to 7 ...>\n"
      "7 +++ superseded by execve in pid 8 +++\n"
      "7 <... execve resumed>)             = 0\n");
  ASSERT_EQ(s->steps().size(), 2u);
  EXPECT_EQ(s->steps()[0].pid, 8);
  EXPECT_EQ(s->steps()[0].last_line, 3u);
  EXPECT_EQ(s->steps()[0].value, 0);
}

TEST(Parse, AHeldExitGroupIsTheLastLineWithoutNewline) {
  const auto s = Parse("5 brk(NULL) = 0x1\n5 exit_group(0");
  ASSERT_EQ(s->steps().size(), 2u);
  EXPECT_EQ(s->steps()[1].sys, Sys::k_exit_group);
  EXPECT_EQ(s->steps()[1].result, ResultKind::kUnfinished);
  EXPECT_THAT(Args(*s, 1), ElementsAre("0"));
  EXPECT_EQ(Parse("5 exit_group(0)")->steps()[0].sys, Sys::k_exit_group);
  EXPECT_FALSE(Scenario::FromText("5 exit_group(0\n5 brk(NULL) = 0\n", "t").ok());
  EXPECT_FALSE(Scenario::FromText("5 exit_group(", "t").ok());
  EXPECT_FALSE(Scenario::FromText("5 munmap(0x1000, 4096", "t").ok());
}

// On stderr strace names no process while there is but one, and breaks lines to say that it attached another.
TEST(Parse, LogsFromStderr) {
  const auto s = Parse(
      "brk(NULL) = 0x1\n"
      "clone(child_stack=NULL, flags=SIGCHLDstrace: Process 21 attached\n"
      ", child_tidptr=0x7000) = 21\n"
      "[pid    21] brk(NULL <unfinished ...>\n"
      "[pid    20] munmap(0x1000, 4096) = 0\n"
      "[pid    21] <... brk resumed>) = 0x1\n"
      "[pid    21] +++ exited with 0 +++\n"
      "brk(NULL) = 0x2\n"
      "strace: Process 22 attached\n"
      "[pid    22] brk(NULL) = 0x3\n"
      "[pid    20] +++ exited with 0 +++\n"
      "brk(NULL) = 0x4\n");
  std::vector<int> pids;
  for (const Step& step : s->steps()) pids.push_back(step.pid);
  EXPECT_THAT(pids, ElementsAre(20, 20, 21, 20, 21, 20, 22, 20, 22));
  EXPECT_THAT(Args(*s, 1), ElementsAre("child_stack=NULL", "flags=SIGCHLD", "child_tidptr=0x7000"));
}

TEST(Parse, CallsWithoutAName) {
  const auto s = Parse("1 syscall_0x1ce(0, 0x1000, 0) = -1 ENOMEM (Cannot allocate memory)\n1 ?\?\?() = ?\n");
  EXPECT_EQ(s->steps()[0].sys, kSysByNumber);
  EXPECT_EQ(s->steps()[0].number, 0x1ce);
  EXPECT_EQ(s->steps()[1].number, -1);
}

TEST(Parse, WhatStraceSaysOfItselfIsNoStep) {
  EXPECT_EQ(Parse("strace: [ Process PID=5 runs in 32 bit mode. ]\n[ Process PID=5 runs in 64 bit mode. ]\n")
                ->steps()
                .size(),
            0u);
}

TEST(Parse, TheSummaryOfMinusCIsNoStep) {
  EXPECT_EQ(Parse("1 exit_group(0) = ?\n1 +++ exited with 0 +++\n% time     seconds  usecs/call     calls    "
                  "errors syscall\n"
                  "------ ----------- ----------- --------- --------- ------------------\n")
                ->steps()
                .size(),
            2u);
}

TEST(Parse, WhatPeopleWrite) {
  const auto s = Parse(
      "# Shows: much.\n"
      "#  in two lines\n"
      "arch arm64 \"because\"\n"
      "profile 6.12\n"
      "set max_map_count 100\n"
      "limit RLIMIT_AS 64*1024 RLIM_INFINITY  # both\n"
      "pid 100 privileged\n"
      "100 store(0x1000, \"a\") = 1\n"
      "100 load(0x1000, 1) = \"a\"\n"
      "on x86_64 100 fetch(0x1000) = 0\n"
      "let $b = $a+0x1000\n"
      "inject vma 3\n"
      "inject off\n");
  EXPECT_EQ(s->header(), "# Shows: much.\n#  in two lines\n");
  EXPECT_FALSE(s->is_log());
  EXPECT_FALSE(s->RunsOn(Arch::kX86_64));
  EXPECT_TRUE(s->RunsOn(Arch::kArm64));
  EXPECT_EQ(s->arch_reason(), "because");
  EXPECT_EQ(s->profile(), "6.12");
  const auto steps = s->steps();
  ASSERT_EQ(steps.size(), 9u);
  EXPECT_EQ(steps[0].kind, StepKind::kSet);
  EXPECT_EQ(steps[0].Name(), "max_map_count");
  EXPECT_THAT(Args(*s, 1), ElementsAre("64*1024", "RLIM_INFINITY"));
  EXPECT_EQ(steps[2].kind, StepKind::kSpawn);
  EXPECT_THAT(Args(*s, 2), ElementsAre("privileged"));
  EXPECT_EQ(steps[3].kind, StepKind::kAccess);
  EXPECT_EQ(steps[3].access, AccessKind::kStore);
  EXPECT_EQ(steps[4].access, AccessKind::kLoad);
  EXPECT_EQ(steps[4].result, ResultKind::kBytes);
  EXPECT_EQ(s->ResultToken(steps[4]), "\"a\"");
  EXPECT_EQ(steps[5].access, AccessKind::kFetch);
  EXPECT_TRUE(steps[5].RunsOn(Arch::kX86_64));
  EXPECT_FALSE(steps[5].RunsOn(Arch::kArm64));
  EXPECT_EQ(steps[6].Name(), "$b");
  EXPECT_EQ(steps[7].Name(), "vma");
  EXPECT_EQ(steps[8].Name(), "off");
}

TEST(Parse, EmptyFilesAndEmptyLines) {
  EXPECT_EQ(Parse("")->steps().size(), 0u);
  EXPECT_EQ(Parse("\n  \n\t\n# x")->steps().size(), 0u);
  EXPECT_EQ(Parse("1 brk(NULL) = 0\r\n")->steps().size(), 1u);
  EXPECT_EQ(Parse("1 brk(NULL) = 0")->steps().size(), 1u);
}

}  // namespace
}  // namespace mmsim::scenario
