// SPDX-License-Identifier: Apache-2.0
// `mmsim run --on sim`
#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>
#include <thread>

#include "fmt/format.h"
#include "sim/audit/shadow_observer.h"
#include "sim/audit/validator.h"
#include "sim/cli/progress.h"
#include "sim/cli/report.h"
#include "sim/cli/run_files.h"
#include "sim/cli/state_printer.h"
#include "sim/cli/watch.h"
#include "sim/scenario/runner.h"
#include "sim/scenario/shadow_text.h"

namespace mmsim::cli {
namespace {

// Hook points at which shadowpt is not called, by the names of the kernel's functions.
HookMask WithoutHooks(const RunRequest& request) {
  HookMask mask = 0;
  for (const std::string& name : request.without_hooks) mask |= HookBit(*FindHookPoint(name));
  return mask;
}

// What --audit looks at after each step, and, of a shadow page table, between the steps.
class Auditor {
 public:
  explicit Auditor(const std::string& file) : file_(file) {}
  void Watch(Kernel& kernel) { shadow_.emplace(kernel); }
  void AfterStep(Kernel& kernel) {
    for (const std::string& finding : Validate(kernel.system())) Report("validator", finding);
    if (!shadow_) return;
    shadow_->AfterStep();
    const std::vector<std::string>& all = shadow_->findings();
    for (; shadow_known_ < all.size(); ++shadow_known_) Report("shadow", all[shadow_known_]);
  }
  uint64_t findings() const { return findings_; }

 private:
  void Report(std::string_view who, std::string_view finding) {
    fmt::print(stderr, "{}: step {}: {}: {}\n", file_, g_check_context.step, who, finding);
    ++findings_;
  }

  const std::string file_;
  std::optional<ShadowObserver> shadow_;
  size_t shadow_known_ = 0;
  uint64_t findings_ = 0;
};

// --watch: the screen, and then the wait that was asked for. Who has to press Enter may ask for rows before.
void ShowScreen(ShadowWatch& watch, Kernel& kernel, std::string_view step, double seconds) {
  fmt::print("{}", watch.Screen(kernel, step));
  std::fflush(stdout);
  if (seconds > 0) {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    return;
  }
  for (std::string line; std::getline(std::cin, line) && !line.empty();) {
    fmt::print("{}", ShadowWatch::Row(kernel, line));
    std::fflush(stdout);
  }
}

// Prints what was asked for after a step, or at the end.
class Printer {
 public:
  Printer(const RunRequest& request, Kernel& kernel)
      : request_(request),
        kernel_(kernel),
        observer_(kernel, request.ObserveMask()),
        states_(request),
        watch_(StdoutIsTerminal()) {}

  void AfterStep(const scenario::Step& step, const guest::Outcome& outcome) {
    if (request_.watch_seconds >= 0) {
      const std::string line = fmt::format("{}: {}", step.first_line, scenario::EventText(step, outcome));
      ShowScreen(watch_, kernel_, line, request_.watch_seconds);
    }
    if (request_.observe.empty() || request_.at_end) return;
    states_.PrintStep(step, outcome, observer_.Observe());
    PrintShadow();
  }
  void AtEnd() {
    if (!request_.at_end) return;
    if (request_.ObserveMask() != 0) states_.PrintState(observer_.Observe());
    PrintShadow();
  }

 private:
  void PrintShadow() {
    if (request_.ObservesShadow()) fmt::print("{}", scenario::ShadowStateText(kernel_));
  }

  const RunRequest& request_;
  Kernel& kernel_;
  scenario::KernelObserver observer_;
  StatePrinter states_;
  ShadowWatch watch_;
};

}  // namespace

int RunOnSimulator(const RunRequest& request, const scenario::Scenario& scenario) {
  absl::StatusOr<scenario::RunnerOptions> options =
      OptionsFor(scenario, request.arch_value(), request.profile);
  if (!options.ok()) {
    PrintError(options.status());
    return kExitCannot;
  }
  options->kernel.without_hooks = WithoutHooks(request);
  std::unique_ptr<scenario::Runner> runner;  // outlives who audits it
  Auditor auditor(scenario.file());
  if (request.audit) options->audit = [&](Kernel& kernel) { auditor.AfterStep(kernel); };
  runner = std::make_unique<scenario::Runner>(scenario, *options);
  if (request.audit) auditor.Watch(runner->kernel());
  Printer printer(request, runner->kernel());
  const absl::Status status = runner->RunAll(
      [&](const scenario::Step& step, const guest::Outcome& outcome) { printer.AfterStep(step, outcome); });
  if (!status.ok()) {
    PrintError(status);
    return kExitCannot;
  }
  printer.AtEnd();
  for (const scenario::Mismatch& m : runner->mismatches()) PrintMismatch(m, "the model differs");
  if (auditor.findings() != 0) return kExitCannot;
  return runner->mismatches().empty() ? kExitOk : kExitDiffers;
}

}  // namespace mmsim::cli
