// SPDX-License-Identifier: Apache-2.0
// What the commands that replay a file in the simulator have in common.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "sim/scenario/runner.h"

namespace mmsim::cli {

constexpr Arch ArchOf(std::string_view name) {
  return name == "arm64" ? Arch::kArm64 : Arch::kX86_64;
}

// The kernel that the file is replayed on: `profile`, else the file's, else 6.12. An error: there is no such
// profile.
absl::StatusOr<scenario::RunnerOptions> OptionsFor(const scenario::Scenario& scenario, Arch arch,
                                                   const std::string& profile);
// A file, parsed and looked through for the architecture; an error too when it is not meant for that.
absl::StatusOr<std::unique_ptr<scenario::Scenario>> OpenFor(const std::string& file, Arch arch);

}  // namespace mmsim::cli
