// SPDX-License-Identifier: Apache-2.0
// brk: the heap's end, and anonymous memory at an address (the ELF loader's bss). Linux: mm/mmap.c
//
// brk never fails: it returns the break that holds after the call.
#include "sim/mm/arch/default_flags.h"
#include "sim/mm/gup.h"
#include "sim/mm/hooks.h"
#include "sim/mm/mman.h"
#include "sim/mm/verbs.h"
#include "sim/mm/vma_ops.h"

namespace mmsim {

namespace {

// Linux: include/linux/mm.h check_data_rlimit()
bool ExceedsDataLimit(const Mm& mm, const Current& current, uint64_t brk) {
  const uint64_t limit = current.rlimits->Cur(Rlimit::kData);
  return limit != kRlimInfinity && (brk - mm.start_brk.value) + (mm.end_data - mm.start_data) > limit;
}

// Linux: mm/mmap.c check_brk_limits()
Status CheckBrkLimits(Mm& mm, const Current& current, uint64_t addr, uint64_t len) {
  const int64_t at = GetUnmappedArea(mm, current, nullptr, addr, len, 0, mman::kMapFixed, 0);
  if (at < 0 && at >= -kMaxErrno) return static_cast<Errno>(-at);
  if (!MlockFutureOk(mm, current, mm.def_flags, len)) return Errno::kEAGAIN;
  return {};
}

// Makes [addr, addr + len) part of `vma`, which may end there, or a VMA of its own. Linux: mm/mmap.c
// do_brk_flags()
Status DoBrkFlags(Mm& mm, const Current& current, Vma* vma, VirtAddr addr, uint64_t len, VmFlags flags) {
  System& system = mm.system;
  const uint64_t pages = len >> kPageShift;
  flags |= VmDataDefaultFlags(system.arch, current.personality) | kVmAccount | mm.def_flags;
  if (!MayExpandVm(mm, current, flags, pages)) return Errno::kENOMEM;
  if (mm.map_count > system.sysctl.max_map_count) return Errno::kENOMEM;
  if (!VmEnoughMemory(mm, current, pages).ok()) return Errno::kENOMEM;
  VmaEdit edit(mm);
  Vma* grown = nullptr;
  if (vma != nullptr && vma->end == addr) {
    VmaMerge vmg{.mm = mm,
                 .start = addr,
                 .end = addr + len,
                 .flags = flags,
                 .pgoff = addr.PageNumber(),
                 .prev = vma,
                 .just_expand = true};
    grown = VmaMergeNewRange(vmg);
    if (grown == nullptr && vmg.nomem) {
      VmUnacctMemory(system, pages);
      return Errno::kENOMEM;
    }
  }
  if (grown == nullptr) {
    grown = VmAreaAlloc(mm);
    if (grown == nullptr || system.failures.ShouldFail(Seam::kVmaTree)) {
      if (grown != nullptr) VmAreaFree(grown);
      VmUnacctMemory(system, pages);
      return Errno::kENOMEM;
    }
    edit.SetRange(*grown, addr, addr + len, addr.PageNumber());
    edit.SetFlags(*grown, flags);
    edit.SetPageProt(*grown);
    edit.Attach(*grown);
    ++mm.map_count;
    Hook(HookPoint::kDoBrkFlags, mm, grown->start, grown->end);
  }
  mm.total_vm += pages;
  mm.data_vm += pages;
  if ((flags & kVmLocked) != 0) mm.locked_vm += pages;
  edit.AddFlags(*grown, system.SoftDirtyFlag());
  return {};
}

// The heap grows from `oldbrk` to `newbrk`; false when it cannot.
bool GrowHeap(Mm& mm, const Current& current, VirtAddr oldbrk, VirtAddr newbrk) {
  if (!CheckBrkLimits(mm, current, oldbrk.value, newbrk - oldbrk).ok()) return false;
  Vma* prev = nullptr;
  const Vma* next = mm.vmas.FindPrev(oldbrk, &prev);
  // A page is left free, and a stack's guard gap. (Who starts beyond that is no neighbour.)
  const VirtAddr near = newbrk + kPageSize + (mm.system.sysctl.stack_guard_gap << kPageShift);
  if (next != nullptr && next->start < near && newbrk + kPageSize > VmStartGap(*next)) return false;
  // Linux: vma_prev_limit(): what ends at or before start_brk is not the heap.
  if (prev != nullptr && prev->end <= mm.start_brk) prev = nullptr;
  return DoBrkFlags(mm, current, prev, oldbrk, newbrk - oldbrk, 0).ok();
}

}  // namespace

// Linux: mm/mmap.c SYSCALL_DEFINE1(brk)
int64_t SysBrk(Mm& mm, const Current& current, uint64_t brk) {
  const auto unchanged = static_cast<int64_t>(mm.brk.value);
  if (brk < mm.start_brk.value || ExceedsDataLimit(mm, current, brk)) return unchanged;
  const VirtAddr newbrk = VirtAddr(brk).PageCeil(), oldbrk = mm.brk.PageCeil();
  if (oldbrk == newbrk) {
    mm.brk = VirtAddr(brk);
    return static_cast<int64_t>(brk);
  }
  if (brk <= mm.brk.value) {
    Vma* heap = mm.vmas.FindIntersection(newbrk, oldbrk);
    if (heap == nullptr || !DoMunmapAligned(mm, *heap, newbrk, oldbrk).ok()) return unchanged;
    mm.brk = VirtAddr(brk);
    return static_cast<int64_t>(brk);
  }
  if (!GrowHeap(mm, current, oldbrk, newbrk)) return unchanged;
  mm.brk = VirtAddr(brk);
  if ((mm.def_flags & kVmLocked) != 0) {
    static_cast<void>(MmPopulate(mm, oldbrk, newbrk - oldbrk, true).ok());
  }
  return static_cast<int64_t>(brk);
}

// Linux: mm/mmap.c vm_brk_flags()
Status VmBrkFlags(Mm& mm, const Current& current, uint64_t addr, uint64_t request, VmFlags flags) {
  const uint64_t len = VirtAddr(request).PageCeil().value;
  if (len < request) return Errno::kENOMEM;
  if (len == 0) return {};
  if ((flags & ~kVmExec) != 0) return Errno::kEINVAL;
  Status status = CheckBrkLimits(mm, current, addr, len);
  if (!status.ok()) return status;
  status = DoMunmap(mm, addr, len);
  if (!status.ok()) return status;
  Vma* prev = nullptr;
  mm.vmas.FindPrev(VirtAddr(addr), &prev);
  status = DoBrkFlags(mm, current, prev, VirtAddr(addr), len, flags);
  if (status.ok() && (mm.def_flags & kVmLocked) != 0) {
    static_cast<void>(MmPopulate(mm, VirtAddr(addr), len, true).ok());
  }
  return status;
}

}  // namespace mmsim
