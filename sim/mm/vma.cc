// SPDX-License-Identifier: Apache-2.0
// VMAs one at a time: their making, the door through which they change, their links to files, splits and
// modification. Merges are in vma_merge.cc.
//
// Invariants: a VMA with a file is in the file's i_mmap exactly while it is attached or being unmapped, and
// counts in i_mmap_writable there when it is shared and may be written; map_count is the number of attached
// VMAs (an unmapping under way aside).
#include "sim/mm/vma.h"

#include "sim/base/check.h"
#include "sim/mm/hooks.h"
#include "sim/mm/mm.h"
#include "sim/mm/page_table.h"
#include "sim/mm/rmap.h"
#include "sim/mm/shm_segment.h"
#include "sim/mm/verbs.h"
#include "sim/mm/vma_ops.h"

namespace mmsim {
namespace {

// Linux: mm/vma.c vma_wants_writenotify()
bool VmaWantsWritenotify(const Vma& vma) {
  if ((vma.flags & (kVmShared | kVmWrite)) != (kVmShared | kVmWrite)) return false;
  if (vma.ops == VmOps::kFile) return true;  // page_mkwrite
  return VmaSoftDirtyEnabled(vma.mm->system, vma);
}

}  // namespace

void VmaEdit::Attach(Vma& vma) {
  MMSIM_CHECK(!vma.attached && vma.mm == &mm_);
  vma.attached.value_ = true;
  mm_.vmas.Insert(&vma);
}

void VmaEdit::Detach(Vma& vma) {
  MMSIM_CHECK(vma.attached);
  mm_.vmas.Erase(&vma);
  vma.attached.value_ = false;
}

void VmaEdit::SetRange(Vma& vma, VirtAddr start, VirtAddr end, uint64_t pgoff) {
  if (vma.attached && (vma.start != start || vma.end != end)) {
    mm_.vmas.Update(&vma, vma.start, vma.end, start, end);
  }
  vma.start.Set(start);
  vma.end.Set(end);
  vma.pgoff.value_ = pgoff;
}

void VmaEdit::SetFlags(Vma& vma, VmFlags flags) {
  vma.flags.value_ = flags;
}

void VmaEdit::SetFile(Vma& vma, FileRef file, VmOps ops) {
  vma.file.Set(std::move(file));
  vma.ops.value_ = ops;
}

// Linux: what mm/mmap.c vma_set_page_prot() computes
PgProt PageProtOf(const Vma& vma) {
  const VmFlags flags = VmaWantsWritenotify(vma) ? vma.flags & ~kVmShared : VmFlags{vma.flags};
  return VmGetPageProt(vma.mm->system.arch, flags);
}

Vma* VmAreaAlloc(Mm& mm) {
  if (mm.system.failures.ShouldFail(Seam::kVma)) return nullptr;
  Vma* vma = new Vma;
  vma->mm = &mm;
  vma->id = mm.system.next_id++;
  return vma;
}

Vma* VmAreaDup(const Vma& vma, Mm& mm) {
  Vma* dup = VmAreaAlloc(mm);
  if (dup == nullptr) return nullptr;
  VmaEdit edit(mm);
  edit.SetRange(*dup, vma.start, vma.end, vma.pgoff);
  edit.SetFlags(*dup, vma.flags);
  edit.SetFile(*dup, vma.file, vma.ops);
  edit.CopyPageProt(*dup, vma);
  dup->anon_vma = vma.anon_vma;
  dup->special = vma.special;
  dup->shm = vma.shm;
  return dup;
}

void VmAreaFree(Vma* vma) {
  MMSIM_CHECK(!vma->attached && vma->anon_vma_chain.empty());
  delete vma;
}

VirtAddr VmStartGap(const Vma& vma) {
  if (!vma.Has(kVmGrowsDown)) return vma.start;
  const uint64_t gap = vma.mm->system.sysctl.stack_guard_gap << kPageShift;
  return vma.start.value < gap ? VirtAddr(0) : vma.start - gap;
}

bool VmaSupportsMlock(const Vma& vma) {
  return !vma.Has(kVmSpecial | kVmDroppable);
}

// --- files

namespace {

// Linux: include/linux/mm.h is_shared_maywrite()
bool IsSharedMayWrite(VmFlags flags) {
  return (flags & (kVmShared | kVmMayWrite)) == (kVmShared | kVmMayWrite);
}

}  // namespace

void VmaLinkFile(Vma& vma) {
  if (vma.file == nullptr) return;
  Inode& inode = *vma.file->inode;
  if (IsSharedMayWrite(vma.flags)) ++inode.i_mmap_writable;
  inode.i_mmap.push_back(vma);
}

void UnlinkFileVma(Vma& vma) {
  if (vma.file == nullptr) return;
  Inode& inode = *vma.file->inode;
  if (IsSharedMayWrite(vma.flags)) --inode.i_mmap_writable;
  inode.i_mmap.erase(inode.i_mmap.iterator_to(vma));
}

Status VmaLink(Mm& mm, Vma& vma) {
  if (mm.system.failures.ShouldFail(Seam::kVmaTree)) return Errno::kENOMEM;
  VmaEdit(mm).Attach(vma);
  VmaLinkFile(vma);
  ++mm.map_count;
  Hook(HookPoint::kVmaLink, mm, vma.start, vma.end);
  return {};
}

void VmaOpen(Vma& vma) {
  if (vma.ops == VmOps::kSysvShm) ShmOpen(*vma.shm);
}

void VmaClose(Vma& vma) {
  if (vma.ops != VmOps::kSysvShm) return;
  ShmSegment* shm = vma.shm;
  // A closed VMA has no operations any more, so that it is not closed twice (vma_close() sets
  // vma_dummy_vm_ops).
  VmaEdit(*vma.mm).SetFile(vma, vma.file, VmOps::kShmem);
  vma.shm = nullptr;
  ShmClose(shm);
}

void RemoveVma(Vma* vma) {
  VmaClose(*vma);
  VmAreaFree(vma);
}

// --- splits

// Linux: mm/vma.c split_vma()
Status SplitVma(Vma& vma, VirtAddr addr, bool new_below) {
  if (vma.mm->map_count >= vma.mm->system.sysctl.max_map_count) return Errno::kENOMEM;
  return SplitVmaUnchecked(vma, addr, new_below);
}

// Linux: mm/vma.c __split_vma()
Status SplitVmaUnchecked(Vma& vma, VirtAddr addr, bool new_below) {
  MMSIM_CHECK(vma.start < addr && addr < vma.end);
  Mm& mm = *vma.mm;
  if (vma.ops == VmOps::kSpecial) return Errno::kEINVAL;  // special_mapping_split()
  Vma* fresh = VmAreaDup(vma, mm);
  if (fresh == nullptr) return Errno::kENOMEM;
  VmaEdit edit(mm);
  const uint64_t pages_below = (addr - vma.start) >> kPageShift;
  if (new_below) {
    edit.SetRange(*fresh, vma.start, addr, vma.pgoff);
  } else {
    edit.SetRange(*fresh, addr, vma.end, vma.pgoff + pages_below);
  }
  if (mm.system.failures.ShouldFail(Seam::kVmaTree) || !AnonVmaClone(*fresh, vma).ok()) {
    fresh->anon_vma = nullptr;
    VmAreaFree(fresh);
    return Errno::kENOMEM;
  }
  VmaOpen(*fresh);
  VmaLinkFile(*fresh);
  VmaAdjustTransHuge(vma, vma.start, addr, 0);
  if (new_below) {
    edit.SetRange(vma, addr, vma.end, vma.pgoff + pages_below);
  } else {
    edit.SetRange(vma, vma.start, addr, vma.pgoff);
  }
  edit.Attach(*fresh);
  ++mm.map_count;
  return {};
}

// Linux: mm/vma.c vma_modify()
Result<Vma*> VmaModifyFlags(Vma* prev, Vma& vma, VirtAddr start, VirtAddr end, VmFlags flags) {
  VmaMerge vmg = MergeOf(vma, prev, start, end);
  vmg.flags = flags;
  if (Vma* merged = VmaMergeExistingRange(vmg)) return merged;
  if (vmg.nomem) return Errno::kENOMEM;
  if (vma.start < start) {
    Status status = SplitVma(vma, start, true);
    if (!status.ok()) return status.error();
  }
  if (vma.end > end) {
    Status status = SplitVma(vma, end, false);
    if (!status.ok()) return status.error();
  }
  return &vma;
}

// Linux: mm/vma.c copy_vma()
Vma* CopyVma(Vma** vmap, VirtAddr addr, uint64_t len_bytes, uint64_t pgoff, bool keep_source) {
  Vma* vma = *vmap;
  Mm& mm = *vma->mm;
  const VirtAddr vma_start = vma->start;
  bool faulted_in_anon_vma = true;
  VmaMerge vmg = MergeOf(*vma, nullptr, addr, addr + len_bytes);
  vmg.copied_from = vma;
  // Not yet touched: the offset may follow the new place, which makes merges there likelier.
  if (vma->IsAnonymous() && vma->anon_vma == nullptr) {
    pgoff = addr.PageNumber();
    faulted_in_anon_vma = false;
  }
  Vma* found = mm.vmas.FindPrev(addr, &vmg.prev);
  if (found != nullptr && found->start < addr + len_bytes) return nullptr;
  vmg.vma = nullptr;
  vmg.pgoff = pgoff;
  vmg.next = found;
  if (!faulted_in_anon_vma && keep_source && !mm.system.profile.dontunmap_merges_itself) {
    if (vmg.prev == vma) vmg.prev = nullptr;
    if (vmg.next == vma) vmg.next = nullptr;
  }
  if (Vma* merged = VmaMergeNewRange(vmg)) {
    // Only a source without pages can be swallowed: its offset moved along.
    if (vma_start >= merged->start && vma_start < merged->end) *vmap = merged;
    return merged;
  }
  Vma* fresh = VmAreaDup(*vma, mm);
  if (fresh == nullptr) return nullptr;
  VmaEdit(mm).SetRange(*fresh, addr, addr + len_bytes, pgoff);
  if (!AnonVmaClone(*fresh, *vma).ok()) {
    VmAreaFree(fresh);
    return nullptr;
  }
  VmaOpen(*fresh);
  if (!VmaLink(mm, *fresh).ok()) {
    VmaClose(*fresh);
    UnlinkAnonVmas(*fresh);
    VmAreaFree(fresh);
    return nullptr;
  }
  return fresh;
}

// Linux: mm/mmap.c insert_vm_struct()
Status InsertVmStruct(Mm& mm, const Current& current, Vma* vma) {
  const uint64_t pages = vma->NrPages();
  if (mm.vmas.FindIntersection(vma->start, vma->end) != nullptr) return Errno::kENOMEM;
  if (vma->Has(kVmAccount) && !VmEnoughMemory(mm, current, pages).ok()) return Errno::kENOMEM;
  if (vma->IsAnonymous()) VmaEdit(mm).SetPgoff(*vma, vma->start.PageNumber());
  if (!VmaLink(mm, *vma).ok()) {
    if (vma->Has(kVmAccount)) VmUnacctMemory(mm.system, pages);
    return Errno::kENOMEM;
  }
  return {};
}

}  // namespace mmsim
