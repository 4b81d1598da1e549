// SPDX-License-Identifier: Apache-2.0
// The top of the fault ladder: from an address to the rung that serves it.
//
//   HandleMmFault -> huge PMD? -> nothing there, no file: DoAnonymousPage
//                              -> HandlePteFault -> nothing there, a file: DoFault
//                                                -> swap entry: DoSwapPage
//                                                -> write, but not writable: DoWpPage
//                                                -> else: young, dirty, done
//
// Invariants: the caller has checked the access against the VMA, or forces it; on return without an error the
// access may still trap (a rung does one thing), and the trap loop comes back.
// Not modelled: userfaultfd, NUMA hinting faults, VMA locks and their retries, hardware poison.
#include "sim/mm/fault.h"

#include "sim/mm/arch/for_arch.h"
#include "sim/mm/rmap.h"
#include "sim/mm/tlb_flush.h"

namespace mmsim {
namespace {

// Linux: mm/memory.c sanitize_fault_flags()
VmFaultResult SanitizeFaultFlags(const Vma& vma, FaultFlags& flags) {
  if ((flags & (kFaultWrite | kFaultUnshare)) == 0) return 0;
  if ((flags & kFaultUnshare) != 0) [[unlikely]] {
    if ((flags & kFaultWrite) != 0) return kVmFaultSigsegv;
    if (!IsCowMapping(vma.flags)) flags &= ~kFaultUnshare;
    return 0;
  }
  if (!vma.Has(kVmMayWrite)) return kVmFaultSigsegv;
  if (!vma.Has(kVmWrite) && !IsCowMapping(vma.flags)) return kVmFaultSigsegv;
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

// Linux: mm/memory.c handle_pte_fault(), with an entry
template <Arch kArch>
[[gnu::always_inline]] inline VmFaultResult HandlePteFault(VmFault& vmf) {
  if (PteNone(kArch, vmf.orig_pte)) return DoFault(vmf);
  if (!PtePresent(kArch, vmf.orig_pte)) return DoSwapPage(vmf);

  Pte entry = vmf.orig_pte;
  if ((vmf.flags & (kFaultWrite | kFaultUnshare)) != 0) {
    if (!PteWrite(kArch, entry)) return DoWpPage<kArch>(vmf);
    if (vmf.IsWrite()) entry = PteMkDirty(kArch, entry);
  }
  entry = PteMkYoung(kArch, entry);
  if (entry != vmf.orig_pte) {
    // ptep_set_access_flags(): x86 stores only what a write needs, the hardware has set the rest itself.
    if (vmf.IsWrite() || !ArchHasHwAccessFlagAlways(kArch)) {
      StorePte(vmf.mm, vmf.address, vmf.pte, entry, "handle_pte_fault");
      if (vmf.IsWrite()) FlushTlbPage(vmf.mm, vmf.address);
    }
  }
  return 0;
}

// Linux: the beginning of mm/memory.c do_anonymous_page(), where there is no table yet
VmFaultResult AllocAnonymousTable(Vma& vma, VirtAddr address, EntryPtr pmd) {
  if (vma.Has(kVmShared)) return kVmFaultSigbus;
  return PteAlloc(*vma.mm, pmd, address) ? 0 : kVmFaultOom;
}

// Linux: mm/memory.c __handle_mm_fault(), handle_pte_fault()
template <Arch kArch>
[[gnu::always_inline]] inline VmFaultResult HandleMmFaultLocked(System& system, Vma& vma, VirtAddr address,
                                                                FaultFlags flags) {
  const EntryPtr pmd = AllocPmd(*vma.mm, address);
  if (pmd == nullptr) [[unlikely]]
    return kVmFaultOom;
  if (!PmdIsTable(kArch, pmd)) [[unlikely]] {
    VmFault vmf(vma, address, flags, pmd);
    const VmFaultResult ret = HandleHugePmd(vmf);
    if ((ret & kVmFaultFallback) == 0) return ret;
    if (*pmd == 0) {
      if (!vma.IsAnonymous()) return DoFault(vmf);
      if (const VmFaultResult failed = AllocAnonymousTable(vma, address, pmd); failed != 0) return failed;
    }
  }
  const EntryPtr pte = Descend(system, pmd, address, kLevelPte);
  const Pte entry = ReadEntry(pte);
  if (PteNone(kArch, entry) && vma.IsAnonymous())
    return DoAnonymousPage<kArch>(system, vma, address, flags, pte);
  VmFault vmf(vma, address, flags, pmd);
  vmf.pte = pte;
  vmf.orig_pte = entry;
  return HandlePteFault<kArch>(vmf);
}

}  // namespace

VmFaultResult HandleMmFault(Vma& vma, VirtAddr address, FaultFlags flags) {
  if (const VmFaultResult ret = SanitizeFaultFlags(vma, flags); ret != 0) return ret;
  System& system = vma.mm->system;
  system.lru.in_fault = !vma.Has(kVmSeqRead | kVmRandRead);  // vma_has_recency()
  VmFaultResult ret = ForArch(system.arch, [&](auto arch) {
    return HandleMmFaultLocked<arch()>(system, vma, address.PageFloor(), flags);
  });
  system.lru.in_fault = false;
  if ((ret & kVmFaultOom) != 0 && vma.Has(kVmDroppable)) [[unlikely]]
    ret &= ~kVmFaultOom;
  return ret;
}

VmFaultResult PrepareAnonVma(Vma& vma) {
  return AnonVmaPrepare(vma).ok() ? 0 : kVmFaultOom;
}

}  // namespace mmsim
