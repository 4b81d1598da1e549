// SPDX-License-Identifier: Apache-2.0
// The swap area and its cache (swap.h).
#include "sim/mm/swap.h"

#include <algorithm>

#include "sim/mm/filemap.h"
#include "sim/mm/folio.h"
#include "sim/mm/lru.h"

namespace mmsim {

SwapArea::SwapArea(System& system, uint64_t nr_slots)
    : system_(system), slots_(nr_slots), contents_(nr_slots) {}

uint64_t SwapArea::AllocSlot() {
  if (system_.failures.ShouldFail(Seam::kSwapSlot)) return 0;
  if (slots_.size() <= 1 || used_ == slots_.size() - 1) return 0;
  while (slots_[next_].used) next_ = next_ + 1 == slots_.size() ? 1 : next_ + 1;
  slots_[next_].used = true;
  ++used_;
  return next_;
}

uint64_t SwapArea::AllocCluster() {
  if (system_.failures.ShouldFail(Seam::kSwapSlot)) return 0;
  for (uint64_t first = kHugePages; first + kHugePages <= slots_.size(); first += kHugePages) {
    const auto cluster = std::span(slots_).subspan(first, kHugePages);
    if (std::ranges::any_of(cluster, &Slot::used)) continue;
    for (Slot& slot : cluster) slot.used = true;
    used_ += kHugePages;
    return first;
  }
  return 0;
}

void SwapArea::ReleaseIfUnused(uint64_t slot) {
  Slot& s = slots_[slot];
  if (s.count != 0 || s.cached.value != 0) return;
  s.used = false;
  --used_;
  contents_.Discard(slot);
  if (slot < next_) next_ = slot;
}

void SwapArea::Free(uint64_t slot) {
  MMSIM_CHECK(slots_[slot].used && slots_[slot].count > 0);
  --slots_[slot].count;
  ReleaseIfUnused(slot);
}

void SwapArea::FreeAndCache(uint64_t slot) {
  const Pfn cached = slots_[slot].cached;
  Free(slot);
  if (cached.value != 0 && slots_[slot].count == 0 && (IsFull() || FolioMapcount(system_, cached) == 0)) {
    FolioFreeSwap(system_, cached);
  }
}

void SwapArea::AddToCache(Pfn folio, uint64_t slot) {
  const uint64_t nr = FolioNrPages(system_, folio);
  for (uint64_t i = 0; i < nr; ++i) {
    slots_[slot + i].cached = folio + i;
    slot_of_[folio.value + i] = slot + i;
  }
  GetFolio(system_, folio, static_cast<int32_t>(nr));
  system_.pages[folio].Set(kPgSwapCache);
}

void SwapArea::DeleteFromCache(Pfn folio) {
  const uint64_t slot = SlotOf(folio), nr = FolioNrPages(system_, folio);
  system_.pages[folio].Clear(kPgSwapCache);
  for (uint64_t i = 0; i < nr; ++i) {
    slot_of_.erase(folio.value + i);
    slots_[slot + i].cached = Pfn(0);
    ReleaseIfUnused(slot + i);
    PutFolio(system_, folio);
  }
}

void SwapArea::WriteOut(Pfn folio, uint64_t slot) {
  for (uint64_t i = 0; i < FolioNrPages(system_, folio); ++i) {
    contents_.Copy(system_.phys.contents(), folio.value + i, slot + i);
  }
  system_.pages[folio].Clear(kPgDirty);
}

void SwapArea::ReadIn(uint64_t slot, Pfn folio) {
  system_.phys.contents().Copy(contents_, slot, folio.value);
  system_.pages[folio].Set(kPgUptodate);
}

void SwapArea::Read(uint64_t slot, uint64_t offset, std::span<uint8_t> out) const {
  const Pfn cached = Cached(slot);
  if (cached.value != 0) {
    system_.phys.ReadBytes(cached.Base() + offset, out);
  } else {
    contents_.Read(slot, static_cast<uint32_t>(offset), out);
  }
}

bool FolioFreeSwap(System& system, Pfn folio) {
  if (!system.pages[folio].Has(kPgSwapCache)) return false;
  if (system.swap->Count(system.swap->SlotOf(folio)) != 0) return false;
  system.pages[folio].Set(kPgDirty);
  system.swap->DeleteFromCache(folio);
  return true;
}

void FreeSwapCacheUnlessMapped(System& system, Pfn folio) {
  if (FolioMapcount(system, folio) == 0) FolioFreeSwap(system, folio);
}

Pfn ReadSwapCacheAsync(System& system, uint64_t slot) {
  Pfn folio = system.swap->Cached(slot);
  if (folio.value != 0) {
    GetFolio(system, folio);
    return folio;
  }
  folio = AllocFolio(system);
  if (folio.value == 0) return folio;
  system.pages[folio].Set(kPgSwapBacked);
  system.swap->ReadIn(slot, folio);
  system.swap->AddToCache(folio, slot);
  FolioAddLru(system, folio);
  return folio;
}

Pfn ShmemSwapin(Inode& inode, uint64_t index) {
  System& system = *inode.system;
  const uint64_t slot = inode.i_pages[index].swap_offset();
  // Through the swap cache, whose reference becomes the page cache's.
  const Pfn folio = ReadSwapCacheAsync(system, slot);
  if (folio.value == 0) return folio;
  system.swap->DeleteFromCache(folio);
  Page& page = system.pages[folio];
  page.Set(kPgSwapBacked | kPgDirty);
  page.mapping = reinterpret_cast<uint64_t>(&inode);
  page.SetIndex(index);
  inode.i_pages[index] = CacheEntry::OfPage(folio);
  system.swap->Free(slot);
  return folio;
}

}  // namespace mmsim
