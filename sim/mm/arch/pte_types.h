// SPDX-License-Identifier: Apache-2.0
// The types of the kernel's view of a table entry, whatever the architecture. Linux: pte_t, pmd_t, pgprot_t,
// swp_entry_t.
#pragma once

#include <cstdint>

#include "mmsim/types.h"

namespace mmsim {

// A table entry's 64 bits: of a PTE, or of a PMD where a function says so.
struct Pte {
  uint64_t value = 0;
  constexpr bool operator==(const Pte&) const = default;  // pte_same()
};

// The protection bits of an entry: everything of it but the frame.
struct PgProt {
  uint64_t value = 0;
};

// Where a page lies in swap. Types above kMaxSwapFiles are the kernel's special entries (migration, markers).
struct SwapEntry {
  uint32_t type = 0;
  uint64_t offset = 0;
  constexpr bool operator==(const SwapEntry&) const = default;
};

}  // namespace mmsim
