// SPDX-License-Identifier: Apache-2.0
// One process's address space for a reader: its VMAs with what is present in each, and its page tables level
// by level, entries that are alike folded into a line.
#pragma once

#include <string>
#include <vector>

#include "sim/kernel/kernel.h"
#include "sim/scenario/ink.h"

namespace mmsim::scenario {

std::string VmaPicture(Kernel& kernel, const Task& task, const Ink& ink);
std::string TablePicture(Kernel& kernel, const Task& task, const Ink& ink);

// An entry that maps a page: whose it is.
struct Sharer {
  int pid;  // of the process's leader
  VirtAddr address;
};
// Every entry that maps this very page, found by the reverse map, in order of pid and address.
std::vector<Sharer> SharersOf(Kernel& kernel, Pfn page);
// Whether the page is counted by its mappings at all: not the zero page, nor the pages of [vdso].
bool IsCounted(const System& system, Pfn page);

// "4K", "2M", "132K"
std::string SizeText(uint64_t bytes);

}  // namespace mmsim::scenario
