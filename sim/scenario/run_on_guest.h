// SPDX-License-Identifier: Apache-2.0
// Carries a scenario out on a real kernel and holds what its file says against what came: results, signals,
// ends, and the expectations that a guest can tell of (not page-table entries, nor bytes). What an x86-64
// guest alone reports (error codes) is checked there alone.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "sim/guest/guest.h"
#include "sim/scenario/claims.h"
#include "sim/scenario/step.h"

namespace mmsim::scenario {

struct GuestRunOptions {
  Arch arch = Arch::kX86_64;
  uint32_t observe = 0;  // OBSERVE_* that after_step wants
  // Called after each step of the file that was carried out.
  std::function<void(const Step&, const guest::Outcome&, const guest::State&)> after_step;
  // Called once with the state after the last of them.
  std::function<void(const guest::State&)> at_end;
};

struct GuestRunResult {
  std::vector<Mismatch> mismatches;
  uint64_t untold = 0;                      // expectations that no guest can tell of
  std::map<std::string, uint64_t> skipped;  // calls that the architecture lacks, by name
};

// An error is the scenario's (FILE:LINE:COLUMN), or says why there is no guest any more. A guest that panics
// or hangs is a mismatch of the step.
absl::StatusOr<GuestRunResult> RunOnGuest(guest::Guest& guest, const Scenario& scenario,
                                          const GuestRunOptions& options);

}  // namespace mmsim::scenario
