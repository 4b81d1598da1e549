// SPDX-License-Identifier: Apache-2.0
// What `mmsim run` is asked for, and the two executors that do it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "mmsim/types.h"
#include "sim/cli/replay.h"
#include "sim/guest/guest.h"
#include "sim/scenario/observation.h"
#include "sim/scenario/step.h"

namespace mmsim::cli {

struct RunRequest {
  std::vector<std::string> paths, observe, without_hooks;
  std::string arch = "x86_64", profile, on = "sim";
  bool at_end = false, changes = false, json = false, audit = false;
  double watch_seconds = -1;  // 0: Enter goes on; negative: nothing is watched

  Arch arch_value() const { return ArchOf(arch); }
  // OBSERVE_* of the words of --observe.
  uint32_t ObserveMask() const;
  bool ObservesShadow() const;
};

// One file; its exit status. What does not hold is on standard error, observations on standard output.
int RunOnSimulator(const RunRequest& request, const scenario::Scenario& scenario);
int RunOnGuest(const RunRequest& request, guest::Guest& guest, const scenario::Scenario& scenario);

}  // namespace mmsim::cli
