// SPDX-License-Identifier: Apache-2.0
// What the parts of the validator collect and share. Use validator.h.
#pragma once

#include <absl/container/btree_map.h>
#include <fmt/format.h>

#include <array>
#include <string>
#include <vector>

#include "sim/mm/folio.h"
#include "sim/mm/page_table.h"

namespace mmsim::audit {

// What was found to hold a frame.
struct Holders {
  int64_t refs = 0;      // of the folio; for a huge one, at its head
  int64_t pte_maps = 0;  // entries of PTEs that map this very frame
  int64_t pmd_maps = 0;  // huge PMDs, at the head
};

class Census {
 public:
  explicit Census(System& s) : system(s) {}

  template <typename... Args>
  void Complain(fmt::format_string<Args...> format, Args&&... args) {
    if (findings.size() < kMaxFindings) findings.push_back(fmt::format(format, std::forward<Args>(args)...));
  }
  template <typename A, typename B>
  void ExpectEqual(const A& found, const B& expected, std::string_view what) {
    if (static_cast<int64_t>(found) != static_cast<int64_t>(expected)) {
      Complain("{} is {}, counted {}", what, static_cast<int64_t>(found), static_cast<int64_t>(expected));
    }
  }
  // `refs` references to the folio of `page` were found.
  void AddRefs(Pfn page, int64_t refs) { frames[system.pages.HeadOf(page).value].refs += refs; }

  static constexpr size_t kMaxFindings = 20;
  System& system;
  std::vector<std::string> findings;
  absl::btree_map<uint64_t, Holders> frames;       // by frame number
  absl::btree_map<uint64_t, uint64_t> swap_slots;  // entries that name a slot
  uint64_t tables = 0;                             // frames that are tables
};

// validate_tables.cc: all tables of all address spaces, against their VMAs and the TLBs
void CheckTables(Census& census);
// validate_vmas.cc: VMAs, their sums, anon_vma and i_mmap
void CheckVmas(Census& census);
// validate_frames.cc: page caches, swap, batches; then every frame against what was found
void CheckFrames(Census& census);

}  // namespace mmsim::audit
