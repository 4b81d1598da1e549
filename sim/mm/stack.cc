// SPDX-License-Identifier: Apache-2.0
// Stacks: VMAs that grow downwards when something below them is touched, up to their limit and the guard gap;
// and their move at exec. Linux: mm/mmap.c
#include "sim/mm/hooks.h"
#include "sim/mm/page_table.h"
#include "sim/mm/rmap.h"
#include "sim/mm/verbs.h"
#include "sim/mm/vma_ops.h"

namespace mmsim {

namespace {

// Linux: mm/mmap.c acct_stack_growth()
Status AcctStackGrowth(Vma& vma, const Current& current, uint64_t size_bytes, uint64_t grow_pages) {
  Mm& mm = *vma.mm;
  if (!MayExpandVm(mm, current, vma.flags, grow_pages)) return Errno::kENOMEM;
  if (size_bytes > current.rlimits->Cur(Rlimit::kStack)) return Errno::kENOMEM;
  if (!MlockFutureOk(mm, current, vma.flags, grow_pages << kPageShift)) return Errno::kENOMEM;
  Status status = VmEnoughMemory(mm, current, grow_pages);
  // Charged whether or not the VMA is accounted; given back only if it is. An mprotect to read-only before
  // the first write makes it one that is not.
  if (status.ok() && !vma.Has(kVmAccount)) mm.system.committed_for_good += static_cast<int64_t>(grow_pages);
  return status;
}

}  // namespace

// Linux: mm/mmap.c expand_downwards()
Status ExpandDownwards(Vma& vma, const Current& current, VirtAddr address) {
  Mm& mm = *vma.mm;
  System& system = mm.system;
  if (!vma.Has(kVmGrowsDown)) return Errno::kEFAULT;
  address = address.PageFloor();
  if (address.value < system.sysctl.mmap_min_addr) return Errno::kEPERM;
  const Vma* prev = vma.Prev();
  const uint64_t guard_gap = system.sysctl.stack_guard_gap << kPageShift;
  if (prev != nullptr && !prev->Has(kVmGrowsDown) && prev->IsAccessible() &&
      address - prev->end < guard_gap) {
    return Errno::kENOMEM;
  }
  if (system.failures.ShouldFail(Seam::kVmaTree)) return Errno::kENOMEM;
  // The anon_vma comes even if the growth is refused.
  if (!AnonVmaPrepare(vma).ok()) return Errno::kENOMEM;
  if (address >= vma.start) return {};
  const uint64_t grow = (vma.start - address) >> kPageShift;
  if (grow > vma.pgoff) return Errno::kENOMEM;
  Status status = AcctStackGrowth(vma, current, vma.end - address, grow);
  if (!status.ok()) return status;
  if (vma.Has(kVmLocked)) mm.locked_vm += grow;
  VmStatAccount(mm, vma.flags, static_cast<int64_t>(grow));
  VmaEdit(mm).SetRange(vma, address, vma.end, vma.pgoff - grow);
  Hook(HookPoint::kExpandDownwards, mm, address, address + (grow << kPageShift));
  return {};
}

// The VMA covers both places for the time of the move:
//            new_start     old_start=....new_end      old_end
//                |<------------ vma ------------------->|
// Linux: mm/mmap.c relocate_vma_down()
Status RelocateVmaDown(Vma& vma, uint64_t shift_bytes) {
  Mm& mm = *vma.mm;
  const VirtAddr old_start = vma.start, old_end = vma.end;
  const VirtAddr new_start = old_start - shift_bytes, new_end = old_end - shift_bytes;
  const uint64_t length = old_end - old_start;
  if (mm.vmas.Find(new_start) != &vma) return Errno::kEFAULT;
  VmaMerge vmg{.mm = mm, .start = new_start, .end = old_end, .pgoff = vma.pgoff, .vma = &vma};
  if (!VmaExpand(vmg).ok()) return Errno::kENOMEM;
  if (MovePageTables(vma, old_start, vma, new_start, length, true) != length) return Errno::kENOMEM;
  const VirtAddr ceiling = vma.Next() != nullptr ? VirtAddr(vma.Next()->start) : VirtAddr(0);
  FreePageTables(mm, {std::max(new_end, old_start), old_end}, new_end, ceiling);
  return VmaShrink(vma, new_start, new_end, vma.pgoff);
}

}  // namespace mmsim
