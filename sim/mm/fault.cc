// SPDX-License-Identifier: Apache-2.0
// The top of the fault ladder: from an address to the rung that serves it.
//
//   HandleMmFault -> huge PMD? -> HandlePteFault -> nothing there: DoAnonymousPage | DoFault
//                                                -> swap entry:    DoSwapPage
//                                                -> write, but not writable: DoWpPage
//                                                -> else: young, dirty, done
//
// Invariants: the caller has checked the access against the VMA, or forces it; on return without an error the
// access may still trap (a rung does one thing), and the trap loop comes back.
// Not modelled: userfaultfd, NUMA hinting faults, VMA locks and their retries, hardware poison.
#include "sim/mm/fault.h"

#include "sim/mm/rmap.h"
#include "sim/mm/tlb_flush.h"

namespace mmsim {
namespace {

// Linux: mm/memory.c sanitize_fault_flags()
VmFaultResult SanitizeFaultFlags(const Vma& vma, FaultFlags& flags) {
  if ((flags & kFaultUnshare) != 0) {
    if ((flags & kFaultWrite) != 0) return kVmFaultSigsegv;
    if (!IsCowMapping(vma.flags)) flags &= ~kFaultUnshare;
  } else if ((flags & kFaultWrite) != 0) {
    if (!vma.Has(kVmMayWrite)) return kVmFaultSigsegv;
    if (!vma.Has(kVmWrite) && !IsCowMapping(vma.flags)) return kVmFaultSigsegv;
  }
  return 0;
}

// Linux: mm/memory.c create_huge_pmd(), wp_huge_pmd() and what lies around them in __handle_mm_fault().
// kVmFaultFallback: go on with PTEs.
VmFaultResult HandleHugePmd(VmFault& vmf) {
  const Arch arch = vmf.arch;
  if (*vmf.pmd == 0) {
    if (!ThpVmaAllowable(vmf.vma) || !vmf.vma.IsAnonymous()) return kVmFaultFallback;
    return DoHugePmdAnonymousPage(vmf);
  }
  vmf.orig_pmd = ReadEntry(vmf.pmd);
  if (!PmdTransHuge(arch, vmf.orig_pmd)) return kVmFaultFallback;
  if ((vmf.flags & (kFaultWrite | kFaultUnshare)) != 0 && !PteWrite(arch, vmf.orig_pmd)) {
    return DoHugePmdWpPage(vmf);
  }
  HugePmdSetAccessed(vmf);
  return 0;
}

// Linux: mm/memory.c handle_pte_fault()
VmFaultResult HandlePteFault(VmFault& vmf) {
  const Arch arch = vmf.arch;
  if (*vmf.pmd != 0) {
    vmf.pte = Descend(vmf.system, vmf.pmd, vmf.address, kLevelPte);
    vmf.orig_pte = ReadEntry(vmf.pte);
  }
  if (PteNone(arch, vmf.orig_pte)) return vmf.vma.IsAnonymous() ? DoAnonymousPage(vmf) : DoFault(vmf);
  if (!PtePresent(arch, vmf.orig_pte)) return DoSwapPage(vmf);

  Pte entry = vmf.orig_pte;
  if ((vmf.flags & (kFaultWrite | kFaultUnshare)) != 0) {
    if (!PteWrite(arch, entry)) return DoWpPage(vmf);
    if (vmf.IsWrite()) entry = PteMkDirty(arch, entry);
  }
  entry = PteMkYoung(arch, entry);
  if (entry != vmf.orig_pte) {
    // ptep_set_access_flags(): x86 stores only what a write needs, the hardware has set the rest itself.
    if (vmf.IsWrite() || !ArchHasHwAccessFlagAlways(arch)) {
      StorePte(vmf.mm, vmf.address, vmf.pte, entry, "handle_pte_fault");
      if (vmf.IsWrite()) FlushTlbPage(vmf.mm, vmf.address);
    }
  }
  return 0;
}

// Linux: mm/memory.c __handle_mm_fault()
VmFaultResult HandleMmFaultLocked(Vma& vma, VirtAddr address, FaultFlags flags) {
  const EntryPtr pmd = AllocPmd(*vma.mm, address);
  if (pmd == nullptr) return kVmFaultOom;
  VmFault vmf(vma, address.PageFloor(), flags, pmd);
  if (!PmdIsTable(vmf.system, vmf.pmd)) {
    const VmFaultResult ret = HandleHugePmd(vmf);
    if ((ret & kVmFaultFallback) == 0) return ret;
  }
  return HandlePteFault(vmf);
}

}  // namespace

VmFaultResult HandleMmFault(Vma& vma, VirtAddr address, FaultFlags flags) {
  if (const VmFaultResult ret = SanitizeFaultFlags(vma, flags); ret != 0) return ret;
  LruBatches& lru = vma.mm->system.lru;
  lru.in_fault = !vma.Has(kVmSeqRead | kVmRandRead);  // vma_has_recency()
  VmFaultResult ret = HandleMmFaultLocked(vma, address, flags);
  lru.in_fault = false;
  if (vma.Has(kVmDroppable)) ret &= ~kVmFaultOom;
  return ret;
}

VmFaultResult PrepareAnonVma(VmFault& vmf) {
  return AnonVmaPrepare(vmf.vma).ok() ? 0 : kVmFaultOom;
}

}  // namespace mmsim
