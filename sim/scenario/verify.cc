// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/verify.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <set>

#include "absl/strings/str_cat.h"
#include "fmt/format.h"
#include "sim/audit/validator.h"
#include "sim/kernel/procfs.h"
#include "sim/scenario/lower.h"
#include "sim/scenario/recorded_faults.h"
#include "sim/scenario/recorded_machine.h"
#include "sim/scenario/recording.h"
#include "sim/scenario/shapes.h"

namespace mmsim::scenario {
namespace {

// A line as it is compared.
struct Comparable {
  uint64_t start = 0, end = 0;  // start 0: of the stack, whose lower bound hangs on accesses
  std::string rest, name;
  std::string Text() const {
    return start == 0 ? fmt::format("...-{:x} {} {}", end, rest, name)
                      : fmt::format("{:x}-{:x} {}{}{}", start, end, rest, name.empty() ? "" : " ", name);
  }
};

// That a file was removed shows only where the log has the call (unlink is none of strace's %desc).
bool SameFile(std::string_view recorded, std::string_view replayed) {
  constexpr std::string_view kDeleted = " (deleted)";
  if (recorded == replayed) return true;
  return recorded.starts_with(replayed) && recorded.substr(replayed.size()) == kDeleted;
}

bool Same(const Comparable& recorded, const Comparable& replayed) {
  return recorded.start == replayed.start && recorded.end == replayed.end && recorded.rest == replayed.rest &&
         SameFile(recorded.name, replayed.name);
}

std::vector<Comparable> ComparableLines(const std::vector<MapsLine>& lines) {
  static const std::set<std::string> kLeftOut = {"[vvar]", "[vvar_vclock]", "[vdso]", "[vsyscall]"};
  std::vector<Comparable> out;
  for (const MapsLine& line : lines) {
    if (kLeftOut.contains(line.name)) continue;
    out.push_back({line.name == "[stack]" ? 0 : line.start, line.end,
                   fmt::format("{} {:08x}", line.perms, line.offset_bytes), line.name});
  }
  return out;
}

// Where a listing first differs from another; null: it has no more lines.
VirtRange DifferingRange(const Comparable* recorded, const Comparable* replayed) {
  MMSIM_CHECK(recorded != nullptr || replayed != nullptr);
  const Comparable& one = recorded != nullptr ? *recorded : *replayed;
  const Comparable& other = replayed != nullptr ? *replayed : *recorded;
  const auto range = [](uint64_t a, uint64_t b) {
    return VirtRange{VirtAddr(std::min(a, b)), VirtAddr(std::max(a, b))};
  };
  if (one.start != other.start) return range(one.start, other.start);
  if (one.end != other.end) return range(one.end, other.end);
  return range(one.start, one.end);
}

// Where a logged call did something to an address space; empty: nowhere, or nowhere that its line tells. A
// mremap did at two places.
std::array<VirtRange, 2> ChangedBy(const Step& step, const LoweredCall& call) {
  using Places = std::array<VirtRange, 2>;
  const auto place = [](uint64_t start, uint64_t len) {
    return VirtRange{VirtAddr(start), VirtAddr(start + len).PageCeil()};
  };
  const auto range = [&](uint64_t start, uint64_t len) { return Places{place(start, len), VirtRange()}; };
  const uint64_t result = step.result == ResultKind::kValue ? static_cast<uint64_t>(step.value) : 0;
  switch (call.sys) {
    case Sys::k_mmap:
      return range(result, call.Value(1));
    case Sys::k_munmap:
    case Sys::k_mprotect:
    case Sys::k_pkey_mprotect:
    case Sys::k_madvise:
    case Sys::k_mlock:
    case Sys::k_mlock2:
    case Sys::k_munlock:
    case Sys::k_mseal:
      return range(call.Value(0), call.Value(1));
    case Sys::k_mremap:
      return {place(call.Value(0), call.Value(1)), place(result, call.Value(2))};
    case Sys::k_brk:
    case Sys::k_shmat:
      return range(result, 0);
    case Sys::k_shmdt:
      return range(call.Value(0), 0);
    default:
      return range(0, 0);
  }
}

// How many lines are in one listing alone.
uint64_t NrDiffering(const std::vector<Comparable>& a, const std::vector<Comparable>& b) {
  const auto texts = [](const std::vector<Comparable>& lines) {
    std::multiset<std::string> all;
    for (const Comparable& line : lines) all.insert(line.Text());
    return all;
  };
  std::vector<std::string> apart;
  const std::multiset<std::string> of_a = texts(a), of_b = texts(b);
  std::set_symmetric_difference(of_a.begin(), of_a.end(), of_b.begin(), of_b.end(),
                                std::back_inserter(apart));
  return apart.size();
}

// The last step before `end` at which the process of `end`, or the one that it was forked from, changed
// something at the place of a difference, down to its exec: it may be the cause. Null: there is none.
const Step* LastChangeOf(const Scenario& scenario, Kernel& kernel, const Step& end, VirtRange where) {
  const auto process_of = [&kernel](int pid) {
    const Task* task = kernel.FindTask(pid);
    return task != nullptr ? task->tgid : pid;
  };
  int process = process_of(end.pid);
  LoweredCall call;
  for (const Step* step = &end; step-- != scenario.steps().data();) {
    if (step->kind != StepKind::kCall) continue;
    if (MakesTask(step->sys) && step->result == ResultKind::kValue && step->value == process) {
      process = process_of(step->pid);
      continue;
    }
    if (process_of(step->pid) != process || step->result != ResultKind::kValue) continue;
    if (step->sys == Sys::k_execve || step->sys == Sys::k_execveat) return step;
    if (!Lower(scenario, *step, kernel.arch(), {}, &call).ok()) continue;
    const auto places = ChangedBy(*step, call);
    if (std::any_of(places.begin(), places.end(), [&](const VirtRange& changed) {
          return changed.end.value != 0 && changed.start <= where.end && changed.end >= where.start;
        })) {
      return step;
    }
  }
  return nullptr;
}

class Listings : public RecordedMaps {
 public:
  Listings(const Recording& recording, const Scenario& scenario, VerifyResult* result)
      : recording_(recording),
        scenario_(scenario),
        result_(result),
        faults_(recording.faults.value_or(std::vector<RecordedFault>())) {}

  bool KnowsFaults() const override { return recording_.faults.has_value(); }
  void BeforeCall(Kernel& kernel, int thread, bool executes) override {
    faults_.BeforeCall(kernel, thread, executes);
  }

  std::string Start(int pid, int nth) override {
    const RecordedListing* start = recording_.Start(pid, nth);
    return start == nullptr ? std::string() : start->text;
  }

  void AtEnd(Kernel& kernel, const Task& task, const Step& step) override {
    if (!compared_.insert(task.tgid).second) return;
    const RecordedListing* end = recording_.End(task.tgid);
    if (end == nullptr) return;
    ++result_->processes;
    const std::vector<Comparable> recorded = ComparableLines(end->lines);
    const std::vector<Comparable> replayed = ComparableLines(MapsLines(kernel, *task.mm));
    size_t i = 0;
    while (i < recorded.size() && i < replayed.size() && Same(recorded[i], replayed[i])) ++i;
    if (i == recorded.size() && i == replayed.size()) {
      ComparePages(task);
      return;
    }
    nr_differing_ += NrDiffering(recorded, replayed);
    const auto line = [i](const std::vector<Comparable>& lines) {
      return i < lines.size() ? &lines[i] : nullptr;
    };
    const auto text = [](const Comparable* one) { return one != nullptr ? one->Text() : "no more lines"; };
    std::string difference = fmt::format("process {}: recorded {}, replayed {}", task.tgid,
                                         text(line(recorded)), text(line(replayed)));
    const VirtRange where = DifferingRange(line(recorded), line(replayed));
    if (const Step* cause = LastChangeOf(scenario_, kernel, step, where); cause != nullptr) {
      difference +=
          fmt::format("\n  {}:{}: {}", scenario_.file(), cause->first_line, scenario_.LineAt(cause->text));
    }
    result_->differences.push_back(std::move(difference));
    where_.push_back(where);
  }

  // Of a process whose maps are identical.
  void ComparePages(const Task& task) {
    const auto& pages = recording_.processes.at(task.tgid).pages;
    std::string difference;
    if (KnowsFaults() && pages.has_value()) {
      ++result_->pages;
      difference = DifferenceOfPages(*pages, task);
    }
    if (difference.empty()) {
      ++result_->identical;
      return;
    }
    result_->differences.push_back(fmt::format("process {}: {}", task.tgid, difference));
    where_.emplace_back();
  }

  // Differences at a place where the rule of what counts as touched decided something are said to hang on it.
  // Returns these places, each once.
  std::vector<VirtRange> NameThoseThatHungOnTouch(const Runner& runner) {
    std::vector<VirtRange> places;
    for (size_t i = 0; i < where_.size(); ++i) {
      bool hung = false;
      for (const VirtRange& vma : runner.touched()) {
        if (vma.start > where_[i].end || vma.end < where_[i].start) continue;
        hung = true;
        if (std::find(places.begin(), places.end(), vma) == places.end()) places.push_back(vma);
      }
      if (hung) result_->differences[i] += "\n  (this hung on what counts as touched)";
    }
    return places;
  }
  uint64_t nr_differing() const { return nr_differing_; }

  // Processes that have an end file and never came to an exit_group in the log.
  void CountMissing() {
    for (const auto& [pid, process] : recording_.processes) {
      if (!process.end || compared_.contains(pid)) continue;
      ++result_->processes;
      result_->differences.push_back(fmt::format("process {}: the log has no exit_group of it", pid));
    }
  }

 private:
  const Recording& recording_;
  const Scenario& scenario_;
  VerifyResult* result_;
  FaultReplay faults_;
  std::vector<VirtRange> where_;  // the differences are
  std::set<int> compared_;
  uint64_t nr_differing_ = 0;  // lines of listings
};

// What the replays of one recording have in common.
struct Recorded {
  const Recording& recording;
  const Scenario& scenario;
  const RecordedEnv& env;
  const RecordedMachine& machine;
  bool audit;
};

struct Attempt {
  VerifyResult result;
  std::vector<VirtRange> suspects;  // where the rule of what counts as touched may be what is wrong
  uint64_t nr_wrong = 0;            // lines of listings, and mismatches
};

// That rule is not applied to `untouched`.
absl::StatusOr<Attempt> Replay(const Recorded& r, const std::vector<VirtRange>& untouched) {
  Attempt attempt;
  VerifyResult& result = attempt.result;
  result.note = r.machine.note;
  Listings listings(r.recording, r.scenario, &result);
  RunnerOptions run;
  run.kernel = r.machine.options;
  run.recorded = &listings;
  run.untouched = untouched;
  run.credentials = CredentialsOf(r.env);
  run.prepare = [&](Kernel& kernel) { PrepareMachine(r.recording, r.env, kernel); };
  if (r.audit) {
    run.audit = [&result](Kernel& kernel) {
      for (std::string& finding : Validate(kernel.system())) result.audit.push_back(std::move(finding));
    };
  }
  Runner runner(r.scenario, run);
  if (absl::Status s = runner.RunAll(); !s.ok()) return s;
  attempt.suspects = listings.NameThoseThatHungOnTouch(runner);
  listings.CountMissing();
  attempt.nr_wrong = listings.nr_differing() + runner.mismatches().size();
  result.mismatches = runner.mismatches();
  for (const auto& [name, count] : runner.skipped()) {
    result.skipped += fmt::format("{}{} {}", result.skipped.empty() ? "" : ", ", name, count);
  }
  return attempt;
}

// Replays without decisions of that rule, as long as less comes out wrong for it: without one, or without all
// of a place, and then with each that nothing hung on.
class Doubt {
 public:
  explicit Doubt(const Recorded& recorded, Attempt first) : r_(recorded), best_(std::move(first)) {}

  absl::StatusOr<Attempt> Resolve() {
    for (bool better = true; better;) {
      const std::vector<VirtRange> suspects = best_.suspects;
      better = false;
      for (size_t i = 0; i < suspects.size() && !better; ++i)
        better = Try(With({suspects[i]}), best_.nr_wrong);
      better = better || Try(With(suspects), best_.nr_wrong);
    }
    for (const VirtRange vma : Places(untouched_)) {
      Places fewer = untouched_;
      std::erase(fewer, vma);
      Try(fewer, best_.nr_wrong + 1);
    }
    if (!status_.ok()) return status_;
    for (const VirtRange vma : untouched_) {
      best_.result.untouched.push_back(
          fmt::format("{:x}-{:x} counts as not written to: the recorded maps are matched better so",
                      vma.start.value, vma.end.value));
    }
    return std::move(best_);
  }

 private:
  using Places = std::vector<VirtRange>;
  static constexpr int kMaxReplays = 48;

  Places With(const Places& more) const {
    Places all = untouched_;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  // Whether less than `limit` is wrong then; if so, it is what counts from now on.
  bool Try(const Places& untouched, uint64_t limit) {
    if (!status_.ok() || untouched == untouched_ || nr_replays_++ >= kMaxReplays) return false;
    absl::StatusOr<Attempt> attempt = Replay(r_, untouched);
    status_ = attempt.status();
    if (!attempt.ok() || attempt->nr_wrong >= limit) return false;
    best_ = *std::move(attempt);
    untouched_ = untouched;
    return true;
  }

  const Recorded& r_;
  Attempt best_;
  Places untouched_;
  absl::Status status_;
  int nr_replays_ = 0;
};

}  // namespace

absl::StatusOr<VerifyResult> Verify(const std::string& dir, const VerifyOptions& options) {
  const absl::StatusOr<Recording> recording = LoadRecording(dir);
  if (!recording.ok()) return recording.status();
  absl::StatusOr<std::unique_ptr<Scenario>> scenario = Scenario::Open(recording->log);
  if (!scenario.ok()) return scenario.status();
  const RecordedEnv env = recording->has_env ? recording->env : ParseEnv(options.host_env, "this host");
  absl::StatusOr<RecordedMachine> machine = MachineOf(env, options.profile, options.arch);
  if (!machine.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(dir, ": ", machine.status().message()));
  }

  const Recorded recorded{*recording, **scenario, env, *machine, options.audit};
  absl::StatusOr<Attempt> attempt = Replay(recorded, {});
  if (attempt.ok() && !attempt->suspects.empty()) attempt = Doubt(recorded, *std::move(attempt)).Resolve();
  if (!attempt.ok()) return attempt.status();
  return std::move(attempt->result);
}

}  // namespace mmsim::scenario
