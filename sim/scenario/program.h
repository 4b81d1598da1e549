// SPDX-License-Identifier: Apache-2.0
// A scenario as a program of a guest: what a real kernel carries out. Expectations are no part of it, but for
// the files that those of counters are about.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "sim/guest/program.h"
#include "sim/scenario/step.h"

namespace mmsim::scenario {

struct ProgramOptions {
  Arch arch = Arch::kX86_64;
  uint32_t observe = OBSERVE_MAPS | OBSERVE_SMAPS | OBSERVE_PAGES | OBSERVE_FRAMES;  // after each step
  uint32_t smaps_every = 1;    // smaps, if observed, after so many steps alone, and after the last
  bool modelled_only = false;  // leaves out the calls that the model lacks: two executors are compared
  // An `expect ... counters` becomes a step that reads the file of /proc that it is about.
  bool reads_counters = false;
};

struct ScenarioProgram {
  guest::Program program;
  // For each of the program's steps, the step of the scenario that it stands for. A scenario's step can take
  // several (a `pid` line sets the limits of the lines before it too): the last one is observed, and its
  // outcome is the outcome. Null: the spawn of a process that no line introduces.
  std::vector<const Step*> steps;
  std::map<std::string, uint64_t> skipped;  // calls that were left out, by name

  bool IsLast(size_t i) const { return i + 1 == steps.size() || steps[i + 1] != steps[i]; }
};

// Where a call uses `$a`, the program refers to the result that it stands for, so that a kernel that chooses
// another address is followed. `$a` can therefore be an argument, or a field of a structure, with numbers
// added or subtracted; `$a*2` or `$a-$b` is an error, as is whatever else no guest can do (a log of strace, a
// seam of the allocators), at its place in the file.
absl::StatusOr<ScenarioProgram> MakeProgram(const Scenario& scenario, const ProgramOptions& options);

// Why a real kernel cannot carry it out ("scenarios about ..."); empty when it can. `has_shadowpt`: the
// kernel with the patch of tests/differential; a packaged one has not.
std::string_view WhyNotOn(const Scenario& scenario, bool has_shadowpt);

}  // namespace mmsim::scenario
