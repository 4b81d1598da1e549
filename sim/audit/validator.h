// SPDX-License-Identifier: Apache-2.0
// Whether a machine's memory is in order: every invariant that joins VMAs, tables, frames, reverse maps, swap
// and counters, recomputed from scratch. Tests and `mmsim` call it after each step; a finding is a bug of the
// simulator's (or a mutant's).
//
// What is counted: every frame's references and map counts against all that can hold one (entries, page
// caches, the swap cache, LRU batches, get_user_pages); every entry against its VMA and the processors' TLBs;
// rmap against the entries found; rss, pgtables_bytes, total_vm and its parts, map_count, locked_vm,
// vm_committed_as; anon_vma and i_mmap; swap slots; and that no frame is allocated that nothing of this
// explains. Not looked at: contents, hiwater marks, page flags other than those that decide something.
#pragma once

#include <string>
#include <vector>

#include "sim/mm/system.h"

namespace mmsim {

// One sentence a finding; empty when all is well. Precondition: no system call or fault is under way.
std::vector<std::string> Validate(System& system);

}  // namespace mmsim
