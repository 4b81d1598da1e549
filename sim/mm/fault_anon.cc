// SPDX-License-Identifier: Apache-2.0
// The rung for memory that was never touched: the zero page for a read, a page of one's own for a write.
// Invariant: a new page is mapped once, exclusively, dirty if the VMA may be written. Not modelled: folios
// between 4 KiB and 2 MiB (no such size is enabled by default).
#include "sim/mm/fault.h"
#include "sim/mm/folio.h"
#include "sim/mm/hooks.h"

namespace mmsim {
namespace {

// The entry of a new page of the VMA's own; none when memory is short. Linux: the second half of mm/memory.c
// do_anonymous_page()
template <Arch kArch>
Pte NewAnonymousPage(System& system, Vma& vma, VirtAddr address) {
  const Pfn page = AllocFolio(system);
  if (page.value == 0) [[unlikely]]
    return Pte{0};
  AddNewAnonPage(system, page, vma, address);
  ++vma.mm->Rss(RssType::kAnon);
  const Pte entry = PfnPte(kArch, page, vma.page_prot);
  return vma.Has(kVmWrite) ? PteMkDirty(kArch, PteMkWrite(kArch, entry)) : entry;
}

}  // namespace

template <Arch kArch>
VmFaultResult DoAnonymousPage(System& system, Vma& vma, VirtAddr address, FaultFlags flags, EntryPtr pte) {
  if (vma.Has(kVmShared)) [[unlikely]]
    return kVmFaultSigbus;
  Pte entry;
  if ((flags & kFaultWrite) == 0) {
    entry = PteMkSpecial(kArch, PfnPte(kArch, system.zero_page, vma.page_prot));
  } else {
    if (const VmFaultResult ret = VmfAnonPrepare(vma); ret != 0) return ret;
    entry = NewAnonymousPage<kArch>(system, vma, address);
    if (entry.value == 0) [[unlikely]]
      return kVmFaultOom;
  }
  StorePte(*vma.mm, address, pte, entry, "do_anonymous_page");
  HookPage(HookPoint::kDoAnonymousPage, *vma.mm, address);
  return 0;
}

template VmFaultResult DoAnonymousPage<Arch::kX86_64>(System&, Vma&, VirtAddr, FaultFlags, EntryPtr);
template VmFaultResult DoAnonymousPage<Arch::kArm64>(System&, Vma&, VirtAddr, FaultFlags, EntryPtr);

}  // namespace mmsim
