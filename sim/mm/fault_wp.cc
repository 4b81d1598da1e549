// SPDX-License-Identifier: Apache-2.0
// The rung for a write to a page that is mapped but not writable: reuse it, or copy it. Also for GUP that
// wants a page that stays (kFaultUnshare).
//
// A private page is reused when it is the process's alone: it is marked so (kPgAnonExclusive), or nothing but
// this entry, the swap cache and this CPU's LRU batch refers to it. Everything else is copied. Invariant:
// after a copy, the new page is mapped once and the old one once less. Not modelled: KSM, userfaultfd's write
// protection, file systems that refuse page_mkwrite.
#include "sim/mm/decision.h"
#include "sim/mm/fault.h"
#include "sim/mm/filemap.h"
#include "sim/mm/folio.h"
#include "sim/mm/lru.h"
#include "sim/mm/mmu_notifier.h"
#include "sim/mm/swap.h"
#include "sim/mm/tlb_flush.h"

namespace mmsim {
namespace {

// Linux: mm/memory.c wp_page_reuse()
void WpPageReuse(VmFault& vmf) {
  const Arch arch = vmf.arch;
  const Pte entry = MkDirtyMaybeWrite(arch, PteMkYoung(arch, vmf.orig_pte), vmf.vma);
  if (entry != vmf.orig_pte) {
    StorePte(vmf.mm, vmf.address, vmf.pte, entry, "wp_page_reuse");
    FlushTlbPage(vmf.mm, vmf.address);
  }
}

// Linux: mm/memory.c wp_can_reuse_anon_folio()
[[gnu::always_inline]] inline bool WpCanReuseAnonFolio(System& system, Pfn folio, const Vma& vma) {
  Page& page = system.pages[folio];
  if (page.IsLarge() || page.refcount > 3) return false;
  if (!page.Has(kPgLru)) LruAddDrain(system);
  if (page.refcount > 1 + page.Has(kPgSwapCache)) return false;
  if (page.Has(kPgSwapCache)) FolioFreeSwap(system, folio);
  if (page.refcount != 1) return false;
  FolioMoveAnonRmap(system, folio, vma);
  return true;
}

// Linux: mm/memory.c wp_page_shared(), wp_pfn_shared()
VmFaultResult WpPageShared(VmFault& vmf) {
  Decide(vmf.mm, vmf.address, vmf.page, "wp_page_shared", "reused", "the mapping is shared");
  // page_mkwrite of a disk file marks the page dirty, fault_dirty_shared_page() does for everyone.
  WpPageReuse(vmf);
  if (vmf.page.value != 0) FolioMarkDirty(vmf.system, vmf.system.pages.HeadOf(vmf.page));
  return 0;
}

// The entry of the copy. Linux: the middle of mm/memory.c wp_page_copy()
template <Arch kArch>
Pte CopyEntry(const VmFault& vmf, Pfn copy) {
  const Pte entry = PfnPte(kArch, copy, vmf.vma.page_prot);
  if ((vmf.flags & kFaultUnshare) == 0) return MkDirtyMaybeWrite(kArch, entry, vmf.vma);
  return PteSoftDirty(kArch, vmf.orig_pte) ? PteMkSoftDirty(kArch, entry) : entry;
}

// What the new page holds, and as what the mm counts it. Linux: mm/memory.c __wp_page_copy_user(), and the
// counters behind it
[[gnu::always_inline]] inline void CopyAndCount(VmFault& vmf, Pfn folio, Pfn copy) {
  System& system = vmf.system;
  if (folio.value == 0) [[unlikely]] {
    const Pfn special = PtePfn(vmf.arch, vmf.orig_pte);
    if (!IsZeroPfn(system, special)) system.phys.CopyFrame(special, copy);
    ++vmf.mm.Rss(RssType::kAnon);
    return;
  }
  system.phys.CopyFrame(vmf.page, copy);
  if (const Page& old = system.pages[folio]; !old.IsAnon()) {
    --vmf.mm.Rss(RssTypeOf(old));
    ++vmf.mm.Rss(RssType::kAnon);
  }
}

// `folio` is vmf.page's, with a reference of ours; Pfn 0: none. Linux: mm/memory.c wp_page_copy()
template <Arch kArch>
VmFaultResult WpPageCopy(VmFault& vmf, Pfn folio) {
  System& system = vmf.system;
  const VmFaultResult ret = VmfAnonPrepare(vmf.vma);
  const Pfn copy = ret == 0 ? AllocFolio(system) : Pfn(0);
  if (copy.value == 0) [[unlikely]] {
    if (folio.value != 0) PutFolio(system, folio);
    return ret != 0 ? ret : kVmFaultOom;
  }
  CopyAndCount(vmf, folio, copy);
  const Invalidation clear(MmuNotifyEvent::kClear, vmf.mm, vmf.address, vmf.address + kPageSize);
  StorePte(vmf.mm, vmf.address, vmf.pte, Pte{0}, "wp_page_copy");
  FlushTlbPage(vmf.mm, vmf.address);
  AddNewAnonPage(system, copy, vmf.vma, vmf.address);
  StorePte(vmf.mm, vmf.address, vmf.pte, CopyEntry<kArch>(vmf, copy), "wp_page_copy");
  if (folio.value != 0) {
    FolioRemoveRmapPte(system, vmf.page, vmf.vma);
    FreeSwapCache(system, folio);
    PutFolio(system, folio, 2);  // the entry's and ours
  }
  return 0;
}

// Why a page is not reused, for whoever records.
[[gnu::cold]] const char* WhyCopied(const VmFault& vmf) {
  System& system = vmf.system;
  if (vmf.page.value == 0) {
    return IsZeroPfn(system, PtePfn(vmf.arch, vmf.orig_pte)) ? "it is the zero page, which is everybody's"
                                                             : "it is a special mapping's";
  }
  const Page& folio = system.pages[system.pages.HeadOf(vmf.page)];
  if (!folio.IsAnon()) return "it is the file's, and the mapping is private";
  if (PageMapcount(system, vmf.page) > 1) return "it is mapped elsewhere too";
  if (folio.IsLarge()) return "it is part of a huge page, of which nothing is reused by itself";
  return "something else refers to it: a pin, the swap cache, another CPU's batch";
}

}  // namespace

// Linux: mm/memory.c do_wp_page()
template <Arch kArch>
VmFaultResult DoWpPage(VmFault& vmf) {
  System& system = vmf.system;
  Vma& vma = vmf.vma;
  vmf.page = VmNormalPage(kArch, vmf.orig_pte);
  if (vma.Has(kVmShared | kVmMayShare)) return WpPageShared(vmf);

  Pfn folio(0);
  if (vmf.page.value != 0) {
    folio = system.pages.HeadOf(vmf.page);
    Page& page = system.pages[vmf.page];
    const bool exclusive = page.Has(kPgAnonExclusive);
    if (system.pages[folio].IsAnon() && (exclusive || WpCanReuseAnonFolio(system, folio, vma))) {
      Decide(vmf.mm, vmf.address, vmf.page, "do_wp_page", "reused",
             exclusive ? kWhyExclusive : kWhyUnreferenced);
      page.Set(kPgAnonExclusive);
      if ((vmf.flags & kFaultUnshare) == 0) WpPageReuse(vmf);
      return 0;
    }
  }
  if (system.entry_sink.on_decision != nullptr) [[unlikely]] {
    Decide(vmf.mm, vmf.address, vmf.page, "wp_page_copy", "copied", WhyCopied(vmf));
  }
  if (folio.value != 0) GetFolio(system, folio);
  return WpPageCopy<kArch>(vmf, folio);
}
template VmFaultResult DoWpPage<Arch::kX86_64>(VmFault& vmf);
template VmFaultResult DoWpPage<Arch::kArm64>(VmFault& vmf);

}  // namespace mmsim
