// SPDX-License-Identifier: Apache-2.0
// msync: dirty pages of shared file mappings are written back. Linux: mm/msync.c
#include <algorithm>

#include "sim/mm/arch/layout.h"
#include "sim/mm/filemap.h"
#include "sim/mm/mman.h"
#include "sim/mm/verbs.h"

namespace mmsim {

namespace {

// Linux: mm/msync.c SYSCALL_DEFINE3(msync), its walk
Status SyncRange(Mm& mm, VirtAddr start, VirtAddr end, int flags) {
  Status unmapped;
  Vma* vma = mm.vmas.Find(start);
  for (;;) {
    if (vma == nullptr) return Errno::kENOMEM;
    if (start < vma->start) {
      if (flags == mman::kMsAsync) return Errno::kENOMEM;
      start = vma->start;
      if (start >= end) return Errno::kENOMEM;
      unmapped = Errno::kENOMEM;
    }
    if ((flags & mman::kMsInvalidate) != 0 && vma->Has(kVmLocked)) return Errno::kEBUSY;
    const VirtAddr to = std::min<VirtAddr>(vma->end, end);
    // Linux: mm/filemap.c file_write_and_wait_range(); shmem has nothing to write to
    if ((flags & mman::kMsSync) != 0 && vma->file != nullptr && vma->Has(kVmShared) &&
        vma->file->inode->kind == InodeKind::kDisk) {
      FilemapWriteback(*vma->file->inode, vma->PgoffOf(start), vma->PgoffOf(to - 1));
    }
    start = vma->end;
    if (start >= end) return unmapped;
    vma = vma->Next();
  }
}

}  // namespace

// Linux: mm/msync.c SYSCALL_DEFINE3(msync)
int64_t SysMsync(Mm& mm, uint64_t start, uint64_t len, int flags) {
  const VirtAddr from(UntaggedAddr(mm.system.arch, start));
  if ((flags & ~(mman::kMsAsync | mman::kMsInvalidate | mman::kMsSync)) != 0 || !from.IsPageAligned() ||
      ((flags & mman::kMsAsync) != 0 && (flags & mman::kMsSync) != 0)) {
    return Status(Errno::kEINVAL).AsReturn();
  }
  const VirtAddr to = from + VirtAddr(len).PageCeil().value;
  if (to < from) return Status(Errno::kENOMEM).AsReturn();
  if (to == from) return 0;
  return SyncRange(mm, from, to, flags).AsReturn();
}

}  // namespace mmsim
