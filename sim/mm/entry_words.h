// SPDX-License-Identifier: Apache-2.0
// What a table entry is, in words that both architectures share (present, write, dirty ...) and by the names
// of its bits. Scenarios expect entries in these words, and the pictures for the terminal are made of them.
#pragma once

#include <string_view>
#include <vector>

#include "sim/mm/arch/entry_bits.h"
#include "sim/mm/page_table.h"

namespace mmsim {

// In the order in which they are listed. `none` is an empty entry; `table` points to one; `swap` holds a page
// that is swapped out; `exclusive`: of anonymous memory that nobody shares (PageAnonExclusive, or that bit of
// a swap entry); `zero`: the zero page. What concerns rights (write, user, exec) is, of a table, what it
// leaves allowed.
inline constexpr std::string_view kEntryWords[] = {
    "none",  "present",    "table",   "huge",     "write", "user",      "exec", "accessed",
    "dirty", "soft_dirty", "special", "protnone", "swap",  "exclusive", "zero"};

// The words of kEntryWords that hold for an entry of this level.
std::vector<std::string_view> EntryWordsOf(const System& system, int level, uint64_t entry);
// The named bits of the architecture that are set in it.
std::vector<std::string_view> EntryBitsOf(Arch arch, int level, uint64_t entry);
// Whether the architecture has a bit of this name.
bool IsEntryBit(Arch arch, std::string_view name);

// The frame that a present leaf maps; Pfn 0 of any other entry.
Pfn LeafPfn(const System& system, int level, uint64_t entry);
// Whether the entry points to a table of the level below.
bool IsTableEntry(const System& system, int level, uint64_t entry);

inline constexpr std::string_view kLevelNames[] = {"pte", "pmd", "pud", "pgd"};  // by level

}  // namespace mmsim
