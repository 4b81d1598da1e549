// SPDX-License-Identifier: Apache-2.0
// The validator's order of work: VMAs, then the tables they cover, then the frames that all of it holds.
#include "sim/audit/validator.h"

#include "sim/audit/census.h"

namespace mmsim {

std::vector<std::string> Validate(System& system) {
  audit::Census census(system);
  audit::CheckVmas(census);
  audit::CheckTables(census);
  audit::CheckFrames(census);
  return std::move(census.findings);
}

}  // namespace mmsim
