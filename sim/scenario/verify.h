// SPDX-License-Identifier: Apache-2.0
// A recording of a real program (a folder that `mmsim record` wrote) replayed on the simulated kernel, and
// the maps of every process at its end compared with the recorded ones, line by line: address range,
// permissions, offset and path. Left out of the comparison: [vvar], [vvar_vclock], [vdso] and [vsyscall]
// lines, and the lower bound of [stack], which depends on accesses that strace does not log. Where page
// faults were recorded, the anonymous pages are compared too: which are there, in memory or swap, and which
// nobody else has.
//
// Where they were not, and the maps differ at a place where the rule of what counts as touched (runner.h)
// decided something, the log is replayed again without that decision: as with calls that overlapped, what
// reproduces the recorded maps is taken, and said.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "sim/scenario/runner.h"

namespace mmsim::scenario {

struct VerifyOptions {
  std::string profile;       // empty: the one that the recording's env names, else 6.12
  bool audit = false;        // the validator after each step
  std::optional<Arch> arch;  // instead of the recording's
  std::string host_env;      // the `env` of recordings that have none
};

struct VerifyResult {
  uint64_t processes = 0, identical = 0;  // with an end file
  std::string note;                       // one line about the recording as a whole; mostly empty
  std::vector<Mismatch> mismatches;
  std::vector<std::string> differences;  // the first one of each process that is not identical
  std::vector<std::string> untouched;    // a sentence for each place to which the rule was not applied
  std::vector<std::string> audit;        // what the validator found
  std::string skipped;                   // "brk 2, ...": calls that the model lacks
  uint64_t pages = 0;                    // processes whose pages were compared too: with faults recorded
};

// Replays the folder `dir`. An error is a folder or a log that cannot be read.
absl::StatusOr<VerifyResult> Verify(const std::string& dir, const VerifyOptions& options);

}  // namespace mmsim::scenario
