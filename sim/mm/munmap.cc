// SPDX-License-Identifier: Apache-2.0
// munmap, and the unmapping that MAP_FIXED, mremap and brk do: gather (with splits at the ends), take out of
// the tree, clear tables and pages, settle accounts. Linux: mm/vma.c, mm/mmap.c
//
// A call that fails has changed no mapping, but the splits stay. Not modelled: the lock's downgrade.
#include <utility>

#include "sim/base/check.h"
#include "sim/mm/arch/layout.h"
#include "sim/mm/hooks.h"
#include "sim/mm/mmu_notifier.h"
#include "sim/mm/page_table.h"
#include "sim/mm/rmap.h"
#include "sim/mm/verbs.h"
#include "sim/mm/vma_ops.h"

namespace mmsim {

// Linux: mm/vma.h init_vma_munmap()
VmaMunmap::VmaMunmap(Mm& m, Vma* first, VirtAddr s, VirtAddr e) : mm(m), vma(first) {
  if (first == nullptr) return;
  start = s;
  end = e;
}

namespace {

void Gather(VmaMunmap& vms, Vma* vma) {
  vms.gathered.push_back(vma);
  const uint64_t pages = vma->NrPages();
  vms.nr_pages += pages;
  if (vma->Has(kVmLocked)) vms.locked_vm += pages;
  if (vma->Has(kVmAccount)) vms.nr_accounted += pages;
  if (IsExecMapping(vma->flags)) {
    vms.exec_vm += pages;
  } else if (IsStackMapping(vma->flags)) {
    vms.stack_vm += pages;
  } else if (IsDataMapping(vma->flags)) {
    vms.data_vm += pages;
  }
}

// Forgets what was gathered: the VMAs are still in the tree. Linux: mm/vma.h reattach_vmas()
void Reattach(VmaMunmap& vms) {
  vms.gathered.clear();
  vms.nr_pages = 0;
}

}  // namespace

Status VmsGatherMunmapVmas(VmaMunmap& vms) {
  Mm& mm = vms.mm;
  if (vms.start > vms.vma->start) {
    // map_count may be above its limit for a moment, but not when the call returns.
    if (vms.end < vms.vma->end && mm.map_count >= mm.system.sysctl.max_map_count) return Errno::kENOMEM;
    if (!CanModifyVma(*vms.vma)) return Errno::kEPERM;
    Status status = SplitVmaUnchecked(*vms.vma, vms.start, true);
    if (!status.ok()) return status;
  }
  vms.prev = vms.vma->Prev();
  if (vms.prev != nullptr) vms.unmap_start = vms.prev->end;
  Vma* vma = vms.vma;
  for (; vma != nullptr && vma->start < vms.end; vma = vma->Next()) {
    Status status;
    if (!CanModifyVma(*vma)) {
      status = Errno::kEPERM;
    } else if (vma->end > vms.end) {
      status = SplitVmaUnchecked(*vma, vms.end, false);
    }
    if (status.ok() && mm.system.failures.ShouldFail(Seam::kVmaTree)) status = Errno::kENOMEM;
    if (!status.ok()) {
      Reattach(vms);
      return status;
    }
    Gather(vms, vma);
  }
  vms.next = vma;
  if (vms.next != nullptr) vms.unmap_end = vms.next->start;
  vms.clear_ptes = true;
  return {};
}

namespace {

// Tables of neighbouring VMAs are freed in one go. Linux: mm/memory.c free_pgtables()
void FreeTablesOf(Mm& mm, const VmaMunmap& vms) {
  const auto& list = vms.gathered;
  for (size_t i = 0; i < list.size(); ++i) {
    const VirtAddr start = list[i]->start;
    UnlinkAnonVmas(*list[i]);
    UnlinkFileVma(*list[i]);
    while (i + 1 < list.size() && list[i + 1]->start <= list[i]->end + kPmdSize) {
      ++i;
      UnlinkAnonVmas(*list[i]);
      UnlinkFileVma(*list[i]);
    }
    const VirtAddr ceiling = i + 1 < list.size() ? list[i + 1]->start : vms.unmap_end;
    FreePageTables(mm, {start, list[i]->end}, vms.unmap_start, ceiling);
  }
}

// Linux: mm/vma.c vms_clear_ptes()
void VmsClearPtes(VmaMunmap& vms) {
  if (!vms.clear_ptes) return;
  Mm& mm = vms.mm;
  MmuGather tlb(mm);
  UpdateHiwaterRss(mm);
  {
    const Invalidation unmap(MmuNotifyEvent::kUnmap, mm, vms.start, vms.end);
    for (Vma* vma : vms.gathered) UnmapPageRange(tlb, *vma, vma->Range());
  }
  FreeTablesOf(mm, vms);
  vms.clear_ptes = false;
}

void TakeOutOfTree(VmaMunmap& vms) {
  if (!vms.in_tree) return;
  VmaEdit edit(vms.mm);
  for (Vma* vma : vms.gathered) edit.Detach(*vma);
  vms.in_tree = false;
}

}  // namespace

void VmsCleanUpArea(VmaMunmap& vms) {
  if (vms.nr_pages == 0) return;
  VmsClearPtes(vms);
  for (Vma* vma : vms.gathered) VmaClose(*vma);
  // The kernel overwrites them when it stores what comes in their place; whatever fails until then leaves a
  // gap.
  TakeOutOfTree(vms);
}

void VmsCompleteMunmapVmas(VmaMunmap& vms) {
  Mm& mm = vms.mm;
  mm.map_count -= static_cast<int>(vms.gathered.size());
  mm.locked_vm -= vms.locked_vm;
  if (vms.nr_pages == 0) return;
  TakeOutOfTree(vms);
  VmsClearPtes(vms);
  UpdateHiwaterVm(mm);
  mm.total_vm -= vms.nr_pages;
  mm.exec_vm -= vms.exec_vm;
  mm.stack_vm -= vms.stack_vm;
  mm.data_vm -= vms.data_vm;
  for (Vma* vma : vms.gathered) RemoveVma(vma);
  VmUnacctMemory(mm.system, vms.nr_accounted);
  vms.gathered.clear();
}

void VmsAbortMunmapVmas(VmaMunmap& vms) {
  if (vms.nr_pages == 0) return;
  if (vms.clear_ptes) {
    Reattach(vms);
    return;
  }
  Hook(HookPoint::kVmsAbortMunmapVmas, vms.mm, vms.start, vms.end);
  VmsCompleteMunmapVmas(vms);
}

// Linux: mm/vma.c do_vmi_align_munmap()
Status DoMunmapAligned(Mm& mm, Vma& first, VirtAddr start, VirtAddr end) {
  VmaMunmap vms(mm, &first, start, end);
  Status status = VmsGatherMunmapVmas(vms);
  if (!status.ok()) return status;
  if (mm.system.failures.ShouldFail(Seam::kVmaTree)) {
    Reattach(vms);
    return Errno::kENOMEM;
  }
  TakeOutOfTree(vms);
  Hook(HookPoint::kDoVmiAlignMunmap, mm, start, end);
  VmsCompleteMunmapVmas(vms);
  return {};
}

// Linux: mm/vma.c do_vmi_munmap()
Status DoMunmap(Mm& mm, uint64_t start, uint64_t len) {
  const VirtAddr from(start);
  if (!from.IsPageAligned() || start > mm.task_size || len > mm.task_size - start) return Errno::kEINVAL;
  const VirtAddr to = from + VirtAddr(len).PageCeil().value;
  if (to == from) return Errno::kEINVAL;
  Vma* first = mm.vmas.FindIntersection(from, to);
  if (first == nullptr) return {};
  return DoMunmapAligned(mm, *first, from, to);
}

// Linux: mm/mmap.c __vm_munmap()
int64_t SysMunmap(Mm& mm, uint64_t addr, uint64_t len) {
  return DoMunmap(mm, UntaggedAddr(mm.system.arch, addr), len).AsReturn();
}

}  // namespace mmsim
