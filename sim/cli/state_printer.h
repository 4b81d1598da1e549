// SPDX-License-Identifier: Apache-2.0
// Prints the observations that `mmsim run --observe` asks for: whole, or with --changes what has changed.
#pragma once

#include <string>
#include <string_view>

#include "sim/cli/run_files.h"
#include "sim/guest/guest.h"
#include "sim/scenario/step.h"

namespace mmsim::cli {

// The lines of `after` that `before` lacks, marked +, and those that are gone, marked -, below the heading of
// the process they belong to; both are texts of scenario::StateText(). Each stands where it stood.
std::string ChangedLines(std::string_view before, std::string_view after);

class StatePrinter {
 public:
  explicit StatePrinter(const RunRequest& request) : request_(request) {}
  // A step, what it came to, and the state then; with --json one object a line.
  void PrintStep(const scenario::Step& step, const guest::Outcome& outcome, const guest::State& state);
  void PrintState(const guest::State& state);

 private:
  const RunRequest& request_;
  std::string last_;  // --changes: the state that was printed last
};

}  // namespace mmsim::cli
