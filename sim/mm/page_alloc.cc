// SPDX-License-Identifier: Apache-2.0
// The allocator of frames (page_alloc.h): blocks of 512 frames are cut up for single frames and for tables,
// or given out whole; what comes back goes on lists through the records, last in first out, so that the order
// is a function of the calls alone. Linux: mm/page_alloc.c, as far as a number is found at all.
#include "sim/mm/page_alloc.h"

#include <sys/mman.h>

#include <cstring>
#include <vector>

#include "sim/base/host_limit.h"

namespace mmsim {

PageAllocator::PageAllocator(PhysMem& phys) : phys_(phys), frames_(phys.nr_frames()) {
  void* p = mmap(nullptr, frames_ * sizeof(Page), PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) {
    HostLimit("this host grants no address space for the records of frames (see ulimit -v)");
  }
  records_ = static_cast<Page*>(p);
  // The records of a large machine come 2 MiB at a time; a machine that uses few frames is not to clear that
  // much.
  constexpr size_t kSmallMachine = size_t{2} << 20;
  const size_t bytes = frames_ * sizeof(Page);
  if (bytes > kSmallMachine)
    madvise(static_cast<char*>(p) + kSmallMachine, bytes - kSmallMachine, MADV_HUGEPAGE);
  // Frame 0 is nobody's: Pfn 0 means none. It goes unused with the rest of its block given to single frames.
  small_ = {1, frames_ < kHugePages ? frames_ : kHugePages};
  next_block_ = kHugePages;
}

PageAllocator::~PageAllocator() {
  munmap(records_, frames_ * sizeof(Page));
}

// The first frame of 512 free ones, or 0.
uint64_t PageAllocator::TakeBlock() {
  if (free_blocks_ != 0) return Pop(free_blocks_).value;
  if (next_block_ + kHugePages > frames_) return 0;
  const uint64_t block = next_block_;
  next_block_ += kHugePages;
  return block;
}

// Gathers single free frames into whole blocks where all 512 of one are free. Rare: only when no block is
// left.
bool PageAllocator::Coalesce() {
  std::vector<uint16_t> free_of(frames_ / kHugePages + 1);
  for (uint64_t p = free_small_; p != 0; p = records_[p].mapping) ++free_of[p / kHugePages];
  bool found = false;
  uint64_t kept = 0;
  for (uint64_t p = free_small_, next; p != 0; p = next) {
    next = records_[p].mapping;
    if (free_of[p / kHugePages] == kHugePages) {
      if (p % kHugePages != 0) continue;
      records_[p].mapping = free_blocks_;
      free_blocks_ = p;
      found = true;
    } else {
      records_[p].mapping = kept;
      kept = p;
    }
  }
  free_small_ = kept;
  return found;
}

Pfn PageAllocator::TakeSmallOfNewBlock() {
  if (const uint64_t block = TakeBlock(); block != 0) {
    small_ = {block + 1, block + kHugePages};
    return Pfn(block);
  }
  // The last frames: those kept for tables.
  if (tables_.next != tables_.end) return Pfn(tables_.next++);
  const Pfn table = Pop(free_tables_);
  if (table.value != 0) phys_.Discard(table);
  return table;
}

Pfn PageAllocator::AllocHuge() {
  uint64_t block = TakeBlock();
  if (block == 0 && Coalesce()) block = TakeBlock();
  if (block == 0) return Pfn(0);
  records_[block] = Page{1, -1, 0, kPgHead};
  for (uint64_t i = 1; i < kHugePages; ++i) records_[block + i] = Page{0, -1, 0, kPgTail};
  LargeFolio(*this, Pfn(block)).Reset();
  allocated_ += kHugePages;
  return Pfn(block);
}

Pfn PageAllocator::AllocTable() {
  Pfn pfn = Pop(free_tables_);
  if (pfn.value != 0) {
    std::memset(phys_.TableAt(pfn), 0, kPageSize);
  } else {
    if (tables_.next == tables_.end) {
      if (const uint64_t block = TakeBlock(); block != 0) tables_ = {block, block + kHugePages};
    }
    pfn = tables_.next != tables_.end ? Pfn(tables_.next++) : TakeSmall();
    if (pfn.value == 0) return pfn;
    phys_.MakeTable(pfn);
  }
  records_[pfn.value] = Page{1, -1, 0, kPgTable};
  ++allocated_;
  return pfn;
}

Pfn PageAllocator::AllocExact(uint64_t nr) {
  MMSIM_CHECK(nr > 0 && nr <= kHugePages);
  const Pfn first = AllocHuge();
  if (first.value == 0) return first;
  SplitCompound(first);
  for (uint64_t i = 0; i < nr; ++i) {
    records_[first.value + i].refcount = 1;
    phys_.MakeTable(first + i);
  }
  records_[first.value].refcount = 1;
  for (uint64_t i = kHugePages; i-- > nr;) {  // the lowest of the rest is the next to be given out
    records_[first.value + i] = Page{};
    Free(first + i, 0);
  }
  return first;
}

void PageAllocator::Free(Pfn pfn, unsigned order) {
  Page& page = records_[pfn.value];
  MMSIM_CHECK(page.refcount == 0 && page.mapcount == -1 && !page.Has(kPgTable));
  if (order == 0) {
    phys_.Discard(pfn);
    page = Page{0, -1, free_small_, 0};
    free_small_ = pfn.value;
    --allocated_;
    return;
  }
  MMSIM_CHECK(order == kHugeOrder && page.Has(kPgHead));
  for (uint64_t i = 0; i < kHugePages; ++i) {
    phys_.Discard(pfn + i);
    records_[pfn.value + i] = Page{};
  }
  page.mapping = free_blocks_;
  free_blocks_ = pfn.value;
  allocated_ -= kHugePages;
}

void PageAllocator::FreeTable(Pfn pfn) {
  Page& page = records_[pfn.value];
  MMSIM_CHECK(page.Has(kPgTable) && page.refcount == 1);
  page = Page{0, -1, free_tables_, 0};
  free_tables_ = pfn.value;
  --allocated_;
}

void PageAllocator::SplitCompound(Pfn head) {
  MMSIM_CHECK(records_[head.value].Has(kPgHead));
  records_[head.value].Clear(kPgHead);
  for (uint64_t i = 1; i < kHugePages; ++i) {
    Page& tail = records_[head.value + i];
    tail.mapping = 0;
    tail.Clear(kPgTail);
  }
}

}  // namespace mmsim
