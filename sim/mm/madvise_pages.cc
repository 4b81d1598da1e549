// SPDX-License-Identifier: Apache-2.0
// The page side of madvise and mlock: walks over the pages of one VMA. Linux: mm/madvise.c
// madvise_free_pte_range(), madvise_cold_or_pageout_pte_range(), mm/mlock.c mlock_pte_range()
//
// Invariant: pages that other processes map are left alone by FREE (dirty ones), COLD and PAGEOUT.
// Not modelled: batches of a huge folio's PTEs (a huge folio is split where a part of it is meant).
#include <vector>

#include "sim/mm/filemap.h"
#include "sim/mm/folio.h"
#include "sim/mm/huge_memory.h"
#include "sim/mm/lru.h"
#include "sim/mm/mmu_notifier.h"
#include "sim/mm/page_table.h"
#include "sim/mm/reclaim.h"
#include "sim/mm/swap.h"
#include "sim/mm/tlb_flush.h"

namespace mmsim {
namespace {

// Calls visit(pmd, range) for each PMD in the range that is not empty. Linux: mm/pagewalk.c walk_page_range()
template <typename Visit>
void WalkPmds(Vma& vma, VirtRange range, Visit visit) {
  for (VirtAddr address = range.start, next; address < range.end; address = next) {
    next = LevelEnd(address, range.end, kLevelPmd);
    EntryPtr pmd = FindEntry(*vma.mm, address, kLevelPmd);
    if (pmd != nullptr && *pmd != 0) visit(pmd, VirtRange{address, next});
  }
}

// Splits a folio of which only a part is meant; true when its pages are to be looked at again.
bool SplitPart(System& system, Pfn folio) {
  GetFolio(system, folio);
  const bool split = SplitFolio(system, folio);
  PutFolio(system, folio);
  return split;
}

// How many PTEs from `pte` on map consecutive pages of one huge folio. Linux: mm/madvise.c
// madvise_folio_pte_batch()
uint64_t FolioPteBatch(System& system, EntryPtr pte, uint64_t max) {
  const Arch arch = system.arch;
  const Pfn first = VmNormalPage(system, ReadEntry(pte));
  uint64_t n = 1;
  while (n < max && PtePresent(arch, ReadEntry(pte + n)) &&
         VmNormalPage(system, ReadEntry(pte + n)) == first + n &&
         system.pages.HeadOf(first + n) == system.pages.HeadOf(first)) {
    ++n;
  }
  return n;
}

struct PageWalk {
  Vma& vma;
  Mm& mm;
  System& system;
  const Arch arch;
};
PageWalk PageWalkOf(Vma& vma) {
  return {vma, *vma.mm, vma.mm->system, vma.mm->system.arch};
}

// --- MADV_FREE

// Linux: mm/huge_memory.c madvise_free_huge_pmd(): false when the PTEs are to be walked.
bool FreeHugePmd(const PageWalk& w, EntryPtr pmd, VirtRange range) {
  const Pte old = ReadEntry(pmd);
  const Pfn folio = VmNormalPagePmd(w.system, old);
  if (folio.value == 0 || FolioLikelyMappedShared(w.system, folio)) return !PmdIsTable(w.system, pmd);
  if (range.LenBytes() != kPmdSize) return !SplitPart(w.system, folio);
  w.system.pages[folio].Clear(kPgDirty);
  if (PteYoung(w.arch, old) || PteDirty(w.arch, old)) {
    StoreEntry(w.mm, range.start, kLevelPmd, pmd, PteMkClean(w.arch, PteMkOld(w.arch, old)).value,
               "madvise_free_huge_pmd");
  }
  FolioMarkLazyfree(w.system, folio);
  return true;
}

// Linux: the present part of mm/madvise.c madvise_free_pte_range()
void FreePage(const PageWalk& w, VirtAddr address, EntryPtr pte, Pte ptent, Pfn folio) {
  Page& page = w.system.pages[folio];
  if (page.Has(kPgSwapCache | kPgDirty)) {
    if (FolioMapcount(w.system, folio) != (page.IsLarge() ? static_cast<int32_t>(kHugePages) : 1)) return;
    if (page.Has(kPgSwapCache) && !FolioFreeSwap(w.system, folio)) return;
    page.Clear(kPgDirty);
  }
  if (PteYoung(w.arch, ptent) || PteDirty(w.arch, ptent)) {
    StorePte(w.mm, address, pte, PteMkClean(w.arch, PteMkOld(w.arch, ptent)), "madvise_free_pte_range");
  }
  FolioMarkLazyfree(w.system, folio);
}

void FreePteRange(const PageWalk& w, EntryPtr pmd, VirtRange range) {
  EntryPtr pte = Descend(w.system, pmd, range.start, kLevelPte);
  for (VirtAddr address = range.start; address < range.end; address += kPageSize, ++pte) {
    Pte ptent = ReadEntry(pte);
    if (PteNone(w.arch, ptent)) continue;
    if (!PtePresent(w.arch, ptent)) {
      --w.mm.Rss(RssType::kSwap);
      StorePte(w.mm, address, pte, Pte{0}, "madvise_free_pte_range");
      w.system.swap->FreeAndCache(PteSwap(w.arch, ptent).offset);
      continue;
    }
    Pfn page = VmNormalPage(w.system, ptent);
    if (page.value == 0) continue;
    Pfn folio = w.system.pages.HeadOf(page);
    if (w.system.pages[folio].IsLarge()) {
      const uint64_t nr = FolioPteBatch(w.system, pte, (range.end - address) >> kPageShift);
      if (nr == kHugePages) {
        for (uint64_t i = 0; i < nr; ++i) {
          FreePage(w, address + i * kPageSize, pte + i, ReadEntry(pte + i), folio);
        }
        address += (nr - 1) * kPageSize;
        pte += nr - 1;
        continue;
      }
      if (FolioLikelyMappedShared(w.system, folio) || !SplitPart(w.system, folio)) continue;
      ptent = ReadEntry(pte);
      page = VmNormalPage(w.system, ptent);
      if (page.value == 0) continue;
      folio = page;
    }
    FreePage(w, address, pte, ptent, folio);
  }
}

// --- MADV_COLD, MADV_PAGEOUT

// One page, or a whole huge one. Linux: the end of the loop of madvise_cold_or_pageout_pte_range()
void ColdOrPageoutFolio(const PageWalk& w, Pfn folio, bool pageout, std::vector<Pfn>* isolated) {
  Page& page = w.system.pages[folio];
  page.Clear(kPgReferenced);
  if (page.Has(kPgActive)) page.Set(kPgWorkingset);
  if (!pageout) {
    FolioDeactivate(w.system, folio);
  } else if (page.Has(kPgLru) && !page.Has(kPgUnevictable)) {
    // folio_isolate_lru()
    page.Clear(kPgLru);
    GetFolio(w.system, folio);
    isolated->push_back(folio);
  }
}

void ColdOrPageoutPteRange(const PageWalk& w, EntryPtr pmd, VirtRange range, bool pageout) {
  std::vector<Pfn> isolated;
  EntryPtr pte = Descend(w.system, pmd, range.start, kLevelPte);
  for (VirtAddr address = range.start; address < range.end; address += kPageSize, ++pte) {
    Pte ptent = ReadEntry(pte);
    if (PteNone(w.arch, ptent) || !PtePresent(w.arch, ptent)) continue;
    Pfn page = VmNormalPage(w.system, ptent);
    if (page.value == 0) continue;
    Pfn folio = w.system.pages.HeadOf(page);
    uint64_t nr = 1;
    if (w.system.pages[folio].IsLarge()) {
      nr = FolioPteBatch(w.system, pte, (range.end - address) >> kPageShift);
      if (nr < kHugePages) {
        if (FolioLikelyMappedShared(w.system, folio) || !SplitPart(w.system, folio)) continue;
        ptent = ReadEntry(pte);
        page = VmNormalPage(w.system, ptent);
        if (page.value == 0) continue;
        folio = page;
        nr = 1;
      }
    }
    if (w.system.pages[folio].Has(kPgLru) && FolioMapcount(w.system, folio) == static_cast<int32_t>(nr)) {
      for (uint64_t i = 0; i < nr && !pageout; ++i) {
        const Pte entry = ReadEntry(pte + i);
        if (PteYoung(w.arch, entry)) {
          StorePte(w.mm, address + i * kPageSize, pte + i, PteMkOld(w.arch, entry),
                   "madvise_cold_or_pageout_pte_range");
        }
      }
      ColdOrPageoutFolio(w, folio, pageout, &isolated);
    }
    address += (nr - 1) * kPageSize;
    pte += nr - 1;
  }
  ReclaimPages(w.system, isolated);
}

// Linux: the huge part of madvise_cold_or_pageout_pte_range(); false when the PTEs are to be walked.
bool ColdOrPageoutHugePmd(const PageWalk& w, EntryPtr pmd, VirtRange range, bool pageout) {
  const Pte old = ReadEntry(pmd);
  const Pfn folio = VmNormalPagePmd(w.system, old);
  if (folio.value == 0 || FolioLikelyMappedShared(w.system, folio)) return true;
  if (range.LenBytes() != kPmdSize) return !SplitPart(w.system, folio);
  if (!pageout && PteYoung(w.arch, old)) {
    StoreEntry(w.mm, range.start, kLevelPmd, pmd, PteMkOld(w.arch, old).value,
               "madvise_cold_or_pageout_pte_range");
  }
  std::vector<Pfn> isolated;
  ColdOrPageoutFolio(w, folio, pageout, &isolated);
  ReclaimPages(w.system, isolated);
  return true;
}

void ColdOrPageout(Vma& vma, VirtRange range, bool pageout) {
  const PageWalk w = PageWalkOf(vma);
  LruAddDrain(w.system);
  WalkPmds(vma, range, [&](EntryPtr pmd, VirtRange part) {
    if (!PmdIsTable(w.system, pmd) && ColdOrPageoutHugePmd(w, pmd, part, pageout)) return;
    if (PmdIsTable(w.system, pmd)) ColdOrPageoutPteRange(w, pmd, part, pageout);
  });
  FlushTlbRange(w.mm, range);
}

}  // namespace

void MadviseFreePages(Vma& vma, VirtRange range) {
  const PageWalk w = PageWalkOf(vma);
  LruAddDrain(w.system);
  const Invalidation clear(MmuNotifyEvent::kClear, w.mm, range.start, range.end);
  WalkPmds(vma, range, [&](EntryPtr pmd, VirtRange part) {
    if (!PmdIsTable(w.system, pmd) && FreeHugePmd(w, pmd, part)) return;
    if (PmdIsTable(w.system, pmd)) FreePteRange(w, pmd, part);
  });
  FlushTlbRange(w.mm, range);
}

void MadviseColdPages(Vma& vma, VirtRange range) {
  ColdOrPageout(vma, range, /*pageout=*/false);
}
void MadvisePageoutPages(Vma& vma, VirtRange range) {
  ColdOrPageout(vma, range, /*pageout=*/true);
}

namespace {

// To the swap cache; the entry that names the slot stays.
void ReadSlot(System& system, uint64_t slot) {
  const Pfn folio = ReadSwapCacheAsync(system, slot);
  if (folio.value != 0) PutFolio(system, folio);
}

// Linux: mm/madvise.c swapin_walk_pmd_entry()
void SwapinPtes(Vma& vma, EntryPtr pmd, VirtRange range) {
  System& system = vma.mm->system;
  if (!PmdIsTable(system, pmd)) return;
  EntryPtr pte = Descend(system, pmd, range.start, kLevelPte);
  for (uint64_t i = 0; i < range.NrPages(); ++i) {
    const Pte ptent = ReadEntry(pte + i);
    if (IsSwapPte(system.arch, ptent)) ReadSlot(system, PteSwap(system.arch, ptent).offset);
  }
}

// Linux: mm/madvise.c shmem_swapin_range()
void ShmemSwapinRange(Inode& inode, uint64_t first, uint64_t last) {
  for (auto it = inode.i_pages.lower_bound(first); it != inode.i_pages.end() && it->first <= last; ++it) {
    if (it->second.IsSwap()) ReadSlot(*inode.system, it->second.swap_offset());
  }
}

}  // namespace

// Linux: mm/madvise.c madvise_willneed()
void MadviseWillneedPages(Vma& vma, VirtRange range) {
  if (vma.file == nullptr) {
    WalkPmds(vma, range, [&](EntryPtr pmd, VirtRange part) { SwapinPtes(vma, pmd, part); });
  } else {
    Inode& inode = *vma.file->inode;
    const uint64_t first = vma.PgoffOf(range.start), last = vma.PgoffOf(range.end - 1);
    if (inode.kind == InodeKind::kDisk) FilemapReadAhead(inode, first, last - first + 1);
    if (inode.kind == InodeKind::kShmem) ShmemSwapinRange(inode, first, last);
  }
  LruAddDrain(vma.mm->system);
}

void MlockVmaPages(Vma& vma, VirtRange range) {
  const PageWalk w = PageWalkOf(vma);
  const auto mark = [&](Pfn folio) {
    vma.Has(kVmLocked) ? MlockFolio(w.system, folio) : MunlockFolio(w.system, folio);
  };
  LruAddDrain(w.system);
  WalkPmds(vma, range, [&](EntryPtr pmd, VirtRange part) {
    if (!PmdIsTable(w.system, pmd)) {
      const Pfn folio = VmNormalPagePmd(w.system, ReadEntry(pmd));
      if (folio.value != 0) mark(folio);
      return;
    }
    EntryPtr pte = Descend(w.system, pmd, part.start, kLevelPte);
    for (VirtAddr address = part.start; address < part.end; address += kPageSize, ++pte) {
      const Pte ptent = ReadEntry(pte);
      if (PteNone(w.arch, ptent) || !PtePresent(w.arch, ptent)) continue;
      const Pfn page = VmNormalPage(w.system, ptent);
      if (page.value == 0) continue;
      // A huge folio that is mapped in part is left to reclaim.
      if (vma.Has(kVmLocked) && w.system.pages[page].Has(kPgHead | kPgTail)) continue;
      mark(w.system.pages.HeadOf(page));
    }
  });
  LruAddDrain(w.system);
}

}  // namespace mmsim
