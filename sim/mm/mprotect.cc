// SPDX-License-Identifier: Apache-2.0
// mprotect and pkey_mprotect: VMA by VMA, so that a hole or a refusal in the middle leaves what came before
// it changed. Linux: mm/mprotect.c
#include "sim/mm/arch/layout.h"
#include "sim/mm/gup.h"
#include "sim/mm/mman.h"
#include "sim/mm/page_table.h"
#include "sim/mm/verbs.h"
#include "sim/mm/vma_ops.h"

namespace mmsim {

// Linux: mm/mprotect.c mprotect_fixup()
Status MprotectFixup(Vma& vma, const Current& current, Vma** prev, VirtAddr start, VirtAddr end,
                     VmFlags flags) {
  Mm& mm = *vma.mm;
  const VmFlags old_flags = vma.flags;
  const uint64_t nr_pages = (end - start) >> kPageShift;
  if (!CanModifyVma(vma)) return Errno::kEPERM;
  if (flags == old_flags) {
    *prev = &vma;
    return {};
  }
  uint64_t charged = 0;
  if ((flags & kVmWrite) != 0) {
    if (!MayExpandVm(mm, current, flags, nr_pages) && MayExpandVm(mm, current, old_flags, nr_pages)) {
      return Errno::kENOMEM;
    }
    // A private mapping that becomes writable is promised memory, and keeps the promise when it no longer is.
    if ((old_flags & (kVmAccount | kVmWrite | kVmHugetlb | kVmShared | kVmNoReserve)) == 0) {
      if (!VmEnoughMemory(mm, current, nr_pages).ok()) return Errno::kENOMEM;
      charged = nr_pages;
      flags |= kVmAccount;
    }
  } else if ((old_flags & kVmAccount) != 0 && vma.IsAnonymous() && vma.anon_vma == nullptr) {
    flags &= ~kVmAccount;  // never written to
  }
  Result<Vma*> modified = VmaModifyFlags(*prev, vma, start, end, flags);
  if (!modified.ok()) {
    VmUnacctMemory(mm.system, charged);
    return modified.error();
  }
  Vma& now = **modified;
  *prev = &now;
  VmaEdit edit(mm);
  edit.SetFlags(now, flags);
  edit.SetPageProt(now);
  ChangeProtection(now, {start, end}, old_flags);
  if ((old_flags & kVmAccount) != 0 && (flags & kVmAccount) == 0) VmUnacctMemory(mm.system, nr_pages);
  // Locked and private, and now writable: copies are made at once.
  if ((old_flags & (kVmWrite | kVmShared | kVmLocked)) == kVmLocked && (flags & kVmWrite) != 0) {
    PopulateVmaPageRange(now, {start, end}, current.pkru);
  }
  VmStatAccount(mm, old_flags, -static_cast<int64_t>(nr_pages));
  VmStatAccount(mm, flags, static_cast<int64_t>(nr_pages));
  return {};
}

namespace {

struct Protect {
  Mm& mm;
  const Current& current;
  uint64_t prot;
  int pkey;
};

// The flags of `vma` with another prot, or why it may not have it.
Result<VmFlags> NewFlags(const Protect& p, const Vma& vma) {
  const System& system = p.mm.system;
  uint64_t prot = p.prot;
  if ((p.current.personality & kReadImpliesExec) != 0 && (prot & mman::kProtRead) != 0 &&
      vma.Has(kVmMayExec)) {
    prot |= mman::kProtExec;
  }
  const int pkey = ArchOverrideMprotectPkey(vma, p.current, prot, p.pkey);
  VmFlags flags = (prot & kVmAccessFlags) |
                  ArchCalcVmProtBits(system.arch, system.profile, prot, static_cast<unsigned>(pkey));
  flags |= vma.flags & ~(kVmAccessFlags | VmFlagsClear(system.arch));
  // VM_MAY* are VM_* four bits up.
  if ((flags & ~(flags >> 4) & kVmAccessFlags) != 0) return Errno::kEACCES;
  if (MapDenyWriteExec(p.mm, vma.flags, flags)) return Errno::kEACCES;
  return flags;
}

Status ProtectRange(const Protect& p, Vma* vma, Vma* prev, VirtAddr start, VirtAddr end) {
  VirtAddr next_start = start, covered = vma->start;
  while (vma != nullptr && vma->start < end) {
    if (vma->start != covered) return Errno::kENOMEM;
    Result<VmFlags> flags = NewFlags(p, *vma);
    if (!flags.ok()) return flags.error();
    const VirtAddr to = std::min<VirtAddr>(vma->end, end);
    Status status = MprotectFixup(*vma, p.current, &prev, next_start, to, *flags);
    if (!status.ok()) return status;
    next_start = covered = prev->end;
    vma = prev->Next();
  }
  return covered < end ? Status(Errno::kENOMEM) : Status();
}

// Where PROT_GROWSDOWN and PROT_GROWSUP move the range to. Linux: the head of do_mprotect_pkey()
Status GrownRange(const Vma& vma, uint64_t grows, VirtAddr* start, VirtAddr end) {
  if ((grows & mman::kProtGrowsDown) != 0) {
    if (vma.start >= end) return Errno::kENOMEM;
    *start = vma.start;
    return vma.Has(kVmGrowsDown) ? Status() : Status(Errno::kEINVAL);
  }
  if (vma.start > *start) return Errno::kENOMEM;
  if ((grows & mman::kProtGrowsUp) != 0) return Errno::kEINVAL;  // no such VMA here
  return {};
}

// Linux: mm/mprotect.c do_mprotect_pkey()
Status DoMprotectPkey(const Protect& request, uint64_t from, uint64_t len) {
  Mm& mm = request.mm;
  const Arch arch = mm.system.arch;
  constexpr uint64_t kGrows = mman::kProtGrowsDown | mman::kProtGrowsUp;
  Protect p = request;
  const uint64_t grows = p.prot & kGrows;
  p.prot &= ~kGrows;
  VirtAddr start(UntaggedAddr(arch, from));
  if (grows == kGrows || !start.IsPageAligned()) return Errno::kEINVAL;
  if (len == 0) return {};
  const VirtAddr end = start + VirtAddr(len).PageCeil().value;
  if (end <= start) return Errno::kENOMEM;
  if (!ArchValidateProt(arch, mm.system.profile, p.prot)) return Errno::kEINVAL;
  if (p.pkey != -1 && !MmPkeyIsAllocated(mm, p.pkey)) return Errno::kEINVAL;
  Vma* vma = mm.vmas.FindIntersection(start, end);
  if (vma == nullptr) return Errno::kENOMEM;
  Status status = GrownRange(*vma, grows, &start, end);
  if (!status.ok()) return status;
  return ProtectRange(p, vma, start > vma->start ? vma : vma->Prev(), start, end);
}

}  // namespace

int64_t SysMprotect(Mm& mm, const Current& current, uint64_t start, uint64_t len, uint64_t prot, int pkey) {
  return DoMprotectPkey({mm, current, prot, pkey}, start, len).AsReturn();
}

}  // namespace mmsim
