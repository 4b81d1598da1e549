// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/run_on_guest.h"

#include "fmt/format.h"
#include "sim/scenario/guest_witness.h"
#include "sim/scenario/observation.h"
#include "sim/scenario/program.h"

namespace mmsim::scenario {
namespace {

constexpr uint32_t kWhatExpectationsNeed = OBSERVE_MAPS | OBSERVE_SMAPS | OBSERVE_PAGES | OBSERVE_FRAMES;

// One scenario, while its reports come in. The lines that carry nothing out are looked at right after the
// step before them, while the state is theirs.
class Follower {
 public:
  Follower(const Scenario& scenario, const ScenarioProgram& made, const GuestRunOptions& options,
           bool tells_faults, GuestRunResult* result)
      : scenario_(scenario),
        made_(made),
        options_(options),
        tells_faults_(tells_faults),
        result_(*result),
        claims_(scenario, options.arch, names_, &result->mismatches) {
    claims_.SetDefaultPid(kDefaultPid);
    for (const Step& step : scenario.steps()) {
      if (step.pid == kNoPid || step.kind == StepKind::kExpect) continue;
      claims_.SetDefaultPid(step.pid);
      break;
    }
  }

  void Take(const guest::Outcome& outcome, const guest::State& state) {
    const Step* step = made_.steps[outcome.step];
    if (!status_.ok() || stopped_) return;
    if (outcome.ending == OBSERVE_ENDING_REFUSED) return Stop(step, OutcomeText(outcome));
    if (step == nullptr || !made_.IsLast(outcome.step)) return;
    status_.Update(LinesUpTo(step, state));
    if (!status_.ok()) return;
    ++cursor_;
    status_.Update(step->kind == StepKind::kExpect ? Expectation(*step, outcome, state)
                                                   : CarriedOut(*step, outcome, state));
    if (!status_.ok()) return;
    const Step* next = nullptr;  // that the guest carries out; the spawn of the first process is no line
    for (size_t i = outcome.step + 1; i < made_.steps.size() && next == nullptr; ++i) next = made_.steps[i];
    status_.Update(LinesUpTo(next, state));
    if (next == nullptr && options_.at_end) options_.at_end(state);
  }

  void TakeEnding(const guest::Ending& ending) {
    if (ending.kind == guest::Ending::kDone || stopped_) return;
    Stop(made_.steps.empty() ? nullptr : made_.steps[ending.step],
         fmt::format("the guest {}; its console's end:\n{}",
                     ending.kind == guest::Ending::kHung ? "hangs" : "is gone", ending.console));
  }

  absl::Status Finish() {
    if (status_.ok() && !stopped_) claims_.Finish();
    result_.untold = claims_.untold();
    return status_;
  }

 private:
  void Stop(const Step* step, std::string why) {
    stopped_ = true;
    Mismatch m{{scenario_.file(), 0, 0}, "", "it is carried out", std::move(why), false};
    if (step != nullptr) {
      m.where = scenario_.LocateStep(*step);
      m.line = std::string(scenario_.LineAt(step->text));
    }
    result_.mismatches.push_back(std::move(m));
  }

  absl::Status CarriedOut(const Step& step, const guest::Outcome& outcome, const guest::State& state) {
    claims_.Before(step);
    if (step.result == ResultKind::kName) {
      const auto loaded = outcome.out.find(0);
      const bool is_load = step.kind == StepKind::kAccess && loaded != outcome.out.end();
      names_[std::string(scenario_.ResultToken(step).substr(1))] =
          is_load ? RegisterOf(loaded->second) : static_cast<uint64_t>(outcome.result);
    }
    if (step.kind == StepKind::kCall) claims_.CheckCall(step, outcome);
    if (absl::Status s = claims_.Took(step, outcome); !s.ok()) return s;
    if (options_.after_step) options_.after_step(step, outcome, state);
    return absl::OkStatus();
  }

  absl::Status Expectation(const Step& step, const guest::Outcome& outcome, const guest::State& state) {
    const auto text = outcome.out.find(0);
    GuestWitness witness(state, claims_.record(), tells_faults_,
                         text == outcome.out.end() ? std::string() : text->second);
    return claims_.CheckExpect(step, witness);
  }

  // What stands between here and `end`, which the guest carries out; null: the end of the file.
  absl::Status LinesUpTo(const Step* end, const guest::State& state) {
    for (; cursor_ < scenario_.steps().size() && &scenario_.steps()[cursor_] != end; ++cursor_) {
      const Step& step = scenario_.steps()[cursor_];
      if (!step.RunsOn(options_.arch)) continue;
      if (absl::Status s = Line(step, state); !s.ok()) return s;
    }
    return absl::OkStatus();
  }

  absl::Status Line(const Step& step, const guest::State& state) {
    claims_.Before(step);
    switch (step.kind) {
      case StepKind::kLet: {
        const absl::StatusOr<uint64_t> value = Eval(scenario_, scenario_.Arg(step, 0), options_.arch, names_);
        if (!value.ok()) return value.status();
        names_[std::string(step.Name().substr(1))] = *value;
        return absl::OkStatus();
      }
      case StepKind::kSignal:
        return claims_.CheckSignal(step);
      case StepKind::kExpect:
        return Expectation(step, {}, state);
      case StepKind::kExit: {
        bool alive = false;
        for (const observe_live& live : state.live) {
          alive |= static_cast<int>(live.process) == claims_.PidOf(step);
        }
        claims_.CheckExit(step, alive);
        return absl::OkStatus();
      }
      default:
        return absl::OkStatus();
    }
  }

  const Scenario& scenario_;
  const ScenarioProgram& made_;
  const GuestRunOptions& options_;
  const bool tells_faults_;
  GuestRunResult& result_;
  Names names_;
  Claims claims_;
  size_t cursor_ = 0;  // the next line of the scenario
  absl::Status status_;
  bool stopped_ = false;
};

bool Expects(const Scenario& scenario) {
  for (const Step& step : scenario.steps()) {
    if (step.kind == StepKind::kExpect) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<GuestRunResult> RunOnGuest(guest::Guest& guest, const Scenario& scenario,
                                          const GuestRunOptions& options) {
  const bool tells_faults = (guest.features() & OBSERVE_FAULTS) != 0;
  ProgramOptions how{.arch = options.arch, .observe = options.observe, .reads_counters = true};
  if (Expects(scenario)) how.observe |= kWhatExpectationsNeed;
  if (tells_faults) how.observe |= OBSERVE_FAULTS;
  const absl::StatusOr<ScenarioProgram> made = MakeProgram(scenario, how);
  if (!made.ok()) return made.status();
  GuestRunResult result;
  result.skipped = made->skipped;
  Follower follower(scenario, *made, options, tells_faults, &result);
  const absl::Status status = guest.Run(
      {&made->program, 1},
      [&](size_t, const guest::Outcome& outcome, const guest::State& state) {
        follower.Take(outcome, state);
      },
      [&](size_t, const guest::Ending& ending) { follower.TakeEnding(ending); });
  if (!status.ok()) return status;
  if (absl::Status s = follower.Finish(); !s.ok()) return s;
  return result;
}

}  // namespace mmsim::scenario
