// SPDX-License-Identifier: Apache-2.0
// From words to numbers and bytes: constants, structures, strings, and what strace leaves out.
#include "sim/scenario/lower.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "sim/scenario/eval.h"
#include "sim/scenario/split.h"
#include "sim/scenario/words.h"

namespace mmsim::scenario {
namespace {

struct Lowered {
  std::unique_ptr<Scenario> scenario;
  LoweredCall call;
};

Lowered LowerLine(const std::string& line, Arch arch = Arch::kX86_64, const Names& names = {}) {
  Lowered l;
  auto scenario = Scenario::FromText(line + "\n", "t");
  EXPECT_TRUE(scenario.ok()) << scenario.status().message();
  if (!scenario.ok()) return l;
  l.scenario = *std::move(scenario);
  const absl::Status status = Lower(*l.scenario, l.scenario->steps()[0], arch, names, &l.call);
  EXPECT_TRUE(status.ok()) << status.message();
  return l;
}

uint64_t U64(std::string_view bytes, size_t offset) {
  uint64_t value = 0;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

uint64_t Value(std::string_view expression, Arch arch = Arch::kX86_64, const Names& names = {}) {
  uint64_t value = 0;
  LineError error;
  EXPECT_TRUE(Evaluate(expression, arch, names, &value, &error)) << expression << ": " << error.message;
  return value;
}

TEST(Eval, Numbers) {
  EXPECT_EQ(Value("0x1f"), 31u);
  EXPECT_EQ(Value("017"), 15u);
  EXPECT_EQ(Value("0"), 0u);
  EXPECT_EQ(Value("-1"), ~uint64_t{0});
  EXPECT_EQ(Value("0xffffffffffffffff"), ~uint64_t{0});
  EXPECT_EQ(Value("NULL"), 0u);
}

TEST(Eval, PrecedenceIsThatOfC) {
  EXPECT_EQ(Value("1|2+3*4"), 15u);
  EXPECT_EQ(Value("1<<2+1"), 8u);
  EXPECT_EQ(Value("21<<MAP_HUGE_SHIFT|MAP_HUGETLB"), (uint64_t{21} << 26) | 0x40000);
  EXPECT_EQ(Value("8192*1024"), uint64_t{8} << 20);
  EXPECT_EQ(Value("10-3-2"), 5u);
  EXPECT_EQ(Value("(1|2)*2"), 6u);
  EXPECT_EQ(Value("~0"), ~uint64_t{0});
  EXPECT_EQ(Value("1 | 2"), 3u);
  EXPECT_EQ(Value("1<<64"), 0u);
  EXPECT_EQ(Value("0x66 /* MADV_??? */"), 0x66u);
  EXPECT_EQ(Value("0x8 /* MAP_??? */|0x20"), 0x28u);
  EXPECT_EQ(Value("-(2)"), static_cast<uint64_t>(-2));
}

TEST(Eval, ConstantsAndNames) {
  EXPECT_EQ(Value("PROT_READ|PROT_WRITE"), 3u);
  EXPECT_EQ(Value("O_DIRECTORY", Arch::kX86_64), 0200000u);
  EXPECT_EQ(Value("O_DIRECTORY", Arch::kArm64), 040000u);
  EXPECT_EQ(Value("$a+2*0x1000", Arch::kX86_64, {{"a", 0x7000}}), 0x9000u);
  EXPECT_FALSE(SymbolValue("MAP_32BIT", Arch::kArm64).has_value());
  EXPECT_EQ(SymbolValue("RLIM_INFINITY", Arch::kArm64), ~uint64_t{0});
}

TEST(Lower, AMapping) {
  const Lowered l = LowerLine(
      "1 mmap(NULL, 50083, PROT_READ, MAP_PRIVATE|MAP_FIXED|0x400, 3</etc/ld.so.cache>, 0x7000) = 0");
  EXPECT_EQ(l.call.sys, Sys::k_mmap);
  EXPECT_EQ(l.call.number, 9);
  ASSERT_EQ(l.call.args.size(), 6u);
  EXPECT_EQ(l.call.Value(1), 50083u);
  EXPECT_EQ(l.call.Value(3), 0x412u);
  EXPECT_EQ(l.call.Value(4), 3u);
  EXPECT_EQ(l.call.args[4].path, "/etc/ld.so.cache");
  EXPECT_EQ(l.call.Value(5), 0x7000u);
  EXPECT_EQ(LowerLine("1 mmap(NULL, 1, 0, 0, -1, 0) = 0", Arch::kArm64).call.number, 222);
  EXPECT_EQ(LowerLine("1 mmap(NULL, 1, 0, 0, -1, 0) = 0").call.Value(4), ~uint64_t{0});
}

TEST(Lower, ByNumberAndWhatTheArchitectureLacks) {
  // mseal is 462 in 6.12; older versions of strace have no name for it.
  EXPECT_EQ(LowerLine("1 syscall_0x1ce(0, 0x1000, 0, 0xffffffff, 0, 0x7ffe) = 0").call.sys, Sys::k_mseal);
  EXPECT_EQ(LowerLine("1 syscall_0xffff(0) = 0").call.sys, kSysByNumber);
  EXPECT_EQ(LowerLine("1 fork() = 2").call.number, 57);
  EXPECT_EQ(LowerLine("1 fork() = 2", Arch::kArm64).call.number, -1);
}

TEST(Lower, DescriptorsWithPaths) {
  const Lowered l =
      LowerLine("1 openat(AT_FDCWD</srv/x>, \"/a b\", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 3</a b>");
  EXPECT_EQ(static_cast<int64_t>(l.call.Value(0)), -100);
  EXPECT_EQ(l.call.args[0].path, "/srv/x");
  EXPECT_EQ(l.call.args[1].kind, ArgKind::kIn);
  EXPECT_EQ(l.call.Bytes(1), "/a b");
  EXPECT_EQ(l.call.bytes[l.call.args[1].offset + 4], '\0');
  EXPECT_EQ(l.call.Value(3), 0600u);
  EXPECT_EQ(LowerLine("1 close(3</tmp/x>(deleted)) = 0").call.args[0].path, "/tmp/x");
  EXPECT_EQ(LowerLine("1 close(3</memfd:x (deleted)>) = 0").call.args[0].path, "/memfd:x (deleted)");
  EXPECT_EQ(LowerLine("1 close(1</dev/null<char 1:3>>) = 0").call.args[0].path, "/dev/null<char 1:3>");
}

TEST(Lower, Rlimits) {
  const Lowered in =
      LowerLine("1 prlimit64(0, RLIMIT_AS, {rlim_cur=8192*1024, rlim_max=RLIM64_INFINITY}, NULL) = 0");
  EXPECT_EQ(in.call.Value(1), 9u);
  EXPECT_EQ(in.call.args[2].kind, ArgKind::kIn);
  ASSERT_EQ(in.call.Bytes(2).size(), 16u);
  EXPECT_EQ(U64(in.call.Bytes(2), 0), uint64_t{8} << 20);
  EXPECT_EQ(U64(in.call.Bytes(2), 8), ~uint64_t{0});
  const Lowered out = LowerLine("1 prlimit64(0, RLIMIT_AS, NULL, {rlim_cur=1, rlim_max=2}) = 0");
  EXPECT_EQ(out.call.args[2].kind, ArgKind::kValue);
  EXPECT_EQ(out.call.args[3].kind, ArgKind::kOut);
  EXPECT_TRUE(out.call.args[3].seen);
  EXPECT_EQ(U64(out.call.Bytes(3), 8), 2u);
  // A call that failed shows the address alone.
  EXPECT_EQ(LowerLine("1 prlimit64(0, RLIMIT_AS, NULL, 0x7ffe) = -1 EFAULT (Bad address)").call.Value(3),
            0x7ffeu);
}

TEST(Lower, CloneByTheNamesThatStraceGives) {
  const std::string line =
      "1 clone(child_stack=0x7000, flags=CLONE_VM|SIGCHLD, parent_tid=[2], tls=0x9000, child_tidptr=0x8000) "
      "= 2";
  const Lowered x86 = LowerLine(line);
  EXPECT_EQ(x86.call.Value(0), 0x111u);
  EXPECT_EQ(x86.call.Value(1), 0x7000u);
  EXPECT_EQ(x86.call.args[2].kind, ArgKind::kOut);
  EXPECT_EQ(x86.call.Value(3), 0x8000u);
  EXPECT_EQ(x86.call.Value(4), 0x9000u);
  const Lowered arm = LowerLine(line, Arch::kArm64);
  EXPECT_EQ(arm.call.Value(3), 0x9000u);
  EXPECT_EQ(arm.call.Value(4), 0x8000u);
  EXPECT_EQ(LowerLine("1 clone(SIGCHLD, 0x5000, NULL, NULL, 0) = 2").call.Value(1), 0x5000u);
}

TEST(Lower, Clone3) {
  const Lowered l = LowerLine(
      "1 clone3({flags=CLONE_VM|CLONE_FS, child_tid=0x1, parent_tid=0x2, exit_signal=SIGCHLD, stack=0x3000, "
      "stack_size=0x7fff80, tls=0x4} => {parent_tid=[11544]}, 88) = 11544");
  EXPECT_EQ(l.call.args[0].kind, ArgKind::kInOut);
  const std::string_view bytes = l.call.Bytes(0);
  ASSERT_EQ(bytes.size(), 88u);
  EXPECT_EQ(U64(bytes, 0), 0x300u);
  EXPECT_EQ(U64(bytes, 16), 1u);
  EXPECT_EQ(U64(bytes, 32), 17u);
  EXPECT_EQ(U64(bytes, 40), 0x3000u);
  EXPECT_EQ(U64(bytes, 48), 0x7fff80u);
  EXPECT_EQ(U64(bytes, 56), 4u);
  EXPECT_EQ(l.call.Value(1), 88u);
}

TEST(Lower, ExecveAndItsStrings) {
  const Lowered l = LowerLine("1 execve(\"/bin/ls\", [\"ls\", \"a\\nb\"...], 0x7ffe10 /* 41 vars */) = 0");
  EXPECT_EQ(l.call.Bytes(0), "/bin/ls");
  EXPECT_EQ(l.call.args[1].kind, ArgKind::kStrings);
  EXPECT_EQ(l.call.args[1].value, 2u);
  EXPECT_TRUE(l.call.args[1].truncated);
  EXPECT_EQ(l.call.Bytes(1), std::string_view("ls\0a\nb\0", 7));
  EXPECT_EQ(l.call.args[2].kind, ArgKind::kUnknown);
  EXPECT_EQ(l.call.args[2].value, 0x7ffe10u);
  const Lowered given = LowerLine("1 execve(\"/x\", [\"x\", NULL], [\"A=1\"]) = 0");
  EXPECT_EQ(given.call.Bytes(1), std::string_view("x\0", 2));
  EXPECT_EQ(given.call.Bytes(2), std::string_view("A=1\0", 4));
}

TEST(Lower, BuffersThatComeBack) {
  const Lowered l = LowerLine("1 read(3</x>, \"\\177ELF\\2\"..., 832) = 832");
  EXPECT_EQ(l.call.args[1].kind, ArgKind::kOut);
  EXPECT_EQ(l.call.args[1].len, 832u);
  EXPECT_TRUE(l.call.args[1].truncated);
  EXPECT_EQ(l.call.Bytes(1).substr(0, 5), "\177ELF\2");
  EXPECT_EQ(LowerLine("1 read(3, 0x7000, 832) = -1 EFAULT (Bad address)").call.Value(1), 0x7000u);
  const Lowered w = LowerLine("1 write(1, \"abc\", 3) = 3");
  EXPECT_EQ(w.call.args[1].kind, ArgKind::kIn);
  EXPECT_EQ(w.call.Bytes(1), "abc");
  const Lowered p = LowerLine("1 pipe2([3<pipe:[1]>, 4<pipe:[1]>], O_CLOEXEC) = 0");
  EXPECT_EQ(p.call.Bytes(0), std::string_view("\3\0\0\0\4\0\0\0", 8));
  const Lowered m = LowerLine("1 mincore(0x1000, 0x3000, [1, 0, 1]) = 0");
  EXPECT_EQ(m.call.Bytes(2), std::string_view("\1\0\1", 3));
}

TEST(Lower, Iovecs) {
  const Lowered l = LowerLine(
      "1 process_vm_readv(5, [{iov_base=\"ab\", iov_len=2}], 1, [{iov_base=0x1000, iov_len=2}, "
      "{iov_base=0x2000, "
      "iov_len=3}], 2, 0) = 2");
  EXPECT_EQ(l.call.Bytes(1).size(), 16u);
  ASSERT_EQ(l.call.Bytes(3).size(), 32u);
  EXPECT_EQ(U64(l.call.Bytes(3), 0), 0x1000u);
  EXPECT_EQ(U64(l.call.Bytes(3), 24), 3u);
}

TEST(Lower, ABufferIsReused) {
  auto scenario = Scenario::FromText("1 write(1, \"abcdef\", 6) = 6\n1 munmap(0x1000, 4096) = 0\n", "t");
  LoweredCall call;
  ASSERT_TRUE(Lower(**scenario, (*scenario)->steps()[0], Arch::kX86_64, {}, &call).ok());
  ASSERT_TRUE(Lower(**scenario, (*scenario)->steps()[1], Arch::kX86_64, {}, &call).ok());
  EXPECT_EQ(call.args.size(), 2u);
  EXPECT_TRUE(call.bytes.empty());
}

TEST(Lower, Accesses) {
  auto scenario = Scenario::FromText(
      "1 store($a+1, \"a\\0b\") = 3\n1 load($a, 2) = \"\\x41B\"\n1 load($a, 2) = ?\n1 fetch($a) = 0\n", "t");
  ASSERT_TRUE(scenario.ok());
  const Names names = {{"a", 0x1000}};
  LoweredAccess access;
  ASSERT_TRUE(LowerAccess(**scenario, (*scenario)->steps()[0], Arch::kX86_64, names, &access).ok());
  EXPECT_EQ(access.address, 0x1001u);
  EXPECT_EQ(access.bytes, std::string("a\0b", 3));
  EXPECT_EQ(access.len, 3u);
  ASSERT_TRUE(LowerAccess(**scenario, (*scenario)->steps()[1], Arch::kX86_64, names, &access).ok());
  EXPECT_TRUE(access.checks_bytes);
  EXPECT_EQ(access.bytes, "AB");
  ASSERT_TRUE(LowerAccess(**scenario, (*scenario)->steps()[2], Arch::kX86_64, names, &access).ok());
  EXPECT_FALSE(access.checks_bytes);
  ASSERT_TRUE(LowerAccess(**scenario, (*scenario)->steps()[3], Arch::kX86_64, names, &access).ok());
  EXPECT_EQ(access.kind, AccessKind::kFetch);
}

TEST(Lower, Signals) {
  auto scenario = Scenario::FromText(
      "1 --- SIGSEGV {si_signo=SIGSEGV, si_code=SEGV_ACCERR, si_addr=0x1000} ---\n"
      "1 --- SIGSEGV {si_signo=SIGSEGV, si_code=SI_USER, si_pid=1, si_value={int=1, ptr=0x1}} ---\n"
      "1 --- SIGSEGV {si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=NULL} ---\n"
      "1 --- stopped by SIGSTOP ---\n",
      "t");
  const auto lower = [&](size_t i) {
    return *LowerSignal(**scenario, (*scenario)->steps()[i], Arch::kX86_64, {});
  };
  EXPECT_EQ(lower(0).name, "SIGSEGV");
  EXPECT_EQ(lower(0).code, "SEGV_ACCERR");
  EXPECT_EQ(lower(0).address, 0x1000u);
  EXPECT_EQ(lower(1).code, "SI_USER");
  EXPECT_FALSE(lower(1).address.has_value());
  EXPECT_EQ(lower(2).address, 0u);
  EXPECT_EQ(lower(3).name, "SIGSTOP");
}

TEST(Lower, MapsAddressesAreHexadecimal) {
  auto scenario = Scenario::FromText("", "t");
  EXPECT_EQ(*EvalMapsAddress(**scenario, "00400000", Arch::kX86_64, {}), 0x400000u);
  EXPECT_EQ(*EvalMapsAddress(**scenario, "0x10", Arch::kX86_64, {}), 0x10u);
  EXPECT_EQ(*EvalMapsAddress(**scenario, "$a+0x10", Arch::kX86_64, {{"a", 1}}), 0x11u);
}

TEST(Split, AtTheOuterCommasAlone) {
  ElementList e;
  ASSERT_TRUE(SplitElements("a=1, b={c=2, d=[3, 4]}, \"x,y\", ...", &e));
  ASSERT_EQ(e.size(), 4u);
  EXPECT_EQ(e[1].key, "b");
  EXPECT_EQ(e[1].value, "{c=2, d=[3, 4]}");
  EXPECT_EQ(e[2].key, "");
  EXPECT_EQ(e[2].value, "\"x,y\"");
  EXPECT_EQ(e[3].value, "...");
  EXPECT_TRUE(SplitElements("", &e));
  EXPECT_TRUE(e.empty());
  EXPECT_FALSE(SplitElements("a, ", &e));
  EXPECT_FALSE(SplitElements("{", &e));
}

TEST(Words, WhatWasProbablyMeant) {
  EXPECT_EQ(DidYouMean("mmpa", CallWords()), ", did you mean mmap?");
  EXPECT_EQ(DidYouMean("munamp", CallWords()), ", did you mean munmap?");
  EXPECT_EQ(DidYouMean("zzzzzzzzz", CallWords()), "");
  EXPECT_EQ(DidYouMean(std::string(1000, 'a'), CallWords()), "");
}

}  // namespace
}  // namespace mmsim::scenario
