// SPDX-License-Identifier: Apache-2.0
// Scenarios carried out on a real kernel and in the simulator at once, each step compared. The guest runs
// ahead; the simulator takes the step when the guest's report of it comes in.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "sim/guest/guest.h"
#include "sim/scenario/compare.h"
#include "sim/scenario/differences.h"
#include "sim/scenario/step.h"

namespace mmsim::scenario {

// What a guest says of itself that decides what calls come to. The simulated machine is made the same.
struct GuestFacts {
  uint64_t total_ram_bytes = 0;
  uint64_t user_reserve_kbytes = 0, admin_reserve_kbytes = 0;
  uint64_t mmap_min_addr = 0;    // the sysctl
  bool has_lsm_min_addr = true;  // and what CONFIG_LSM_MMAP_MIN_ADDR adds to it: packaged kernels have it
};
absl::StatusOr<GuestFacts> AskFacts(guest::Guest& guest);

// A guest to compare with.
struct Reference {
  std::unique_ptr<guest::Guest> guest;
  GuestFacts facts;
};
// `image`: the kernel to boot; empty: the packaged one.
absl::StatusOr<Reference> BootReference(Arch arch, const std::string& image = "");

// A step that came out otherwise, or that could not be compared.
struct StepDifference {
  size_t scenario = 0;  // index
  Location where;
  std::string line;  // the file's
  std::vector<Difference> differences;
};

struct LockstepOptions {
  Arch arch = Arch::kX86_64;
  // What the guest's kernel cannot tell is left out.
  uint32_t observe = OBSERVE_MAPS | OBSERVE_SMAPS | OBSERVE_PAGES | OBSERVE_FRAMES | OBSERVE_SHADOW;
  uint32_t smaps_every = 1;           // smaps after so many steps alone, and after the last
  bool audit = false;                 // the validator after each step
  KnownDifferences* known = nullptr;  // deliberate ones
  // Called for each step with differences that are not deliberate. The rest of that scenario is not compared:
  // what follows a difference mostly follows from it.
  std::function<void(const StepDifference&)> on_difference;
  std::function<void(size_t scenario)> on_scenario_done;
};

// Runs every scenario that is for the architecture. An error is the scenario's (FILE:LINE:COLUMN), or says
// why there is no guest any more; a guest that panics or hangs is a difference of the step.
absl::StatusOr<ComparisonCount> Lockstep(const Reference& reference,
                                         absl::Span<const std::unique_ptr<Scenario>> scenarios,
                                         const LockstepOptions& options);

}  // namespace mmsim::scenario
