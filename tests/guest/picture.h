// SPDX-License-Identifier: Apache-2.0
// What a step came to as text in which frames are named in the order in which they are met: two runs of one
// program give the same text.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/types/span.h"
#include "sim/guest/program.h"

namespace mmsim::guest {

// Without inode numbers, which count on from one scenario to the next.
inline std::string WithoutInodes(const std::string& maps) {
  std::string text;
  for (absl::string_view line : absl::StrSplit(maps, '\n', absl::SkipEmpty())) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, absl::MaxSplits(' ', 5));
    absl::StrAppend(&text, absl::StrJoin(absl::MakeSpan(fields).subspan(0, 4), " "), " ",
                    fields.size() > 5 ? absl::StripLeadingAsciiWhitespace(fields[5]) : "", "\n");
  }
  return text;
}

inline std::string Picture(const Outcome& outcome, const State& state) {
  constexpr uint64_t kPfnMask = (uint64_t{1} << 55) - 1;
  // ANON, MMAP, SWAPBACKED, UNEVICTABLE, COMPOUND, KSM, THP, ZERO_PAGE: the others are reclaim's affair.
  constexpr uint64_t kFlags =
      1u << 12 | 1u << 11 | 1u << 14 | 1u << 18 | 3u << 15 | 1u << 21 | 1u << 22 | 1u << 24;
  std::string text = absl::StrCat(outcome.ending, " ", outcome.result, " ", outcome.signo, " ",
                                  outcome.signal_code, " ", absl::Hex(outcome.fault_address), "\n");
  std::map<uint64_t, size_t> names;
  for (const auto& [id, space] : state.spaces) {
    absl::StrAppend(&text, "space ", id, "\n", WithoutInodes(space.maps));
    for (const observe_page& p : space.pages) {
      const uint64_t pfn = p.entry & kPfnMask;
      const auto frame = state.frames.find(pfn);
      absl::StrAppend(&text, absl::Hex(p.vaddr), " ", names.try_emplace(pfn, names.size()).first->second, " ",
                      absl::Hex(p.entry & ~kPfnMask));
      if (frame != state.frames.end())
        absl::StrAppend(&text, " ", frame->second.count, " ", absl::Hex(frame->second.flags & kFlags));
      text += '\n';
    }
  }
  return text;
}

}  // namespace mmsim::guest
