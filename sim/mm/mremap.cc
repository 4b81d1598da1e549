// SPDX-License-Identifier: Apache-2.0
// mremap: shrinking, growing in place, and moving page tables to another place. Linux: mm/mremap.c
//
// Moving with MREMAP_FIXED unmaps the target, and with a smaller new size the tail of the source, before the
// checks that may still fail. Not modelled: hugetlbfs, KSM, userfaultfd.
#include "sim/mm/arch/layout.h"
#include "sim/mm/gup.h"
#include "sim/mm/mman.h"
#include "sim/mm/page_table.h"
#include "sim/mm/rmap.h"
#include "sim/mm/verbs.h"
#include "sim/mm/vma_ops.h"

namespace mmsim {

namespace {

constexpr int64_t Err(Errno e) {
  return -static_cast<int64_t>(e);
}
constexpr bool IsError(int64_t value) {
  return value < 0 && value >= -kMaxErrno;
}

// One call, as it goes from hand to hand.
struct Mremap {
  Mm& mm;
  const Current& current;
  VirtAddr addr;
  uint64_t old_len, new_len, flags;
  VirtAddr new_addr;
  bool locked = false;  // what was added is to be populated

  bool DontUnmap() const { return (flags & mman::kMremapDontunmap) != 0; }
};

// Linux: mm/mremap.c vma_to_resize()
Result<Vma*> VmaToResize(const Mremap& r, uint64_t old_len) {
  Vma* vma = r.mm.vmas.Lookup(r.addr);
  if (vma == nullptr) return Errno::kEFAULT;
  if (old_len == 0 && !vma->Has(kVmShared | kVmMayShare)) return Errno::kEINVAL;
  if (r.DontUnmap() && vma->Has(kVmDontExpand | kVmPfnMap)) return Errno::kEINVAL;
  if (old_len > vma->end - r.addr) return Errno::kEFAULT;
  if (r.new_len == old_len) return vma;
  const uint64_t pgoff = vma->PgoffOf(r.addr);
  if (pgoff + (r.new_len >> kPageShift) < pgoff) return Errno::kEINVAL;
  if (vma->Has(kVmDontExpand | kVmPfnMap)) return Errno::kEFAULT;
  if (!MlockFutureOk(r.mm, r.current, vma->flags, r.new_len - old_len)) return Errno::kEAGAIN;
  if (!MayExpandVm(r.mm, r.current, vma->flags, (r.new_len - old_len) >> kPageShift)) return Errno::kENOMEM;
  return vma;
}

// The VMA's own word on a move, and the splits that locked memory needs before it. Linux: the head of
// move_vma()
Status PrepareMove(const Mremap& r, Vma& vma, uint64_t old_len) {
  const VirtAddr old_end = r.addr + old_len;
  const bool split_before = vma.start != r.addr, split_after = vma.end != old_end;
  if (r.mm.map_count >= r.mm.system.sysctl.max_map_count - 3) return Errno::kENOMEM;
  // Linux: mm/mmap.c special_mapping_split()
  if (vma.ops == VmOps::kSpecial && (split_before || split_after)) return Errno::kEINVAL;
  if (!r.DontUnmap() || !vma.Has(kVmLocked)) return {};
  if (split_before) {
    Status status = SplitVma(vma, r.addr, true);
    if (!status.ok()) return status;
  }
  return split_after ? SplitVma(vma, old_end, false) : Status();
}

// MREMAP_DONTUNMAP: the source stays, without its pages and unlocked. Linux: the middle of move_vma()
void KeepSource(const Mremap& r, Vma& vma, VirtAddr old_addr, uint64_t old_len) {
  VmaEdit edit(r.mm);
  edit.ClearFlags(vma, kVmLockedMask);
  if (vma.start != old_addr || vma.end != old_addr + old_len) return;
  UnlinkAnonVmas(vma);
  if (vma.IsAnonymous() && vma.file == nullptr) edit.SetPgoff(vma, vma.start.PageNumber());
}

// The source goes, and the accounts are put right. Linux: the end of move_vma()
void DropSource(Mremap& r, Vma& vma, VirtAddr old_addr, uint64_t old_len, VmFlags vm_flags,
                uint64_t hiwater_vm) {
  Mm& mm = r.mm;
  VmaEdit edit(mm);
  const bool account = (vm_flags & kVmAccount) != 0 && !r.DontUnmap();
  bool account_start = account && vma.start < old_addr;
  bool account_end = account && vma.end > old_addr + old_len;
  const auto source_pages = static_cast<int64_t>(vma.NrPages());
  if (!DoMunmap(mm, old_addr.value, old_len).ok()) {
    // It could not be split. Then both stay, and both are accounted; but the source has lost VM_ACCOUNT, all
    // of it.
    if (account) {
      mm.system.vm_committed_as += static_cast<int64_t>(old_len >> kPageShift);
      mm.system.committed_for_good += source_pages;
    }
    account_start = account_end = false;
  }
  if ((vm_flags & kVmLocked) != 0) {
    mm.locked_vm += r.new_len >> kPageShift;
    r.locked = true;
  }
  mm.hiwater_vm = hiwater_vm;
  // What is left of the source on either side is accounted again.
  Vma* prev = nullptr;
  Vma* next = mm.vmas.FindPrev(old_addr, &prev);
  if (account_start) edit.AddFlags(*prev, kVmAccount);
  if (account_end) edit.AddFlags(*next, kVmAccount);
}

// Linux: mm/mremap.c move_vma()
int64_t MoveVma(Mremap& r, Vma* vma, uint64_t old_len, VirtAddr new_addr) {
  Mm& mm = r.mm;
  VmFlags vm_flags = vma->flags;
  Status status = PrepareMove(r, *vma, old_len);
  if (!status.ok()) return status.AsReturn();
  const uint64_t to_account = (r.DontUnmap() ? r.new_len : r.new_len - old_len) >> kPageShift;
  if ((vm_flags & kVmAccount) != 0 && !VmEnoughMemory(mm, r.current, to_account).ok()) {
    return Err(Errno::kENOMEM);
  }
  Vma* new_vma = CopyVma(&vma, new_addr, r.new_len, vma->PgoffOf(r.addr), r.DontUnmap());
  if (new_vma == nullptr) {
    if ((vm_flags & kVmAccount) != 0) VmUnacctMemory(mm.system, to_account);
    return Err(Errno::kENOMEM);
  }
  VirtAddr old_addr = r.addr;
  int64_t result = static_cast<int64_t>(new_addr.value);
  const uint64_t moved = MovePageTables(*vma, old_addr, *new_vma, new_addr, old_len, false);
  const bool failed = moved < old_len;
  if (failed) {
    // Back again, where the tables still are; then it is the new place that goes.
    MovePageTables(*new_vma, new_addr, *vma, old_addr, moved, false);
    vma = new_vma;
    old_len = r.new_len;
    old_addr = new_addr;
    result = Err(Errno::kENOMEM);
  } else if (vma->special != nullptr && vma->special->kind == SpecialMapping::Kind::kVdso) {
    mm.vdso_base = new_addr.value;  // Linux: vdso_mremap()
  }
  // Hidden, so that the unmapping does not give back what the new place has taken over.
  const bool conceal = (vm_flags & kVmAccount) != 0 && !r.DontUnmap();
  if (conceal) VmaEdit(mm).ClearFlags(*vma, kVmAccount);
  // After a failure it is the new place: what was charged for it is never given back.
  if (conceal && failed) mm.system.committed_for_good += static_cast<int64_t>(to_account);
  const uint64_t hiwater_vm = mm.hiwater_vm;
  VmStatAccount(mm, vma->flags, static_cast<int64_t>(r.new_len >> kPageShift));
  if (!failed && r.DontUnmap()) {
    KeepSource(r, *vma, old_addr, old_len);
  } else {
    DropSource(r, *vma, old_addr, old_len, vm_flags, hiwater_vm);
  }
  return result;
}

uint64_t AreaFlags(const Vma& vma, uint64_t flags) {
  return flags | (vma.Has(kVmMayShare) ? mman::kMapShared : 0);
}

// MREMAP_FIXED and MREMAP_DONTUNMAP. Linux: mm/mremap.c mremap_to()
int64_t MremapTo(Mremap& r) {
  Mm& mm = r.mm;
  const uint64_t task_size = mm.task_size;
  uint64_t old_len = r.old_len;
  if (!r.new_addr.IsPageAligned()) return Err(Errno::kEINVAL);
  if (r.new_len > task_size || r.new_addr.value > task_size - r.new_len) return Err(Errno::kEINVAL);
  if (r.addr + old_len > r.new_addr && r.new_addr + r.new_len > r.addr) return Err(Errno::kEINVAL);
  if (mm.map_count + 2 >= mm.system.sysctl.max_map_count - 3) return Err(Errno::kENOMEM);
  const bool fixed = (r.flags & mman::kMremapFixed) != 0;
  if (fixed) {
    Status status = DoMunmap(mm, r.new_addr.value, r.new_len);
    if (!status.ok()) return status.AsReturn();
  }
  if (old_len > r.new_len) {
    Status status = DoMunmap(mm, (r.addr + r.new_len).value, old_len - r.new_len);
    if (!status.ok()) return status.AsReturn();
    old_len = r.new_len;
  }
  Result<Vma*> vma = VmaToResize(r, old_len);
  if (!vma.ok()) return Err(vma.error());
  if (r.DontUnmap() && !MayExpandVm(mm, r.current, (*vma)->flags, old_len >> kPageShift)) {
    return Err(Errno::kENOMEM);
  }
  const int64_t at =
      GetUnmappedArea(mm, r.current, (*vma)->file, r.new_addr.value, r.new_len, (*vma)->PgoffOf(r.addr),
                      AreaFlags(**vma, fixed ? mman::kMapFixed : 0), 0);
  if (IsError(at)) return at;
  return MoveVma(r, *vma, old_len, fixed ? r.new_addr : VirtAddr(static_cast<uint64_t>(at)));
}

// Linux: mm/mremap.c vma_expandable()
bool VmaExpandable(const Mremap& r, const Vma& vma, uint64_t delta) {
  const VirtAddr end = vma.end + delta;
  if (end < vma.end || r.mm.vmas.FindIntersection(vma.end, end) != nullptr) return false;
  const int64_t at =
      GetUnmappedArea(r.mm, r.current, nullptr, vma.start.value, end - vma.start, 0, mman::kMapFixed, 0);
  return VirtAddr(static_cast<uint64_t>(at)).IsPageAligned();
}

// The VMA ends where the range does, and there is room behind it.
int64_t GrowInPlace(Mremap& r, Vma* vma, uint64_t delta) {
  Mm& mm = r.mm;
  const uint64_t pages = delta >> kPageShift;
  const uint64_t charged = vma->Has(kVmAccount) ? pages : 0;
  if (charged != 0 && !VmEnoughMemory(mm, r.current, pages).ok()) return Err(Errno::kENOMEM);
  vma = VmaMergeExtend(*vma, delta);
  if (vma == nullptr) {
    VmUnacctMemory(mm.system, charged);
    return Err(Errno::kENOMEM);
  }
  VmStatAccount(mm, vma->flags, static_cast<int64_t>(pages));
  if (vma->Has(kVmLocked)) {
    mm.locked_vm += pages;
    r.locked = true;
    r.new_addr = r.addr;
  }
  return static_cast<int64_t>(r.addr.value);
}

// Linux: mm/mremap.c SYSCALL_DEFINE5(mremap), from vma_to_resize() on
int64_t Grow(Mremap& r) {
  Result<Vma*> found = VmaToResize(r, r.old_len);
  if (!found.ok()) return Err(found.error());
  Vma* vma = *found;
  if (r.old_len == vma->end - r.addr && VmaExpandable(r, *vma, r.new_len - r.old_len)) {
    return GrowInPlace(r, vma, r.new_len - r.old_len);
  }
  if ((r.flags & mman::kMremapMaymove) == 0) return Err(Errno::kENOMEM);
  const int64_t at =
      GetUnmappedArea(r.mm, r.current, vma->file, 0, r.new_len, vma->PgoffOf(r.addr), AreaFlags(*vma, 0), 0);
  if (IsError(at)) return at;
  r.new_addr = VirtAddr(static_cast<uint64_t>(at));
  return MoveVma(r, vma, r.old_len, r.new_addr);
}

int64_t DoMremap(Mremap& r) {
  const Vma* vma = r.mm.vmas.Lookup(r.addr);
  if (vma == nullptr) return Err(Errno::kEFAULT);
  if (!CanModifyVma(*vma)) return Err(Errno::kEPERM);
  if ((r.flags & (mman::kMremapFixed | mman::kMremapDontunmap)) != 0) return MremapTo(r);
  if (r.old_len > r.new_len) {
    Status status = DoMunmap(r.mm, (r.addr + r.new_len).value, r.old_len - r.new_len);
    if (!status.ok()) return status.AsReturn();
  }
  return r.old_len >= r.new_len ? static_cast<int64_t>(r.addr.value) : Grow(r);
}

}  // namespace

// Linux: mm/mremap.c SYSCALL_DEFINE5(mremap)
int64_t SysMremap(Mm& mm, const Current& current, uint64_t addr, uint64_t old_len, uint64_t new_len,
                  uint64_t flags, uint64_t new_addr) {
  using namespace mman;  // NOLINT(google-build-using-namespace): the flags' names
  addr = UntaggedAddr(mm.system.arch, addr);
  if ((flags & ~(kMremapFixed | kMremapMaymove | kMremapDontunmap)) != 0) return Err(Errno::kEINVAL);
  const bool may_move = (flags & kMremapMaymove) != 0;
  if ((flags & kMremapFixed) != 0 && !may_move) return Err(Errno::kEINVAL);
  if ((flags & kMremapDontunmap) != 0 && (!may_move || old_len != new_len)) return Err(Errno::kEINVAL);
  if (!VirtAddr(addr).IsPageAligned()) return Err(Errno::kEINVAL);
  Mremap r{mm,
           current,
           VirtAddr(addr),
           VirtAddr(old_len).PageCeil().value,
           VirtAddr(new_len).PageCeil().value,
           flags,
           VirtAddr(new_addr)};
  if (r.new_len == 0) return Err(Errno::kEINVAL);
  const int64_t result = DoMremap(r);
  const bool populate = r.locked && VirtAddr(static_cast<uint64_t>(result)).IsPageAligned();
  if (populate && r.new_len > r.old_len) {
    static_cast<void>(MmPopulate(mm, r.new_addr + r.old_len, r.new_len - r.old_len, true, current.pkru).ok());
  }
  return result;
}

}  // namespace mmsim
