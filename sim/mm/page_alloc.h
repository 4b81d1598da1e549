// SPDX-License-Identifier: Apache-2.0
// Frames: the record of each one (struct page) and the allocator of their numbers. Contents live in
// hw::PhysMem. Linux: include/linux/mm_types.h struct page, mm/page_alloc.c.
#pragma once

#include <cstdint>

#include "mmsim/types.h"

namespace mmsim {

// A frame's record. mapping is tagged as Linux tags it: an AnonVma* | 1, or an Inode*; 0 when in neither.
struct Page {
  int32_t refcount = 0;   // 0: free
  int32_t mapcount = -1;  // PTEs that map it, less one, as Linux counts
  uint64_t mapping = 0;
  uint64_t index_flags = 0;  // index in pages (low 40 bits), flags (high 24)
};
static_assert(sizeof(Page) == 24);

class PageAllocator {
 public:
  explicit PageAllocator(uint64_t frames);
  ~PageAllocator();
  PageAllocator(const PageAllocator&) = delete;

  // A frame (order 0) or an aligned run of 2^order; refcount 1. Pfn 0 when there is none.
  Pfn Alloc(unsigned order);
  void Free(Pfn pfn, unsigned order);
  Page& operator[](Pfn pfn) { return records_[pfn.value]; }
  const Page& operator[](Pfn pfn) const { return records_[pfn.value]; }
  uint64_t frames() const { return frames_; }
  uint64_t allocated() const { return allocated_; }

 private:
  Page* records_;  // a reserved array, real memory only where used
  uint64_t frames_;
  uint64_t allocated_ = 0;
  uint64_t next_fresh_ = 1;
};

}  // namespace mmsim
