// SPDX-License-Identifier: Apache-2.0
// Which real kernel a command compares with.
#pragma once

#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "sim/guest/patched.h"
#include "sim/scenario/lockstep.h"

namespace mmsim::cli {

struct ReferenceChoice {
  std::string with = "packaged";
  guest::PatchedVariant variant;
  bool patched() const { return with == "patched"; }
};

// --with, --debug and --mutant.
void AddReferenceOptions(CLI::App& command, ReferenceChoice* choice);
// Boots it; the patched one is built first where it is not there, which is told of on standard error.
absl::StatusOr<scenario::Reference> Boot(Arch arch, const ReferenceChoice& choice);
// What is observed when the model is compared with it.
uint32_t ObservedWith(const ReferenceChoice& choice);

}  // namespace mmsim::cli
