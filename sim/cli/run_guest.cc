// SPDX-License-Identifier: Apache-2.0
// `mmsim run --on guest`: the observations of a real kernel, in the form that the simulator's have.
#include "fmt/format.h"
#include "sim/cli/report.h"
#include "sim/cli/run_files.h"
#include "sim/cli/state_printer.h"
#include "sim/scenario/program.h"
#include "sim/scenario/run_on_guest.h"

namespace mmsim::cli {

int RunOnGuest(const RunRequest& request, guest::Guest& guest, const scenario::Scenario& scenario) {
  if (!scenario.profile().empty() && scenario.profile() != "6.12") {
    fmt::print("{}: not for the guest: it is about the kernel profile {}\n", scenario.file(),
               scenario.profile());
    return kExitOk;
  }
  const std::string_view why_not = scenario::WhyNotOn(scenario, (guest.features() & OBSERVE_SHADOW) != 0);
  if (!why_not.empty()) {
    fmt::print("{}: not for the guest: it is one of the {}\n", scenario.file(), why_not);
    return kExitOk;
  }
  StatePrinter printer(request);
  scenario::GuestRunOptions options;
  options.arch = request.arch_value();
  options.observe = request.ObserveMask();
  if (options.observe != 0 && !request.at_end) {
    options.after_step = [&](const scenario::Step& step, const guest::Outcome& outcome,
                             const guest::State& state) { printer.PrintStep(step, outcome, state); };
  }
  if (options.observe != 0 && request.at_end) {
    options.at_end = [&](const guest::State& state) { printer.PrintState(state); };
  }
  const absl::StatusOr<scenario::GuestRunResult> result = scenario::RunOnGuest(guest, scenario, options);
  if (!result.ok()) {
    PrintError(result.status());
    return kExitCannot;
  }
  for (const scenario::Mismatch& m : result->mismatches) PrintMismatch(m, "the kernel differs");
  if (result->untold != 0) {
    fmt::print(stderr, "{}: {} expectations are not checked: a guest cannot tell\n", scenario.file(),
               result->untold);
  }
  return result->mismatches.empty() ? kExitOk : kExitDiffers;
}

}  // namespace mmsim::cli
