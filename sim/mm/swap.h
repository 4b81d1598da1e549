// SPDX-License-Identifier: Apache-2.0
// Swap: one area of slots, the count of entries that name each, the pages of it that are in memory (the swap
// cache). Linux: mm/swapfile.c, mm/swap_state.c
//
// Invariants: a slot is used while its count is not 0 or a page is cached for it; a cached page has one
// reference from the cache and kPgSwapCache; what a table says of a slot (a swap PTE, a shmem entry) is in
// its count. The area answers at once, as zram and a RAM disk do (SWP_SYNCHRONOUS_IO): a page that only one
// entry names is read past the cache, and none is read ahead. A huge page is in the cache only while it is
// being paged out. Not modelled: several areas, priorities, discard, zswap, I/O errors, the slots that a
// processor keeps ready and those of its last cluster.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <span>
#include <vector>

#include "mmsim/types.h"
#include "sim/hw/frame_contents.h"
#include "sim/mm/arch/pte_types.h"
#include "sim/mm/system.h"

namespace mmsim {

struct Inode;

class SwapArea {
 public:
  static constexpr uint32_t kType = 0;

  SwapArea(System& system, uint64_t nr_slots);
  SwapArea(const SwapArea&) = delete;
  SwapArea& operator=(const SwapArea&) = delete;

  // A free slot with count 0; 0 when there is none (slot 0 is the area's header). Linux: folio_alloc_swap()
  uint64_t AllocSlot();
  // kHugePages free slots in a row, for a huge page as a whole: the first, or 0 when no cluster of them is
  // empty. Linux: mm/swapfile.c cluster_alloc_swap_entry()
  uint64_t AllocCluster();
  // One more entry names the slot. Linux: swap_duplicate()
  void Duplicate(uint64_t slot) { ++slots_[slot].count; }
  // One less; with the last one an unmapped cached page goes as well. Linux: swap_free(),
  // free_swap_and_cache_nr()
  void Free(uint64_t slot);
  void FreeAndCache(uint64_t slot);
  uint32_t Count(uint64_t slot) const { return slots_[slot].count; }  // swp_swapcount()
  // The cached page of a slot, or Pfn 0. Linux: swap_cache_get_folio()
  Pfn Cached(uint64_t slot) const { return slots_[slot].cached; }
  // Precondition: the page is in the swap cache.
  uint64_t SlotOf(Pfn page) const {
    const auto it = slot_of_.find(page.value);
    MMSIM_CHECK(it != slot_of_.end());
    return it->second;
  }

  // A huge page takes kHugePages slots from `slot` on. Linux: add_to_swap_cache(), delete_from_swap_cache()
  void AddToCache(Pfn folio, uint64_t slot);
  void DeleteFromCache(Pfn folio);
  void WriteOut(Pfn folio, uint64_t slot);
  void ReadIn(uint64_t slot, Pfn folio);
  // What the slot's page holds from `offset` on, in memory or not; for observers.
  void Read(uint64_t slot, uint64_t offset, std::span<uint8_t> out) const;

  uint64_t nr_slots() const { return slots_.size(); }
  uint64_t used() const { return used_; }
  // More than half of it is used: slots are given back as soon as they can be. Linux: include/linux/swap.h
  // vm_swap_full()
  bool IsFull() const { return (slots_.size() - 1 - used_) * 2 < slots_.size() - 1; }

 private:
  struct Slot {
    uint32_t count = 0;
    bool used = false;
    Pfn cached;
  };
  void ReleaseIfUnused(uint64_t slot);

  System& system_;
  std::vector<Slot> slots_;
  uint64_t used_ = 0, next_ = 1;
  absl::flat_hash_map<uint64_t, uint64_t> slot_of_;  // cached frame -> slot; never iterated
  FrameContents contents_;
};

// Takes a page out of the swap cache when nothing but the cache needs its slot. Linux: mm/swapfile.c
// folio_free_swap()
bool FolioFreeSwap(System& system, Pfn folio);
// The same for a page that has just been unmapped. Linux: mm/swap_state.c free_swap_cache()
void FreeSwapCacheUnlessMapped(System& system, Pfn folio);
inline void FreeSwapCache(System& system, Pfn folio) {
  if (system.pages[folio].Has(kPgSwapCache)) [[unlikely]]
    FreeSwapCacheUnlessMapped(system, folio);
}
// The swap cache's page of a slot that is in use, read in when it is not there; with a reference. Pfn 0 when
// memory is short. Linux: mm/swap_state.c read_swap_cache_async()
Pfn ReadSwapCacheAsync(System& system, uint64_t slot);
// A page of shmem comes back: into the page cache, in place of its swap entry. Pfn 0 when memory is short.
// Linux: mm/shmem.c shmem_swapin_folio()
Pfn ShmemSwapin(Inode& inode, uint64_t index);

}  // namespace mmsim
