// SPDX-License-Identifier: Apache-2.0
// The VMAs of an address space in order of address: a stand-in for the maple tree. Range lookup, next and
// previous, first-fit gap search from above and from below, all O(log n).
//
// A B+tree whose leaves hold bounds beside the pointers, so that neither a lookup nor a gap search touches a
// VMA that it does not return. An inner node knows of each child where it begins and ends and the largest gap
// inside it; gaps between children follow from their bounds, so a change never reaches another subtree. VMAs
// are linked to their neighbours. Only VmaEdit changes the tree.
#pragma once

#include <cstddef>
#include <cstdint>

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
  Vma* Find(VirtAddr address) const {
    if (Vma* vma = FindAgain(address)) return vma;
    return FindSlow(address);
  }
  // The VMA that was found last, if it contains `address`; else null, and Lookup may find another.
  Vma* FindAgain(VirtAddr address) const {
    // Unsigned wrap-around makes this one comparison; an empty cache has length 0.
    if (address.value - cache_.start >= cache_.length) return nullptr;
    if (cache_.vma == nullptr) __builtin_unreachable();  // a length without a VMA: spares the callers a test
    return cache_.vma;
  }
  // The VMA that contains `address`, or null. Linux: include/linux/mm.h vma_lookup()
  Vma* Lookup(VirtAddr address) const;
  // The first VMA that has a byte in [start, end), or null. Linux: mm/mmap.c find_vma_intersection()
  Vma* FindIntersection(VirtAddr start, VirtAddr end) const;
  // As Find; *prev is the last VMA that ends at or before `address`, or null. Linux: mm/mmap.c
  // find_vma_prev()
  Vma* FindPrev(VirtAddr address, Vma** prev) const;
  Vma* First() const;
  Vma* Last() const;

  // A free run clamped to the limits of a search, and the VMA that follows it (null: none).
  struct Gap {
    VirtAddr start, end;
    Vma* next = nullptr;
    bool found = false;
  };
  // The lowest / highest free run that has at least `size` bytes inside [min, max).
  // Linux: lib/maple_tree.c mas_empty_area(), mas_empty_area_rev()
  Gap LowestGap(VirtAddr min, VirtAddr max, uint64_t size) const;
  Gap HighestGap(VirtAddr min, VirtAddr max, uint64_t size) const;

  // `for (Vma& vma : mm.vmas)`, in order of address. The current VMA may change but must stay attached.
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

  // Every invariant of the structure; aborts on a violation.
  void CheckInvariants() const;

 private:
  friend class VmaEdit;
  struct Leaf;
  struct Inner;
  // What a parent knows of a child.
  struct Summary {
    uint64_t first_start = 0, last_end = 0, max_gap = 0;
    bool operator==(const Summary&) const = default;
  };
  struct Path;

  void Insert(Vma* vma);
  void Erase(Vma* vma);
  // The bounds of an attached VMA change from [old_start, old_end) to [start, end); its place in the order
  // stays.
  void Update(Vma* vma, VirtAddr old_start, VirtAddr old_end, VirtAddr start, VirtAddr end);

  Vma* FindSlow(VirtAddr address) const;
  Leaf* Descend(uint64_t address, Path* path) const;
  void InsertInLeaf(Leaf* leaf, unsigned at, Vma* vma);
  void SplitLeaf(Path* path, Leaf* leaf, unsigned at, Vma* vma);
  void InsertChild(Path* path, int level, void* left, Summary left_summary, void* right,
                   Summary right_summary);
  void RemoveChild(Path* path, int level);
  void MergeSmallLeaf(Path* path, Leaf* leaf);
  void Propagate(Path* path, int level, Summary summary);
  bool LowestIn(const void* node, int height, uint64_t min, uint64_t max, uint64_t size, Gap* gap) const;
  bool HighestIn(const void* node, int height, uint64_t min, uint64_t max, uint64_t size, Gap* gap) const;
  Summary CheckNode(const void* node, int height, size_t* count) const;
  void FreeNode(void* node, int height);

  struct Cache {
    uint64_t start = 0, length = 0;
    Vma* vma = nullptr;
  };
  mutable Cache cache_;  // the VMA that was found last
  void* root_;           // a Leaf when height_ is 0, else an Inner
  int height_ = 0;
  size_t size_ = 0;
  Vma* first_ = nullptr;
  Vma* last_ = nullptr;
};

}  // namespace mmsim
