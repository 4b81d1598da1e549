// SPDX-License-Identifier: Apache-2.0
// The entries in the inspector's address space: the VMA made ready and the pages mapped, and all of it
// undone, wherever the mapping has gone meanwhile.
//
// Invariants: no page of the entries is freed while an address space maps it; a mapping of somebody else's is
// never touched, wherever it lies.
#include "sim/kernel/kernel.h"
#include "sim/kernel/shadowpt.h"
#include "sim/mm/page_table.h"
#include "sim/mm/remap_pfn.h"
#include "sim/mm/verbs.h"
#include "sim/mm/vma_ops.h"

namespace mmsim {
namespace {

// remap_pfn_range() sets all but the last; a child of the inspector's gets no copy.
constexpr VmFlags kShadowFlags = kVmPfnMap | kVmIo | kVmDontExpand | kVmDontDump | kVmDontCopy;
// Who may write makes a copy, and sees nothing new any more.
constexpr VmFlags kWriteFlags = kVmWrite | kVmMayWrite;
// Mappings whose own handling cannot be taken away and given back.
constexpr VmFlags kUnfit = kVmShared | kVmMayShare | kVmLockedMask | kVmGrowsDown | kVmSpecial | kVmSealed |
                           kVmDroppable | kVmUffdMissing | kVmUffdWp;

// Whether nothing is mapped in [range), tables aside.
bool IsEmpty(const Mm& mm, VirtRange range) {
  const System& system = mm.system;
  for (VirtAddr address = range.start; address < range.end; address += kPageSize) {
    const EntryPtr pmd = FindEntry(mm, address, kLevelPmd);
    if (pmd == nullptr || *pmd == 0) continue;
    if (!PmdIsTable(system, pmd)) return false;
    if (!PteNone(system.arch, ReadEntry(Descend(system, pmd, address, kLevelPte)))) return false;
  }
  return true;
}

// The range's part of the VMA has other flags from here on, and the sums over VMAs follow. What it was merged
// with keeps that it is soft-dirty.
void ChangeFlags(Vma& vma, uint64_t nr_pages, VmFlags old_flags, VmFlags flags) {
  Mm& mm = *vma.mm;
  VmaEdit edit(mm);
  edit.SetFlags(vma, flags | (vma.flags & kVmSoftDirty));
  edit.SetPageProt(vma);
  VmStatAccount(mm, old_flags, -static_cast<int64_t>(nr_pages));
  VmStatAccount(mm, flags, static_cast<int64_t>(nr_pages));
}

// Joins the VMA with the neighbours that it was split from. A merge that finds no memory is none.
void MergeBack(Vma& vma) {
  VmaMerge vmg = MergeOf(vma, vma.Prev(), vma.start, vma.end);
  vmg.give_up_on_oom = true;
  VmaMergeExistingRange(vmg);
}

}  // namespace

Status ShadowPt::Open(Task& task, Task& target, VirtRange range, VirtAddr at) {
  Mm& mm = *task.mm;
  nr_pages_ = (range.NrPages() * sizeof(shadow_pte) + kPageSize - 1) >> kPageShift;
  const VirtRange where{at, at + (nr_pages_ << kPageShift)};
  const Vma* vma = mm.vmas.Lookup(at);
  if (where.end < at || vma == nullptr || vma->end < where.end) return Errno::kEINVAL;
  if (!vma->IsAnonymous() || vma->file != nullptr || vma->Has(kUnfit)) return Errno::kEINVAL;
  if (!IsEmpty(mm, where)) return Errno::kEINVAL;
  first_page_ = AllocPagesExact(mm.system, nr_pages_);
  if (first_page_.value == 0) return Errno::kENOMEM;
  if (const Status status = MapEntries(mm, where); !status.ok()) {
    FreePagesExact(mm.system, first_page_, nr_pages_);
    return status;
  }
  // page_address(): contiguous, as the frames are.
  entries_ = {reinterpret_cast<shadow_pte*>(mm.system.phys.TableAt(first_page_)), range.NrPages()};
  range_ = range;
  opener_ = task.signal;
  opener_tgid_ = task.tgid;
  opener_mm_ = &mm;
  target_ = target.signal;
  target_tgid_ = target.tgid;
  AttachHooks(mm, inspector_plan_);
  return {};
}

Status ShadowPt::MapEntries(Mm& mm, VirtRange where) {
  Vma* vma = mm.vmas.Lookup(where.start);
  const VmFlags old_flags = vma->flags, flags = (old_flags & ~kWriteFlags) | kShadowFlags;
  const bool split = vma->start < where.start;
  const int splits = split + (where.end < vma->end);
  if (splits > 0 && mm.map_count + splits > mm.system.sysctl.max_map_count) return Errno::kENOMEM;
  Vma* prev = split ? vma : vma->Prev();
  // Flags of VM_SPECIAL: it is a VMA of its own, and stays one.
  Result<Vma*> isolated = VmaModifyFlags(prev, *vma, where.start, where.end, flags);
  if (!isolated.ok()) {
    vma = mm.vmas.Lookup(where.start);
    if (split && vma->start == where.start) MergeBack(*vma);  // the first split was made, the second was not
    return Errno::kENOMEM;
  }
  vma = *isolated;
  ChangeFlags(*vma, where.NrPages(), old_flags, flags);
  taken_ = old_flags & kWriteFlags;
  added_ = kShadowFlags & ~old_flags;
  left_ = flags;
  if (const Status status = RemapPfnRange(*vma, where, first_page_); !status.ok()) {
    ChangeFlags(*vma, where.NrPages(), flags, old_flags);
    MergeBack(*vma);
    return status;
  }
  return {};
}

std::optional<uint64_t> ShadowPt::OffsetOf(const Mm& mm, VirtAddr address) const {
  const Arch arch = mm.system.arch;
  const EntryPtr pte = FindEntry(mm, address, kLevelPte);
  if (!IsOpen() || pte == nullptr || !PtePresent(arch, ReadEntry(pte))) return std::nullopt;
  const uint64_t page = PtePfn(arch, ReadEntry(pte)).value - first_page_.value;
  if (page >= nr_pages_) return std::nullopt;
  return page * kPageSize + address.value % kPageSize;
}

bool ShadowPt::MapsShadowPages(const Vma& vma) const {
  if (!vma.Has(kVmPfnMap) || !vma.IsAnonymous()) return false;
  for (VirtAddr address = vma.start; address < vma.end; address += kPageSize) {
    if (OffsetOf(*vma.mm, address)) return true;
  }
  return false;
}

// The flags as they were before open; writing only where reading and executing are as open left them. Returns
// the VMA that has the range now.
Vma& ShadowPt::GiveBack(Vma& vma) {
  Mm& mm = *vma.mm;
  const VmFlags old_flags = vma.flags;
  const uint64_t nr_pages = vma.NrPages();
  VmFlags flags = (old_flags & ~added_) | (taken_ & kVmMayWrite);
  if (((old_flags ^ left_) & (kVmRead | kVmExec)) == 0) flags |= taken_ & kVmWrite;
  // mprotect() gives the promise of memory back for what was never written to (mprotect_fixup()).
  if ((flags & (kVmWrite | kVmAccount | kVmNoReserve)) == kVmWrite) {
    mm.system.vm_committed_as += static_cast<int64_t>(nr_pages);  // vm_acct_memory(): close does not fail
    flags |= kVmAccount;
  }
  Result<Vma*> modified = VmaModifyFlags(vma.Prev(), vma, vma.start, vma.end, flags);
  Vma& now = modified.ok() ? **modified : vma;
  ChangeFlags(now, nr_pages, old_flags, flags);
  return now;
}

// By what a VMA maps, not by where it is. Pages go before flags change: a page of the kernel's in a VMA that
// may be written to would be taken for the program's own.
void ShadowPt::UnmapEntries(Mm& mm) {
  for (Vma* vma = mm.vmas.First(); vma != nullptr; vma = vma->Next()) {
    if (!MapsShadowPages(*vma)) continue;
    ZapVmaPtes(*vma, vma->Range());
    vma = &GiveBack(*vma);
  }
}

void ShadowPt::Close() {
  Untrack();
  Mm& mm = *opener_mm_;
  System& system = mm.system;
  if (mm.mm_users > 0) UnmapEntries(mm);  // mmget_not_zero()
  FreePagesExact(system, first_page_, nr_pages_);
  entries_ = {};
  opener_ = target_ = nullptr;
  opener_mm_ = nullptr;
  DetachHooks(mm, inspector_plan_);
}

}  // namespace mmsim
