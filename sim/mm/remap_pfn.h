// SPDX-License-Identifier: Apache-2.0
// Frames of the kernel's own, mapped into a program: no reference is taken and no reverse map made, so
// whoever maps them takes the mapping away before the frames go. Linux: mm/memory.c
#pragma once

#include <cstdint>

#include "mmsim/types.h"
#include "sim/base/errno.h"
#include "sim/mm/vma.h"

namespace mmsim {

// `nr` consecutive frames of zeros, referenced once each; Pfn 0 when memory is short or the scenario says so.
// Linux: mm/page_alloc.c alloc_pages_exact(), free_pages_exact()
Pfn AllocPagesExact(System& system, uint64_t nr);
// Precondition: nothing maps them.
void FreePagesExact(System& system, Pfn first, uint64_t nr);

// Maps the consecutive frames from `pfn` on at [range), with `vma`'s protection, and marks the VMA. What is
// there must be empty. EINVAL: a VMA that could be copied on write must be remapped as a whole. ENOMEM: a
// table is missing; nothing stays mapped. Linux: mm/memory.c remap_pfn_range_notrack()
Status RemapPfnRange(Vma& vma, VirtRange range, Pfn pfn);
// Linux: mm/memory.c zap_vma_ptes()
void ZapVmaPtes(Vma& vma, VirtRange range);

}  // namespace mmsim
