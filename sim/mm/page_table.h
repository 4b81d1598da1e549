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

// Copies what fork must copy. Linux: mm/memory.c copy_page_range()
Status CopyPageRange(Vma& dst_vma, Vma& src_vma);

}  // namespace mmsim
