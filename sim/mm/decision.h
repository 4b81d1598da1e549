// SPDX-License-Identifier: Apache-2.0
// What the kernel decided about a page that an entry maps (to copy it, to reuse it), and why, told to whoever
// records. Nobody records as a rule: then it costs a branch.
#pragma once

#include "sim/mm/mm.h"

namespace mmsim {

struct EntryDecision {
  Mm* mm;
  VirtAddr address;      // of the page
  Pfn page;              // that was decided about; Pfn 0: none that is counted (the zero page)
  const char* function;  // the kernel function that decides
  const char* what;      // "copied", "reused", "split"
  const char* why;
  int32_t refcount = 0, mapcount = 0;  // at that moment, of the folio and of the page
};

inline constexpr const char* kWhyExclusive = "it is marked as this process's alone (PageAnonExclusive)";
inline constexpr const char* kWhyUnreferenced = "nothing but this entry refers to it";

[[gnu::cold]] void ReportDecision(EntryDecision decision);
inline void Decide(Mm& mm, VirtAddr address, Pfn page, const char* function, const char* what,
                   const char* why) {
  if (mm.system.entry_sink.on_decision != nullptr) [[unlikely]] {
    ReportDecision({&mm, address, page, function, what, why});
  }
}

}  // namespace mmsim
