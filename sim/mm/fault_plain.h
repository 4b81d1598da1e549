// SPDX-License-Identifier: Apache-2.0
// The short way of the two faults that nearly all are: the first write to a page of private memory without a
// file, and a write to one that is shared since a fork. Where the VMA and the entry are what they mostly are
// and nobody listens to stores, it comes to what the ladder comes to (fault.cc), whose every other rung it
// leaves alone; generated scenarios are run both ways and compared (tests/scenario/generate_test.cc).
#pragma once

#include "sim/mm/fault.h"
#include "sim/mm/folio.h"
#include "sim/mm/tlb_flush.h"

namespace mmsim {

// A writable private mapping without a file, of which nothing special is asked.
inline bool IsPlain(const Vma& vma) {
  constexpr VmFlags kOdd =
      kVmShared | kVmMayShare | kVmLocked | kVmSpecial | kVmDroppable | kVmSeqRead | kVmRandRead;
  return (vma.flags & (kOdd | kVmWrite)) == kVmWrite && vma.IsAnonymous() && vma.anon_vma != nullptr;
}

inline bool IsWatched(const Mm& mm) {
  const EntrySink& sink = mm.system.entry_sink;
  return (mm.hooks != 0) | (sink.on_store != nullptr) | (sink.on_decision != nullptr);
}

// The entry of an address; null where a table is missing or a huge page is.
template <Arch kArch>
[[gnu::always_inline]] inline EntryPtr FindPlainPte(const Mm& mm, VirtAddr address) {
  EntryPtr entry = PgdEntry(mm, address);
  for (int below = kLevelPud; below >= kLevelPmd; --below) {
    if (*entry == 0) [[unlikely]]
      return nullptr;
    entry = Descend(mm.system, entry, address, below);
  }
  return PmdIsTable(kArch, entry) ? Descend(mm.system, entry, address, kLevelPte) : nullptr;
}

// A page that the process shares, and that do_wp_page() therefore copies without a second look.
inline bool IsCopied(const Page& page) {
  constexpr PageFlags kOdd = kPgHead | kPgTail | kPgSwapCache | kPgAnonExclusive;
  return page.IsAnon() && (page.index_flags & (kOdd | kPgLru)) == kPgLru && page.refcount > 1;
}

// A new page, with all that it begins with: its first mapping, its place in the LRU batch, active because
// this is a fault. Pfn 0 when there is none. Linux: mm/memory.c do_anonymous_page(), wp_page_copy()
[[gnu::always_inline]] inline Pfn AllocPlainPage(System& system, const Vma& vma, VirtAddr address) {
  if (system.failures.ShouldFail(Seam::kPage)) [[unlikely]]
    return Pfn(0);
  const Pfn page = system.pages.AllocBare();
  if (page.value == 0) [[unlikely]]
    return page;
  system.pages[page] = {2, 0, reinterpret_cast<uint64_t>(vma.anon_vma) | 1,
                        vma.PgoffOf(address) << kPgFlagBits | kPgNewAnon | kPgActive};
  if (PutInBatch(system.lru.add, page)) [[unlikely]]
    MoveLruAdd(system);
  return page;
}

template <Arch kArch>
[[gnu::always_inline]] inline void StorePlainPte(EntryPtr pte, const Vma& vma, Pfn page) {
  StorePteUntold(pte, PteMkDirty(kArch, PteMkWrite(kArch, PlainPte(page, vma.page_prot))));
}

// Of a write to `vma`. kVmFaultFallback: nothing was done, it is for the ladder. Linux: mm/memory.c
// do_anonymous_page(), do_wp_page()
template <Arch kArch>
[[gnu::always_inline]] inline VmFaultResult PlainWriteFault(Vma& vma, VirtAddr address) {
  Mm& mm = *vma.mm;
  System& system = mm.system;
  if (!IsPlain(vma) || IsWatched(mm)) return kVmFaultFallback;
  const EntryPtr pte = FindPlainPte<kArch>(mm, address);
  if (pte == nullptr) [[unlikely]]
    return kVmFaultFallback;
  const Pte entry = ReadEntry(pte);
  if (PteNone(kArch, entry)) {
    const Pfn page = AllocPlainPage(system, vma, address.PageFloor());
    if (page.value == 0) [[unlikely]]
      return kVmFaultOom;
    ++mm.Rss(RssType::kAnon);
    StorePlainPte<kArch>(pte, vma, page);
    return 0;
  }
  if (!PtePlainReadOnly(kArch, entry)) return kVmFaultFallback;
  const Pfn old = PtePlainPfn(kArch, entry);
  if (!IsCopied(system.pages[old])) return kVmFaultFallback;
  const Pfn page = AllocPlainPage(system, vma, address.PageFloor());
  if (page.value == 0) [[unlikely]]
    return kVmFaultOom;
  --system.pages[old].mapcount;
  --system.pages[old].refcount;
  StorePlainPte<kArch>(pte, vma, page);
  system.phys.CopyFrame(old, page);
  FlushTlbPage(mm, address);
  return 0;
}

// handle_mm_fault() as the trap handlers call it, who know the flags when they are compiled.
template <Arch kArch>
[[gnu::always_inline]] inline VmFaultResult HandleTrappedFault(Vma& vma, VirtAddr address, FaultFlags flags) {
  if ((flags & kFaultWrite) != 0) {
    if (const VmFaultResult ret = PlainWriteFault<kArch>(vma, address); ret != kVmFaultFallback) [[likely]]
      return ret;
  }
  return HandleMmFault(vma, address, flags);
}

}  // namespace mmsim
