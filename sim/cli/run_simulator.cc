// SPDX-License-Identifier: Apache-2.0
// `mmsim run --on sim`
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "sim/audit/shadow_observer.h"
#include "sim/audit/validator.h"
#include "sim/cli/report.h"
#include "sim/cli/run_files.h"
#include "sim/cli/state_printer.h"
#include "sim/cli/terminal.h"
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

// What --audit looks at after each step, and, of a shadow page table, between the steps. It says at once what
// it finds; where a screen is redrawn, the screen shows it, and it is said again at the end.
class Auditor {
 public:
  Auditor(const std::string& file, bool is_watched) : file_(file), is_watched_(is_watched) {}
  void Watch(Kernel& kernel) { shadow_.emplace(kernel); }
  void AfterStep(Kernel& kernel) {
    for (const std::string& finding : Validate(kernel.system())) Report("validator", finding);
    if (!shadow_) return;
    shadow_->AfterStep();
    const std::vector<std::string>& all = shadow_->findings();
    for (; shadow_known_ < all.size(); ++shadow_known_) Report("shadow", all[shadow_known_]);
  }
  // For the screen: what was found since the last one.
  std::vector<std::string> TakeNew() { return std::exchange(new_, {}); }
  // Whether there was nothing.
  bool End() const {
    for (const std::string& line : held_) fmt::print(stderr, "{}", line);
    return findings_ == 0;
  }

 private:
  void Report(std::string_view who, std::string_view finding) {
    ++findings_;
    std::string line = fmt::format("{}: step {}: {}: {}\n", file_, g_check_context.step, who, finding);
    if (!is_watched_) return fmt::print(stderr, "{}", line);
    held_.push_back(std::move(line));
    new_.push_back(fmt::format("{}: {}", who, finding));
  }

  const std::string file_;
  const bool is_watched_;
  std::optional<ShadowObserver> shadow_;
  size_t shadow_known_ = 0;
  std::vector<std::string> held_, new_;
  uint64_t findings_ = 0;
};

std::optional<Window> StdoutWindow() {
  if (!StdoutIsTerminal()) return std::nullopt;
  return WindowOf(STDOUT_FILENO);
}

// --watch: the screen, and then the wait that was asked for. Who has to press Enter may ask for rows before.
void ShowScreen(ShadowWatch& watch, Kernel& kernel, std::string_view step,
                const std::vector<std::string>& findings, double seconds) {
  fmt::print("{}", watch.Screen(kernel, step, findings, StdoutWindow()));
  std::fflush(stdout);
  if (seconds > 0) {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    return;
  }
  for (std::string line; std::getline(std::cin, line) && !line.empty();) {
    fmt::print("{}", watch.Row(kernel, line, StdoutWindow()));
    std::fflush(stdout);
  }
}

// Prints what was asked for after a step, or at the end.
class Printer {
 public:
  Printer(const RunRequest& request, Kernel& kernel, Auditor& auditor)
      : request_(request),
        kernel_(kernel),
        auditor_(auditor),
        observer_(kernel, request.ObserveMask()),
        states_(request),
        watch_(/*asks=*/request.watch_seconds == 0) {}

  void AfterStep(const scenario::Step& step, const guest::Outcome& outcome) {
    if (request_.watch_seconds >= 0) {
      const std::string line = fmt::format("{}: {}", step.first_line, scenario::EventText(step, outcome));
      ShowScreen(watch_, kernel_, line, auditor_.TakeNew(), request_.watch_seconds);
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
  Auditor& auditor_;
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
  Auditor auditor(scenario.file(), request.watch_seconds >= 0);
  if (request.audit) options->audit = [&](Kernel& kernel) { auditor.AfterStep(kernel); };
  runner = std::make_unique<scenario::Runner>(scenario, *options);
  if (request.audit) auditor.Watch(runner->kernel());
  Printer printer(request, runner->kernel(), auditor);
  const absl::Status status = runner->RunAll(
      [&](const scenario::Step& step, const guest::Outcome& outcome) { printer.AfterStep(step, outcome); });
  if (!status.ok()) {
    auditor.End();
    PrintError(status);
    return kExitCannot;
  }
  printer.AtEnd();
  for (const scenario::Mismatch& m : runner->mismatches()) PrintMismatch(m, "the model differs");
  if (!auditor.End()) return kExitCannot;
  return runner->mismatches().empty() ? kExitOk : kExitDiffers;
}

}  // namespace mmsim::cli
