// SPDX-License-Identifier: Apache-2.0
// The surgery of VMAs that the verbs are made of: split, merge, modify, expand, shrink, unmap, copy. One
// struct is threaded through a merge, another through an unmapping, as in the kernel. Linux: mm/vma.h,
// mm/vma.c
//
// The kernel's iterator has no counterpart: neighbours are reached from the VMA itself. Where a function
// leaves the iterator on a VMA that the caller reads on, it is the VMA returned here. Not modelled: uprobes,
// userfaultfd contexts, memory policies, anonymous names, the locks of VMAs.
#pragma once

#include <absl/container/inlined_vector.h>

#include <cstdint>

#include "sim/base/errno.h"
#include "sim/mm/current.h"
#include "sim/mm/mm.h"
#include "sim/mm/vma.h"

namespace mmsim {

// --- predicates of flags. Linux: mm/vma.h

inline bool IsExecMapping(VmFlags flags) {
  return (flags & (kVmExec | kVmWrite | kVmStack)) == kVmExec;
}
inline bool IsStackMapping(VmFlags flags) {
  return (flags & kVmStack) == kVmStack;
}
inline bool IsDataMapping(VmFlags flags) {
  return (flags & (kVmWrite | kVmShared | kVmStack)) == kVmWrite;
}
inline bool CanModifyVma(const Vma& vma) {
  return !vma.Has(kVmSealed);
}
// Whether memory is or was written to that is to be executed. Linux: include/linux/mman.h
// map_deny_write_exec()
inline bool MapDenyWriteExec(const Mm& mm, VmFlags old_flags, VmFlags new_flags) {
  if (!mm.mdwe || !(new_flags & kVmExec)) return false;
  return (new_flags & kVmWrite) || !(old_flags & kVmExec);
}
// Whether a merge may make it disappear: not where its end is counted (vm_ops->close).
inline bool CanMergeRemoveVma(const Vma& vma) {
  return vma.ops != VmOps::kSysvShm && vma.ops != VmOps::kSpecial;
}
// The address below which nothing may be placed without asking a stack's guard gap. Linux:
// include/linux/mm.h vm_start_gap()
VirtAddr VmStartGap(const Vma& vma);

// --- merging

// A merge that is wanted: the range and what its VMA would be like. Linux: struct vma_merge_struct
struct VmaMerge {
  Mm& mm;
  VirtAddr start, end;
  VmFlags flags = 0;
  uint64_t pgoff = 0;
  Vma* prev = nullptr;
  Vma* next = nullptr;  // found by a merge of an existing range itself
  Vma* vma = nullptr;   // the VMA being modified; null for a new range; in the end the one that grew
  File* file = nullptr;
  AnonVma* anon_vma = nullptr;
  Vma* copied_from = nullptr;   // the new range takes over this one's pages (mremap)
  bool just_expand = false;     // VMG_FLAG_JUST_EXPAND
  bool expands = false;         // set by vma_expand(): it takes in addresses that the VMA did not have
  bool give_up_on_oom = false;  // then a lack of memory is no error, but no merge
  bool nomem = false;           // VMA_MERGE_ERROR_NOMEM
};
// `vma`'s attributes, for [start, end) of it. Linux: VMG_VMA_STATE
VmaMerge MergeOf(Vma& vma, Vma* prev, VirtAddr start, VirtAddr end);

// A new range joins its neighbours: the VMA that has it now, or null. Linux: mm/vma.c vma_merge_new_range()
Vma* VmaMergeNewRange(VmaMerge& vmg);
// Part of vmg.vma with other attributes joins a neighbour: the VMA that has it now, or null. Linux: mm/vma.c
// vma_merge_existing_range()
Vma* VmaMergeExistingRange(VmaMerge& vmg);
// `vma` grows by `delta_bytes` at its end; null when memory is short. Linux: mm/vma.c vma_merge_extend()
Vma* VmaMergeExtend(Vma& vma, uint64_t delta_bytes);
// Linux: mm/vma.c vma_expand()
Status VmaExpand(VmaMerge& vmg);
// Linux: mm/vma.c vma_shrink()
Status VmaShrink(Vma& vma, VirtAddr start, VirtAddr end, uint64_t pgoff);

// --- splitting and modifying

// `vma` is cut at `addr`; the new VMA is the lower part (new_below) or the upper one. Linux: mm/vma.c
// split_vma(), which minds max_map_count, and __split_vma(), which does not
Status SplitVma(Vma& vma, VirtAddr addr, bool new_below);
Status SplitVmaUnchecked(Vma& vma, VirtAddr addr, bool new_below);
// Makes [start, end) of `vma` a VMA that may have `flags`, by a merge or by splits; it is the caller who sets
// them. `prev` is the VMA before `start`, `vma` itself when start lies inside. Linux: mm/vma.c
// vma_modify_flags()
Result<Vma*> VmaModifyFlags(Vma* prev, Vma& vma, VirtAddr start, VirtAddr end, VmFlags flags);

// --- linking

// Linux: mm/vma.c vma_link_file(), unlink_file_vma()
void VmaLinkFile(Vma& vma);
void UnlinkFileVma(Vma& vma);
// Linux: mm/vma.c vma_link()
Status VmaLink(Mm& mm, Vma& vma);
// vm_ops->open and close.
void VmaOpen(Vma& vma);
void VmaClose(Vma& vma);
// Closed and freed. Linux: mm/vma.c remove_vma()
void RemoveVma(Vma* vma);
// mremap's new place for (part of) *vmap, by a merge or as a VMA of its own; *vmap follows when the source
// was merged into it. Null when memory is short. Linux: mm/vma.c copy_vma()
Vma* CopyVma(Vma** vmap, VirtAddr addr, uint64_t len_bytes, uint64_t pgoff, bool keep_source);
// Linux: mm/vma.c find_mergeable_anon_vma()
AnonVma* FindMergeableAnonVma(const Vma& vma);

// --- unmapping

// Linux: struct vma_munmap_struct
struct VmaMunmap {
  Mm& mm;
  Vma* vma;             // the first to go, or null
  VirtAddr start, end;  // 0 when there is none
  Vma* prev = nullptr;
  Vma* next = nullptr;
  VirtAddr unmap_start, unmap_end;  // what neighbours leave free for tables
  absl::InlinedVector<Vma*, 8> gathered;
  bool clear_ptes = false;
  bool in_tree = true;  // the gathered VMAs still are
  uint64_t nr_pages = 0, locked_vm = 0, nr_accounted = 0, exec_vm = 0, stack_vm = 0, data_vm = 0;

  VmaMunmap(Mm& m, Vma* first, VirtAddr s, VirtAddr e);
};
// Linux: mm/vma.c vms_gather_munmap_vmas()
Status VmsGatherMunmapVmas(VmaMunmap& vms);
// Pages and attachments go; from here on the VMAs are lost, whatever else fails. Linux: vms_clean_up_area()
void VmsCleanUpArea(VmaMunmap& vms);
// Linux: mm/vma.c vms_complete_munmap_vmas()
void VmsCompleteMunmapVmas(VmaMunmap& vms);
// Linux: mm/vma.h vms_abort_munmap_vmas()
void VmsAbortMunmapVmas(VmaMunmap& vms);
// Linux: mm/vma.c do_vmi_align_munmap(), do_vmi_munmap(); `start` is not untagged here
Status DoMunmapAligned(Mm& mm, Vma& first, VirtAddr start, VirtAddr end);
Status DoMunmap(Mm& mm, uint64_t start, uint64_t len);

// --- accounts (account.cc). Linux: mm/mmap.c vm_stat_account(), mlock_future_ok(), mm/mlock.c can_do_mlock()

void VmStatAccount(Mm& mm, VmFlags flags, int64_t nr_pages);
bool MlockFutureOk(const Mm& mm, const Current& current, VmFlags flags, uint64_t bytes);
bool CanDoMlock(const Current& current);
// Linux: mm/util.c vm_commit_limit()
uint64_t VmCommitLimit(const System& system);
// Linux: include/linux/mm.h update_hiwater_vm(), update_hiwater_rss()
void UpdateHiwaterVm(Mm& mm);
void UpdateHiwaterRss(Mm& mm);

// --- used by several verbs

// Linux: mm/mprotect.c mprotect_fixup(); *prev becomes the VMA that has [start, end) now
Status MprotectFixup(Vma& vma, const Current& current, Vma** prev, VirtAddr start, VirtAddr end,
                     VmFlags flags);
// Linux: mm/internal.h vma_supports_mlock() as in mm/mlock.c and mm/mmap.c
bool VmaSupportsMlock(const Vma& vma);

}  // namespace mmsim
