// SPDX-License-Identifier: Apache-2.0
// Page tables: the one door through which a table entry is written, and the walks over ranges that the verbs
// are made of. An entry's bits are made and read in sim/mm/arch. Linux: mm/memory.c, mm/mprotect.c,
// mm/mremap.c.
#pragma once

#include <cstdint>

#include "mmsim/types.h"
#include "sim/base/errno.h"
#include "sim/mm/mm.h"

namespace mmsim {

// Removes the translations of [range) inside `vma`, drops the frames' references and counters, flushes the
// TLB. The tables stay. Linux: mm/memory.c unmap_vmas(), zap_page_range_single()
void UnmapPageRange(Mm& mm, Vma& vma, VirtRange range);

// Frees page tables that became empty when [range) lost its VMAs; [floor, ceiling) bounds what neighbours
// still need (0, 0: no bound). Linux: mm/memory.c free_pgtables(), free_pgd_range()
void FreePageTables(Mm& mm, VirtRange range, VirtAddr floor, VirtAddr ceiling);

// Moves the translations of [old_address, +len) to new_address; returns how many bytes were moved before
// memory for a table ran out (len: all of it). Linux: mm/mremap.c move_page_tables()
uint64_t MovePageTables(Vma& old_vma, VirtAddr old_address, Vma& new_vma, VirtAddr new_address,
                        uint64_t len_bytes, bool for_stack);

// Rewrites the translations of [range) after vma.flags changed. Linux: mm/mprotect.c change_protection()
void ChangeProtection(Vma& vma, VirtRange range, VmFlags old_flags);

// Splits huge pages that would straddle a boundary when `vma` becomes [start, end) and the VMA after it
// starts `adjust_next_bytes` later (0: unchanged). Called before the bounds change. Linux: mm/huge_memory.c
// vma_adjust_trans_huge()
void VmaAdjustTransHuge(Vma& vma, VirtAddr start, VirtAddr end, int64_t adjust_next_bytes);

// The pages of [range) become mlocked, or no longer, after vma.flags got VM_LOCKED or lost it. Linux:
// mm/mlock.c mlock_vma_pages_range()
void MlockVmaPages(Vma& vma, VirtRange range);

// The page side of madvise, a VMA at a time; the checks of flags and ranges were made by mm/madvise.cc.
// MADV_DONTNEED is UnmapPageRange. Linux: mm/madvise.c madvise_free_single_vma(), madvise_cold(),
// madvise_pageout(), madvise_willneed(), mm/khugepaged.c madvise_collapse()
void MadviseFreePages(Vma& vma, VirtRange range);
void MadviseColdPages(Vma& vma, VirtRange range);
void MadvisePageoutPages(Vma& vma, VirtRange range);
void MadviseWillneedPages(Vma& vma, VirtRange range);
Status MadviseCollapsePages(Vma& vma, VirtRange range);

// Copies what fork must copy. Linux: mm/memory.c copy_page_range()
Status CopyPageRange(Vma& dst_vma, Vma& src_vma);

}  // namespace mmsim
