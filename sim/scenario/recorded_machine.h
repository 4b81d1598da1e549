// SPDX-License-Identifier: Apache-2.0
// The machine of a recording as a simulated kernel: architecture, profile, processor, limits, sysctls and
// file systems, from its `env` and from the devices that its listings show.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "sim/kernel/kernel.h"
#include "sim/scenario/recording.h"

namespace mmsim::scenario {

struct RecordedMachine {
  KernelOptions options;
  std::string note;  // one line; empty: the kernel that `env` names has a profile
};

// `profile` and `arch`, where given, instead of what `env` says. InvalidArgument: no such profile.
absl::StatusOr<RecordedMachine> MachineOf(const RecordedEnv& env, const std::string& profile,
                                          std::optional<Arch> arch);

// The rights that the recorded processes began with: root's, where `env` does not say.
Credentials CredentialsOf(const RecordedEnv& env);

// Sysctls, limits and file systems, before the first step.
void PrepareMachine(const Recording& recording, const RecordedEnv& env, Kernel& kernel);

}  // namespace mmsim::scenario
