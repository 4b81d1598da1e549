// SPDX-License-Identifier: Apache-2.0
// get_user_pages: pages brought in on behalf of the kernel (MAP_POPULATE, mlock, ptrace, process_vm) and
// pinned. Linux: mm/gup.c
#pragma once

#include <vector>

#include "sim/base/errno.h"
#include "sim/mm/mm.h"

namespace mmsim {

// Linux: include/linux/mm_types.h FOLL_*, with the kernel's numbers
using GupFlags = uint32_t;
inline constexpr GupFlags kFollWrite = 1 << 0, kFollGet = 1 << 1, kFollDump = 1 << 2, kFollForce = 1 << 3,
                          kFollLongterm = 1 << 8, kFollTouch = 1 << 16, kFollRemote = 1 << 18,
                          kFollPin = 1 << 19, kFollMadvPopulate = 1 << 22;

// What protection keys allow a task that never changed its rights: key 0 alone. Linux: init_pkru_value
inline constexpr uint32_t kInitPkru = 0x55555554;

// Faults in [start, start + len): MAP_POPULATE and mlock. Errors are ignored or reported as `ignore_errors`
// says. Linux: mm/gup.c __mm_populate()
Status MmPopulate(Mm& mm, VirtAddr start, uint64_t len_bytes, bool ignore_errors, uint32_t pkru = kInitPkru);
// Faults in [range) of one VMA as its permissions ask: the number of pages, or a negative errno. Linux:
// mm/gup.c populate_vma_page_range()
int64_t PopulateVmaPageRange(Vma& vma, VirtRange range, uint32_t pkru = kInitPkru);
// MADV_POPULATE_READ and _WRITE, over the VMAs of [start, start + len). Linux: mm/gup.c faultin_page_range(),
// mm/madvise.c madvise_populate()
int64_t MadvisePopulate(Mm& mm, VirtAddr start, uint64_t len_bytes, bool write, uint32_t pkru = kInitPkru);

// The pages at [start, start + nr_pages), referenced (kFollGet) or pinned (kFollPin), appended to `pages`,
// which is null when neither is asked for. How many, or a negative errno when none. Linux: mm/gup.c
// __get_user_pages(), get_user_pages_remote(), pin_user_pages_remote()
int64_t GetUserPages(Mm& mm, VirtAddr start, uint64_t nr_pages, GupFlags flags, std::vector<Pfn>* pages,
                     uint32_t pkru = kInitPkru);
// Gives them back; `dirty`: they were written to. Linux: mm/gup.c unpin_user_pages_dirty_lock()
void UnpinUserPages(System& system, const std::vector<Pfn>& pages, bool dirty);
void PutUserPage(System& system, Pfn page);  // of kFollGet

// Reads or writes another address space as ptrace and /proc/PID/mem do; returns bytes done. `current`, whose
// limits bound a stack that has to grow, may be null: then none grows. Linux: mm/memory.c
// __access_remote_vm()
uint64_t AccessRemoteVm(Mm& mm, VirtAddr address, void* buffer, uint64_t len_bytes, bool write, bool force,
                        const Current* current = nullptr);

}  // namespace mmsim
