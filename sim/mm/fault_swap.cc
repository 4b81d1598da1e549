// SPDX-License-Identifier: Apache-2.0
// The rung for a page that is in swap: found in the swap cache or read in, mapped, and writable at once where
// it is certain to be the process's alone. Linux: mm/memory.c do_swap_page()
//
// Invariant: the slot has one entry less, the frame one more.
// Not modelled: migration entries, markers, swap that takes time or fails, huge folios in swap.
#include "sim/mm/arch/for_arch.h"
#include "sim/mm/decision.h"
#include "sim/mm/fault.h"
#include "sim/mm/folio.h"
#include "sim/mm/hooks.h"
#include "sim/mm/lru.h"
#include "sim/mm/swap.h"

namespace mmsim {
namespace {

struct SwapIn {
  Pfn folio;
  bool cached = false;  // it is in the swap cache, not a fresh page
  VmFaultResult ret = 0;
};

// Linux: the first part of mm/memory.c do_swap_page(); folio has a reference of ours.
SwapIn GetSwapFolio(VmFault& vmf, uint64_t slot) {
  System& system = vmf.system;
  SwapIn in;
  const bool there = system.swap->Cached(slot).value != 0;
  if (there || system.swap->Count(slot) != 1) {
    // Others may want it: through the swap cache.
    in.folio = ReadSwapCacheAsync(system, slot);
    in.cached = true;
  } else if (in.folio = AllocFolio(system); in.folio.value != 0) {
    system.pages[in.folio].Set(kPgSwapBacked);
    system.swap->ReadIn(slot, in.folio);
    FolioAddLru(system, in.folio);
  }
  in.ret = in.folio.value == 0 ? kVmFaultOom : there ? 0 : kVmFaultMajor;
  return in;
}

// Linux: mm/memory.c should_try_to_free_swap()
bool ShouldTryToFreeSwap(const VmFault& vmf, const Page& page) {
  if (!page.Has(kPgSwapCache)) return false;
  if (vmf.system.swap->IsFull() || vmf.vma.Has(kVmLocked) || page.Has(kPgMlocked)) return true;
  return vmf.IsWrite() && page.refcount == 2;
}

}  // namespace

VmFaultResult DoSwapPage(VmFault& vmf) {
  System& system = vmf.system;
  const Arch arch = vmf.arch;
  const uint64_t slot = PteSwap(arch, vmf.orig_pte).offset;
  SwapIn in = GetSwapFolio(vmf, slot);
  if (in.folio.value == 0) return in.ret;
  Page& page = system.pages[in.folio];
  if (vmf.IsWrite() && in.cached && !page.Has(kPgLru)) LruAddDrain(system);

  const bool exclusive = SwpExclusive(arch, vmf.orig_pte) || !in.cached;
  system.swap->Free(slot);
  if (ShouldTryToFreeSwap(vmf, page)) FolioFreeSwap(system, in.folio);
  ++vmf.mm.Rss(RssType::kAnon);
  --vmf.mm.Rss(RssType::kSwap);

  Pte pte = PfnPte(arch, in.folio, vmf.vma.page_prot);
  if (SwpSoftDirty(arch, vmf.orig_pte)) pte = PteMkSoftDirty(arch, pte);
  const bool reuse = exclusive || page.refcount == 1;
  if (reuse && vmf.vma.Has(kVmWrite) && !(VmaSoftDirtyEnabled(system, vmf.vma) && !PteSoftDirty(arch, pte))) {
    pte = PteMkWrite(arch, pte);
    if (vmf.IsWrite()) {
      pte = PteMkDirty(arch, pte);
      vmf.flags &= ~kFaultWrite;
    }
  }
  vmf.orig_pte = pte;
  if (!page.IsAnon()) {
    FolioAddNewAnonRmap(system, in.folio, vmf.vma, vmf.address, reuse);
  } else {
    FolioAddAnonRmapPte(system, in.folio, vmf.vma, reuse);
  }
  if (reuse) {
    Decide(vmf.mm, vmf.address, in.folio, "do_swap_page", "reused",
           exclusive ? "nobody else has the swap slot" : "nothing but this fault refers to it");
  }
  StorePte(vmf.mm, vmf.address, vmf.pte, pte, "do_swap_page");
  HookPage(HookPoint::kDoSwapPage, vmf.mm, vmf.address);
  if (!vmf.IsWrite()) return in.ret;
  const VmFaultResult wp = ForArch(arch, [&](auto known) { return DoWpPage<known()>(vmf); });
  return (wp & kVmFaultError) != 0 ? wp & kVmFaultError : in.ret | wp;
}

}  // namespace mmsim
