// SPDX-License-Identifier: Apache-2.0
// Huge pages of anonymous memory under MADV_HUGEPAGE: made by a fault, split by everything that wants a part,
// collapsed.
#include "sim/mm/huge_memory.h"
#include "tests/mm/machine.h"

namespace mmsim::testing {
namespace {

constexpr uint64_t kBase = 0x40000000;

class Huge : public PagesTest {
 protected:
  // 4 MiB, aligned, advised.
  VirtAddr MapHuge(Mm& mm) {
    const VirtAddr a = m->Map(mm, 1024, kProtRead | kProtWrite, kMapPrivate | kMapAnonymous, kBase);
    EXPECT_EQ(SysMadvise(mm, m->current, a.value, 2 * kHugeSize, kMadvHugepage), 0);
    return a;
  }
  bool IsHuge(Mm& mm, VirtAddr a) {
    EntryPtr pmd = FindEntry(mm, a, kLevelPmd);
    return pmd != nullptr && *pmd != 0 && !PmdIsTable(m->system, pmd);
  }
  Pfn HugePage(Mm& mm, VirtAddr a) { return PmdPfn(arch(), ReadEntry(FindEntry(mm, a, kLevelPmd))); }
  void TearDown() override {
    if (m->system.huge_zero.value != 0) free_frames += kHugePages;
    PagesTest::TearDown();
  }
};
MMSIM_BOTH_ARCHS(Huge);

TEST_P(Huge, AWriteMapsTwoMegabytes) {
  Mm* mm = m->NewMm();
  const VirtAddr a = MapHuge(*mm);
  EXPECT_EQ(m->Store(*mm, a + 5 * kPageSize, 1).faults, 1);
  ASSERT_TRUE(IsHuge(*mm, a));
  EXPECT_FALSE(IsHuge(*mm, a + kHugeSize));
  EXPECT_EQ(mm->Rss(RssType::kAnon), 512);
  EXPECT_EQ(m->Store(*mm, a + 300 * kPageSize, 2).faults, 0);
  EXPECT_EQ(SmapGatherStats(*mm->vmas.Lookup(a)).anonymous_thp, kHugeSize);
  m->Check();
  mm->Put();
}

TEST_P(Huge, AReadMapsTheHugeZeroPageAndAWriteSplitsIt) {
  Mm* mm = m->NewMm();
  const VirtAddr a = MapHuge(*mm);
  m->Load(*mm, a);
  ASSERT_TRUE(IsHuge(*mm, a));
  EXPECT_EQ(HugePage(*mm, a), m->system.huge_zero);
  EXPECT_EQ(mm->Rss(RssType::kAnon), 0);
  m->Check();
  m->Store(*mm, a, 1);
  EXPECT_FALSE(IsHuge(*mm, a));
  EXPECT_EQ(mm->Rss(RssType::kAnon), 1);
  EXPECT_EQ(m->PageOf(*mm, a + kPageSize), m->system.zero_page);
  m->Check();
  mm->Put();
}

TEST_P(Huge, MunmapOfAPartSplitsThePmd) {
  Mm* mm = m->NewMm();
  const VirtAddr a = MapHuge(*mm);
  m->Store(*mm, a, 1);
  const Pfn huge = HugePage(*mm, a);
  ASSERT_EQ(SysMunmap(*mm, a.value + kPageSize, kPageSize), 0);
  EXPECT_FALSE(IsHuge(*mm, a));
  EXPECT_EQ(mm->Rss(RssType::kAnon), 511);
  EXPECT_TRUE(m->system.pages[huge].IsLarge());
  EXPECT_EQ(m->PageOf(*mm, a + 2 * kPageSize), huge + 2);
  EXPECT_EQ(m->Byte(*mm, a), 1);
  m->Check();
  mm->Put();
}

TEST_P(Huge, MprotectOfAllKeepsItOfAPartSplits) {
  Mm* mm = m->NewMm();
  const VirtAddr a = MapHuge(*mm);
  m->Store(*mm, a, 1);
  ASSERT_EQ(SysMprotect(*mm, m->current, a.value, kHugeSize, kProtRead, -1), 0);
  EXPECT_TRUE(IsHuge(*mm, a));
  EXPECT_EQ(m->Store(*mm, a, 1).error, kVmFaultSigsegv);
  m->Check();
  ASSERT_EQ(SysMprotect(*mm, m->current, a.value, kHugeSize, kProtRead | kProtWrite, -1), 0);
  EXPECT_EQ(m->Store(*mm, a, 2).faults, 0);
  m->Check();
  ASSERT_EQ(SysMprotect(*mm, m->current, a.value, kPageSize, kProtRead, -1), 0);
  EXPECT_FALSE(IsHuge(*mm, a));
  m->Check();
  mm->Put();
}

TEST_P(Huge, ForkSharesAndAWriteSplitsAndCopies) {
  Mm* parent = m->NewMm();
  const VirtAddr a = MapHuge(*parent);
  m->Store(*parent, a, 1);
  const Pfn huge = HugePage(*parent, a);
  Mm* child = m->Fork(*parent);
  ASSERT_TRUE(IsHuge(*child, a));
  EXPECT_EQ(HugePage(*child, a), huge);
  EXPECT_EQ(KpagecountOf(m->system, huge + 7), 2u);
  m->Check();
  m->Store(*child, a, 2);
  EXPECT_FALSE(IsHuge(*child, a));
  EXPECT_TRUE(IsHuge(*parent, a));
  EXPECT_NE(m->PageOf(*child, a), huge);
  EXPECT_EQ(m->PageOf(*child, a + kPageSize), huge + 1);
  EXPECT_EQ(m->Byte(*parent, a), 1);
  m->Check();
  child->Put();
  m->Check();
  m->Store(*parent, a, 3);  // alone again: reuse of the whole
  EXPECT_TRUE(IsHuge(*parent, a));
  EXPECT_EQ(HugePage(*parent, a), huge);
  m->Check();
  parent->Put();
}

TEST_P(Huge, DontneedOfThePartAndOfTheRest) {
  Mm* mm = m->NewMm();
  const VirtAddr a = MapHuge(*mm);
  m->Store(*mm, a, 1);
  ASSERT_EQ(SysMadvise(*mm, m->current, a.value, kPageSize, kMadvDontneed), 0);
  EXPECT_EQ(mm->Rss(RssType::kAnon), 511);
  m->Check();
  ASSERT_EQ(SysMadvise(*mm, m->current, a.value, kHugeSize, kMadvDontneed), 0);
  EXPECT_EQ(mm->Rss(RssType::kAnon), 0);
  m->Check();
  mm->Put();
}

TEST_P(Huge, MremapMovesTheWholePmd) {
  Mm* mm = m->NewMm();
  const VirtAddr a = MapHuge(*mm);
  m->Store(*mm, a, 1);
  const Pfn huge = HugePage(*mm, a);
  constexpr uint64_t kTo = 0x80000000, kMayMoveFixed = 3;
  ASSERT_EQ(SysMremap(*mm, m->current, a.value, 2 * kHugeSize, 2 * kHugeSize, kMayMoveFixed, kTo),
            static_cast<int64_t>(kTo));
  ASSERT_TRUE(IsHuge(*mm, VirtAddr(kTo)));
  EXPECT_EQ(HugePage(*mm, VirtAddr(kTo)), huge);
  m->Check();
  mm->Put();
}

TEST_P(Huge, FreeOfAPartSplitsTheFolioAndZerosBecomeTheZeroPage) {
  Mm* mm = m->NewMm();
  const VirtAddr a = MapHuge(*mm);
  m->Store(*mm, a, 1);
  m->Store(*mm, a + 9 * kPageSize, 9);
  const Pfn huge = HugePage(*mm, a);
  ASSERT_EQ(SysMadvise(*mm, m->current, a.value, 4 * kPageSize, kMadvFree), 0);
  EXPECT_FALSE(m->system.pages[huge].IsLarge());
  EXPECT_EQ(m->PageOf(*mm, a), huge);
  EXPECT_EQ(m->PageOf(*mm, a + kPageSize), m->system.zero_page);
  EXPECT_EQ(m->PageOf(*mm, a + 9 * kPageSize), huge + 9);
  EXPECT_EQ(mm->Rss(RssType::kAnon), 2);
  m->Check();
  mm->Put();
}

TEST_P(Huge, ColdAndPageoutOfTheWhole) {
  Mm* mm = m->NewMm();
  const VirtAddr a = MapHuge(*mm);
  m->Store(*mm, a, 1);
  ASSERT_EQ(SysMadvise(*mm, m->current, a.value, kHugeSize, kMadvCold), 0);
  EXPECT_TRUE(IsHuge(*mm, a));
  EXPECT_FALSE(PteYoung(arch(), ReadEntry(FindEntry(*mm, a, kLevelPmd))));
  m->Check();
  ASSERT_EQ(SysMadvise(*mm, m->current, a.value, kHugeSize, kMadvPageout), 0);
  EXPECT_EQ(m->Byte(*mm, a), 1);
  m->Check();
  mm->Put();
}

TEST_P(Huge, CollapseMakesOneOfMany) {
  Mm* mm = m->NewMm();
  const VirtAddr a = m->Map(*mm, 1024, kProtRead | kProtWrite, kMapPrivate | kMapAnonymous, kBase);
  EXPECT_EQ(SysMadvise(*mm, m->current, a.value, kHugeSize, kMadvCollapse), -22);  // nothing there
  m->Store(*mm, a + 3 * kPageSize, 3);
  m->Load(*mm, a + 4 * kPageSize);
  ASSERT_EQ(SysMadvise(*mm, m->current, a.value, kHugeSize, kMadvCollapse), 0);
  EXPECT_TRUE(IsHuge(*mm, a));
  EXPECT_EQ(mm->Rss(RssType::kAnon), 512);
  EXPECT_EQ(m->Byte(*mm, a + 3 * kPageSize), 3);
  m->Check();
  mm->Put();
}

}  // namespace
}  // namespace mmsim::testing
