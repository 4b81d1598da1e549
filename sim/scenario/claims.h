// SPDX-License-Identifier: Apache-2.0
// What a file written by hand says of its steps (results of accesses, signals, ends, expectations), held
// against what they came to, whichever kernel carried them out. An access that comes to a signal must be
// followed by a line that says so; until then it is unsettled.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "sim/guest/program.h"
#include "sim/scenario/check_expect.h"
#include "sim/scenario/lower.h"
#include "sim/scenario/step.h"
#include "sim/scenario/witness.h"

namespace mmsim::scenario {

// A result or an expectation that the kernel does not reproduce.
struct Mismatch {
  Location where;
  std::string line;  // the file's
  std::string expected, actual;
  bool hung_on_touch = false;  // the rule of what counts as touched decided something in this step
};

// What the steps of each process came to, as far as witnesses are asked for it.
struct StepRecord {
  std::map<int, LastSignal> signals;
  std::map<int, uint64_t> error_codes;  // of the last page fault that an access of its own came to
};

class Claims {
 public:
  // Findings go to `mismatches`. The names are looked at when a line needs them.
  Claims(const Scenario& scenario, Arch arch, const Names& names, std::vector<Mismatch>* mismatches)
      : scenario_(scenario),
        arch_(arch),
        names_(names),
        mismatches_(*mismatches),
        checker_(scenario, arch, names) {}

  // The process of lines that name none.
  void SetDefaultPid(int pid) { default_pid_ = pid; }
  int PidOf(const Step& step) const { return step.pid == kNoPid ? default_pid_ : step.pid; }

  // Called before every step: what the process has not settled by now is a mismatch.
  void Before(const Step& step);
  // What a call or an access came to. An access's result is checked here.
  absl::Status Took(const Step& step, const guest::Outcome& outcome);
  // The result of a call as the file states it.
  void CheckCall(const Step& step, const guest::Outcome& outcome);
  // Lines that say what came. CheckExit: whether the process lives; a process that lives and is said to have
  // been killed passes, for whoever carries the file out kills it.
  absl::Status CheckSignal(const Step& step);
  void CheckExit(const Step& step, bool alive);
  absl::Status CheckExpect(const Step& step, Witness& witness);
  // At the end of the file.
  void Finish();

  const StepRecord& record() const { return record_; }
  // Expectations that no witness could tell of.
  uint64_t untold() const { return untold_; }

 private:
  absl::Status CheckAccess(const Step& step, const guest::Outcome& outcome);
  void Settle(int pid);
  void Add(const Step& step, std::string expected, std::string actual);

  const Scenario& scenario_;
  const Arch arch_;
  const Names& names_;
  std::vector<Mismatch>& mismatches_;
  ExpectChecker checker_;
  StepRecord record_;
  int default_pid_ = 0;
  uint64_t untold_ = 0;
  std::map<int, const Step*> unsettled_;  // accesses that came to a signal, by process
  std::map<int, int> ended_;              // wait statuses
};

// The number that a load leaves in a register: `= $a` of a load.
uint64_t RegisterOf(std::string_view loaded);

}  // namespace mmsim::scenario
