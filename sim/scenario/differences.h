// SPDX-License-Identifier: Apache-2.0
// The deliberate differences between the model and the real kernel, as differences.md states them:
//
//   ## ID
//   Pattern: `REGULAR EXPRESSION`
//   Shown by: `SCENARIO`
//
//   The reason, in words.
//
// A difference is deliberate when the pattern of one of them matches the whole of Difference::Text(). One
// that matches nothing although its scenario (a file's path, or the end of one; without it, anything) was
// compared has outlived its reason, and is said to.
#pragma once

#include <cstdint>
#include <map>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sim/scenario/compare.h"

namespace mmsim::scenario {

class KnownDifferences {
 public:
  // `text` is the file's; `file` is its name in errors.
  static absl::StatusOr<KnownDifferences> Parse(std::string_view text, std::string_view file);

  // The ID of the entry that knows `difference`; "" when none does. Counts the match.
  std::string_view Match(const Difference& difference);
  // A scenario of this name was compared.
  void NoteCompared(std::string_view file);
  // The IDs of the entries that matched nothing so far, and should have.
  std::vector<std::string> Unmatched() const;
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string id, reason, shown_by;
    bool due = true;
    std::regex pattern;
    bool has_pattern = false;
    uint64_t matches = 0;
  };
  std::vector<Entry> entries_;
};

// What a run of comparisons came to.
struct ComparisonCount {
  uint64_t steps = 0;        // calls and accesses carried out on both sides
  uint64_t differences = 0;  // steps with undeliberate ones
  uint64_t deliberate = 0;
  uint64_t unsteady = 0;     // scenarios that differed, and did not when they were carried out again
  uint64_t first_after = 0;  // steps that had been compared when the first difference was seen
  std::map<std::string, uint64_t>
      skipped;  // what was left out on both sides: calls that the model lacks, ...

  void Add(const ComparisonCount& other);

  // "N steps compared, D differences", with lines before it about the other kinds and what was left out,
  // where there are any.
  std::string LastLines() const;
  // 0: all equal; 1: differences; 2: nothing was compared.
  int ExitStatus() const;
};

}  // namespace mmsim::scenario
