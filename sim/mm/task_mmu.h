// SPDX-License-Identifier: Apache-2.0
// What /proc computes of pages: the sums of smaps, the entries of pagemap, kpagecount and kpageflags,
// clear_refs, mincore's bytes. sim/kernel prints them. Linux: fs/proc/task_mmu.c, fs/proc/page.c,
// mm/mincore.c
//
// Not modelled: uffd-wp markers, KSM, idle-page tracking, the flags of kpageflags that tell of reclaim's
// progress.
#pragma once

#include <absl/functional/function_ref.h>

#include <cstdint>
#include <vector>

#include "sim/base/errno.h"
#include "sim/mm/mm.h"

namespace mmsim {

inline constexpr int kPssShift = 12;

// Bytes; those named pss in units of 2^-kPssShift bytes. Linux: struct mem_size_stats
struct MemSizeStats {
  uint64_t resident = 0, shared_clean = 0, shared_dirty = 0, private_clean = 0, private_dirty = 0;
  uint64_t referenced = 0, anonymous = 0, lazyfree = 0, anonymous_thp = 0, shmem_thp = 0, file_thp = 0;
  uint64_t swap = 0, ksm = 0;
  uint64_t pss = 0, pss_anon = 0, pss_file = 0, pss_shmem = 0, pss_dirty = 0, pss_locked = 0, swap_pss = 0;
};
// Linux: fs/proc/task_mmu.c smap_gather_stats()
MemSizeStats SmapGatherStats(const Vma& vma);
// "THPeligible:" of smaps. Linux: thp_vma_allowable_orders() with TVA_SMAPS
bool ThpEligible(const Vma& vma);

// /proc/PID/pagemap. Linux: fs/proc/task_mmu.c PM_*
inline constexpr uint64_t kPmPfnMask = (uint64_t{1} << 55) - 1, kPmSoftDirty = uint64_t{1} << 55,
                          kPmMmapExclusive = uint64_t{1} << 56, kPmUffdWp = uint64_t{1} << 57,
                          kPmFile = uint64_t{1} << 61, kPmSwap = uint64_t{1} << 62,
                          kPmPresent = uint64_t{1} << 63;
// The entry of each page of [start, start + nr_pages), whether mapped or not. Linux: pagemap_read()
std::vector<uint64_t> PagemapRange(const Mm& mm, VirtAddr start, uint64_t nr_pages);
// The same of a VMA's pages, but not of those that no page table is there for.
void ForEachPagemapEntry(const Vma& vma, absl::FunctionRef<void(VirtAddr, uint64_t)> visit);

// /proc/kpagecount and /proc/kpageflags. Linux: fs/proc/page.c; include/uapi/linux/kernel-page-flags.h
inline constexpr int kKpfReferenced = 2, kKpfUptodate = 3, kKpfDirty = 4, kKpfLru = 5, kKpfActive = 6,
                     kKpfBuddy = 10, kKpfMmap = 11, kKpfAnon = 12, kKpfSwapcache = 13, kKpfSwapbacked = 14,
                     kKpfCompoundHead = 15, kKpfCompoundTail = 16, kKpfUnevictable = 18, kKpfNopage = 20,
                     kKpfKsm = 21, kKpfThp = 22, kKpfZeroPage = 24, kKpfPgtable = 26, kKpfReserved = 32,
                     kKpfMlocked = 33;
uint64_t KpagecountOf(const System& system, Pfn pfn);
uint64_t StablePageFlags(const System& system, Pfn pfn);

// Writing 1 to 5 to /proc/PID/clear_refs: all, anonymous, file, soft-dirty, peak rss. Linux:
// clear_refs_write()
Status ClearRefs(Mm& mm, int type);

// One byte a page of [range), which lies in the VMA: whether an access would find it in memory. Linux:
// mm/mincore.c mincore_pte_range()
void MincoreRange(const Vma& vma, VirtRange range, std::vector<uint8_t>* out);

}  // namespace mmsim
