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
// Beside them one entry of a paging-structure cache (SDM 4.10.3; Arm ARM D8.16, walk caches): the last table
// that a walk came through. Every invalidation drops it, of whatever it is, as INVLPG does. A leaf that needs
// a store of hardware's is walked to from the root all the same.
//
// Not modelled: entries of the upper half of the address space and of tagged addresses (both walk each time),
// separate instruction TLBs, and whatever would drop entries unasked.
#pragma once

#include <array>
#include <cstdint>

#include "mmsim/types.h"
#include "sim/hw/geometry.h"

namespace mmsim {

class Tlb {
 public:
  struct Entry {
    uint64_t page = 0;   // the first address of the page
    uint64_t frame = 0;  // its physical address
    uint32_t attributes = 0;
    uint16_t asid = 0;
    uint8_t level = 0;
    bool global = false;
  };
  // A 4 KiB page that is not global: nearly all there ever are. One comparison finds it.
  struct Small {
    uint64_t tag = 0;
    uint64_t frame = 0;
    uint32_t attributes = 0;
  };

  // The table of PTEs that 2 MiB of an address space are translated by, if the tables above it take no right
  // away.
  struct Table {
    uint64_t tag = 0;
    const uint64_t* entries = nullptr;
  };

  // Where the small page that `va` lies in would be, and by which tag it is known: bits 47:12 of its address
  // at 63:28, and the address space. Precondition of all that take an address to keep or find: its bits 63:48
  // are clear.
  Small& SlotOf(VirtAddr va) { return small_[va.PageNumber() % kSmalls]; }
  static uint64_t PageTag(VirtAddr va) { return va.PageNumber() << kPageTagShift; }
  static constexpr uint64_t AsidTag(uint16_t asid) { return kUsed | asid; }
  static constexpr uint16_t AsidOf(uint64_t tag) { return static_cast<uint16_t>(tag); }
  void InsertSmall(Small& slot, uint64_t tag, uint64_t frame, uint32_t attributes) {
    slot = {tag, frame, attributes};
    small_used_ = true;
  }

  // There is one only while no other entry than small ones is held. Its tag has all bits 63:21 of the
  // address.
  const Table& table() const { return table_; }
  static uint64_t TableTag(VirtAddr va) { return va.value >> kTableShift << kTableTagShift; }
  // Precondition: !HasOthers().
  void KeepTable(uint64_t tag, const uint64_t* entries) { table_ = {tag, entries}; }
  // The first address that the table of a tag translates.
  static VirtAddr FirstOfTable(uint64_t tag) { return VirtAddr(tag >> kTableTagShift << kTableShift); }

  bool HasOthers() const { return nr_others_ != 0; }
  // Any page that `va` lies in; false if there is none.
  bool FindAny(VirtAddr va, uint16_t asid, const Geometry& geometry, Entry& found) {
    const Small& small = SlotOf(va);
    if (small.tag == (PageTag(va) | AsidTag(asid))) {
      found = Expand(small);
      return true;
    }
    for (uint32_t i = 0; i < nr_others_; ++i) {
      const Entry& e = others_[i];
      if (e.page != (va.value & geometry.LevelMask(e.level)) || (e.asid != asid && !e.global)) continue;
      found = e;
      return true;
    }
    return false;
  }
  void InsertOther(VirtAddr va, uint16_t asid, bool global, PhysAddr at, int level, uint32_t attributes,
                   const Geometry& geometry) {
    DropTable();
    const uint64_t mask = geometry.LevelMask(level);
    const Entry e{va.value & mask, at.value & mask, attributes, asid, static_cast<uint8_t>(level), global};
    // An older entry of the same page is replaced, so that one address never has two.
    DropOthers([&](const Entry& o) { return o.level == e.level && o.page == e.page && o.asid == e.asid; });
    if (nr_others_ == kOthers) {
      others_[next_victim_] = e;
      next_victim_ = (next_victim_ + 1) % kOthers;
    } else {
      others_[nr_others_++] = e;
    }
  }

  // INVLPG, TLBI VAE1, if there are no others: whatever translates this address, of this address space or
  // global. With others InvalidateRange, which drops the whole of a large page.
  void InvalidateSmall(VirtAddr va, uint16_t asid) {
    DropTable();
    DropSmall(va, asid);
  }
  // As often as there are pages in the range.
  void InvalidateRange(VirtRange range, uint16_t asid, const Geometry& geometry) {
    if (range.Empty()) return;
    DropTable();
    if (range.NrPages() < kSmalls) {
      for (uint64_t p = range.start.PageFloor().value; p < range.end.value; p += kPageSize) {
        DropSmall(VirtAddr(p), asid);
      }
    } else {
      DropSmalls([&](const Entry& e) {
        return e.asid == asid && e.page + kPageSize - 1 >= range.start.value && e.page < range.end.value;
      });
    }
    DropOthersOf(range, asid, geometry);
  }
  // INVPCID type 1, TLBI ASIDE1: all of one address space but what is global.
  void InvalidateAsid(uint16_t asid) {
    DropTable();
    DropSmalls([&](const Entry& e) { return e.asid == asid; });
    DropOthers([&](const Entry& e) { return e.asid == asid && !e.global; });
  }
  // INVPCID type 2, TLBI VMALLE1.
  void InvalidateAll() {
    DropTable();
    if (small_used_) small_.fill(Small());
    small_used_ = false;
    nr_others_ = 0;
  }

  // Every entry, in an order that depends on the accesses alone; for those who compare them with the tables.
  template <typename Function>
  void ForEach(Function&& function) const {
    for (uint64_t i = 0; i < kSmalls; ++i) {
      if (small_[i].tag != 0) function(Expand(small_[i]));
    }
    for (uint32_t i = 0; i < nr_others_; ++i) function(others_[i]);
  }

 private:
  static constexpr uint64_t kSmalls = 256;
  static constexpr uint32_t kOthers = 16;
  static constexpr int kPageTagShift = 28, kTableTagShift = 17, kTableShift = 21;
  static constexpr uint64_t kUsed = uint64_t{1} << 16;  // of a tag, so that none is that of an empty slot
  static Entry Expand(const Small& s) {
    return Entry{s.tag >> kPageTagShift << kPageShift, s.frame, s.attributes, AsidOf(s.tag), 0, false};
  }
  void DropTable() { table_.tag = 0; }
  void DropSmall(VirtAddr va, uint16_t asid) {
    Small& slot = SlotOf(va);
    if (slot.tag == (PageTag(va) | AsidTag(asid))) slot = Small();
  }
  void DropOthersOf(VirtRange range, uint16_t asid, const Geometry& geometry) {
    DropOthers([&](const Entry& e) {
      return (e.asid == asid || e.global) && e.page < range.end.value &&
             e.page + geometry.LevelSize(e.level) - 1 >= range.start.value;
    });
  }
  template <typename Predicate>
  void DropSmalls(const Predicate& predicate) {
    if (!small_used_) return;
    for (Small& s : small_) {
      if (s.tag != 0 && predicate(Expand(s))) s = Small();
    }
  }
  template <typename Predicate>
  void DropOthers(const Predicate& predicate) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < nr_others_; ++i) {
      if (!predicate(others_[i])) others_[kept++] = others_[i];
    }
    nr_others_ = kept;
  }

  Table table_;
  std::array<Small, kSmalls> small_;
  std::array<Entry, kOthers> others_;
  uint32_t nr_others_ = 0, next_victim_ = 0;
  bool small_used_ = false;  // since the last InvalidateAll
};

}  // namespace mmsim
