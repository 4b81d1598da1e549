// SPDX-License-Identifier: Apache-2.0
// /proc/PID/clear_refs and /proc/PID/mem: who may open them, and what reading and writing them does.
#include "sim/kernel/proc_file.h"

#include "sim/kernel/uapi.h"
#include "sim/mm/page_table.h"
#include "sim/mm/task_mmu.h"
#include "tests/kernel/kernel_fixture.h"

namespace mmsim {
namespace {

constexpr uint64_t kCwd = static_cast<uint64_t>(-100);
constexpr uint64_t kFixedPrivateAnonymous = kMapPrivate | kMapFixed | kMapAnonymous;

class ProcFileTest : public KernelTest {
 protected:
  int64_t OpenBy(Task& who, std::string_view path, uint64_t flags) {
    return CallWith(who, Sys::k_openat, {kCwd, 1, flags, 0}, {{1, path}}).value;
  }
  int64_t Open(std::string_view path, uint64_t flags) { return OpenBy(*task, path, flags); }
  uint64_t Map(uint64_t address, uint64_t prot = kProtRead | kProtWrite) {
    const int64_t at =
        Call(Sys::k_mmap, {address, 2 * kPageSize, prot, kFixedPrivateAnonymous, ~uint64_t{0}, 0});
    EXPECT_EQ(at, static_cast<int64_t>(address));
    return address;
  }
  uint64_t PagemapOf(uint64_t address) { return Pagemap(*task, VirtAddr(address), 1)[0]; }
};
MMSIM_FOR_BOTH_ARCHITECTURES(ProcFileTest);

TEST_P(ProcFileTest, PathsThatNameNone) {
  EXPECT_EQ(Open("/proc/self/nothing", 0), Err(Errno::kENOENT));
  EXPECT_EQ(Open("/proc/clear_refs", 0), Err(Errno::kENOENT));
  EXPECT_EQ(Open("/proc/x/mem", 0), Err(Errno::kENOENT));
  EXPECT_EQ(Open("/proc/12345/mem", 0), Err(Errno::kENOENT));
  EXPECT_EQ(Open(fmt::format("/proc/{}/mem", task->pid), 0), 0);
}

TEST_P(ProcFileTest, OtherUsersAreKeptOut) {
  Task* other = Spawn("/victim");
  other->cred = Credentials::Unprivileged(1000);
  EXPECT_EQ(OpenBy(*other, fmt::format("/proc/{}/mem", task->pid), 0), Err(Errno::kEACCES));
  EXPECT_EQ(OpenBy(*other, fmt::format("/proc/{}/clear_refs", task->pid), kOWronly), Err(Errno::kEACCES));
  EXPECT_EQ(OpenBy(*other, "/proc/self/clear_refs", 0), Err(Errno::kEACCES));
  EXPECT_EQ(OpenBy(*other, "/proc/self/clear_refs", kOWronly), 0);
  EXPECT_EQ(Open(fmt::format("/proc/{}/mem", other->pid), kORdwr), 0);
}

TEST_P(ProcFileTest, ClearRefsTakesANumberAndSpaceAroundIt) {
  ASSERT_EQ(Open("/proc/self/clear_refs", kORdwr), 0);
  EXPECT_EQ(Call(Sys::k_write, {0, 1, 3}, {{1, " 1\n"}}), 3);
  EXPECT_EQ(Call(Sys::k_write, {0, 1, 1}, {{1, "0"}}), Err(Errno::kEINVAL));
  EXPECT_EQ(Call(Sys::k_write, {0, 1, 1}, {{1, "6"}}), Err(Errno::kEINVAL));
  EXPECT_EQ(Call(Sys::k_write, {0, 1, 2}, {{1, "1x"}}), Err(Errno::kEINVAL));
  EXPECT_EQ(Call(Sys::k_write, {0, 1, 0}, {{1, ""}}), Err(Errno::kEINVAL));
  EXPECT_EQ(Call(Sys::k_read, {0, 0x400000, 1}), Err(Errno::kEINVAL));
  // What is behind the twelfth byte is not looked at.
  EXPECT_EQ(Call(Sys::k_write, {0, 1, 20}, {{1, "1           xxxxxxxx"}}), 12);
}

TEST_P(ProcFileTest, SoftDirtyIsClearedAndComesBack) {
  const uint64_t a = Map(0x10000000);
  Store(*task, a, 1);
  const bool tracked = kernel->system().profile.soft_dirty;
  EXPECT_EQ((PagemapOf(a) & kPmSoftDirty) != 0, tracked);
  ASSERT_EQ(Open("/proc/self/clear_refs", kOWronly), 0);
  EXPECT_EQ(Call(Sys::k_write, {0, 1, 1}, {{1, "4"}}), 1);
  EXPECT_EQ(PagemapOf(a) & kPmSoftDirty, 0u);
  Store(*task, a, 2);
  EXPECT_EQ((PagemapOf(a) & kPmSoftDirty) != 0, tracked);
}

TEST_P(ProcFileTest, MemWritesWhereTheProgramMayNot) {
  const uint64_t a = Map(0x10000000, kProtRead), buffer = Map(0x20000000);
  Store(*task, buffer, 0x5a);
  ASSERT_EQ(Open("/proc/self/mem", kORdwr), 0);
  EXPECT_EQ(Call(Sys::k_pwrite64, {0, buffer, 1, a}), 1);
  EXPECT_EQ(LoadByte(*task, a), 0x5a);
  EXPECT_FALSE(Store(*task, a, 1).ok());
  EXPECT_EQ(Call(Sys::k_pread64, {0, buffer + 1, 1, a}), 1);
  EXPECT_EQ(LoadByte(*task, buffer + 1), 0x5a);
  EXPECT_EQ(Call(Sys::k_pread64, {0, buffer, 1, 0x50000000}), Err(Errno::kEIO));
  EXPECT_EQ(Call(Sys::k_pwrite64, {0, 0x50000000, 1, a}), Err(Errno::kEFAULT));
  // A transfer that runs into a hole is short.
  EXPECT_EQ(Call(Sys::k_pread64, {0, buffer, 8, a + 2 * kPageSize - 3}), 3);
  // By position, which lseek sets to any address.
  EXPECT_EQ(Call(Sys::k_lseek, {0, a, 0}), static_cast<int64_t>(a));
  EXPECT_EQ(Call(Sys::k_read, {0, buffer + 2, 1}), 1);
  EXPECT_EQ(Call(Sys::k_lseek, {0, 0, 1}), static_cast<int64_t>(a + 1));
}

TEST_P(ProcFileTest, MemIsOfTheSpaceThatWasOpened) {
  const uint64_t buffer = Map(0x20000000);
  Task* other = Spawn("/victim");
  ASSERT_EQ(Open(fmt::format("/proc/{}/mem", other->pid), 0), 0);
  EXPECT_EQ(Call(Sys::k_pread64, {0, buffer, 1, 0x400000}), 1);
  kernel->Kill(*other, 9);
  EXPECT_EQ(Call(Sys::k_pread64, {0, buffer, 1, 0x400000}), 0);
}

}  // namespace
}  // namespace mmsim
