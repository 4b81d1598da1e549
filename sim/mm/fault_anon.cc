// SPDX-License-Identifier: Apache-2.0
// The rung for memory that was never touched: the zero page for a read, a page of one's own for a write.
// Invariant: a new page is mapped once, exclusively, dirty if the VMA may be written. Not modelled: folios
// between 4 KiB and 2 MiB (no such size is enabled by default).
#include "sim/mm/fault.h"
#include "sim/mm/folio.h"
#include "sim/mm/hooks.h"

namespace mmsim {

// Linux: mm/memory.c do_anonymous_page()
VmFaultResult DoAnonymousPage(VmFault& vmf) {
  Vma& vma = vmf.vma;
  System& system = vmf.system;
  const Arch arch = vmf.arch;
  if (vma.Has(kVmShared)) return kVmFaultSigbus;
  if (vmf.pte == nullptr) {
    if (!PteAlloc(vmf.mm, vmf.pmd, vmf.address)) return kVmFaultOom;
    vmf.pte = Descend(system, vmf.pmd, vmf.address, kLevelPte);
  }

  Pte entry;
  if (!vmf.IsWrite()) {
    entry = PteMkSpecial(arch, PfnPte(arch, system.zero_page, vma.page_prot));
  } else {
    if (const VmFaultResult ret = VmfAnonPrepare(vmf); ret != 0) return ret;
    const Pfn folio = AllocFolio(system);
    if (folio.value == 0) return kVmFaultOom;
    system.pages[folio].Set(kPgUptodate);
    FolioAddNewAnonRmap(system, folio, vma, vmf.address, /*exclusive=*/true);
    FolioAddLruVma(system, folio, vma);
    ++vmf.mm.Rss(RssType::kAnon);
    entry = PfnPte(arch, folio, vma.page_prot);
    if (vma.Has(kVmWrite)) entry = PteMkDirty(arch, PteMkWrite(arch, entry));
  }
  StorePte(vmf.mm, vmf.address, vmf.pte, entry, "do_anonymous_page");
  HookPage(HookPoint::kDoAnonymousPage, vmf.mm, vmf.address);
  return 0;
}

}  // namespace mmsim
