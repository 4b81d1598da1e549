// SPDX-License-Identifier: Apache-2.0
// mlock, munlock, mlockall, munlockall: VM_LOCKED, its limit and its account; then the pages are brought in.
// Linux: mm/mlock.c
//
// Not modelled: the limit that SHM_LOCK shares among a user's processes, secretmem.
#include "sim/mm/arch/layout.h"
#include "sim/mm/gup.h"
#include "sim/mm/mman.h"
#include "sim/mm/page_table.h"
#include "sim/mm/verbs.h"
#include "sim/mm/vma_ops.h"

namespace mmsim {

namespace {

constexpr int64_t Err(Errno e) {
  return -static_cast<int64_t>(e);
}

// Linux: mm/mlock.c mlock_fixup(); *prev becomes the VMA that has [start, end) now, or `vma` when it failed
Status MlockFixup(Vma& vma, Vma** prev, VirtAddr start, VirtAddr end, VmFlags flags) {
  Mm& mm = *vma.mm;
  const VmFlags old_flags = vma.flags;
  Vma* before = *prev;
  *prev = &vma;
  if (flags == old_flags || !VmaSupportsMlock(vma)) return {};
  Result<Vma*> modified = VmaModifyFlags(before, vma, start, end, flags);
  if (!modified.ok()) return modified.error();
  Vma& now = **modified;
  *prev = &now;
  const uint64_t nr_pages = (end - start) >> kPageShift;
  if ((flags & kVmLocked) == 0) {
    mm.locked_vm -= nr_pages;
  } else if ((old_flags & kVmLocked) == 0) {
    mm.locked_vm += nr_pages;
  }
  VmaEdit(mm).SetFlags(now, flags);
  const bool stays_locked = (flags & kVmLocked) != 0 && (old_flags & kVmLocked) != 0;
  if (!stays_locked) MlockVmaPages(now, {start, end});
  return {};
}

// Linux: mm/mlock.c apply_vma_lock_flags()
Status ApplyVmaLockFlags(Mm& mm, VirtAddr start, uint64_t len, VmFlags lock_flags) {
  const VirtAddr end = start + len;
  if (end < start) return Errno::kEINVAL;
  if (end == start) return {};
  Vma* vma = mm.vmas.Lookup(start);
  if (vma == nullptr) return Errno::kENOMEM;
  Vma* prev = start > vma->start ? vma : vma->Prev();
  VirtAddr next_start = start, covered = vma->start;
  while (vma != nullptr && vma->start < end) {
    if (vma->start != covered) return Errno::kENOMEM;
    const VirtAddr to = std::min<VirtAddr>(vma->end, end);
    Status status = MlockFixup(*vma, &prev, next_start, to, (vma->flags & ~kVmLockedMask) | lock_flags);
    if (!status.ok()) return status;
    next_start = covered = prev->end;
    vma = prev->Next();
  }
  return covered < end ? Status(Errno::kENOMEM) : Status();
}

// Pages of the range that are locked already. Linux: mm/mlock.c count_mm_mlocked_page_nr()
uint64_t CountMlockedPages(const Mm& mm, VirtAddr start, uint64_t len) {
  const VirtAddr end = ~uint64_t{0} - len < start.value ? VirtAddr(~uint64_t{0}) : start + len;
  uint64_t bytes = 0;
  for (const Vma* vma = mm.vmas.Find(start); vma != nullptr && vma->start < end; vma = vma->Next()) {
    if (!vma->Has(kVmLocked)) continue;
    if (start > vma->start) bytes -= start - vma->start;
    if (end < vma->end) {
      bytes += end - vma->start;
      break;
    }
    bytes += vma->end - vma->start;
  }
  return bytes >> kPageShift;
}

// Linux: mm/mlock.c apply_mlockall_flags()
void ApplyMlockallFlags(Mm& mm, int flags) {
  VmFlags to_add = 0;
  mm.def_flags &= ~kVmLockedMask;
  if ((flags & mman::kMclFuture) != 0) {
    mm.def_flags |= kVmLocked;
    if ((flags & mman::kMclOnfault) != 0) mm.def_flags |= kVmLockOnFault;
    if ((flags & mman::kMclCurrent) == 0) return;
  }
  if ((flags & mman::kMclCurrent) != 0) {
    to_add |= kVmLocked;
    if ((flags & mman::kMclOnfault) != 0) to_add |= kVmLockOnFault;
  }
  Vma* prev = nullptr;
  for (Vma* vma = mm.vmas.First(); vma != nullptr; vma = prev->Next()) {
    // Errors are ignored; prev is the VMA then.
    const Status status =
        MlockFixup(*vma, &prev, vma->start, vma->end, (vma->flags & ~kVmLockedMask) | to_add);
    static_cast<void>(status.ok());
  }
}

}  // namespace

// Linux: mm/mlock.c do_mlock()
int64_t SysMlock(Mm& mm, const Current& current, uint64_t start, uint64_t len, VmFlags flags) {
  const VirtAddr from(UntaggedAddr(mm.system.arch, start));
  if (!CanDoMlock(current)) return Err(Errno::kEPERM);
  const uint64_t bytes = VirtAddr(len + from.PageOffset()).PageCeil().value;
  const VirtAddr floor = from.PageFloor();
  const uint64_t limit = current.rlimits->Cur(Rlimit::kMemlock) >> kPageShift;
  uint64_t locked = (bytes >> kPageShift) + mm.locked_vm;
  if (locked > limit && !current.cap_ipc_lock) locked -= CountMlockedPages(mm, floor, bytes);
  if (locked > limit && !current.cap_ipc_lock) return Err(Errno::kENOMEM);
  Status status = ApplyVmaLockFlags(mm, floor, bytes, flags);
  if (!status.ok()) return status.AsReturn();
  status = MmPopulate(mm, floor, bytes, false, current.pkru);
  if (status.ok()) return 0;
  // Linux: mm/mlock.c __mlock_posix_error_return()
  if (status.error() == Errno::kEFAULT) return Err(Errno::kENOMEM);
  if (status.error() == Errno::kENOMEM) return Err(Errno::kEAGAIN);
  return status.AsReturn();
}

// Linux: mm/mlock.c SYSCALL_DEFINE2(munlock)
int64_t SysMunlock(Mm& mm, uint64_t start, uint64_t len) {
  const VirtAddr from(UntaggedAddr(mm.system.arch, start));
  const uint64_t bytes = VirtAddr(len + from.PageOffset()).PageCeil().value;
  return ApplyVmaLockFlags(mm, from.PageFloor(), bytes, 0).AsReturn();
}

// Linux: mm/mlock.c SYSCALL_DEFINE1(mlockall)
int64_t SysMlockall(Mm& mm, const Current& current, int flags) {
  constexpr int kAll = mman::kMclCurrent | mman::kMclFuture | mman::kMclOnfault;
  if (flags == 0 || (flags & ~kAll) != 0 || flags == mman::kMclOnfault) return Err(Errno::kEINVAL);
  if (!CanDoMlock(current)) return Err(Errno::kEPERM);
  const bool now = (flags & mman::kMclCurrent) != 0;
  const uint64_t limit = current.rlimits->Cur(Rlimit::kMemlock) >> kPageShift;
  if (now && mm.total_vm > limit && !current.cap_ipc_lock) return Err(Errno::kENOMEM);
  ApplyMlockallFlags(mm, flags);
  if (now) static_cast<void>(MmPopulate(mm, VirtAddr(0), mm.task_size, true, current.pkru).ok());
  return 0;
}

// Linux: mm/mlock.c SYSCALL_DEFINE0(munlockall)
int64_t SysMunlockall(Mm& mm) {
  ApplyMlockallFlags(mm, 0);
  return 0;
}

}  // namespace mmsim
