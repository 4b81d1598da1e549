// SPDX-License-Identifier: Apache-2.0
// Frames: the record of each one (struct page) and the allocator of their numbers. Contents live in PhysMem.
// Linux: include/linux/mm_types.h struct page, include/linux/page-flags.h, mm/page_alloc.c.
//
// A folio is one frame or an aligned run of 512 (a huge page). Of a huge page the references are those of its
// head; each tail keeps its own count of PTEs and its own kPgAnonExclusive, and the records of the first two
// tails hold what concerns the whole: how often a PMD maps it, all mappings, pins (LargeFolio).
//
// Invariants: a frame is free exactly when its refcount is 0; a free frame's contents are zeros; tables come
// from frames of their own, because the host's memory for tables comes in chunks.
// Not modelled: zones, nodes, watermarks, orders other than 0 and 9.
#pragma once

#include <cstdint>

#include "mmsim/types.h"
#include "sim/base/check.h"
#include "sim/hw/phys_mem.h"

namespace mmsim {

inline constexpr unsigned kHugeOrder = 9;
inline constexpr uint64_t kHugePages = uint64_t{1} << kHugeOrder;  // HPAGE_PMD_NR
inline constexpr uint64_t kHugeSize = kHugePages << kPageShift;    // bytes; HPAGE_PMD_SIZE
inline constexpr uint64_t kHugeMask = ~(kHugeSize - 1);            // HPAGE_PMD_MASK
inline constexpr int32_t kGupPinCountingBias = 1024;               // GUP_PIN_COUNTING_BIAS

// Page flags, in the low bits of Page::index_flags.
using PageFlags = uint64_t;
inline constexpr PageFlags kPgAnonExclusive = 1 << 0, kPgSwapBacked = 1 << 1, kPgSwapCache = 1 << 2,
                           kPgDirty = 1 << 3, kPgLru = 1 << 4, kPgReferenced = 1 << 5, kPgUptodate = 1 << 6,
                           kPgMlocked = 1 << 7, kPgUnevictable = 1 << 8, kPgHead = 1 << 9, kPgTail = 1 << 10,
                           kPgTable = 1 << 11, kPgReserved = 1 << 12, kPgWriteback = 1 << 13,
                           kPgPartiallyMapped = 1 << 14, kPgActive = 1 << 15, kPgWorkingset = 1 << 16,
                           kPgReadahead = 1 << 17;
inline constexpr int kPgFlagBits = 20;

// A frame's record. mapping is tagged as Linux tags it: an AnonVma* | 1, or an Inode*; 0 when in neither.
struct Page {
  int32_t refcount = 0;   // 0: free
  int32_t mapcount = -1;  // PTEs that map it, less one, as Linux counts
  uint64_t mapping = 0;
  uint64_t index_flags = 0;  // index in pages (high 44 bits), flags (low 20)

  bool Has(PageFlags f) const { return (index_flags & f) != 0; }
  void Set(PageFlags f) { index_flags |= f; }
  void Clear(PageFlags f) { index_flags &= ~f; }
  uint64_t Index() const { return index_flags >> kPgFlagBits; }
  void SetIndex(uint64_t index) {
    index_flags = (index_flags & ((1 << kPgFlagBits) - 1)) | (index << kPgFlagBits);
  }
  // Linux: folio_test_anon()
  bool IsAnon() const { return (mapping & 1) != 0; }
  bool IsLarge() const { return Has(kPgHead); }
  // What nearly every page of a process is: anonymous, a folio by itself, and in no swap slot.
  bool IsPlainAnon() const { return IsAnon() && !Has(kPgHead | kPgTail | kPgSwapCache); }
};
static_assert(sizeof(Page) == 24);

class PageAllocator {
 public:
  explicit PageAllocator(PhysMem& phys);
  ~PageAllocator();
  PageAllocator(const PageAllocator&) = delete;
  PageAllocator& operator=(const PageAllocator&) = delete;

  // A frame of zeros; refcount 1. Pfn 0 when there is none.
  Pfn Alloc() {
    const Pfn pfn = AllocBare();
    if (pfn.value != 0) [[likely]]
      records_[pfn.value] = Page{1, -1, 0, 0};
    return pfn;
  }
  // The same, for a caller that writes the record, all of it.
  Pfn AllocBare() {
    const Pfn pfn = TakeSmall();
    if (pfn.value != 0) [[likely]]
      ++allocated_;
    return pfn;
  }
  // An aligned run of 512 of them, made a compound page.
  Pfn AllocHuge();
  // A frame in the direct map, of zeros, marked kPgTable; refcount 1. Pfn 0 when there is none.
  Pfn AllocTable();
  // `nr` consecutive single frames of zeros in the direct map, so that the kernel writes them as it writes
  // tables; refcount 1 each. Pfn 0 when there are none. Linux: mm/page_alloc.c alloc_pages_exact()
  Pfn AllocExact(uint64_t nr);
  // Precondition: refcount 0, mapped nowhere. A table's frame goes back to the tables.
  void Free(Pfn pfn, unsigned order);
  void FreeTable(Pfn pfn);
  // The 512 frames of a huge page become single ones; the caller sets their counts. Linux: the compound part
  // of __split_huge_page()
  void SplitCompound(Pfn head);

  Page& operator[](Pfn pfn) { return records_[pfn.value]; }
  const Page& operator[](Pfn pfn) const { return records_[pfn.value]; }
  // The head of the folio that a frame belongs to. Linux: page_folio()
  Pfn HeadOf(Pfn pfn) const {
    return records_[pfn.value].Has(kPgTail) ? Pfn(pfn.value & ~(kHugePages - 1)) : pfn;
  }
  uint64_t frames() const { return frames_; }
  uint64_t allocated() const { return allocated_; }
  PhysMem& phys() { return phys_; }

 private:
  struct Bump {
    uint64_t next = 0, end = 0;
  };
  Pfn Pop(uint64_t& list) {
    const uint64_t pfn = list;
    if (pfn != 0) list = records_[pfn].mapping;
    return Pfn(pfn);
  }
  uint64_t TakeBlock();
  bool Coalesce();
  Pfn TakeSmall() {
    if (free_small_ != 0) return Pop(free_small_);
    if (small_.next == small_.end) [[unlikely]]
      return TakeSmallOfNewBlock();
    if (small_.next == 0) __builtin_unreachable();  // frame 0 is nobody's: spares the callers a test
    return Pfn(small_.next++);
  }
  Pfn TakeSmallOfNewBlock();

  PhysMem& phys_;
  Page* records_;  // a reserved array, real memory only where used
  uint64_t frames_;
  uint64_t allocated_ = 0;
  uint64_t next_block_ = 0;  // first frame of the next block of 512 that was never used
  uint64_t free_small_ = 0;  // lists through Page::mapping; 0 ends them
  uint64_t free_tables_ = 0;
  uint64_t free_blocks_ = 0;
  Bump small_, tables_;
};

// What concerns a huge page as a whole, in the records of its tails. Linux: struct folio's _entire_mapcount,
// _large_mapcount, _nr_pages_mapped, _pincount
class LargeFolio {
 public:
  LargeFolio(PageAllocator& pages, Pfn head) : one_(pages[head + 1]), two_(pages[head + 2]) {}
  int32_t EntireMapcount() const { return static_cast<int32_t>(one_.mapping); }       // less one
  int32_t LargeMapcount() const { return static_cast<int32_t>(one_.mapping >> 32); }  // less one
  int32_t NrPagesMapped() const { return static_cast<int32_t>(two_.mapping); }        // by PTEs
  int32_t Pincount() const { return static_cast<int32_t>(two_.mapping >> 32); }
  void SetEntireMapcount(int32_t n) { SetLow(one_.mapping, n); }
  void SetLargeMapcount(int32_t n) { SetHigh(one_.mapping, n); }
  void SetNrPagesMapped(int32_t n) { SetLow(two_.mapping, n); }
  void SetPincount(int32_t n) { SetHigh(two_.mapping, n); }
  void Reset() {
    one_.mapping = ~uint64_t{0};
    two_.mapping = 0;
  }

 private:
  static void SetLow(uint64_t& word, int32_t n) {
    word = (word & ~uint64_t{0xffffffff}) | static_cast<uint32_t>(n);
  }
  static void SetHigh(uint64_t& word, int32_t n) {
    word = (word & 0xffffffff) | (uint64_t{static_cast<uint32_t>(n)} << 32);
  }
  Page& one_;
  Page& two_;
};

}  // namespace mmsim
