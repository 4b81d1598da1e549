// SPDX-License-Identifier: Apache-2.0
// What scenarios/shadowpt cannot say: the ABI, numbers, orders of events below a system call, and failures
// swept over every place.
#include "sim/kernel/shadowpt.h"

#include <gmock/gmock.h>

#include <cstring>

#include "sim/audit/validator.h"
#include "sim/mm/folio.h"
#include "sim/mm/mman.h"
#include "sim/mm/mmu_notifier.h"
#include "sim/mm/page_table.h"
#include "sim/mm/swap.h"
#include "sim/mm/verbs.h"
#include "tests/kernel/kernel_fixture.h"

namespace mmsim {
namespace {

constexpr uint64_t kRange = 0x10000000, kEntries = 0x20001000, kArgument = 0x30000000;
constexpr uint64_t kAnonFixed = 0x32;  // MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED

class ShadowptTest : public KernelTest {
 protected:
  ShadowptTest() { target = Spawn("/victim"); }
  void Map(Task& who, uint64_t at, uint64_t pages) {
    ASSERT_EQ(CallWith(who, Sys::k_mmap, {at, pages * kPageSize, 3, kAnonFixed, ~uint64_t{0}, 0}).value,
              static_cast<int64_t>(at));
  }
  // The inspector is `task`; entries for `pages` in the middle of a larger mapping.
  void MapAll(uint64_t pages) {
    Map(*task, kEntries - kPageSize, 16);
    Map(*task, kArgument, 1);
    const user_shadow_pt dest{kRange, kRange + pages * kPageSize, reinterpret_cast<shadow_pte*>(kEntries)};
    ASSERT_TRUE(
        kernel->Store(*task, VirtAddr(kArgument), {reinterpret_cast<const uint8_t*>(&dest), sizeof(dest)})
            .ok());
  }
  int64_t Open() { return Call(Sys::k_shadowpt_open, {static_cast<uint64_t>(target->pid), kArgument}); }
  shadow_pte Entry(uint64_t i) {
    shadow_pte entry;
    uint8_t bytes[sizeof(entry)];
    EXPECT_TRUE(kernel->Load(*task, VirtAddr(kEntries + i * sizeof(entry)), bytes).ok());
    std::memcpy(&entry, bytes, sizeof(entry));
    return entry;
  }

  Task* target;
};

TEST_P(ShadowptTest, TheAbiIsTheHeaders) {
  EXPECT_EQ(sizeof(shadow_pte), 24u);
  EXPECT_EQ(offsetof(shadow_pte, pfn), 8u);
  EXPECT_EQ(offsetof(shadow_pte, state_flags), 16u);
  EXPECT_EQ(sizeof(user_shadow_pt), 24u);
  EXPECT_EQ(offsetof(user_shadow_pt, entries), 16u);
  EXPECT_EQ(MAX_SPT_RANGE, 0x800000);
  EXPECT_EQ(SPTE_VADDR_ALLOCATED | SPTE_VADDR_ANONYMOUS | SPTE_PTE_MAPPED, 7);
  EXPECT_TRUE(is_vaddr_allocated(1) && is_vaddr_anonymous(2) && is_pte_mapped(4));
  EXPECT_FALSE(is_vaddr_allocated(6) || is_vaddr_anonymous(5) || is_pte_mapped(3));
}

TEST_P(ShadowptTest, CallsGoByTheirNumbers) {
  EXPECT_EQ(FindSysByNumber(462, GetParam()), Sys::k_shadowpt_open);
  EXPECT_EQ(FindSysByNumber(463, GetParam()), Sys::k_shadowpt_close);
  EXPECT_EQ(FindSysByNumber(464, GetParam()), Sys::k_shadowpt_start);
  EXPECT_EQ(FindSysByNumber(465, GetParam()), Sys::k_shadowpt_stop);
  EXPECT_EQ(FindSysByNumber(466, GetParam()), Sys::k_shadowpt_page_contents);
}

// mmu_notifier_register() is refused while a signal is pending; start does not depend on it.
TEST_P(ShadowptTest, NothingIsRegisteredThatASignalCouldRefuse) {
  MapAll(2);
  ASSERT_EQ(Open(), 0);
  ASSERT_EQ(Call(Sys::k_shadowpt_start, {}), 0);
  MmuNotifier other;
  EXPECT_EQ(MmuNotifierRegister(other, *target->mm, /*signal_pending=*/true).error(), Errno::kEINTR);
  EXPECT_TRUE(target->mm->notifiers.empty());
  EXPECT_EQ(target->mm->hook_plans.size(), 1u);
}

// setup_arg_pages() moves the stack when its top was randomised, which no scenario shows: every entry
// follows, and without the hook in vma_shrink() those of the old place stay.
TEST_P(ShadowptTest, TheStackThatExecMovesDownIsFollowed) {
  for (const bool forgotten : {false, true}) {
    Boot(false, forgotten ? HookBit(HookPoint::kVmaShrink) : 0);
    target = Spawn("/victim");
    MapAll(16);
    const VirtAddr at(kRange + 8 * kPageSize);
    ASSERT_EQ(CallWith(*target, Sys::k_mmap,
                       {at.value, 2 * kPageSize, 3, kAnonFixed | mman::kMapGrowsDown, ~uint64_t{0}, 0})
                  .value,
              static_cast<int64_t>(at.value));
    ASSERT_TRUE(Store(*target, at.value, 1).ok());
    ASSERT_EQ(Open(), 0);
    ASSERT_EQ(Call(Sys::k_shadowpt_start, {}), 0);
    EXPECT_EQ(Entry(8).state_flags, 7u);
    ASSERT_TRUE(RelocateVmaDown(*target->mm->vmas.Lookup(at), 4 * kPageSize).ok());
    EXPECT_EQ(Entry(4).state_flags, 7u);
    EXPECT_EQ(Entry(5).state_flags, 3u);
    EXPECT_EQ(Entry(6).state_flags, forgotten ? 3u : 0u);
    EXPECT_EQ(Entry(9).state_flags, forgotten ? 3u : 0u);
  }
}

TEST_P(ShadowptTest, WhoIsNotTrackedHasNoHooks) {
  MapAll(2);
  Mm& mm = *target->mm;
  EXPECT_EQ(mm.hooks, 0u);
  ASSERT_EQ(Open(), 0);
  EXPECT_EQ(mm.hooks, 0u);
  ASSERT_EQ(Call(Sys::k_shadowpt_start, {}), 0);
  EXPECT_NE(mm.hooks, 0u);
  ASSERT_EQ(Call(Sys::k_shadowpt_stop, {}), 0);
  EXPECT_EQ(mm.hooks, 0u);
  EXPECT_NE(task->mm->hooks, 0u);
  ASSERT_EQ(Call(Sys::k_shadowpt_close, {}), 0);
  EXPECT_EQ(task->mm->hooks, 0u);
}

TEST_P(ShadowptTest, TheFramesOfTheEntriesAreInARow) {
  MapAll(2048);
  ASSERT_EQ(Open(), 0);
  const auto frame = [this](uint64_t page) {
    return PtePfn(GetParam(),
                  ReadEntry(FindEntry(*task->mm, VirtAddr(kEntries + page * kPageSize), kLevelPte)));
  };
  for (uint64_t page = 1; page < 12; ++page) EXPECT_EQ(frame(page).value, frame(0).value + page);
}

TEST_P(ShadowptTest, APageThatAThreadFaultedInIsFoundBeforeAnythingIsMapped) {
  MapAll(2);
  Task* thread = kernel->FindTask(static_cast<int>(Call(Sys::k_clone, {0x10f00, 0, 0, 0, 0})));
  ASSERT_NE(thread, nullptr);
  LoadByte(*thread, kEntries);
  EXPECT_EQ(Open(), Err(Errno::kEINVAL));
  EXPECT_EQ(Call(Sys::k_madvise, {kEntries, kPageSize, 4}), 0);
  EXPECT_EQ(Open(), 0);
  EXPECT_EQ(Store(*thread, kEntries, 1).signal.signo, kSigSegv);
  EXPECT_EQ(LoadByte(*thread, kEntries), 0);
}

// Each allocation of open fails in turn; whatever fails, all is as before.
TEST_P(ShadowptTest, EveryFailureOfOpenIsUndone) {
  MapAll(2048);
  ASSERT_EQ(Open(), 0);  // once, so that tables and scratch pages are there
  ASSERT_EQ(Call(Sys::k_shadowpt_close, {}), 0);
  for (const Seam seam : {Seam::kPage, Seam::kVma, Seam::kAnonVma, Seam::kVmaTree, Seam::kTable}) {
    for (uint64_t nth = 1; nth < 20; ++nth) {
      const std::string maps = Maps();
      const uint64_t allocated = kernel->system().pages.allocated(), data_vm = task->mm->data_vm;
      kernel->system().failures.FailAt(seam, nth);
      const int64_t result = Open();
      kernel->system().failures.FailAt(seam, 0);
      if (result == 0) {
        ASSERT_EQ(Call(Sys::k_shadowpt_close, {}), 0);
        EXPECT_EQ(Maps(), maps);
        break;
      }
      ASSERT_EQ(result, Err(Errno::kENOMEM));
      EXPECT_EQ(Maps(), maps);
      EXPECT_EQ(kernel->system().pages.allocated(), allocated);
      EXPECT_EQ(task->mm->data_vm, data_vm);
      EXPECT_THAT(Validate(kernel->system()), testing::IsEmpty());
    }
  }
}

// close cannot fail: where a merge finds no memory, the flags are given back all the same.
TEST_P(ShadowptTest, CloseGivesWritingBackWithoutMemory) {
  MapAll(2);
  ASSERT_EQ(Open(), 0);
  kernel->system().failures.FailAt(Seam::kVmaTree, 1, 100);
  EXPECT_EQ(Call(Sys::k_shadowpt_close, {}), 0);
  kernel->system().failures.FailAt(Seam::kVmaTree, 0);
  EXPECT_THAT(Maps(), testing::HasSubstr("20001000-20002000 rw-p"));
  EXPECT_TRUE(Store(*task, kEntries, 1).ok());
  EXPECT_THAT(Validate(kernel->system()), testing::IsEmpty());
}

TEST_P(ShadowptTest, TheMachineMayEndAtAnyMoment) {
  MapAll(2);
  ASSERT_EQ(Open(), 0);
  ASSERT_EQ(Call(Sys::k_shadowpt_start, {}), 0);
  Map(*target, kRange, 2);
  EXPECT_TRUE(Store(*target, kRange, 1).ok());
  EXPECT_EQ(Entry(0).state_flags, 7u);
  EXPECT_EQ(Entry(1).state_flags, 3u);
  EXPECT_EQ(Entry(1).vaddr, kRange + kPageSize);
}

// A page that comes back from swap with a reference too many, which no call here leaves on it: the collapse
// has taken the table away when it finds out, and puts it back.
TEST_P(ShadowptTest, ACollapseThatGoesBackPutsTheEntriesBack) {
  System& system = kernel->system();
  system.swap = std::make_unique<SwapArea>(system, 64);
  MapAll(512);
  ASSERT_EQ(Open(), 0);
  ASSERT_EQ(Call(Sys::k_shadowpt_start, {}), 0);
  Map(*target, kRange, 512);
  EXPECT_TRUE(Store(*target, kRange, 1).ok());
  EXPECT_TRUE(Store(*target, kRange + kPageSize, 1).ok());
  ASSERT_EQ(CallWith(*target, Sys::k_madvise, {kRange, kPageSize, 21}).value, 0);  // MADV_PAGEOUT
  EXPECT_EQ(Entry(0).pfn, 0u);
  Task* child = kernel->FindTask(static_cast<int>(CallWith(*target, Sys::k_clone, {17, 0, 0, 0, 0}).value));
  ASSERT_NE(child, nullptr);
  EXPECT_TRUE(Store(*target, kRange + kPageSize, 1).ok());
  LoadByte(*child, kRange);
  const Pfn page = PtePfn(GetParam(), ReadEntry(FindEntry(*child->mm, VirtAddr(kRange), kLevelPte)));
  GetFolio(system, page);
  EXPECT_EQ(CallWith(*target, Sys::k_madvise, {kRange, 512 * kPageSize, 25}).value,  // MADV_COLLAPSE
            Err(Errno::kEAGAIN));
  PutFolio(system, page);
  EXPECT_EQ(Entry(0).pfn, page.value);
  EXPECT_EQ(Entry(0).state_flags, 7u);
  EXPECT_EQ(Entry(1).state_flags, 7u);
  EXPECT_NE(Entry(1).pfn, 0u);
  EXPECT_EQ(Entry(2).state_flags, 3u);
}

MMSIM_FOR_BOTH_ARCHITECTURES(ShadowptTest);

}  // namespace
}  // namespace mmsim
