// SPDX-License-Identifier: Apache-2.0
// From the kernel's trace and strace's log to the file `faults`; and what is said where there is no trace.
#include "sim/cli/record_faults.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fmt/format.h"

namespace mmsim::cli {
namespace {

constexpr std::string_view kLog =
    "7 execve(\"/bin/x\", [\"x\"], 0x7ffe /* 2 vars */) = 0\n"
    "7 brk(NULL) = 0x401000\n"
    "7 clone(child_stack=NULL, flags=SIGCHLD) = 8\n"
    "8 syscall_0x1ce(0, 0) = -1 ENOSYS (Function not implemented)\n"
    "7 wait4(-1,  <unfinished ...>\n"
    "8 exit_group(0) = ?\n"
    "8 +++ exited with 0 +++\n"
    "7 <... wait4 resumed>NULL, 0, NULL) = 8\n"
    "7 --- SIGCHLD {si_signo=SIGCHLD} ---\n"
    "7 exit_group(0 <unfinished ...>\n";

// A line as trace_pipe prints it; names of programs may hold nearly anything.
std::string Line(int thread, std::string_view event) {
  return fmt::format("      a-b [c]-{:<6} [001] ...1.  6012.123456: {}\n", thread, event);
}
std::string Call(int thread, int number) {
  return Line(thread, fmt::format("sys_enter: NR {} (0, 0, 0, 0, 0, 0)", number));
}
std::string Fault(int thread, std::string_view kind, std::string_view address, int code) {
  return Line(thread,
              fmt::format("page_fault_{}: address=0x{} ip=0x401000 error_code=0x{:x}", kind, address, code));
}

std::string Faults(const std::string& trace, const ExecPages& pages = {}) {
  bool lost = true;
  std::string text = FaultsText(trace, kLog, pages, Arch::kX86_64, &lost);
  EXPECT_FALSE(lost);
  return text;
}

TEST(RecordFaults, EachStandsBehindTheCallsBeforeIt) {
  const std::string trace = Fault(7, "user", "1000", 4) + Call(7, 59) + Fault(7, "kernel", "2000", 2) +
                            Fault(7, "user", "3000", 0x14) + Call(7, 12) + Call(7, 56) +
                            Fault(8, "kernel", "4000", 7) + Call(8, 462) + Fault(8, "kernel", "5000", 4) +
                            Fault(7, "user", "6000", 6) + Call(8, 231) + Call(7, 61) + Call(7, 231);
  EXPECT_EQ(Faults(trace),
            "7 0 1000 4\n"
            "7 1 2000 2 in\n"
            "7 1 3000 14\n"
            "8 0 4000 7\n"
            "8 1 5000 4 in\n"
            "7 3 6000 6\n");
}

TEST(RecordFaults, CallsThatTheLogLeavesOutAreNoPlace) {
  // gettid, and a second execve that the log has no successful one for.
  const std::string trace = Call(7, 59) + Call(7, 186) + Fault(7, "kernel", "2000", 6) + Call(7, 12) +
                            Call(7, 59) + Fault(7, "user", "3000", 6);
  EXPECT_EQ(Faults(trace), "7 1 2000 6\n7 2 3000 6\n");
}

TEST(RecordFaults, OthersThreadsAreLeftOut) {
  EXPECT_EQ(Faults(Call(9, 59) + Fault(9, "user", "1000", 4) + "\n# a comment\n"), "");
}

TEST(RecordFaults, WhatExecMadeStandsBehindIt) {
  const ExecPages pages = {{{7, 1}, {0x7fffffffe000}}, {{7, 2}, {0x1000}}, {{8, 1}, {0x2000}}};
  EXPECT_EQ(Faults(Call(7, 59) + Call(7, 12), pages), "7 1 7fffffffe000 6 in\n");
}

TEST(RecordFaults, LostEventsAreTold) {
  bool lost = false;
  FaultsText("CPU:0 [LOST 12 EVENTS]\n" + Call(7, 59), kLog, {}, Arch::kX86_64, &lost);
  EXPECT_TRUE(lost);
}

TEST(RecordFaults, OnePageIsThere) {
  char* memory =
      static_cast<char*>(mmap(nullptr, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(memory, MAP_FAILED);
  memory[4096] = 1;
  const auto start = reinterpret_cast<uint64_t>(memory);
  const std::string maps = fmt::format("{:x}-{:x} rw-p 00000000 00:00 0 [stack]\n", start, start + 3 * 4096);
  EXPECT_EQ(PagemapText(getpid(), maps),
            fmt::format("{:x}-{:x} present exclusive\n", start + 4096, start + 2 * 4096));
  EXPECT_EQ(PresentPages(getpid(), maps, "[stack]"), std::vector<uint64_t>{start + 4096});
  EXPECT_TRUE(PresentPages(getpid(), maps, "[heap]").empty());
  munmap(memory, 3 * 4096);
}

TEST(RecordFaults, WithoutTracefsOneLineSaysSo) {
  std::string why;
  const std::unique_ptr<FaultTrace> trace = FaultTrace::Start(&why);
  EXPECT_EQ(trace == nullptr, !why.empty());
  EXPECT_EQ(why.find('\n'), std::string::npos);
}

}  // namespace
}  // namespace mmsim::cli
