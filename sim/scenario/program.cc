// SPDX-License-Identifier: Apache-2.0
// Every step is lowered twice, with two numbers for each $name. What comes out the same both times is a
// literal; what moved with the name is a reference to the name's result; anything else cannot be passed on.
#include "sim/scenario/program.h"

#include <cstring>

#include "absl/container/flat_hash_set.h"
#include "fmt/format.h"
#include "sim/kernel/kernel.h"
#include "sim/scenario/lower.h"
#include "sim/scenario/shapes.h"

namespace mmsim::scenario {
namespace {

// A $name's two numbers: a tag, the index of the program's step, and the middle of the range of offsets.
constexpr uint64_t kTags[2] = {uint64_t{0xa} << 60, uint64_t{0x6} << 60};
constexpr int kIndexShift = 40;
constexpr uint64_t kMiddle = uint64_t{1} << (kIndexShift - 1);
constexpr uint64_t kMaxIndex = uint64_t{1} << (60 - kIndexShift);
constexpr uint64_t kPrlimit64[2] = {302, 261};  // by Arch

class ProgramMaker {
 public:
  ProgramMaker(const Scenario& scenario, const ProgramOptions& options)
      : scenario_(scenario), options_(options), arch_(options.arch) {}

  absl::StatusOr<ScenarioProgram> Run() {
    if (scenario_.is_log() && !scenario_.steps().empty()) {
      return scenario_.ErrorAt(scenario_.steps()[0].text,
                               "a log of strace is replayed in the simulator alone: it does not say what the "
                               "program did to its memory");
    }
    made_.program.name = scenario_.file();
    for (const Step& step : scenario_.steps()) {
      if (!step.RunsOn(arch_)) continue;
      if (absl::Status s = One(step); !s.ok()) return s;
    }
    return std::move(made_);
  }

 private:
  absl::Status One(const Step& step) {
    switch (step.kind) {
      case StepKind::kSpawn:
        return Spawn(step);
      case StepKind::kCall:
        return Call(step);
      case StepKind::kAccess:
        return Access(step);
      case StepKind::kSet:
        return Set(step);
      case StepKind::kLimit:
        limits_.push_back(&step);
        return absl::OkStatus();
      case StepKind::kLet:
        return Let(step);
      case StepKind::kInject:
        return scenario_.ErrorAt(step.text, "a packaged kernel's allocators cannot be made to fail");
      case StepKind::kExit:
        if (step.exit == ExitKind::kKilled && pids_.contains(Pid(step))) {
          guest::Step& kill = Append(&step, OBSERVE_STEP_KILL);
          kill.process = Pid(step);
        }
        return absl::OkStatus();
      case StepKind::kExpect:
        if (options_.reads_counters) ReadCounters(step);
        return absl::OkStatus();
      case StepKind::kSignal:
        return absl::OkStatus();
    }
    return absl::OkStatus();
  }

  uint32_t Pid(const Step& step) const {
    return step.pid != kNoPid ? static_cast<uint32_t>(step.pid) : first_pid_;
  }

  guest::Step& Append(const Step* step, observe_step_kind kind) {
    // What stood for the same step of the scenario before is not observed.
    if (step != nullptr && !made_.steps.empty() && made_.steps.back() == step)
      made_.program.steps.back().observe = 0;
    made_.program.steps.emplace_back();
    made_.steps.push_back(step);
    guest::Step& made = made_.program.steps.back();
    made.kind = kind;
    made.observe = step == nullptr ? 0 : options_.observe;
    return made;
  }

  void SpawnAs(const Step* step, uint32_t pid, bool privileged) {
    guest::Step& spawn = Append(step, OBSERVE_STEP_SPAWN);
    spawn.child = pid;
    if (privileged) spawn.flags |= OBSERVE_SPAWN_PRIVILEGED;
    pids_.insert(pid);
    if (first_pid_ == 0) first_pid_ = pid;
  }

  absl::Status Spawn(const Step& step) {
    bool privileged = false;
    for (int i = 0; i < step.nr_args; ++i) privileged |= scenario_.Arg(step, i) == "privileged";
    SpawnAs(&step, static_cast<uint32_t>(step.pid), privileged);
    return SetLimits(&step, static_cast<uint32_t>(step.pid));
  }

  absl::Status SetLimits(const Step* spawn, uint32_t pid) {
    for (const Step* limit : limits_) {
      const absl::StatusOr<uint64_t> which = Number(limit->Name());
      if (!which.ok()) return which.status();
      uint64_t values[2];
      for (int i = 0; i < 2; ++i) {
        const absl::StatusOr<uint64_t> value = Number(scenario_.Arg(*limit, i < limit->nr_args ? i : 0));
        if (!value.ok()) return value.status();
        values[i] = *value;
      }
      guest::Step& set = Append(spawn, OBSERVE_STEP_OUTSIDE);
      set.number = kPrlimit64[static_cast<size_t>(arch_)];
      set.args = {guest::Arg::Literal(pid), guest::Arg::Literal(*which),
                  guest::Arg::In(std::string(reinterpret_cast<const char*>(values), sizeof(values))),
                  guest::Arg::Literal(0)};
    }
    return absl::OkStatus();
  }

  void ReadCounters(const Step& step) {
    const Expect& expect = scenario_.ExpectOf(step);
    if (expect.subject != Subject::kCounters) return;
    constexpr uint64_t kMostBytes = 8192;
    guest::Step& read = Append(&step, OBSERVE_STEP_READ_FILE);
    read.observe = 0;
    read.number = kMostBytes;
    const std::string path =
        expect.pid == 0 ? std::string("/proc/meminfo") : fmt::format("/proc/{}/status", expect.pid);
    read.args = {guest::Arg::In(path + '\0')};
  }

  // The first process of a file needs no line of its own.
  absl::Status SpawnFirst(const Step& step) {
    if (!pids_.empty()) return absl::OkStatus();
    const uint32_t pid = step.pid != kNoPid ? static_cast<uint32_t>(step.pid) : kDefaultPid;
    SpawnAs(nullptr, pid, false);
    return SetLimits(nullptr, pid);
  }

  absl::Status Call(const Step& step) {
    if (absl::Status s = SpawnFirst(step); !s.ok()) return s;
    LoweredCall calls[2];
    for (int i = 0; i < 2; ++i) {
      if (absl::Status s = Lower(scenario_, step, arch_, names_[i], &calls[i]); !s.ok()) return s;
    }
    const bool modelled = calls[0].sys != kSysByNumber && Kernel::Models(calls[0].sys);
    if (calls[0].number < 0 || (options_.modelled_only && !modelled)) {
      if (calls[0].number >= 0) {
        ++made_.skipped[modelled || calls[0].sys != kSysByNumber ? std::string(SysName(calls[0].sys))
                                                                 : "a call without a name"];
      }
      return absl::OkStatus();
    }
    guest::Step& made = Append(&step, OBSERVE_STEP_CALL);
    made.process = Pid(step);
    made.number = static_cast<uint64_t>(calls[0].number);
    for (size_t i = 0; i < calls[0].args.size(); ++i) {
      if (absl::Status s = Argument(step, calls, i, &made); !s.ok()) return s;
    }
    if (MakesTask(calls[0].sys)) {
      if (step.result == ResultKind::kName) {
        return scenario_.ErrorAt(scenario_.ResultToken(step).data(),
                                 "expected a number: it introduces the new process");
      }
      if (step.result == ResultKind::kValue && step.value > 0) {
        made.child = static_cast<uint32_t>(step.value);
        pids_.insert(made.child);
      }
    }
    return Bind(step);
  }

  // $a = the result of the program's last step
  absl::Status Bind(const Step& step) {
    if (step.result != ResultKind::kName) return absl::OkStatus();
    const std::string name(scenario_.ResultToken(step).substr(1));
    const uint64_t index = made_.steps.size() - 1;
    if (index >= kMaxIndex) return scenario_.ErrorAt(step.text, "too many steps for a guest");
    for (int i = 0; i < 2; ++i) names_[i][name] = kTags[i] | index << kIndexShift | kMiddle;
    return absl::OkStatus();
  }

  // A number as it came out with either set of names.
  bool Value(uint64_t first, uint64_t second, guest::Arg* arg) const {
    if (first == second) {
      *arg = guest::Arg::Literal(first);
      return true;
    }
    if (first - second != kTags[0] - kTags[1]) return false;
    const uint64_t untagged = first - kTags[0];
    const uint64_t index = untagged >> kIndexShift;
    if (index >= made_.steps.size()) return false;
    const uint64_t offset = (untagged & ((uint64_t{1} << kIndexShift) - 1)) - kMiddle;
    const bool is_load = made_.program.steps[index].kind == OBSERVE_STEP_LOAD;
    *arg = is_load ? guest::Arg::Loaded(static_cast<uint32_t>(index), offset)
                   : guest::Arg::Result(static_cast<uint32_t>(index), offset);
    return true;
  }

  absl::Status Argument(const Step& step, const LoweredCall (&calls)[2], size_t i, guest::Step* made) {
    const LoweredArg& lowered = calls[0].args[i];
    const char* at = i < step.nr_args ? scenario_.Arg(step, static_cast<int>(i)).data() : step.text;
    guest::Arg& arg = made->args.emplace_back();
    switch (lowered.kind) {
      case ArgKind::kValue:
        if (Value(lowered.value, calls[1].args[i].value, &arg)) return absl::OkStatus();
        return scenario_.ErrorAt(at, "expected a number, or a $name plus or minus a number");
      case ArgKind::kIn:
        arg = guest::Arg::In(std::string(calls[0].Bytes(i)) + '\0');
        break;
      case ArgKind::kInOut:
        arg = guest::Arg::InOut(std::string(calls[0].Bytes(i)));
        break;
      case ArgKind::kOut:
        arg = guest::Arg::Out(lowered.len);
        return absl::OkStatus();
      case ArgKind::kStrings:
        Strings(calls[0].Bytes(i), lowered.value, i, made);
        return absl::OkStatus();
      case ArgKind::kUnknown:
        return scenario_.ErrorAt(at, "expected a number, a string or a structure that is known here");
    }
    if (FillIn(calls[0].Bytes(i), calls[1].Bytes(i), i, made)) return absl::OkStatus();
    return scenario_.ErrorAt(at, "expected numbers, or $names plus or minus a number, in the structure");
  }

  // The eight-byte fields of a structure that hold a $name.
  bool FillIn(std::string_view first, std::string_view second, size_t i, guest::Step* made) const {
    for (size_t at = 0; at + 8 <= first.size(); at += 8) {
      uint64_t a, b;
      std::memcpy(&a, first.data() + at, sizeof(a));
      std::memcpy(&b, second.data() + at, sizeof(b));
      if (a == b) continue;
      guest::Patch patch{static_cast<uint16_t>(i), at, {}};
      if (!Value(a, b, &patch.value)) return false;
      made->patches.push_back(patch);
    }
    return true;
  }

  // argv: pointers to the strings, NULL, and the strings, all in one buffer.
  static void Strings(std::string_view strings, uint64_t count, size_t i, guest::Step* made) {
    made->args[i] = guest::Arg::In(PointersAndStrings(strings, count, 0));
    for (uint64_t n = 0; n < count; ++n) {
      uint64_t offset;
      std::memcpy(&offset, made->args[i].bytes.data() + n * 8, sizeof(offset));
      made->patches.push_back(
          {static_cast<uint16_t>(i), n * 8, guest::Arg::Buffer(static_cast<uint32_t>(i), offset)});
    }
  }

  absl::Status Access(const Step& step) {
    if (absl::Status s = SpawnFirst(step); !s.ok()) return s;
    LoweredAccess access[2];
    for (int i = 0; i < 2; ++i) {
      if (absl::Status s = LowerAccess(scenario_, step, arch_, names_[i], &access[i]); !s.ok()) return s;
    }
    guest::Arg address;
    if (!Value(access[0].address, access[1].address, &address)) {
      return scenario_.ErrorAt(scenario_.Arg(step, 0).data(),
                               "expected a number, or a $name plus or minus a number");
    }
    static constexpr observe_step_kind kKinds[] = {OBSERVE_STEP_STORE, OBSERVE_STEP_LOAD, OBSERVE_STEP_FETCH};
    guest::Step& made = Append(&step, kKinds[static_cast<size_t>(access[0].kind)]);
    made.process = Pid(step);
    made.args.push_back(address);
    if (access[0].kind == AccessKind::kFetch) return absl::OkStatus();
    made.number = access[0].len;
    if (access[0].kind == AccessKind::kStore) made.args.push_back(guest::Arg::In(access[0].bytes));
    if (access[0].kind == AccessKind::kLoad) return Bind(step);
    return absl::OkStatus();
  }

  absl::Status Set(const Step& step) {
    const std::string_view name = step.Name();
    std::string path = fmt::format("/proc/sys/vm/{}", name);
    std::string text(scenario_.Arg(step, 0));
    if (name == "stack_guard_gap") {
      return scenario_.ErrorAt(step.text, "a running kernel's stack_guard_gap cannot be changed");
    }
    if (name == "transparent_hugepage") {
      path = "/sys/kernel/mm/transparent_hugepage/enabled";
    } else {
      const absl::StatusOr<uint64_t> value = Number(text);
      if (!value.ok()) return value.status();
      text = fmt::format("{}", *value);
      if (name == "swap_pages") path = "/swap_pages";  // include/uapi/observe.h
    }
    guest::Step& made = Append(&step, OBSERVE_STEP_WRITE_FILE);
    made.args = {guest::Arg::In(path + '\0'), guest::Arg::In(text)};
    return absl::OkStatus();
  }

  absl::Status Let(const Step& step) {
    const std::string name(step.Name().substr(1));
    for (int i = 0; i < 2; ++i) {
      absl::StatusOr<uint64_t> value = Eval(scenario_, scenario_.Arg(step, 0), arch_, names_[i]);
      if (!value.ok()) return value.status();
      names_[i][name] = *value;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<uint64_t> Number(std::string_view text) { return Eval(scenario_, text, arch_, names_[0]); }

  const Scenario& scenario_;
  const ProgramOptions& options_;
  const Arch arch_;
  ScenarioProgram made_;
  Names names_[2];
  std::vector<const Step*> limits_;
  absl::flat_hash_set<uint32_t> pids_;
  uint32_t first_pid_ = 0;
};

}  // namespace

std::string_view WhyNotOn(const Scenario& scenario, bool has_shadowpt) {
  for (const Step& step : scenario.steps()) {
    if (step.kind == StepKind::kInject)
      return "scenarios in which allocations fail, which none does on demand";
    const bool shadowpt = step.kind == StepKind::kCall && step.sys >= Sys::k_shadowpt_open &&
                          step.sys <= Sys::k_shadowpt_page_contents;
    if (shadowpt && !has_shadowpt) return "scenarios about shadowpt, which need the patched kernel";
    if (step.kind == StepKind::kCall && step.sys == Sys::k_mseal && has_shadowpt)
      return "scenarios about mseal, whose number the patched kernel gave to shadowpt";
  }
  return {};
}

namespace {

void ThinSmaps(guest::Program& program, uint32_t every) {
  guest::Step* last = nullptr;
  uint32_t nr_steps = 0;
  for (guest::Step& step : program.steps) {
    if ((step.observe & OBSERVE_SMAPS) == 0) continue;
    last = &step;
    if (++nr_steps % every != 0) step.observe &= ~uint32_t{OBSERVE_SMAPS};
  }
  if (last != nullptr) last->observe |= OBSERVE_SMAPS;
}

}  // namespace

absl::StatusOr<ScenarioProgram> MakeProgram(const Scenario& scenario, const ProgramOptions& options) {
  absl::StatusOr<ScenarioProgram> made = ProgramMaker(scenario, options).Run();
  if (made.ok()) ThinSmaps(made->program, options.smaps_every);
  return made;
}

}  // namespace mmsim::scenario
