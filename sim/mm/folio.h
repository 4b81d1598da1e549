// SPDX-License-Identifier: Apache-2.0
// References and map counts of folios: the leaves that the ladder, zap and fork are made of. Each function
// takes the page that an entry maps; for a page of a huge folio the references are its head's. Linux:
// include/linux/mm.h folio_get(), folio_put(); mm/rmap.c folio_add_*_rmap_*(), folio_remove_rmap_*();
// include/linux/rmap.h. At the end what puts a new page into the LRU batch of lru.h, mm/swap.c
// folio_add_lru().
//
// Not modelled: vmstat counters, the deferred-split list (a flag remains).
#pragma once

#include "sim/mm/lru.h"
#include "sim/mm/mm.h"
#include "sim/mm/rmap.h"
#include "sim/mm/system.h"

namespace mmsim {

// Linux: include/linux/mm.h folio_nr_pages()
inline uint64_t FolioNrPages(const System& system, Pfn folio) {
  return system.pages[folio].IsLarge() ? kHugePages : 1;
}

// The last reference is gone. Linux: mm/swap.c __folio_put()
void FreeFolio(System& system, Pfn folio);

inline void GetFolio(System& system, Pfn folio, int32_t refs = 1) {
  system.pages[folio].refcount += refs;
}
inline void PutFolio(System& system, Pfn folio, int32_t refs = 1) {
  if ((system.pages[folio].refcount -= refs) == 0) FreeFolio(system, folio);
}
// Of the folio that a page belongs to.
inline void PutPage(System& system, Pfn page) {
  PutFolio(system, system.pages.HeadOf(page));
}

// A new frame, zeroed; Pfn 0 when memory is short or the scenario says so.
inline Pfn AllocFolio(System& system) {
  return system.failures.ShouldFail(Seam::kPage) ? Pfn(0) : system.pages.Alloc();
}
inline Pfn AllocHugeFolio(System& system) {
  return system.failures.ShouldFail(Seam::kPage) ? Pfn(0) : system.pages.AllocHuge();
}

// Linux: fs/proc/internal.h folio_precise_page_mapcount(): how many entries map this page, of a huge folio's
// PMD mappings included.
inline int32_t PageMapcount(System& system, Pfn pfn) {
  const int32_t own = system.pages[pfn].mapcount + 1;
  const Pfn head = system.pages.HeadOf(pfn);
  if (!system.pages[head].IsLarge()) return own;
  return own + LargeFolio(system.pages, head).EntireMapcount() + 1;
}
// Linux: include/linux/mm.h folio_mapcount()
inline int32_t FolioMapcount(System& system, Pfn folio) {
  if (!system.pages[folio].IsLarge()) return system.pages[folio].mapcount + 1;
  return LargeFolio(system.pages, folio).LargeMapcount() + 1;
}
// Linux: include/linux/mm.h folio_maybe_dma_pinned()
inline bool FolioMaybeDmaPinned(System& system, Pfn folio) {
  if (system.pages[folio].IsLarge()) return LargeFolio(system.pages, folio).Pincount() > 0;
  return system.pages[folio].refcount >= kGupPinCountingBias;
}

// Linux: include/linux/mm.h mm_counter(), mm_counter_file()
inline RssType RssTypeOf(const Page& folio) {
  if (folio.IsAnon()) return RssType::kAnon;
  return folio.Has(kPgSwapBacked) ? RssType::kShmem : RssType::kFile;
}

// Large folios, out of line. Linux: mm/rmap.c __folio_add_rmap(), __folio_remove_rmap()
void AddRmapLargePte(System& system, Pfn page);
void RemoveRmapLargePte(System& system, Pfn page);
void AddFirstRmapPmd(System& system, Pfn folio);
void AddRmapPmd(System& system, Pfn folio);
void RemoveRmapPmd(System& system, Pfn folio, const Vma& vma);

inline void AddRmapPte(System& system, Pfn page) {
  Page& p = system.pages[page];
  if (p.Has(kPgHead | kPgTail)) [[unlikely]] {
    AddRmapLargePte(system, page);
  } else {
    ++p.mapcount;
  }
}

// Linux: include/linux/rmap.h folio_add_file_rmap_pte(), folio_remove_rmap_pte(), with mlock's part
void FolioMlockOnMap(System& system, Pfn page, const Vma& vma);
void FolioMunlockOnUnmap(System& system, Pfn page, const Vma& vma);
inline void FolioAddFileRmapPte(System& system, Pfn page, const Vma& vma) {
  AddRmapPte(system, page);
  if (vma.Has(kVmLocked)) [[unlikely]]
    FolioMlockOnMap(system, page, vma);
}
inline void FolioRemoveRmapPte(System& system, Pfn page, const Vma& vma) {
  Page& p = system.pages[page];
  if (p.Has(kPgHead | kPgTail)) [[unlikely]] {
    RemoveRmapLargePte(system, page);
  } else {
    --p.mapcount;
  }
  if (vma.Has(kVmLocked)) [[unlikely]]
    FolioMunlockOnUnmap(system, page, vma);
}

// Linux: mm/rmap.c __folio_set_anon(): a folio that is not the VMA's alone belongs to the oldest anon_vma.
inline void FolioSetAnon(Page& page, const Vma& vma, VirtAddr address, bool exclusive) {
  MMSIM_CHECK(vma.anon_vma != nullptr);
  page.mapping = reinterpret_cast<uint64_t>(exclusive ? vma.anon_vma : vma.anon_vma->root) | 1;
  page.SetIndex(vma.PgoffOf(address));
}
// A new folio's first mapping, by a PTE or, where it is huge, by a PMD. Linux: mm/rmap.c
// folio_add_new_anon_rmap()
inline void FolioAddNewAnonRmap(System& system, Pfn folio, const Vma& vma, VirtAddr address, bool exclusive) {
  Page& page = system.pages[folio];
  if (!vma.Has(kVmDroppable)) page.Set(kPgSwapBacked);
  FolioSetAnon(page, vma, address, exclusive);
  if (exclusive) page.Set(kPgAnonExclusive);
  if (page.IsLarge()) [[unlikely]] {
    AddFirstRmapPmd(system, folio);
  } else {
    page.mapcount = 0;
  }
}
// Linux: mm/rmap.c folio_add_anon_rmap_ptes() with one page, folio_add_anon_rmap_pmd()
void FolioAddAnonRmapPte(System& system, Pfn page, const Vma& vma, bool exclusive);
// Linux: mm/rmap.c folio_move_anon_rmap()
void FolioMoveAnonRmap(System& system, Pfn folio, const Vma& vma);

// Fork: the child's entry shares the page, unless the parent may have pinned it (false: copy it). Linux:
// include/linux/rmap.h folio_try_dup_anon_rmap_pte(), _pmd()
inline bool FolioTryDupAnonRmapPte(System& system, Pfn page, const Mm& src_mm) {
  Page& p = system.pages[page];
  if (p.Has(kPgAnonExclusive)) {
    if (src_mm.has_pinned && FolioMaybeDmaPinned(system, system.pages.HeadOf(page))) [[unlikely]] {
      return false;
    }
    p.Clear(kPgAnonExclusive);
  }
  AddRmapPte(system, page);
  return true;
}
bool FolioTryDupAnonRmapPmd(System& system, Pfn folio, const Mm& src_mm);

// What faults add, one by one: inline, with the move of a full batch aside (lru.h). Linux: mm/swap.c
// folio_add_lru(), folio_add_lru_vma()
inline void FolioAddLru(System& system, Pfn folio) {
  Page& page = system.pages[folio];
  if (system.lru.in_fault && !page.Has(kPgUnevictable)) page.Set(kPgActive);
  if (AddToBatch(system.lru.add, page, folio)) [[unlikely]]
    MoveLruAdd(system);
}
inline void FolioAddLruVma(System& system, Pfn folio, const Vma& vma) {
  if ((vma.flags & (kVmLocked | kVmSpecial)) == kVmLocked) [[unlikely]] {
    MlockNewFolio(system, folio);
  } else {
    FolioAddLru(system, folio);
  }
}

// The flags of a small page that is new and a VMA's own.
inline constexpr PageFlags kPgNewAnon = kPgUptodate | kPgAnonExclusive | kPgSwapBacked;
// Its first mapping, with all that it begins with, the LRU batch too. Linux: mm/rmap.c
// folio_add_new_anon_rmap(), __folio_set_anon(), mm/swap.c folio_add_lru_vma()
inline void AddNewAnonPage(System& system, Pfn pfn, const Vma& vma, VirtAddr address) {
  MMSIM_CHECK(vma.anon_vma != nullptr);
  Page& page = system.pages[pfn];
  page.mapcount = 0;
  page.mapping = reinterpret_cast<uint64_t>(vma.anon_vma) | 1;
  page.index_flags = vma.PgoffOf(address) << kPgFlagBits |
                     (vma.Has(kVmDroppable) ? kPgNewAnon & ~kPgSwapBacked : kPgNewAnon);
  FolioAddLruVma(system, pfn, vma);
}

}  // namespace mmsim
