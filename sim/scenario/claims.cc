// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/claims.h"

#include <algorithm>
#include <cstring>

#include "fmt/format.h"
#include "sim/kernel/signal.h"
#include "sim/scenario/observation.h"

namespace mmsim::scenario {
namespace {

std::string SignalText(const LastSignal& signal) {
  return fmt::format("--- {} {{si_code={}, si_addr={:#x}}} ---", SignalName(signal.signo),
                     SignalCodeName(signal.signo, signal.code), signal.address);
}

// A wait status as strace prints an end.
std::string EndText(int status) {
  const int signo = status & 0x7f;
  if (signo == 0) return fmt::format("+++ exited with {} +++", status >> 8 & 0xff);
  return fmt::format("+++ killed by {} +++", SignalName(signo));
}

}  // namespace

uint64_t RegisterOf(std::string_view loaded) {
  uint64_t number = 0;
  std::memcpy(&number, loaded.data(), std::min(loaded.size(), sizeof(number)));
  return number;
}

void Claims::Add(const Step& step, std::string expected, std::string actual) {
  mismatches_.push_back({scenario_.LocateStep(step), std::string(scenario_.LineAt(step.text)),
                         std::move(expected), std::move(actual), false});
}

void Claims::Before(const Step& step) {
  if (step.kind != StepKind::kSignal && step.kind != StepKind::kExpect) Settle(PidOf(step));
}

void Claims::Settle(int pid) {
  const auto unsettled = unsettled_.find(pid);
  if (unsettled == unsettled_.end()) return;
  Add(*unsettled->second, "no signal", SignalText(record_.signals[pid]));
  unsettled_.erase(unsettled);
}

void Claims::Finish() {
  while (!unsettled_.empty()) Settle(unsettled_.begin()->first);
}

absl::Status Claims::Took(const Step& step, const guest::Outcome& outcome) {
  for (const observe_died& died : outcome.died) {
    ended_[static_cast<int>(died.process)] = static_cast<int>(died.wait_status);
  }
  if (step.kind != StepKind::kCall && step.kind != StepKind::kAccess) return absl::OkStatus();
  const int pid = PidOf(step);
  record_.signals[pid] = {};
  if (outcome.ending == OBSERVE_ENDING_SIGNAL) {
    record_.signals[pid] = {outcome.signo, outcome.signal_code, outcome.fault_address};
    unsettled_[pid] = &step;
  }
  if (step.kind != StepKind::kAccess) return absl::OkStatus();
  for (const observe_fault& fault : outcome.faults) {
    if (fault.user != 0 && static_cast<int>(fault.process) == pid) record_.error_codes[pid] = fault.error;
  }
  if (outcome.ending == OBSERVE_ENDING_SIGNAL) return absl::OkStatus();
  return CheckAccess(step, outcome);
}

absl::Status Claims::CheckAccess(const Step& step, const guest::Outcome& outcome) {
  LoweredAccess access;
  if (absl::Status s = LowerAccess(scenario_, step, arch_, names_, &access); !s.ok()) return s;
  if (outcome.ending != OBSERVE_ENDING_DONE) {
    Add(step, "an access", OutcomeText(outcome));
  } else if (access.checks_bytes) {
    const auto loaded = outcome.out.find(0);
    const std::string bytes = loaded == outcome.out.end() ? "" : loaded->second;
    if (bytes != access.bytes) Add(step, Quoted(access.bytes), Quoted(bytes));
  } else if (step.result == ResultKind::kValue && step.value != outcome.result) {
    Add(step, fmt::format("= {}", step.value), fmt::format("= {}", outcome.result));
  }
  return absl::OkStatus();
}

void Claims::CheckCall(const Step& step, const guest::Outcome& outcome) {
  if (step.result != ResultKind::kValue && step.result != ResultKind::kErrno) return;
  const int64_t expected = step.result == ResultKind::kErrno ? -int64_t{step.error} : step.value;
  const bool returned = outcome.ending == OBSERVE_ENDING_DONE || outcome.ending == OBSERVE_ENDING_SUSPENDED;
  if (!returned || outcome.result != expected) {
    Add(step, "= " + ResultText(expected), OutcomeText(outcome));
  }
}

absl::Status Claims::CheckSignal(const Step& step) {
  if (step.nr_args == 0) return absl::OkStatus();
  const int pid = PidOf(step);
  const LastSignal last = record_.signals[pid];
  if (unsettled_.erase(pid) == 0) {
    // Other signals come from other processes, and are none of an access's.
    if (step.Name() == "SIGSEGV" || step.Name() == "SIGBUS") Add(step, std::string(step.Text()), "no signal");
    return absl::OkStatus();
  }
  const absl::StatusOr<LoweredSignal> expected = LowerSignal(scenario_, step, arch_, names_);
  if (!expected.ok()) return expected.status();
  const bool same = SignalNumber(expected->name) == last.signo &&
                    (expected->code.empty() || expected->code == SignalCodeName(last.signo, last.code)) &&
                    (!expected->address || *expected->address == last.address);
  if (!same) Add(step, std::string(step.Text()), SignalText(last));
  return absl::OkStatus();
}

void Claims::CheckExit(const Step& step, bool alive) {
  const bool killed = step.exit == ExitKind::kKilled;
  if (step.exit == ExitKind::kSuperseded || (alive && killed)) return;
  const int expected = killed ? SignalNumber(step.Name()) : static_cast<int>(step.value & 0xff) << 8;
  const auto ended = ended_.find(PidOf(step));
  constexpr int kCoreDumped = 0x80;
  if (alive) {
    Add(step, EndText(expected), "the process lives");
  } else if (ended == ended_.end()) {
    Add(step, EndText(expected), "there was no such process");
  } else if ((ended->second & ~kCoreDumped) != expected) {
    Add(step, EndText(expected), EndText(ended->second));
  }
}

absl::Status Claims::CheckExpect(const Step& step, Witness& witness) {
  const Expect& expect = scenario_.ExpectOf(step);
  if (expect.subject == Subject::kSignal) {
    unsettled_.erase(expect.pid == 0 ? default_pid_ : expect.pid);
  }
  std::vector<ExpectChecker::Finding> findings;
  const absl::StatusOr<bool> told = checker_.Check(step, default_pid_, witness, &findings);
  if (!told.ok()) return told.status();
  if (!*told) ++untold_;
  for (ExpectChecker::Finding& f : findings) Add(step, std::move(f.expected), std::move(f.actual));
  return absl::OkStatus();
}

}  // namespace mmsim::scenario
