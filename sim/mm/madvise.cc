// SPDX-License-Identifier: Apache-2.0
// madvise: which advice is known, what each demands of a VMA, and the advice that is but a flag; what
// concerns pages is in madvise_pages.cc. Linux: mm/madvise.c, mm/mseal.c
//
// Holes do not stop it: the VMAs behind them are advised, and ENOMEM is returned in the end.
// Not modelled: hugetlbfs, poisoned pages (MADV_HWPOISON and MADV_SOFT_OFFLINE do nothing), KSM's scanning
// (VM_MERGEABLE is set, no page is merged).
#include "sim/mm/arch/layout.h"
#include "sim/mm/gup.h"
#include "sim/mm/mman.h"
#include "sim/mm/page_table.h"
#include "sim/mm/verbs.h"
#include "sim/mm/vma_ops.h"

namespace mmsim {

namespace {

using namespace mman;  // NOLINT(google-build-using-namespace): the advice's names

constexpr int64_t Err(Errno e) {
  return -static_cast<int64_t>(e);
}

struct Advice {
  Mm& mm;
  const Current& current;
  int behavior;
};

// Linux: mm/madvise.c madvise_behavior_valid()
bool BehaviorValid(const System& system, int behavior) {
  switch (behavior) {
    case kMadvHugepage:
    case kMadvNohugepage:
    case kMadvCollapse:
      return system.profile.thp;
    case kMadvHwpoison:
    case kMadvSoftOffline:
      return true;
    default:
      return (behavior >= kMadvNormal && behavior <= kMadvDontneed) ||
             (behavior >= kMadvFree && behavior <= kMadvDontneedLocked);
  }
}

// Linux: mm/mseal.c is_madv_discard()
bool IsDiscard(int behavior) {
  switch (behavior) {
    case kMadvFree:
    case kMadvDontneed:
    case kMadvDontneedLocked:
    case kMadvRemove:
    case kMadvDontfork:
    case kMadvWipeonfork:
      return true;
    default:
      return false;
  }
}

// Linux: mm/mseal.c can_modify_vma_madv(), is_ro_anon(): sealed anonymous memory that may not be written to
// may not be thrown away either.
bool CanModifyVmaMadv(const Advice& advice, const Vma& vma) {
  if (!IsDiscard(advice.behavior) || CanModifyVma(vma)) return true;
  if (vma.file != nullptr || vma.Has(kVmShared)) return true;
  const auto pkey = static_cast<unsigned>((vma.flags & kVmPkeyMask) >> kVmPkeyShift);
  const bool key_allows = (advice.current.pkru >> (2 * pkey) & 3) == 0 || pkey == 0;
  return vma.Has(kVmWrite) && key_allows;
}

// Linux: mm/madvise.c can_madv_lru_vma()
bool CanMadvLru(const Vma& vma) {
  return !vma.Has(kVmLocked | kVmPfnMap | kVmHugetlb);
}

// Linux: mm/ksm.c vma_ksm_compatible()
bool KsmCompatible(const Vma& vma) {
  return !vma.Has(kVmShared | kVmMayShare | kVmPfnMap | kVmIo | kVmDontExpand | kVmHugetlb | kVmMixedMap |
                  kVmDroppable);
}

// The flags after advice that is a flag, or EINVAL. Linux: mm/madvise.c madvise_vma_behavior()
Result<VmFlags> AdvisedFlags(const Vma& vma, int behavior) {
  const VmFlags flags = vma.flags;
  switch (behavior) {
    case kMadvNormal:
      return flags & ~(kVmRandRead | kVmSeqRead);
    case kMadvSequential:
      return (flags & ~kVmRandRead) | kVmSeqRead;
    case kMadvRandom:
      return (flags & ~kVmSeqRead) | kVmRandRead;
    case kMadvDontfork:
      return flags | kVmDontCopy;
    case kMadvDofork:
      if (vma.Has(kVmIo)) return Errno::kEINVAL;
      return flags & ~kVmDontCopy;
    case kMadvWipeonfork:
      if (vma.file != nullptr || vma.Has(kVmShared)) return Errno::kEINVAL;
      return flags | kVmWipeOnFork;
    case kMadvKeeponfork:
      if (vma.Has(kVmDroppable)) return Errno::kEINVAL;
      return flags & ~kVmWipeOnFork;
    case kMadvDontdump:
      return flags | kVmDontDump;
    case kMadvDodump:
      if (vma.Has(kVmSpecial | kVmDroppable)) return Errno::kEINVAL;
      return flags & ~kVmDontDump;
    case kMadvMergeable:
      return KsmCompatible(vma) ? flags | kVmMergeable : flags;
    case kMadvUnmergeable:
      return flags & ~kVmMergeable;
    case kMadvHugepage:
      return (flags & ~kVmNoHugepage) | kVmHugepage;
    case kMadvNohugepage:
      return (flags & ~kVmHugepage) | kVmNoHugepage;
    default:
      return Errno::kEINVAL;
  }
}

// Linux: mm/madvise.c madvise_update_vma()
Status UpdateVma(Vma& vma, Vma** prev, VirtRange range, VmFlags flags) {
  if (flags == vma.flags) {
    *prev = &vma;
    return {};
  }
  Mm& mm = *vma.mm;  // a merge may free the VMA
  Result<Vma*> modified = VmaModifyFlags(*prev, vma, range.start, range.end, flags);
  if (!modified.ok()) return modified.error();
  *prev = *modified;
  VmaEdit(mm).SetFlags(**modified, flags);
  return {};
}

// Linux: mm/madvise.c madvise_dontneed_free()
Status DontneedFree(Vma& vma, VirtRange range, int behavior) {
  const VmFlags forbidden = kVmPfnMap | (behavior != kMadvDontneedLocked ? kVmLocked : 0);
  if (vma.Has(forbidden)) return Errno::kEINVAL;
  if (behavior == kMadvFree) {
    if (!vma.IsAnonymous()) return Errno::kEINVAL;
    MadviseFreePages(vma, range);
  } else {
    ZapPageRangeSingle(vma, range);
  }
  return {};
}

// Linux: mm/madvise.c madvise_remove()
Status Remove(Vma& vma, VirtRange range) {
  if (vma.Has(kVmLocked) || vma.file == nullptr) return Errno::kEINVAL;
  if ((vma.flags & (kVmShared | kVmMayWrite)) != (kVmShared | kVmMayWrite)) return Errno::kEACCES;
  const FileRef file = vma.file;
  return InodePunchHole(*file->inode, vma.PgoffOf(range.start) << kPageShift, range.LenBytes());
}

// Linux: mm/madvise.c madvise_vma_behavior(). *prev is the VMA that has the range now, or null when the walk
// must look it up by address (the lock was dropped).
Status VmaBehavior(const Advice& advice, Vma& vma, Vma** prev, VirtRange range) {
  if (!CanModifyVmaMadv(advice, vma)) return Errno::kEPERM;
  switch (advice.behavior) {
    case kMadvRemove:
      *prev = nullptr;
      return Remove(vma, range);
    case kMadvWillneed:
      *prev = vma.file != nullptr && vma.ops != VmOps::kShmem && vma.ops != VmOps::kSysvShm ? nullptr : &vma;
      MadviseWillneedPages(vma, range);
      return {};
    case kMadvCold:
    case kMadvPageout:
      *prev = &vma;
      if (!CanMadvLru(vma)) return Errno::kEINVAL;
      advice.behavior == kMadvCold ? MadviseColdPages(vma, range) : MadvisePageoutPages(vma, range);
      return {};
    case kMadvFree:
    case kMadvDontneed:
    case kMadvDontneedLocked:
      *prev = &vma;
      return DontneedFree(vma, range, advice.behavior);
    case kMadvCollapse:
      *prev = &vma;
      return MadviseCollapsePages(vma, range);
    default:
      break;
  }
  Result<VmFlags> flags = AdvisedFlags(vma, advice.behavior);
  if (!flags.ok()) return flags.error();
  Status status = UpdateVma(vma, prev, range, *flags);
  if (!status.ok() && status.error() == Errno::kENOMEM) return Errno::kEAGAIN;
  return status;
}

// Linux: mm/madvise.c madvise_walk_vmas()
Status WalkVmas(const Advice& advice, VirtAddr start, VirtAddr end) {
  Status unmapped;
  Vma* prev = nullptr;
  Vma* vma = advice.mm.vmas.FindPrev(start, &prev);
  if (vma != nullptr && start > vma->start) prev = vma;
  for (;;) {
    if (vma == nullptr) return Errno::kENOMEM;
    if (start < vma->start) {
      unmapped = Errno::kENOMEM;
      start = vma->start;
      if (start >= end) break;
    }
    const VirtAddr to = std::min<VirtAddr>(vma->end, end);
    Status status = VmaBehavior(advice, *vma, &prev, {start, to});
    if (!status.ok()) return status;
    start = to;
    if (prev != nullptr && start < prev->end) start = prev->end;
    if (start >= end) break;
    vma = advice.mm.vmas.Find(prev != nullptr ? VirtAddr(prev->end) : start);
  }
  return unmapped;
}

}  // namespace

// Linux: mm/madvise.c do_madvise()
int64_t SysMadvise(Mm& mm, const Current& current, uint64_t start, uint64_t len, int advice) {
  if (!BehaviorValid(mm.system, advice) || !VirtAddr(start).IsPageAligned()) return Err(Errno::kEINVAL);
  const uint64_t bytes = VirtAddr(len).PageCeil().value;
  if (len != 0 && bytes == 0) return Err(Errno::kEINVAL);
  if (start + bytes < start) return Err(Errno::kEINVAL);
  if (bytes == 0) return 0;
  if (advice == kMadvHwpoison || advice == kMadvSoftOffline) {
    return current.cap_sys_admin ? 0 : Err(Errno::kEPERM);
  }
  const VirtAddr from(UntaggedAddr(mm.system.arch, start));
  if (advice == kMadvPopulateRead || advice == kMadvPopulateWrite) {
    return MadvisePopulate(mm, from, bytes, advice == kMadvPopulateWrite, current.pkru);
  }
  return WalkVmas({mm, current, advice}, from, from + bytes).AsReturn();
}

}  // namespace mmsim
