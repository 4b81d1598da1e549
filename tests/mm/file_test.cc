// SPDX-License-Identifier: Apache-2.0
// Pages of files: fault-around, private copies, shared writes, truncation, shmem.
#include "tests/mm/machine.h"

namespace mmsim::testing {
namespace {

class FilePages : public PagesTest {};
MMSIM_BOTH_ARCHS(FilePages);

int PresentPages(Machine& m, Mm& mm, VirtAddr a, uint64_t pages) {
  int n = 0;
  for (uint64_t i = 0; i < pages; ++i) n += PtePresent(m.system.arch, m.PteOf(mm, a + i * kPageSize));
  return n;
}

TEST_P(FilePages, AReadMapsTheCachedNeighbours) {
  Mm* mm = m->NewMm();
  FileRef file = m->NewFile(InodeKind::kDisk, 40);
  const VirtAddr a = m->Map(*mm, 40, kProtRead, kMapPrivate, 0x10000000, file);
  // Nothing cached: the page alone, read in with its neighbours.
  EXPECT_EQ(m->Byte(*mm, a + 2 * kPageSize), '2');
  EXPECT_EQ(PresentPages(*m, *mm, a, 40), 1);
  // Now all that is cached in the aligned 64 KiB.
  EXPECT_EQ(m->Byte(*mm, a + 5 * kPageSize), '5');
  EXPECT_EQ(PresentPages(*m, *mm, a, 40), 16);
  EXPECT_EQ(mm->Rss(RssType::kFile), 16);
  EXPECT_EQ(m->RecordOf(*mm, a).refcount, 2 + (m->RecordOf(*mm, a).Has(kPgLru) ? 0 : 1));
  m->Check();
  mm->Put();
}

TEST_P(FilePages, FaultAroundBeginsInTheVmaAndIsSixteenPagesLong) {
  Mm* mm = m->NewMm();
  FileRef file = m->NewFile(InodeKind::kShmem, 64);
  for (uint64_t i = 0; i < 64; ++i) {
    const uint8_t byte = static_cast<uint8_t>(i);
    ASSERT_EQ(InodeWrite(*file->inode, i * kPageSize, {&byte, 1}), 1);
  }
  // Page 15 of its 64 KiB is the second of the VMA: the window is clipped at the VMA's start, not moved to a
  // boundary.
  const VirtAddr a = m->Map(*mm, 20, kProtRead, kMapShared, 0x1000e000, file, 3);
  EXPECT_EQ(m->Byte(*mm, a + kPageSize), 4);
  EXPECT_EQ(PresentPages(*m, *mm, a, 20), 16);
  EXPECT_EQ(PresentPages(*m, *mm, a, 16), 16);
  const VirtAddr b = m->Map(*mm, 3, kProtRead, kMapShared, 0x20000000, file, 3);
  EXPECT_EQ(m->Byte(*mm, b), 3);
  EXPECT_EQ(PresentPages(*m, *mm, b, 3), 3);
  EXPECT_EQ(mm->Rss(RssType::kShmem), 19);
  m->Check();
  mm->Put();
}

TEST_P(FilePages, APrivateWriteCopiesAndTheFileKeepsItsOwn) {
  Mm* mm = m->NewMm();
  FileRef file = m->NewFile(InodeKind::kDisk, 4);
  const VirtAddr a = m->Map(*mm, 4, kProtRead | kProtWrite, kMapPrivate, 0x10000000, file);
  EXPECT_EQ(m->Store(*mm, a, 'x').faults, 1);
  EXPECT_EQ(mm->Rss(RssType::kAnon), 1);
  EXPECT_EQ(m->Byte(*mm, a), 'x');
  EXPECT_EQ(m->Byte(*mm, a + 1), '0');
  // Read first, then write: through the write-protected page of the cache.
  EXPECT_EQ(m->Byte(*mm, a + kPageSize), '1');
  const int64_t file_pages = mm->Rss(RssType::kFile);
  EXPECT_EQ(m->Store(*mm, a + kPageSize, 'y').faults, 1);
  EXPECT_EQ(mm->Rss(RssType::kFile), file_pages - 1);
  EXPECT_EQ(mm->Rss(RssType::kAnon), 2);
  uint8_t byte = 0;
  ASSERT_EQ(InodeRead(*file->inode, 0, {&byte, 1}), 1);
  EXPECT_EQ(byte, '0');
  m->Check();
  mm->Put();
}

TEST_P(FilePages, ASharedWriteDirtiesThePageOfTheFile) {
  Mm* mm = m->NewMm();
  Mm* other = m->NewMm();
  FileRef file = m->NewFile(InodeKind::kDisk, 4);
  const VirtAddr a = m->Map(*mm, 4, kProtRead | kProtWrite, kMapShared, 0x10000000, file);
  const VirtAddr b = m->Map(*other, 4, kProtRead | kProtWrite, kMapShared, 0x20000000, file);
  EXPECT_EQ(m->Byte(*mm, a), '0');
  EXPECT_FALSE(PteWrite(arch(), m->PteOf(*mm, a)));  // the file system wants to hear of the first write
  EXPECT_EQ(m->Store(*mm, a, 'z').faults, 1);
  EXPECT_TRUE(PteWrite(arch(), m->PteOf(*mm, a)));
  EXPECT_TRUE(m->RecordOf(*mm, a).Has(kPgDirty));
  EXPECT_EQ(m->Byte(*other, b), 'z');
  EXPECT_EQ(m->PageOf(*mm, a), m->PageOf(*other, b));
  m->Check();
  FilemapWriteback(*file->inode, 0, 3);
  EXPECT_FALSE(PteWrite(arch(), m->PteOf(*mm, a)));
  EXPECT_FALSE(PteDirty(arch(), m->PteOf(*mm, a)));
  EXPECT_EQ(file->inode->backing[0], 'z');
  m->Check();
  mm->Put();
  other->Put();
}

TEST_P(FilePages, BeyondTheEndIsSigbusAndTruncationReachesEveryProcess) {
  Mm* mm = m->NewMm();
  FileRef file = m->NewFile(InodeKind::kDisk, 3);
  const VirtAddr a = m->Map(*mm, 5, kProtRead | kProtWrite, kMapPrivate, 0x10000000, file);
  EXPECT_EQ(m->Load(*mm, a + 3 * kPageSize).error, kVmFaultSigbus);
  m->Store(*mm, a + 2 * kPageSize, 'p');
  m->Load(*mm, a + kPageSize);
  Mm* child = m->Fork(*mm);
  m->Load(*child, a + kPageSize);
  ASSERT_TRUE(InodeTruncate(*file->inode, kPageSize + 100).ok());
  m->Check();
  EXPECT_EQ(m->Load(*mm, a + 2 * kPageSize).error, kVmFaultSigbus);  // the private copy went as well
  EXPECT_EQ(m->Load(*child, a + 2 * kPageSize).error, kVmFaultSigbus);
  EXPECT_EQ(m->Byte(*mm, a + kPageSize), '1');
  EXPECT_EQ(m->Byte(*mm, a + kPageSize + 100), 0);
  child->Put();
  mm->Put();
}

TEST_P(FilePages, AHoleInShmemLeavesPrivateCopies) {
  Mm* mm = m->NewMm();
  FileRef file = m->NewFile(InodeKind::kShmem, 4);
  const VirtAddr shared = m->Map(*mm, 4, kProtRead | kProtWrite, kMapShared, 0x10000000, file);
  const VirtAddr priv = m->Map(*mm, 4, kProtRead | kProtWrite, kMapPrivate, 0x20000000, file);
  m->Store(*mm, shared, 's');
  m->Store(*mm, priv, 'p');
  m->Load(*mm, priv + kPageSize);
  ASSERT_TRUE(InodePunchHole(*file->inode, 0, 2 * kPageSize).ok());
  EXPECT_TRUE(PteNone(arch(), m->PteOf(*mm, shared)));
  EXPECT_TRUE(PteNone(arch(), m->PteOf(*mm, priv + kPageSize)));
  EXPECT_EQ(m->Byte(*mm, priv), 'p');
  EXPECT_EQ(m->Byte(*mm, shared), 0);
  m->Check();
  mm->Put();
}

TEST_P(FilePages, SharedAnonymousMemoryIsOneForParentAndChild) {
  Mm* mm = m->NewMm();
  const VirtAddr a = m->Map(*mm, 2, kProtRead | kProtWrite, kMapShared | kMapAnonymous);
  m->Store(*mm, a, 1);
  EXPECT_TRUE(PteWrite(arch(), m->PteOf(*mm, a)));
  Mm* child = m->Fork(*mm);
  EXPECT_TRUE(PteNone(arch(), m->PteOf(*child, a)));  // fork leaves it to faults
  EXPECT_EQ(m->Byte(*child, a), 1);
  m->Store(*child, a, 2);
  EXPECT_EQ(m->Byte(*mm, a), 2);
  EXPECT_EQ(mm->Rss(RssType::kShmem), 1);
  m->Check();
  child->Put();
  mm->Put();
}

TEST_P(FilePages, OutOfMemoryAtEachAllocationLosesNothing) {
  for (const bool write : {false, true}) {
    for (uint64_t nth = 1; nth < 40; ++nth) {
      for (const Seam seam : {Seam::kPage, Seam::kTable}) {
        Mm* mm = m->NewMm();
        FileRef file = m->NewFile(InodeKind::kDisk, 4);
        const VirtAddr a = m->Map(*mm, 4, kProtRead | kProtWrite, kMapPrivate, 0x10000000, file);
        m->system.failures.FailAt(seam, nth, 100);
        const Machine::Outcome outcome = write ? m->Store(*mm, a, 1) : m->Load(*mm, a);
        EXPECT_TRUE(outcome.error == 0 || outcome.error == kVmFaultOom);
        m->system.failures.FailAt(seam, 0);
        m->Check();
        mm->Put();
      }
    }
  }
}

}  // namespace
}  // namespace mmsim::testing
