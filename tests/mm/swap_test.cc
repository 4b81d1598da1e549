// SPDX-License-Identifier: Apache-2.0
// Swap: out by MADV_PAGEOUT, back by a fault, shared by fork; MADV_FREE and MADV_COLD.
#include "tests/mm/machine.h"

namespace mmsim::testing {
namespace {

class Swap : public PagesTest {
 protected:
  void Advise(Mm& mm, VirtAddr a, uint64_t pages, int advice) {
    ASSERT_EQ(SysMadvise(mm, m->current, a.value, pages * kPageSize, advice), 0);
  }
};
MMSIM_BOTH_ARCHS(Swap);

TEST_P(Swap, PageoutAndBack) {
  Mm* mm = m->NewMm();
  const VirtAddr a = m->Map(*mm, 2);
  m->Store(*mm, a, 42);
  Advise(*mm, a, 2, kMadvPageout);
  EXPECT_TRUE(IsSwapPte(arch(), m->PteOf(*mm, a)));
  EXPECT_TRUE(SwpExclusive(arch(), m->PteOf(*mm, a)));
  EXPECT_EQ(mm->Rss(RssType::kAnon), 0);
  EXPECT_EQ(mm->Rss(RssType::kSwap), 1);
  EXPECT_EQ(m->system.swap->used(), 1u);
  m->Check();
  EXPECT_EQ(m->Byte(*mm, a), 42);
  EXPECT_EQ(m->system.swap->used(), 0u);
  EXPECT_TRUE(PteWrite(arch(), m->PteOf(*mm, a)));  // exclusive: writable at once
  EXPECT_FALSE(PteDirty(arch(), m->PteOf(*mm, a)));
  m->Check();
  mm->Put();
}

TEST_P(Swap, ForkSharesTheSlotAndBothComeBack) {
  Mm* parent = m->NewMm();
  const VirtAddr a = m->Map(*parent, 1);
  m->Store(*parent, a, 1);
  Advise(*parent, a, 1, kMadvPageout);
  Mm* child = m->Fork(*parent);
  EXPECT_FALSE(SwpExclusive(arch(), m->PteOf(*parent, a)));
  m->Check();
  EXPECT_EQ(m->Byte(*child, a), 1);
  EXPECT_FALSE(PteWrite(arch(), m->PteOf(*child, a)));
  m->Check();
  EXPECT_EQ(m->Byte(*parent, a), 1);
  EXPECT_EQ(m->PageOf(*parent, a), m->PageOf(*child, a));  // through the swap cache
  m->Check();
  m->Store(*parent, a, 2);
  EXPECT_EQ(m->Byte(*child, a), 1);
  m->Check();
  child->Put();
  parent->Put();
}

// Linux: mm/madvise.c madvise_willneed()
TEST_P(Swap, WillneedFillsTheCacheAndLeavesTheEntry) {
  Mm* mm = m->NewMm();
  const VirtAddr a = m->Map(*mm, 1);
  m->Store(*mm, a, 7);
  Advise(*mm, a, 1, kMadvPageout);
  const uint64_t slot = PteSwap(arch(), m->PteOf(*mm, a)).offset;
  EXPECT_EQ(m->system.swap->Cached(slot).value, 0u);
  Advise(*mm, a, 1, kMadvWillneed);
  EXPECT_TRUE(IsSwapPte(arch(), m->PteOf(*mm, a)));
  const Pfn cached = m->system.swap->Cached(slot);
  EXPECT_NE(cached.value, 0u);
  m->Check();
  EXPECT_EQ(m->Byte(*mm, a), 7);
  EXPECT_EQ(m->PageOf(*mm, a), cached);
  m->Check();
  // A page that only the cache has goes with the last entry.
  Advise(*mm, a, 1, kMadvPageout);
  Advise(*mm, a, 1, kMadvWillneed);
  Advise(*mm, a, 1, kMadvDontneed);
  EXPECT_EQ(m->system.swap->used(), 0u);
  m->Check();
  mm->Put();
}

// Linux: include/linux/swap.h vm_swap_full()
TEST_P(Swap, MoreThanHalfFullGivesSlotsBackAtOnce) {
  Mm* parent = m->NewMm();
  const uint64_t slots = m->system.swap->nr_slots() - 1;
  const VirtAddr a = m->Map(*parent, slots / 2 + 2);
  for (uint64_t i = 0; i < slots / 2 + 2; ++i) m->Store(*parent, a + i * kPageSize, 1);
  Advise(*parent, a, slots / 2 + 2, kMadvPageout);
  EXPECT_TRUE(m->system.swap->IsFull());
  Mm* child = m->Fork(*parent);
  const uint64_t slot = PteSwap(arch(), m->PteOf(*parent, a)).offset;
  EXPECT_EQ(m->Byte(*parent, a), 1);
  EXPECT_NE(m->system.swap->Cached(slot).value, 0u);  // the child's entry still names it
  EXPECT_EQ(m->Byte(*child, a), 1);
  EXPECT_EQ(m->system.swap->Cached(slot).value, 0u);
  EXPECT_EQ(m->PageOf(*parent, a), m->PageOf(*child, a));
  m->Check();
  child->Put();
  parent->Put();
}

TEST_P(Swap, SharedPagesStay) {
  Mm* parent = m->NewMm();
  const VirtAddr a = m->Map(*parent, 1);
  m->Store(*parent, a, 1);
  Mm* child = m->Fork(*parent);
  Advise(*parent, a, 1, kMadvPageout);
  EXPECT_TRUE(PtePresent(arch(), m->PteOf(*parent, a)));
  m->Check();
  child->Put();
  parent->Put();
}

TEST_P(Swap, MunmapAndDontneedFreeSlots) {
  Mm* mm = m->NewMm();
  const VirtAddr a = m->Map(*mm, 4);
  for (uint64_t i = 0; i < 4; ++i) m->Store(*mm, a + i * kPageSize, 1);
  Advise(*mm, a, 4, kMadvPageout);
  EXPECT_EQ(m->system.swap->used(), 4u);
  Advise(*mm, a, 1, kMadvDontneed);
  EXPECT_EQ(m->system.swap->used(), 3u);
  m->Check();
  ASSERT_EQ(SysMunmap(*mm, a.value + kPageSize, kPageSize), 0);
  EXPECT_EQ(m->system.swap->used(), 2u);
  m->Check();
  mm->Put();
}

TEST_P(Swap, FreeIsLazyAndAWriteKeepsThePage) {
  Mm* mm = m->NewMm();
  const VirtAddr a = m->Map(*mm, 2);
  m->Store(*mm, a, 1);
  m->Store(*mm, a + kPageSize, 2);
  Advise(*mm, a, 2, kMadvFree);
  EXPECT_FALSE(PteDirty(arch(), m->PteOf(*mm, a)));
  EXPECT_FALSE(PteYoung(arch(), m->PteOf(*mm, a)));
  EXPECT_TRUE(m->RecordOf(*mm, a).Has(kPgSwapBacked));  // until the batch is moved
  LruAddDrain(m->system);
  EXPECT_FALSE(m->RecordOf(*mm, a).Has(kPgSwapBacked));
  EXPECT_EQ(SmapGatherStats(*mm->vmas.Lookup(a)).lazyfree, 2 * kPageSize);
  m->Check();
  m->Store(*mm, a, 3);
  EXPECT_EQ(SmapGatherStats(*mm->vmas.Lookup(a)).lazyfree, kPageSize);
  Advise(*mm, a, 2, kMadvPageout);
  EXPECT_EQ(m->Byte(*mm, a), 3);
  EXPECT_EQ(m->Byte(*mm, a + kPageSize), 0);  // discarded
  m->Check();
  mm->Put();
}

TEST_P(Swap, ColdMakesOld) {
  Mm* mm = m->NewMm();
  const VirtAddr a = m->Map(*mm, 1);
  m->Store(*mm, a, 1);
  EXPECT_EQ(SmapGatherStats(*mm->vmas.Lookup(a)).referenced, kPageSize);
  Advise(*mm, a, 1, kMadvCold);
  EXPECT_FALSE(PteYoung(arch(), m->PteOf(*mm, a)));
  EXPECT_TRUE(PteDirty(arch(), m->PteOf(*mm, a)));
  EXPECT_EQ(SmapGatherStats(*mm->vmas.Lookup(a)).referenced, 0u);
  m->Check();
  mm->Put();
}

TEST_P(Swap, ShmemGoesOutAndComesBack) {
  Mm* mm = m->NewMm();
  FileRef file = m->NewFile(InodeKind::kShmem, 2);
  const VirtAddr a = m->Map(*mm, 2, kProtRead | kProtWrite, kMapShared, 0x10000000, file);
  m->Store(*mm, a, 5);
  Advise(*mm, a, 2, kMadvPageout);
  EXPECT_TRUE(PteNone(arch(), m->PteOf(*mm, a)));
  EXPECT_EQ(m->system.swap->used(), 1u);
  EXPECT_EQ(SmapGatherStats(*mm->vmas.Lookup(a)).swap, kPageSize);
  m->Check();
  EXPECT_EQ(m->Byte(*mm, a), 5);
  EXPECT_EQ(m->system.swap->used(), 0u);
  m->Check();
  mm->Put();
}

}  // namespace
}  // namespace mmsim::testing
