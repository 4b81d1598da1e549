// SPDX-License-Identifier: Apache-2.0
// get_user_pages: pages brought in on behalf of the kernel (MAP_POPULATE, mlock, ptrace, process_vm). Linux:
// mm/gup.c
#pragma once

#include "sim/mm/mm.h"

namespace mmsim {

// Faults in [start, start + len): MAP_POPULATE and mlock. Errors are ignored or reported as `ignore_errors`
// says. Linux: mm/gup.c __mm_populate()
Status MmPopulate(Mm& mm, VirtAddr start, uint64_t len_bytes, bool ignore_errors);
// Faults in [range) of one VMA as its permissions ask: the number of pages, or a negative errno. Linux:
// mm/gup.c populate_vma_page_range()
int64_t PopulateVmaPageRange(Vma& vma, VirtRange range);
// MADV_POPULATE_READ and _WRITE, over the VMAs of [start, start + len). Linux: mm/gup.c faultin_page_range(),
// mm/madvise.c madvise_populate()
int64_t MadvisePopulate(Mm& mm, VirtAddr start, uint64_t len_bytes, bool write);

// Reads or writes another address space as ptrace and /proc/PID/mem do; returns bytes done. Linux:
// mm/memory.c
// __access_remote_vm()
uint64_t AccessRemoteVm(Mm& mm, VirtAddr address, void* buffer, uint64_t len_bytes, bool write, bool force);

}  // namespace mmsim
