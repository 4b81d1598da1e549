// SPDX-License-Identifier: Apache-2.0
// The VMAs of an address space in order of address: a stand-in for the maple tree. Range lookup, next and
// previous, first-fit gap search from above and from below, all O(log n).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "mmsim/types.h"

namespace mmsim {

struct Vma;

class VmaTree {
 public:
  VmaTree();
  ~VmaTree();
  VmaTree(const VmaTree&) = delete;
  VmaTree& operator=(const VmaTree&) = delete;

  size_t size() const { return size_; }
  // The first VMA that ends after `address`, or null. Linux: mm/mmap.c find_vma()
  Vma* Find(VirtAddr address) const;
  // The VMA that contains `address`, or null. Linux: include/linux/mm.h vma_lookup()
  Vma* Lookup(VirtAddr address) const;
  // The first VMA that has a byte in [start, end), or null. Linux: mm/mmap.c find_vma_intersection()
  Vma* FindIntersection(VirtAddr start, VirtAddr end) const;
  // As Find; *prev is the last VMA that ends at or before `address`, or null. Linux: mm/mmap.c
  // find_vma_prev()
  Vma* FindPrev(VirtAddr address, Vma** prev) const;
  Vma* First() const;
  Vma* Last() const;

  // A free run of at least `size` bytes inside [min, max): its lowest address / its end (exclusive), clamped
  // to the limits. Linux: lib/maple_tree.c mas_empty_area(), mas_empty_area_rev()
  std::optional<VirtAddr> LowestGap(VirtAddr min, VirtAddr max, uint64_t size) const;
  std::optional<VirtAddr> HighestGapEnd(VirtAddr min, VirtAddr max, uint64_t size) const;

  // `for (Vma& vma : mm.vmas)`, in order of address. The current VMA may grow or change flags; it must stay.
  class Iterator {
   public:
    explicit Iterator(Vma* vma) : vma_(vma) {}
    Vma& operator*() const { return *vma_; }
    Iterator& operator++();
    bool operator==(const Iterator&) const = default;

   private:
    Vma* vma_;
  };
  Iterator begin() const { return Iterator(First()); }
  Iterator end() const { return Iterator(nullptr); }

 private:
  size_t size_ = 0;
};

}  // namespace mmsim
