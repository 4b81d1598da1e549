// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/lockstep.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <iterator>
#include <optional>
#include <utility>

#include "fmt/format.h"
#include "sim/audit/validator.h"
#include "sim/kernel/shadowpt.h"
#include "sim/mm/mman.h"
#include "sim/scenario/lower.h"
#include "sim/scenario/observation.h"
#include "sim/scenario/program.h"
#include "sim/scenario/runner.h"

namespace mmsim::scenario {
namespace {

// One scenario, while its reports come in.
class Follower {
 public:
  Follower(const Scenario& scenario, size_t index, const ScenarioProgram& made, const guest::Program& program,
           const GuestFacts& facts, const LockstepOptions& options, ComparisonCount* count)
      : scenario_(scenario),
        index_(index),
        made_(made),
        program_(program),
        options_(options),
        count_(*count),
        runner_(scenario, MakeOptions(facts)),
        observer_(runner_.kernel(), options.observe),
        comparer_(options.observe) {
    comparer_.Begin();
  }

  void Take(guest::Outcome there, const guest::State& state) {
    const Step* step = made_.steps[there.step];
    if (stopped_ || step == nullptr) return;
    if (there.ending == OBSERVE_ENDING_REFUSED) {
      return Report(step, {{"refused", "", OutcomeText(there), "carried out"}});
    }
    if (!made_.IsLast(there.step)) return;
    guest::Outcome here;
    absl::StatusOr<bool> done = CatchUp(*step, &here);
    if (!done.ok() || !*done) {
      return Report(step, {{"step", "", OutcomeText(there),
                            done.ok() ? "not carried out" : std::string(done.status().message())}});
    }
    std::vector<Difference> differences;
    for (const std::string& finding : findings_) differences.push_back({"validator", "", "", finding});
    if (step->kind == StepKind::kCall || step->kind == StepKind::kAccess) ++count_.steps;
    KeepLastFault(*step, &there);
    KeepLastFault(*step, &here);
    HideFrameNumbers(*step, here, &there);
    if (step->kind != StepKind::kCall && step->kind != StepKind::kAccess) {
      Simplify(&there);
      Simplify(&here);
    }
    const uint32_t what = program_.steps[there.step].observe;
    const guest::State& simulated = observer_.Observe((what & OBSERVE_SMAPS) != 0);
    for (const Difference& d :
         comparer_.Compare({&there, &state, what}, {&here, &simulated, what}, ReplacedBy(*step, here))) {
      if (options_.known != nullptr && !options_.known->Match(d).empty()) {
        ++count_.deliberate;
      } else {
        differences.push_back(d);
      }
    }
    if (!differences.empty()) Report(step, std::move(differences));
  }

  void TakeEnding(const guest::Ending& ending) {
    if (ending.kind == guest::Ending::kDone || stopped_) return;
    const Step* step = made_.steps[ending.step];
    Report(step, {{ending.kind == guest::Ending::kHung ? "hang" : "panic", "",
                   "the guest went; its console's end:\n" + ending.console, ""}});
  }

 private:
  RunnerOptions MakeOptions(const GuestFacts& facts) {
    RunnerOptions options;
    options.kernel.arch = options_.arch;
    options.kernel.total_ram_bytes = facts.total_ram_bytes;
    options.check_results = false;
    options.prepare = [facts](Kernel& kernel) {
      kernel.sysctls().user_reserve_kbytes = facts.user_reserve_kbytes;
      kernel.sysctls().admin_reserve_kbytes = facts.admin_reserve_kbytes;
      if (!facts.has_lsm_min_addr) kernel.sysctls().lsm_mmap_min_addr = 0;
      kernel.sysctls().SetMmapMinAddr(facts.mmap_min_addr);
    };
    if (options_.audit) options.audit = [this](Kernel& kernel) { findings_ = Validate(kernel.system()); };
    return options;
  }

  // The simulator carries out what stands before `step`, and `step`.
  absl::StatusOr<bool> CatchUp(const Step& step, guest::Outcome* outcome) {
    for (;;) {
      const Step& next = scenario_.steps()[cursor_++];
      guest::Outcome passed;
      absl::StatusOr<bool> done = runner_.RunStep(next, &next == &step ? outcome : &passed);
      if (!done.ok() || &next == &step) return done;
    }
  }

  // Of a directive it is compared whether it could be carried out: a guest's way (a file that is written,
  // limits that are set from outside) has results of its own.
  static void Simplify(guest::Outcome* outcome) {
    outcome->made = 0;
    outcome->result = std::min<int64_t>(outcome->result, 0);
  }

  // Bits of an error code, as include/asm/trap_pf.h has them.
  static constexpr uint64_t kPresentError = 0x1, kFetchError = 0x10;
  // Of an access the last page fault is compared, of a fetch no fault of the instruction's own. The faults
  // before it are the same ones: a fault that mends nothing comes again. Whether the kernel has something at
  // an address of its own is no program's business (Linux: arch/x86/mm/fault.c sanitize_error_code()).
  static void KeepLastFault(const Step& step, guest::Outcome* outcome) {
    std::erase_if(outcome->faults, [&](const observe_fault& f) {
      if (step.access == AccessKind::kFetch && !(f.error & kFetchError)) return true;
      return step.kind != StepKind::kAccess || f.user == 0 ||
             (step.pid != kNoPid && f.process != static_cast<uint32_t>(step.pid));
    });
    if (outcome->faults.empty()) return;
    outcome->faults.erase(outcome->faults.begin(), outcome->faults.end() - 1);
    if (static_cast<int64_t>(outcome->faults[0].address) < 0) outcome->faults[0].error |= kPresentError;
  }

  // A load from the shadow page table finds frame numbers: they are the entries', which are compared with
  // frames renamed. In what was loaded there they are made the same.
  void HideFrameNumbers(const Step& step, const guest::Outcome& here, guest::Outcome* there) {
    if (step.kind != StepKind::kAccess || step.access != AccessKind::kLoad ||
        !runner_.kernel().shadowpt().IsOpen())
      return;
    const auto ours = here.out.find(0);
    const auto theirs = there->out.find(0);
    if (ours == here.out.end() || theirs == there->out.end() || ours->second.size() != theirs->second.size())
      return;
    LoweredAccess access;
    const Task* task = runner_.TaskOf(step);
    if (task == nullptr || task->mm == nullptr ||
        !LowerAccess(scenario_, step, options_.arch, runner_.names(), &access).ok())
      return;
    for (size_t i = 0; i < ours->second.size(); ++i) {
      const std::optional<uint64_t> at =
          runner_.kernel().shadowpt().OffsetOf(*task->mm, VirtAddr(access.address + i));
      const uint64_t in_entry = at ? *at % sizeof(shadow_pte) : 0;
      if (in_entry >= offsetof(shadow_pte, pfn) && in_entry < offsetof(shadow_pte, state_flags))
        theirs->second[i] = ours->second[i];
    }
  }

  // MAP_FIXED and its kin take pages away and may bring new ones in the same step.
  Replaced ReplacedBy(const Step& step, const guest::Outcome& here) {
    const LoweredCall& call = runner_.last_call();
    const Task* task = runner_.TaskOf(step);
    if (step.kind != StepKind::kCall || here.result < 0 || task == nullptr || task->mm == nullptr) return {};
    const uint64_t at = static_cast<uint64_t>(here.result);
    const uint32_t process = static_cast<uint32_t>(task->pid);
    switch (step.sys) {
      case Sys::k_mmap:
        if (!(call.Value(3) & mman::kMapFixed)) return {};
        return {process, at, at + call.Value(1)};
      case Sys::k_mremap:
        return {process, at, at + call.Value(2)};
      case Sys::k_shmat:
        return {process, at, task->mm->vmas.Lookup(VirtAddr(at))->end.value};
      default:
        return {};
    }
  }

  void Report(const Step* step, std::vector<Difference> differences) {
    stopped_ = true;
    if (count_.differences++ == 0) count_.first_after = count_.steps;
    if (!options_.on_difference) return;
    StepDifference d{index_, {scenario_.file(), 0, 0}, "", std::move(differences)};
    if (step != nullptr) {
      d.where = scenario_.LocateStep(*step);
      d.line = std::string(scenario_.LineAt(step->text));
    }
    options_.on_difference(d);
  }

  const Scenario& scenario_;
  const size_t index_;
  const ScenarioProgram& made_;    // but for its program,
  const guest::Program& program_;  // which is here
  const LockstepOptions& options_;
  ComparisonCount& count_;
  std::vector<std::string> findings_;  // of the validator, in the last step
  Runner runner_;
  KernelObserver observer_;
  Comparer comparer_;
  size_t cursor_ = 0;  // the next step of the scenario that the simulator carries out
  bool stopped_ = false;
};

// "MemTotal:  1002364 kB" -> 1002364
uint64_t Field(std::string_view text, std::string_view name) {
  const size_t at = text.find(name);
  if (at == std::string_view::npos) return 0;
  const char* begin = text.data() + at + name.size();
  const char* end = text.data() + text.size();
  while (begin != end && (*begin == ' ' || *begin == ':')) ++begin;
  uint64_t value = 0;
  std::from_chars(begin, end, value);
  return value;
}

}  // namespace

absl::StatusOr<GuestFacts> AskFacts(guest::Guest& guest) {
  static constexpr const char* kFiles[] = {"/proc/meminfo", "/proc/sys/vm/user_reserve_kbytes",
                                           "/proc/sys/vm/admin_reserve_kbytes", "/proc/sys/vm/mmap_min_addr"};
  guest::Program program{.name = "facts", .steps = {}};
  for (const char* file : kFiles) {
    program.steps.push_back({.kind = OBSERVE_STEP_READ_FILE,
                             .observe = 0,
                             .number = 4096,
                             .args = {guest::Arg::In(std::string(file) + '\0')},
                             .patches = {}});
  }
  std::string texts[std::size(kFiles)];
  const absl::Status status = guest.Run(
      {&program, 1},
      [&](size_t, const guest::Outcome& outcome, const guest::State&) {
        if (outcome.out.contains(0)) texts[outcome.step] = outcome.out.at(0);
      },
      [](size_t, const guest::Ending&) {});
  if (!status.ok()) return status;
  GuestFacts facts;
  facts.total_ram_bytes = Field(texts[0], "MemTotal") * 1024;
  facts.user_reserve_kbytes = Field(texts[1], "");
  facts.admin_reserve_kbytes = Field(texts[2], "");
  facts.mmap_min_addr = Field(texts[3], "");
  facts.has_lsm_min_addr = (guest.features() & OBSERVE_SHADOW) == 0;  // the patched kernel has no such module
  if (facts.total_ram_bytes == 0) return absl::UnavailableError("the guest does not tell its memory");
  return facts;
}

absl::StatusOr<Reference> BootReference(Arch arch, const std::string& image) {
  absl::StatusOr<std::unique_ptr<guest::Guest>> guest = guest::Guest::Boot({.arch = arch, .image = image});
  if (!guest.ok()) return guest.status();
  const absl::StatusOr<GuestFacts> facts = AskFacts(**guest);
  if (!facts.ok()) return facts.status();
  return Reference{*std::move(guest), *facts};
}

absl::StatusOr<ComparisonCount> Lockstep(const Reference& reference,
                                         absl::Span<const std::unique_ptr<Scenario>> scenarios,
                                         const LockstepOptions& requested) {
  ComparisonCount count;
  LockstepOptions options = requested;
  const uint32_t features = reference.guest->features();
  options.observe &= features;
  std::vector<ScenarioProgram> made;
  std::vector<guest::Program> programs;
  std::vector<size_t> of;  // the scenario of each program
  for (size_t i = 0; i < scenarios.size(); ++i) {
    if (!scenarios[i]->RunsOn(options.arch)) continue;
    const std::string_view why_not = WhyNotOn(*scenarios[i], (features & OBSERVE_SHADOW) != 0);
    if (!why_not.empty()) {
      ++count.skipped[std::string(why_not)];
      continue;
    }
    absl::StatusOr<ScenarioProgram> program = MakeProgram(*scenarios[i], {.arch = options.arch,
                                                                          .observe = options.observe,
                                                                          .smaps_every = options.smaps_every,
                                                                          .modelled_only = true});
    if (!program.ok()) return program.status();
    programs.push_back(std::move(program->program));
    for (const auto& [name, times] : program->skipped) count.skipped[name] += times;
    made.push_back(*std::move(program));
    of.push_back(i);
  }
  std::unique_ptr<Follower> follower;
  const auto follow = [&](size_t p) {
    if (follower == nullptr) {
      follower = std::make_unique<Follower>(*scenarios[of[p]], of[p], made[p], programs[p], reference.facts,
                                            options, &count);
    }
  };
  const absl::Status status = reference.guest->Run(
      programs,
      [&](size_t p, const guest::Outcome& outcome, const guest::State& state) {
        follow(p);
        follower->Take(outcome, state);
      },
      [&](size_t p, const guest::Ending& ending) {
        follow(p);
        follower->TakeEnding(ending);
        follower.reset();
        if (options.on_scenario_done) options.on_scenario_done(of[p]);
      });
  if (!status.ok()) return status;
  return count;
}

}  // namespace mmsim::scenario
