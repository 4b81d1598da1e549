// SPDX-License-Identifier: Apache-2.0
// The rarer parts of folio.h: large folios, anonymous reverse maps, the end of a folio.
#include "sim/mm/folio.h"

#include "sim/mm/lru.h"
#include "sim/mm/swap.h"

namespace mmsim {
namespace {

// Added to _nr_pages_mapped while a PMD maps the folio. Linux: mm/internal.h ENTIRELY_MAPPED
constexpr int32_t kEntirelyMapped = 0x800000;

}  // namespace

void FreeFolio(System& system, Pfn folio) {
  Page& page = system.pages[folio];
  MMSIM_CHECK(!page.Has(kPgTable | kPgReserved | kPgSwapCache));
  system.pages.Free(folio, page.IsLarge() ? kHugeOrder : 0);
}

void AddRmapLargePte(System& system, Pfn page) {
  LargeFolio large(system.pages, system.pages.HeadOf(page));
  if (++system.pages[page].mapcount == 0) large.SetNrPagesMapped(large.NrPagesMapped() + 1);
  large.SetLargeMapcount(large.LargeMapcount() + 1);
}

void RemoveRmapLargePte(System& system, Pfn page) {
  const Pfn head = system.pages.HeadOf(page);
  LargeFolio large(system.pages, head);
  large.SetLargeMapcount(large.LargeMapcount() - 1);
  if (--system.pages[page].mapcount != -1) return;
  large.SetNrPagesMapped(large.NrPagesMapped() - 1);
  const int32_t mapped = large.NrPagesMapped();
  if (mapped != 0 && mapped < kEntirelyMapped && system.pages[head].IsAnon()) {
    system.pages[head].Set(kPgPartiallyMapped);
  }
}

void AddFirstRmapPmd(System& system, Pfn folio) {
  LargeFolio large(system.pages, folio);
  large.SetEntireMapcount(0);
  large.SetLargeMapcount(0);
  large.SetNrPagesMapped(kEntirelyMapped);
}

void AddRmapPmd(System& system, Pfn folio) {
  LargeFolio large(system.pages, folio);
  large.SetEntireMapcount(large.EntireMapcount() + 1);
  if (large.EntireMapcount() == 0) large.SetNrPagesMapped(large.NrPagesMapped() + kEntirelyMapped);
  large.SetLargeMapcount(large.LargeMapcount() + 1);
}

void RemoveRmapPmd(System& system, Pfn folio, const Vma& vma) {
  LargeFolio large(system.pages, folio);
  large.SetLargeMapcount(large.LargeMapcount() - 1);
  large.SetEntireMapcount(large.EntireMapcount() - 1);
  if (large.EntireMapcount() == -1) {
    const int32_t mapped = large.NrPagesMapped() - kEntirelyMapped;
    large.SetNrPagesMapped(mapped);
    if (mapped != 0 && mapped < static_cast<int32_t>(kHugePages) && system.pages[folio].IsAnon()) {
      system.pages[folio].Set(kPgPartiallyMapped);
    }
  }
  if (vma.Has(kVmLocked)) FolioMunlockOnUnmap(system, folio, vma);
}

// Linux: mm/internal.h mlock_vma_folio(); large folios are left to reclaim.
void FolioMlockOnMap(System& system, Pfn page, const Vma& vma) {
  if ((vma.flags & (kVmLocked | kVmSpecial)) == kVmLocked && !system.pages[page].Has(kPgHead | kPgTail)) {
    MlockFolio(system, page);
  }
}

// Linux: mm/internal.h munlock_vma_folio()
void FolioMunlockOnUnmap(System& system, Pfn page, const Vma& vma) {
  if (vma.Has(kVmLocked)) MunlockFolio(system, system.pages.HeadOf(page));
}

void FolioAddAnonRmapPte(System& system, Pfn page, const Vma& vma, bool exclusive) {
  AddRmapPte(system, page);
  if (exclusive) system.pages[page].Set(kPgAnonExclusive);
  FolioMlockOnMap(system, page, vma);
}

void FolioMoveAnonRmap(System& system, Pfn folio, const Vma& vma) {
  MMSIM_CHECK(vma.anon_vma != nullptr);
  system.pages[folio].mapping = reinterpret_cast<uint64_t>(vma.anon_vma) | 1;
}

bool FolioTryDupAnonRmapPmd(System& system, Pfn folio, const Mm& src_mm) {
  Page& page = system.pages[folio];
  if (page.Has(kPgAnonExclusive)) {
    if (src_mm.has_pinned && FolioMaybeDmaPinned(system, folio)) return false;
    page.Clear(kPgAnonExclusive);
  }
  AddRmapPmd(system, folio);
  return true;
}

}  // namespace mmsim
