// SPDX-License-Identifier: Apache-2.0
// New tasks and their end: what is shared, what is copied, and clone's checks in the kernel's order.
#include "sim/kernel/uapi.h"
#include "tests/kernel/kernel_fixture.h"

namespace mmsim {
namespace {

class ForkTest : public KernelTest {
 protected:
  uint64_t MapAnonymous(uint64_t pages = 1, uint64_t flags = 0x22) {
    const int64_t at = Call(Sys::k_mmap, {0, pages * kPageSize, 3, flags, ~uint64_t{0}, 0});
    EXPECT_GT(at, 0);
    return static_cast<uint64_t>(at);
  }
  int64_t Clone(uint64_t flags, uint64_t ptid = 0, uint64_t ctid = 0) {
    const bool tls_first = GetParam() == Arch::kArm64;
    return Call(Sys::k_clone, {flags, 0, ptid, tls_first ? 0 : ctid, tls_first ? ctid : 0});
  }
  Task* Forked(uint64_t flags = 17) {
    const int64_t pid = Clone(flags);
    EXPECT_GT(pid, 0);
    return kernel->FindTask(static_cast<int>(pid));
  }
};
MMSIM_FOR_BOTH_ARCHITECTURES(ForkTest);

TEST_P(ForkTest, PrivateMemoryIsCopiedOnWrite) {
  const uint64_t at = MapAnonymous();
  ASSERT_TRUE(Store(*task, at, 1).ok());
  Task* child = Forked();
  ASSERT_TRUE(Store(*child, at, 2).ok());
  EXPECT_EQ(LoadByte(*task, at), 1);
  EXPECT_EQ(LoadByte(*child, at), 2);
  EXPECT_EQ(MapsText(*kernel, *child), Maps());
}

TEST_P(ForkTest, SharedMemoryIsShared) {
  const uint64_t at = MapAnonymous(1, 0x21);
  Task* child = Forked();
  ASSERT_TRUE(Store(*child, at, 7).ok());
  EXPECT_EQ(LoadByte(*task, at), 7);
}

TEST_P(ForkTest, ThePidOfARecordingIsTaken) {
  kernel->SetNextPid(4711);
  EXPECT_EQ(Clone(17), 4711);
  EXPECT_EQ(Clone(17), 4712);
}

TEST_P(ForkTest, ThreadIdsAreWrittenWhereCloneWasAsked) {
  const uint64_t at = MapAnonymous(2);
  Task* child = kernel->FindTask(
      static_cast<int>(Clone(kCloneParentSettid | kCloneChildSettid | 17, at, at + kPageSize)));
  ASSERT_NE(child, nullptr);
  EXPECT_EQ(LoadByte(*task, at), child->pid & 0xff);
  EXPECT_EQ(LoadByte(*task, at + kPageSize), 0);  // the child's own copy has it
  EXPECT_EQ(LoadByte(*child, at + kPageSize), child->pid & 0xff);
}

TEST_P(ForkTest, AThreadSharesAndItsIdIsClearedAtItsEnd) {
  const uint64_t at = MapAnonymous();
  ASSERT_TRUE(Store(*task, at, 9).ok());
  const uint64_t flags =
      kCloneVm | kCloneFs | kCloneFiles | kCloneSighand | kCloneThread | kCloneChildCleartid;
  Task* thread = kernel->FindTask(static_cast<int>(Clone(flags, 0, at)));
  ASSERT_NE(thread, nullptr);
  EXPECT_EQ(thread->mm, task->mm);
  EXPECT_EQ(thread->tgid, task->pid);
  EXPECT_EQ(CallWith(*thread, Sys::k_getpid, {}).value, task->pid);
  const int tid = thread->pid;
  EXPECT_EQ(CallWith(*thread, Sys::k_exit, {0}).status, SyscallResult::Status::kNoReturn);
  EXPECT_EQ(LoadByte(*task, at), 0);
  EXPECT_EQ(kernel->FindTask(tid), nullptr);
  EXPECT_TRUE(task->IsAlive());
}

TEST_P(ForkTest, FlagsThatContradictEachOther) {
  EXPECT_EQ(Clone(kCloneThread), Err(Errno::kEINVAL));   // without CLONE_SIGHAND
  EXPECT_EQ(Clone(kCloneSighand), Err(Errno::kEINVAL));  // without CLONE_VM
  EXPECT_EQ(Clone(kCloneNewns | kCloneFs), Err(Errno::kEINVAL));
  EXPECT_EQ(Clone(kCloneNewuser | kCloneFs), Err(Errno::kEINVAL));
  EXPECT_EQ(Clone(kClonePidfd | kCloneDetached), Err(Errno::kEINVAL));
  EXPECT_EQ(Clone(kClonePidfd | kCloneParentSettid), Err(Errno::kEINVAL));
  EXPECT_EQ(CallWith(*task, Sys::k_clone, {kCloneNewpid | 17, 0, 0, 0, 0}).status,
            SyscallResult::Status::kNotModelled);
  EXPECT_EQ(kernel->tasks().size(), 1u);
}

TEST_P(ForkTest, Clone3ChecksItsStructure) {
  std::array<uint64_t, 11> a{};
  const auto clone3 = [&](uint64_t size) {
    return Call(Sys::k_clone3, {1, size},
                {{0, std::string_view(reinterpret_cast<const char*>(a.data()), sizeof(a))}});
  };
  EXPECT_EQ(clone3(4097), Err(Errno::kE2BIG));
  EXPECT_EQ(clone3(63), Err(Errno::kEINVAL));
  a[4] = 65;  // exit_signal
  EXPECT_EQ(clone3(88), Err(Errno::kEINVAL));
  a[4] = 17;
  a[0] = kCloneThread | kCloneSighand | kCloneVm;  // with an exit signal
  EXPECT_EQ(clone3(88), Err(Errno::kEINVAL));
  a[0] = kCloneDetached;
  EXPECT_EQ(clone3(88), Err(Errno::kEINVAL));
  a[0] = 0;
  a[6] = 4096;  // a stack's size without a stack
  EXPECT_EQ(clone3(88), Err(Errno::kEINVAL));
  a[6] = 0;
  a[9] = 1;  // set_tid_size without set_tid
  EXPECT_EQ(clone3(88), Err(Errno::kEINVAL));
  a[9] = 0;
  EXPECT_GT(clone3(88), 0);
  EXPECT_GT(clone3(64), 0);
}

TEST_P(ForkTest, WaitReapsWhoIsDeadAndBlocksForWhoIsNot) {
  EXPECT_EQ(Call(Sys::k_wait4, {~uint64_t{0}, 0, 0, 0}), Err(Errno::kECHILD));
  EXPECT_EQ(Call(Sys::k_wait4, {~uint64_t{0}, 0, 0x10, 0}), Err(Errno::kEINVAL));
  Task* child = Forked();
  const int pid = child->pid;
  EXPECT_EQ(CallWith(*task, Sys::k_wait4, {~uint64_t{0}, 0, 0, 0}).status, SyscallResult::Status::kBlocked);
  EXPECT_EQ(Call(Sys::k_wait4, {~uint64_t{0}, 0, 1, 0}), 0);  // WNOHANG
  CallWith(*child, Sys::k_exit_group, {3});
  EXPECT_EQ(child->mm, nullptr);
  const uint64_t at = MapAnonymous();
  const SyscallResult waited = CallWith(*task, Sys::k_wait4, {~uint64_t{0}, at, 0, 0});
  EXPECT_EQ(waited.value, pid);
  ASSERT_EQ(waited.outputs.size(), 1u);
  EXPECT_EQ(waited.outputs[0].bytes, std::string("\0\3\0\0", 4));
  EXPECT_EQ(kernel->FindTask(pid), nullptr);
}

TEST_P(ForkTest, AVforkedChildLetsItsParentGoAtExec) {
  Task* child = Forked(kCloneVm | kCloneVfork | 17);
  EXPECT_TRUE(task->vfork_waiting);
  EXPECT_EQ(child->mm, task->mm);
  EXPECT_EQ(CallWith(*child, Sys::k_execve, {1, 0, 0}, {{0, "/victim"}}).value, 0);
  EXPECT_FALSE(task->vfork_waiting);
  EXPECT_NE(child->mm, task->mm);
}

TEST_P(ForkTest, MemoryThatIsNotToBeCopiedOrWiped) {
  const uint64_t gone = MapAnonymous(), wiped = MapAnonymous();
  ASSERT_TRUE(Store(*task, gone, 1).ok() && Store(*task, wiped, 1).ok());
  ASSERT_EQ(Call(Sys::k_madvise, {gone, kPageSize, 10}), 0);   // MADV_DONTFORK
  ASSERT_EQ(Call(Sys::k_madvise, {wiped, kPageSize, 18}), 0);  // MADV_WIPEONFORK
  Task* child = Forked();
  uint8_t byte;
  EXPECT_EQ(kernel->Load(*child, VirtAddr(gone), {&byte, 1}).signal.code, kSegvMaperr);
  EXPECT_EQ(LoadByte(*child, wiped), 0);
  EXPECT_EQ(LoadByte(*task, wiped), 1);
}

TEST_P(ForkTest, WhenMemoryForTheChildIsShortTheParentIsAsBefore) {
  const uint64_t at = MapAnonymous(4);
  for (uint64_t i = 0; i < 4; ++i) ASSERT_TRUE(Store(*task, at + i * kPageSize, 1).ok());
  const std::string before = Maps();
  const uint64_t allocated = kernel->system().pages.allocated();
  for (Seam seam : {Seam::kMm, Seam::kVma, Seam::kAnonVma, Seam::kTable}) {
    kernel->system().failures.FailAt(seam, 1);
    EXPECT_EQ(Clone(17), Err(Errno::kENOMEM));
    EXPECT_EQ(Maps(), before);
    EXPECT_EQ(kernel->system().pages.allocated(), allocated);
    EXPECT_EQ(kernel->tasks().size(), 1u);
  }
  EXPECT_GT(Clone(17), 0);
}

}  // namespace
}  // namespace mmsim
