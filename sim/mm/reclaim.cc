// SPDX-License-Identifier: Apache-2.0
// Reclaim of given pages (reclaim.h).
#include "sim/mm/reclaim.h"

#include "sim/mm/filemap.h"
#include "sim/mm/folio.h"
#include "sim/mm/huge_memory.h"
#include "sim/mm/mmu_notifier.h"
#include "sim/mm/rmap_walk.h"
#include "sim/mm/swap.h"
#include "sim/mm/tlb_flush.h"

namespace mmsim {
namespace {

enum class Unmapped { kYes, kAbort };

// A swap entry in place of a page of memory. Linux: the part of try_to_unmap_one() for anonymous folios in
// the swap cache
void StoreSwapPte(System& system, const Mapping& m, Pfn page, Pte old) {
  const Arch arch = system.arch;
  const uint64_t slot = system.swap->SlotOf(page);
  system.swap->Duplicate(slot);
  Page& record = system.pages[page];
  const bool exclusive = record.Has(kPgAnonExclusive);
  record.Clear(kPgAnonExclusive);
  --m.vma->mm->Rss(RssType::kAnon);
  ++m.vma->mm->Rss(RssType::kSwap);
  Pte pte = SwapPte(arch, {SwapArea::kType, slot});
  if (exclusive) pte = SwpMkExclusive(arch, pte);
  if (PteSoftDirty(arch, old)) pte = SwpMkSoftDirty(arch, pte);
  StorePte(*m.vma->mm, m.address, m.entry, pte, "try_to_unmap_one");
}

// Linux: the part of mm/rmap.c try_to_unmap_one() that one entry is gone through with
Unmapped TryToUnmapPte(System& system, Pfn folio, const Mapping& m) {
  const Arch arch = system.arch;
  Mm& mm = *m.vma->mm;
  Page& record = system.pages[folio];
  const Pte old = ReadEntry(m.entry);
  const Pfn page = PtePfn(arch, old);
  StorePte(mm, m.address, m.entry, Pte{0}, "try_to_unmap_one");
  FlushTlbPage(mm, m.address);
  if (PteDirty(arch, old)) record.Set(kPgDirty);
  if (!record.IsAnon()) {
    --mm.Rss(RssTypeOf(record));
  } else if (!record.Has(kPgSwapBacked)) {
    // MADV_FREE: gone, unless it was written to again or somebody holds it.
    if (record.refcount != 1 + FolioMapcount(system, folio) || record.Has(kPgDirty)) {
      StorePte(mm, m.address, m.entry, old, "try_to_unmap_one");
      record.Set(kPgSwapBacked);
      return Unmapped::kAbort;
    }
    --mm.Rss(RssType::kAnon);
  } else {
    if (system.pages[page].Has(kPgAnonExclusive) && FolioMaybeDmaPinned(system, folio)) {
      StorePte(mm, m.address, m.entry, old, "try_to_unmap_one");
      return Unmapped::kAbort;
    }
    StoreSwapPte(system, m, page, old);
  }
  FolioRemoveRmapPte(system, page, *m.vma);
  PutFolio(system, folio);
  return Unmapped::kYes;
}

// Linux: mm/rmap.c try_to_unmap_one(), with TTU_SPLIT_HUGE_PMD
Unmapped TryToUnmapOne(System& system, Pfn folio, const Mapping& m) {
  const Invalidation clear(MmuNotifyEvent::kClear, *m.vma->mm, m.address, m.address + LevelSize(m.level));
  if (m.vma->Has(kVmLocked)) return Unmapped::kAbort;
  if (m.level == kLevelPte) return TryToUnmapPte(system, folio, m);
  SplitHugePmd(*m.vma, m.entry, m.address);
  EntryPtr pte = Descend(system, m.entry, m.address, kLevelPte);
  for (uint64_t i = 0; i < kHugePages; ++i, ++pte) {
    const Mapping page{m.vma, m.address + i * kPageSize, pte, kLevelPte};
    if (TryToUnmapPte(system, folio, page) == Unmapped::kAbort) return Unmapped::kAbort;
  }
  return Unmapped::kYes;
}

// A slot for each page of the folio, and into the swap cache. Linux: mm/swap_state.c add_to_swap()
bool AddToSwap(System& system, Pfn folio) {
  if (system.swap == nullptr) return false;
  const uint64_t slot =
      system.pages[folio].IsLarge() ? system.swap->AllocCluster() : system.swap->AllocSlot();
  if (slot == 0) return false;
  system.swap->AddToCache(folio, slot);
  system.pages[folio].Set(kPgDirty);
  return true;
}

// Linux: mm/shmem.c shmem_writepage(), then the removal from the swap cache
bool SwapOutShmem(System& system, Pfn folio) {
  if (system.swap == nullptr) return false;
  const uint64_t slot = system.swap->AllocSlot();
  if (slot == 0) return false;
  Page& page = system.pages[folio];
  auto& inode = *reinterpret_cast<Inode*>(page.mapping);
  system.swap->WriteOut(folio, slot);
  system.swap->Duplicate(slot);
  inode.i_pages[page.Index()] = CacheEntry::OfSwap(slot);
  page.mapping = 0;
  PutFolio(system, folio);
  return true;
}

// Linux: mm/vmscan.c pageout() and __remove_mapping() for a folio that nothing maps any more
bool WriteOutAndRemove(System& system, Pfn folio) {
  Page& page = system.pages[folio];
  if (page.IsAnon()) {
    if (!page.Has(kPgSwapBacked)) return page.refcount == 1;
    const auto cached = static_cast<int32_t>(FolioNrPages(system, folio));
    if (page.refcount != 1 + cached) return false;  // ours and the swap cache's
    if (page.Has(kPgDirty)) system.swap->WriteOut(folio, system.swap->SlotOf(folio));
    system.swap->DeleteFromCache(folio);
    return true;
  }
  if (page.mapping == 0) return false;
  if (page.Has(kPgDirty)) {
    if (!page.Has(kPgSwapBacked) || page.refcount != 2) return false;
    return SwapOutShmem(system, folio);
  }
  if (page.refcount != 2) return false;
  auto& inode = *reinterpret_cast<Inode*>(page.mapping);
  inode.i_pages.erase(page.Index());
  if (inode.kind == InodeKind::kShmem && inode.noreserve) {
    --inode.accounted_pages;
    --system.vm_committed_as;
  }
  page.mapping = 0;
  PutFolio(system, folio);
  return true;
}

// Off the LRU lists, with a reference. Linux: what split_folio_to_list() does with each tail
void IsolateTails(System& system, Pfn folio, std::vector<Pfn>* tails) {
  for (uint64_t i = 1; i < kHugePages; ++i) {
    Page& tail = system.pages[folio + i];
    if (tail.refcount == 0) continue;  // it held zeros
    tail.Clear(kPgLru);
    GetFolio(system, folio + i);
    tails->push_back(folio + i);
  }
}

// Into the swap cache. A huge page that has lost a part, or for which the area has no room in one piece, is
// split, and its tails, which go to slots of their own, are returned. Linux: the part of mm/vmscan.c
// shrink_folio_list() for anonymous memory
bool ReadyForSwap(System& system, Pfn folio, std::vector<Pfn>* tails) {
  const Page& page = system.pages[folio];
  if (!page.IsAnon() || !page.Has(kPgSwapBacked) || page.Has(kPgSwapCache)) return true;
  if (FolioMaybeDmaPinned(system, folio)) return false;
  if (!page.IsLarge()) return AddToSwap(system, folio);
  if (!CanSplitFolio(system, folio)) return false;
  if (!page.Has(kPgPartiallyMapped) && AddToSwap(system, folio)) return true;
  SplitFolio(system, folio);
  IsolateTails(system, folio, tails);
  return AddToSwap(system, folio);
}

// True when the folio is gone but for the caller's reference. Linux: mm/vmscan.c shrink_folio_list() with
// ignore_references, for one folio
bool Shrink(System& system, Pfn folio, std::vector<Pfn>* tails) {
  if (system.pages[folio].Has(kPgUnevictable | kPgMlocked)) return false;
  if (!ReadyForSwap(system, folio, tails)) return false;
  if (FolioMapcount(system, folio) != 0 && !TryToUnmap(system, folio)) return false;
  return !FolioMaybeDmaPinned(system, folio) && WriteOutAndRemove(system, folio);
}

void ReclaimFolio(System& system, Pfn folio, std::vector<Pfn>* tails) {
  Page& page = system.pages[folio];
  page.Clear(kPgActive);
  if (!Shrink(system, folio, tails)) page.Set(kPgLru);  // folio_putback_lru()
  PutFolio(system, folio);
}

}  // namespace

bool FolioLikelyMappedShared(System& system, Pfn folio) {
  const int32_t mapcount = FolioMapcount(system, folio);
  if (mapcount <= 1) return false;
  if (!system.pages[folio].IsLarge()) return true;
  const int32_t entire = LargeFolio(system.pages, folio).EntireMapcount() + 1;
  if (entire != 0 || mapcount > static_cast<int32_t>(kHugePages)) return true;
  return system.pages[folio].mapcount > 0;
}

bool TryToUnmap(System& system, Pfn folio) {
  for (const Mapping& m : FindMappings(system, folio)) {
    if (TryToUnmapOne(system, folio, m) == Unmapped::kAbort) break;
  }
  return FolioMapcount(system, folio) == 0;
}

void FolioMkclean(System& system, Pfn folio) {
  const Arch arch = system.arch;
  for (const Mapping& m : FindMappings(system, folio)) {
    const Pte old = ReadEntry(m.entry);
    const Invalidation protect(MmuNotifyEvent::kProtectionPage, *m.vma->mm, m.address,
                               m.address + LevelSize(m.level));
    if (!m.vma->Has(kVmShared) || (!PteDirty(arch, old) && !PteWrite(arch, old))) continue;
    StorePte(*m.vma->mm, m.address, m.entry, PteMkClean(arch, PteWrProtect(arch, old)),
             "page_vma_mkclean_one");
    FlushTlbPage(*m.vma->mm, m.address);
  }
}

void ReclaimPages(System& system, const std::vector<Pfn>& folios) {
  for (const Pfn folio : folios) {
    std::vector<Pfn> tails;
    ReclaimFolio(system, folio, &tails);
    for (const Pfn tail : tails) ReclaimFolio(system, tail, nullptr);
  }
}

void FilemapWriteback(Inode& inode, uint64_t first, uint64_t last) {
  if (inode.kind != InodeKind::kDisk) return;
  System& system = *inode.system;
  for (auto it = inode.i_pages.lower_bound(first); it != inode.i_pages.end() && it->first <= last; ++it) {
    const Pfn pfn = it->second.page();
    if (!system.pages[pfn].Has(kPgDirty)) continue;
    // folio_clear_dirty_for_io()
    FolioMkclean(system, pfn);
    system.pages[pfn].Clear(kPgDirty);
    const uint64_t offset = it->first << kPageShift;
    const uint64_t n = std::min(kPageSize, inode.size_bytes - std::min(inode.size_bytes, offset));
    if (n == 0) continue;
    if (inode.backing.size() < offset + n) inode.backing.resize(offset + n);
    system.phys.ReadBytes(pfn.Base(), {reinterpret_cast<uint8_t*>(inode.backing.data()) + offset, n});
  }
}

}  // namespace mmsim
