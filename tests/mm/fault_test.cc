// SPDX-License-Identifier: Apache-2.0
// The fault ladder, rung by rung: what each leaves in the tables and in the frames' records.
#include "tests/mm/machine.h"

namespace mmsim::testing {
namespace {

class Fault : public PagesTest {};
MMSIM_BOTH_ARCHS(Fault);

TEST_P(Fault, AReadOfFreshMemoryMapsTheZeroPage) {
  Mm* mm = m->NewMm();
  const VirtAddr a = m->Map(*mm, 4);
  EXPECT_EQ(m->Load(*mm, a).faults, 1);
  EXPECT_EQ(m->PageOf(*mm, a), m->system.zero_page);
  EXPECT_TRUE(PteSpecial(arch(), m->PteOf(*mm, a)));
  EXPECT_FALSE(PteWrite(arch(), m->PteOf(*mm, a)));
  EXPECT_EQ(mm->Rss(RssType::kAnon), 0);
  EXPECT_EQ(mm->pgtables_bytes, 3 * kPageSize);
  EXPECT_EQ(mm->vmas.Lookup(a)->anon_vma, nullptr);
  m->Check();
  mm->Put();
}

TEST_P(Fault, AWriteToTheZeroPageCopiesIt) {
  Mm* mm = m->NewMm();
  const VirtAddr a = m->Map(*mm, 1);
  m->Load(*mm, a);
  EXPECT_EQ(m->Store(*mm, a, 7).faults, 1);
  EXPECT_NE(m->PageOf(*mm, a), m->system.zero_page);
  EXPECT_EQ(m->Byte(*mm, a), 7);
  EXPECT_EQ(m->Byte(*mm, a + 1), 0);
  EXPECT_EQ(mm->Rss(RssType::kAnon), 1);
  m->Check();
  mm->Put();
}

TEST_P(Fault, AFirstWriteGetsAnExclusiveDirtyPage) {
  Mm* mm = m->NewMm();
  const VirtAddr a = m->Map(*mm, 1);
  EXPECT_EQ(m->Store(*mm, a, 1).faults, 1);
  const Pte pte = m->PteOf(*mm, a);
  EXPECT_TRUE(PteWrite(arch(), pte) && PteDirty(arch(), pte) && PteYoung(arch(), pte));
  EXPECT_EQ(PteSoftDirty(arch(), pte), arch() == Arch::kX86_64);
  const Page& page = m->RecordOf(*mm, a);
  EXPECT_EQ(page.refcount, 2);  // the entry and the LRU batch
  EXPECT_EQ(page.mapcount, 0);
  EXPECT_TRUE(page.Has(kPgAnonExclusive) && page.Has(kPgSwapBacked) && page.IsAnon());
  LruAddDrain(m->system);
  EXPECT_EQ(page.refcount, 1);
  EXPECT_TRUE(page.Has(kPgLru));
  m->Check();
  mm->Put();
}

TEST_P(Fault, ForkSharesAndAWriteCopies) {
  Mm* parent = m->NewMm();
  const VirtAddr a = m->Map(*parent, 2);
  m->Store(*parent, a, 1);
  m->Store(*parent, a + kPageSize, 2);
  Mm* child = m->Fork(*parent);
  m->Check();
  EXPECT_EQ(m->PageOf(*parent, a), m->PageOf(*child, a));
  EXPECT_FALSE(PteWrite(arch(), m->PteOf(*parent, a)));
  EXPECT_FALSE(PteWrite(arch(), m->PteOf(*child, a)));
  EXPECT_FALSE(PteYoung(arch(), m->PteOf(*child, a)));
  EXPECT_TRUE(PteDirty(arch(), m->PteOf(*child, a)));
  EXPECT_FALSE(m->RecordOf(*parent, a).Has(kPgAnonExclusive));
  EXPECT_EQ(m->RecordOf(*parent, a).mapcount, 1);

  const Pfn shared = m->PageOf(*parent, a);
  EXPECT_EQ(m->Store(*child, a, 9).faults, 1);
  EXPECT_NE(m->PageOf(*child, a), shared);
  EXPECT_EQ(m->PageOf(*parent, a), shared);
  EXPECT_EQ(m->Byte(*parent, a), 1);
  EXPECT_EQ(m->Byte(*child, a), 9);
  m->Check();
  // The parent is alone with its page now: reuse.
  EXPECT_EQ(m->Store(*parent, a, 3).faults, 1);
  EXPECT_EQ(m->PageOf(*parent, a), shared);
  EXPECT_TRUE(m->RecordOf(*parent, a).Has(kPgAnonExclusive));
  m->Check();
  child->Put();
  m->Check();
  const Pfn second = m->PageOf(*parent, a + kPageSize);
  EXPECT_EQ(m->Store(*parent, a + kPageSize, 4).faults, 1);
  EXPECT_EQ(m->PageOf(*parent, a + kPageSize), second);
  m->Check();
  parent->Put();
}

TEST_P(Fault, AReferenceOfSomebodyElsesMakesAWriteCopy) {
  Mm* parent = m->NewMm();
  const VirtAddr a = m->Map(*parent, 1);
  m->Store(*parent, a, 1);
  Mm* child = m->Fork(*parent);
  child->Put();
  std::vector<Pfn> pages;
  ASSERT_EQ(GetUserPages(*parent, a, 1, kFollGet, &pages), 1);
  m->Store(*parent, a, 2);
  EXPECT_NE(m->PageOf(*parent, a), pages[0]);
  m->Check();
  PutUserPage(m->system, pages[0]);
  parent->Put();
}

TEST_P(Fault, APinnedPageStaysThroughFork) {
  Mm* parent = m->NewMm();
  const VirtAddr a = m->Map(*parent, 1);
  m->Store(*parent, a, 1);
  std::vector<Pfn> pages;
  ASSERT_EQ(GetUserPages(*parent, a, 1, kFollPin | kFollWrite, &pages), 1);
  EXPECT_EQ(m->system.pages[pages[0]].refcount, 1 + kGupPinCountingBias + 1);
  Mm* child = m->Fork(*parent);
  EXPECT_NE(m->PageOf(*child, a), pages[0]);
  EXPECT_EQ(m->Byte(*child, a), 1);
  EXPECT_TRUE(PteWrite(arch(), m->PteOf(*parent, a)));
  m->Check();
  UnpinUserPages(m->system, pages, true);
  child->Put();
  parent->Put();
}

TEST_P(Fault, APinForReadingUnshares) {
  Mm* parent = m->NewMm();
  const VirtAddr a = m->Map(*parent, 1);
  m->Store(*parent, a, 5);
  Mm* child = m->Fork(*parent);
  const Pfn shared = m->PageOf(*parent, a);
  std::vector<Pfn> pages;
  ASSERT_EQ(GetUserPages(*parent, a, 1, kFollPin, &pages), 1);
  EXPECT_NE(pages[0], shared);
  EXPECT_FALSE(PteWrite(arch(), m->PteOf(*parent, a)));
  EXPECT_EQ(m->Byte(*parent, a), 5);
  m->Check();
  UnpinUserPages(m->system, pages, false);
  child->Put();
  parent->Put();
}

TEST_P(Fault, MprotectAndBackKeepsAnExclusivePageWritable) {
  Mm* mm = m->NewMm();
  const VirtAddr a = m->Map(*mm, 1);
  m->Store(*mm, a, 1);
  ASSERT_EQ(SysMprotect(*mm, m->current, a.value, kPageSize, 0, -1), 0);
  EXPECT_TRUE(PteProtNone(arch(), m->PteOf(*mm, a)));
  EXPECT_TRUE(PtePresent(arch(), m->PteOf(*mm, a)));
  EXPECT_EQ(m->Load(*mm, a).error, kVmFaultSigsegv);
  m->Check();
  ASSERT_EQ(SysMprotect(*mm, m->current, a.value, kPageSize, kProtRead | kProtWrite, -1), 0);
  EXPECT_TRUE(PteWrite(arch(), m->PteOf(*mm, a)));
  EXPECT_EQ(m->Store(*mm, a, 2).faults, 0);
  m->Check();
  mm->Put();
}

TEST_P(Fault, MunmapFreesFramesAndTables) {
  Mm* mm = m->NewMm();
  const VirtAddr a = m->Map(*mm, 600);
  for (uint64_t i = 0; i < 600; ++i) m->Store(*mm, a + i * kPageSize, 1);
  m->Check();
  ASSERT_EQ(SysMunmap(*mm, a.value, 600 * kPageSize), 0);
  EXPECT_EQ(mm->Rss(RssType::kAnon), 0);
  EXPECT_EQ(mm->pgtables_bytes, 0u);
  m->Check();
  mm->Put();
}

TEST_P(Fault, OutOfMemoryAtEachAllocationLosesNothing) {
  for (uint64_t nth = 1; nth < 8; ++nth) {
    for (const Seam seam : {Seam::kPage, Seam::kTable}) {
      Mm* mm = m->NewMm();
      const VirtAddr a = m->Map(*mm, 1);
      m->system.failures.FailAt(seam, nth);
      const Machine::Outcome outcome = m->Store(*mm, a, 1);
      const bool due = nth <= (seam == Seam::kPage ? 1u : 3u);
      EXPECT_EQ(outcome.error, due ? kVmFaultOom : 0u);
      m->system.failures.FailAt(seam, 0);
      m->Check();
      mm->Put();
    }
  }
}

}  // namespace
}  // namespace mmsim::testing
