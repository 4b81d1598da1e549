// SPDX-License-Identifier: Apache-2.0
// A scenario about a shadow page table, carried out under the validator and the observer between the steps.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "fmt/format.h"
#include "sim/audit/shadow_observer.h"
#include "sim/audit/validator.h"
#include "sim/mm/hooks.h"
#include "sim/scenario/runner.h"

namespace mmsim::scenario {

struct ShadowRun {
  absl::Status status;
  std::vector<Mismatch> mismatches;
  std::vector<std::string> findings;  // of the validator and the observer
  uint64_t first_finding = 0;         // the line after whose step it was made; 0: none was
  uint64_t nr_observations = 0;
  bool clean() const { return status.ok() && mismatches.empty() && findings.empty(); }
  std::string Text() const {
    std::string text(status.message());
    for (const Mismatch& m : mismatches) {
      text += fmt::format("\n{}:{}: {}\n  expected {}\n  actual   {}", m.where.file, m.where.line, m.line,
                          m.expected, m.actual);
    }
    for (const std::string& finding : findings) text += "\n" + finding;
    return text;
  }
};

struct ShadowRunOptions {
  Arch arch = Arch::kX86_64;
  HookMask without_hooks = 0;
  bool check_results = true;
  uint64_t validate_every = 1;  // so many steps; 0: never. The observer runs in any case
};

inline ShadowRun RunShadow(const Scenario& scenario, const ShadowRunOptions& request) {
  ShadowRun run;
  RunnerOptions options;
  options.kernel.arch = request.arch;
  options.kernel.without_hooks = request.without_hooks;
  options.check_results = request.check_results;
  std::unique_ptr<Runner> runner;  // outlives the observer of its kernel
  std::unique_ptr<ShadowObserver> observer;
  size_t known = 0;  // findings that were reported
  uint64_t nr_steps = 0;
  options.audit = [&](Kernel& kernel) {
    if (request.validate_every != 0 && ++nr_steps % request.validate_every == 0) {
      for (const std::string& finding : Validate(kernel.system())) {
        run.findings.push_back(fmt::format("line {}: {}", g_check_context.step, finding));
      }
    }
    observer->AfterStep();
    for (size_t i = known; i < observer->findings().size(); ++i) {
      run.findings.push_back(fmt::format("line {}: {}", g_check_context.step, observer->findings()[i]));
    }
    known = observer->findings().size();
    if (run.first_finding == 0 && !run.findings.empty()) run.first_finding = g_check_context.step;
  };
  runner = std::make_unique<Runner>(scenario, options);
  observer = std::make_unique<ShadowObserver>(runner->kernel());
  run.status = runner->RunAll();
  run.mismatches = runner->mismatches();
  run.nr_observations = observer->nr_observations();
  return run;
}

}  // namespace mmsim::scenario
