// SPDX-License-Identifier: Apache-2.0
// The scenario files that a command line names.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "sim/scenario/step.h"

namespace mmsim::cli {

// A folder stands for every .scn file under it, in alphabetical order; anything else for itself. An empty
// folder is an error.
absl::StatusOr<std::vector<std::string>> ExpandPaths(const std::vector<std::string>& paths);

// All of them, parsed.
absl::StatusOr<std::vector<std::unique_ptr<scenario::Scenario>>> OpenAll(
    const std::vector<std::string>& paths);

}  // namespace mmsim::cli
