// SPDX-License-Identifier: Apache-2.0
// A translation lookaside buffer of one simulated processor: what walks came to, kept until somebody
// invalidates it. An entry holds the frame, the rights of all levels and the dirty state of when it was
// filled, so that tables changed without the invalidation that is due show: the processor goes on with the
// rights of before.
//
// As both manuals allow and the emulated processors do: only walks without a trap are kept, and an access
// that an entry does not permit walks the tables before it traps. So a stale entry can permit too much, never
// too little. Pages of 4 KiB are in a direct-mapped array (deterministic: no replacement policy), larger ones
// in a short list.
//
// Not modelled: separate instruction TLBs, paging-structure caches, and whatever would drop entries unasked.
#pragma once

#include <array>
#include <cstdint>

#include "mmsim/types.h"
#include "sim/hw/geometry.h"

namespace mmsim {

class Tlb {
 public:
  struct Entry {
    uint64_t page = kEmpty;  // the first address of the page, as the codec's TlbPage gives it
    uint64_t frame = 0;      // its physical address
    uint32_t attributes = 0;
    uint16_t asid = 0;
    uint8_t level = 0;
    bool global = false;

    bool Matches(uint64_t p, uint16_t a) const { return page == p && (asid == a || global); }
    bool IsEmpty() const { return page == kEmpty; }
  };

  // The entry that translates the page at `page` (4 KiB aligned), or null.
  const Entry* Find(VirtAddr page, uint16_t asid, const Geometry& geometry) const {
    const Entry& e = small_[SmallIndex(page.value)];
    if (e.Matches(page.value, asid)) [[likely]]
      return &e;
    return nr_large_ == 0 ? nullptr : FindLarge(page.value, asid, geometry);
  }

  void Insert(VirtAddr page, uint16_t asid, bool global, PhysAddr frame, int level, uint32_t attributes,
              const Geometry& geometry) {
    const uint64_t mask = geometry.LevelMask(level);
    const Entry e{
        page.value & mask, frame.value & mask, attributes, asid, static_cast<uint8_t>(level), global};
    if (level != 0) [[unlikely]]
      return InsertLarge(e);
    Entry& slot = small_[SmallIndex(page.value)];
    nr_small_ += slot.IsEmpty();
    slot = e;
  }

  // INVLPG, TLBI VAE1: whatever translates this address, of this address space or global; the whole of a
  // large page.
  void InvalidatePage(VirtAddr va, uint16_t asid, const Geometry& geometry) {
    InvalidateRange({va.PageFloor(), va.PageFloor() + kPageSize}, asid, geometry);
  }
  // As often as there are pages in the range.
  void InvalidateRange(VirtRange range, uint16_t asid, const Geometry& geometry) {
    if (range.Empty()) return;
    const auto hit = [&](const Entry& e) {
      return (e.asid == asid || e.global) && e.page < range.end.value &&
             e.page + geometry.LevelSize(e.level) - 1 >= range.start.value;
    };
    if (range.NrPages() < kSmallEntries) {
      for (uint64_t p = range.start.PageFloor().value; p < range.end.value; p += kPageSize) {
        Entry& slot = small_[SmallIndex(p)];
        if (!slot.Matches(p, asid)) continue;
        slot = Entry();
        --nr_small_;
      }
    } else {
      DropIf(hit, small_, nr_small_);
    }
    DropIf(hit, large_, nr_large_);
  }
  // INVPCID type 1, TLBI ASIDE1: all of one address space but what is global.
  void InvalidateAsid(uint16_t asid) {
    const auto hit = [asid](const Entry& e) { return e.asid == asid && !e.global; };
    DropIf(hit, small_, nr_small_);
    DropIf(hit, large_, nr_large_);
  }
  // INVPCID type 2, TLBI VMALLE1.
  void InvalidateAll() {
    const auto hit = [](const Entry&) { return true; };
    DropIf(hit, small_, nr_small_);
    DropIf(hit, large_, nr_large_);
  }

  // Every entry, in an order that depends on the accesses alone; for those who compare them with the tables.
  template <typename Function>
  void ForEach(Function&& function) const {
    for (const Entry& e : small_) {
      if (!e.IsEmpty()) function(e);
    }
    for (const Entry& e : large_) {
      if (!e.IsEmpty()) function(e);
    }
  }

 private:
  static constexpr uint64_t kEmpty = 1;  // no page starts there
  static constexpr uint64_t kSmallEntries = 256, kLargeEntries = 16;
  static uint64_t SmallIndex(uint64_t page) { return (page >> kPageShift) % kSmallEntries; }

  [[gnu::noinline]] void InsertLarge(const Entry& e) {
    // An older entry of the same page is replaced, so that one address never has two.
    const auto same = [&](const Entry& old) {
      return old.level == e.level && old.page == e.page && old.asid == e.asid;
    };
    DropIf(same, large_, nr_large_);
    for (Entry& slot : large_) {
      if (!slot.IsEmpty()) continue;
      ++nr_large_;
      slot = e;
      return;
    }
    large_[next_victim_] = e;
    next_victim_ = (next_victim_ + 1) % kLargeEntries;
  }
  [[gnu::noinline]] const Entry* FindLarge(uint64_t page, uint16_t asid, const Geometry& geometry) const {
    for (const Entry& e : large_) {
      if (e.Matches(page & geometry.LevelMask(e.level), asid)) return &e;
    }
    return nullptr;
  }
  template <typename Predicate, typename Entries>
  static void DropIf(const Predicate& predicate, Entries& entries, uint32_t& count) {
    if (count == 0) return;
    for (Entry& e : entries) {
      if (e.IsEmpty() || !predicate(e)) continue;
      e = Entry();
      --count;
    }
  }

  std::array<Entry, kSmallEntries> small_;
  std::array<Entry, kLargeEntries> large_;
  uint32_t nr_small_ = 0, nr_large_ = 0;
  uint32_t next_victim_ = 0;
};

}  // namespace mmsim
