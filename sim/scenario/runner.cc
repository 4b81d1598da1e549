// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/runner.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "fmt/format.h"
#include "sim/mm/swap.h"

namespace mmsim::scenario {
namespace {

guest::Outcome AccessOutcome(const AccessResult& result) {
  guest::Outcome outcome;
  outcome.result = static_cast<int64_t>(result.done_bytes);
  if (!result.ok()) {
    outcome.ending = OBSERVE_ENDING_SIGNAL;
    outcome.signo = result.signal.signo;
    outcome.signal_code = result.signal.code;
    outcome.fault_address = result.signal.addr;
  }
  return outcome;
}

std::string SignalText(const SigInfo& signal) {
  return fmt::format("--- {} {{si_code={}, si_addr={:#x}}} ---", SignalName(signal.signo),
                     SignalCodeName(signal.signo, signal.code), signal.addr);
}

std::string Quoted(std::string_view bytes) {
  std::string out = "\"";
  for (const char c : bytes) {
    if (c >= ' ' && c <= '~' && c != '"' && c != '\\') {
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return out + '"';
}

}  // namespace

Runner::Runner(const Scenario& scenario, const RunnerOptions& options)
    : scenario_(scenario), options_(options) {
  if (!scenario.is_log()) {
    options_.kernel.on_exit = [this](int pid, int code) {
      died_.push_back({static_cast<uint32_t>(pid), static_cast<uint32_t>(code)});
    };
  }
  kernel_ = std::make_unique<Kernel>(options_.kernel);
  AddVictimFile();
  g_check_context = {scenario.file().c_str(), 0, 0};
  if (options_.prepare) options_.prepare(*kernel_);
}

Runner::~Runner() {
  g_check_context = {};
}

absl::Status Runner::RunAll(const AfterStep& after_step) {
  for (const Step& step : scenario_.steps()) {
    if (absl::Status s = CompleteUpTo(step.first_line, after_step); !s.ok()) return s;
    const bool in_flight = step.kind == StepKind::kCall && step.last_line > step.first_line;
    if (in_flight && step.sys != Sys::k_clone && step.sys != Sys::k_clone3 && step.sys != Sys::k_fork &&
        step.sys != Sys::k_vfork) {
      in_flight_.push_back(&step);
      continue;
    }
    if (absl::Status s = Complete(step, after_step); !s.ok()) return s;
  }
  if (absl::Status s = CompleteUpTo(~uint32_t{0}, after_step); !s.ok()) return s;
  while (!unsettled_.empty()) SettleSignal(*unsettled_.begin());
  return absl::OkStatus();
}

absl::Status Runner::RunNow(const Step& step, const AfterStep& after_step) {
  guest::Outcome outcome;
  absl::StatusOr<bool> done = RunStep(step, &outcome);
  if (!done.ok()) return done.status();
  if (*done && after_step) after_step(step, outcome);
  return absl::OkStatus();
}

absl::StatusOr<bool> Runner::RunStep(const Step& step, guest::Outcome* outcome) {
  if (!step.RunsOn(kernel_->arch())) return false;
  g_check_context.step = step.first_line;
  hung_on_touch_ = false;
  if (step.kind != StepKind::kSignal && step.kind != StepKind::kExpect) SettleSignal(step.pid);
  absl::StatusOr<bool> done = false;
  switch (step.kind) {
    case StepKind::kCall:
      done = DoCall(step, outcome);
      break;
    case StepKind::kAccess:
      done = DoAccess(step, outcome);
      break;
    case StepKind::kSpawn:
      done = DoSpawn(step, outcome);
      break;
    case StepKind::kSet:
      done = DoSet(step, outcome);
      break;
    case StepKind::kLimit:
      done = DoLimit(step, outcome);
      break;
    case StepKind::kInject:
      done = DoInject(step);
      break;
    case StepKind::kLet:
      if (absl::Status s = DoLet(step); !s.ok()) return s;
      break;
    case StepKind::kSignal:
      if (absl::Status s = DoSignal(step); !s.ok()) return s;
      break;
    case StepKind::kExpect:
      if (options_.check_results) {
        if (absl::Status s = CheckExpect(step); !s.ok()) return s;
      }
      break;
    case StepKind::kExit:
      done = DoExit(step);
      break;
  }
  if (done.ok() && *done) {
    ++steps_done_;
    if (!scenario_.is_log()) EndVictimStep(step.pid, outcome);
    if (options_.audit) options_.audit(*kernel_);
  }
  return done;
}

Task* Runner::TaskOf(const Step& step) {
  if (step.pid != kNoPid) return kernel_->FindTask(step.pid);
  return kernel_->FindTask(first_pid_);
}

absl::StatusOr<bool> Runner::DoSet(const Step& step, guest::Outcome* outcome) {
  outcome->result = 0;
  if (step.Name() == "transparent_hugepage") return SetThpMode(step);
  absl::StatusOr<uint64_t> value = Eval(scenario_, scenario_.Arg(step, 0), kernel_->arch(), names_);
  if (!value.ok()) return value.status();
  Sysctls& s = kernel_->sysctls();
  const std::string_view name = step.Name();
  const std::pair<std::string_view, uint64_t*> wide[] = {{"overcommit_ratio", &s.overcommit_ratio},
                                                         {"overcommit_kbytes", &s.overcommit_kbytes},
                                                         {"admin_reserve_kbytes", &s.admin_reserve_kbytes},
                                                         {"user_reserve_kbytes", &s.user_reserve_kbytes},
                                                         {"mmap_min_addr", &s.mmap_min_addr},
                                                         {"stack_guard_gap", &s.stack_guard_gap}};
  bool known = false;
  for (const auto& [n, where] : wide) {
    if (n != name) continue;
    *where = *value;
    known = true;
  }
  // Each takes the other's place. Linux: mm/util.c overcommit_ratio_handler(), overcommit_kbytes_handler()
  if (name == "overcommit_ratio") s.overcommit_kbytes = 0;
  if (name == "overcommit_kbytes") s.overcommit_ratio = 0;
  if (name == "overcommit_memory") known = true, s.overcommit_memory = static_cast<int>(*value);
  if (name == "max_map_count") known = true, s.max_map_count = static_cast<int>(*value);
  if (name == "legacy_va_layout") known = true, s.legacy_va_layout = *value != 0;
  if (name == "swap_pages" && kernel_->system().swap == nullptr) {  // swapon
    known = true;
    kernel_->system().swap = std::make_unique<SwapArea>(kernel_->system(), *value);
  }
  if (!known) return scenario_.ErrorAt(name.data(), "expected the name of a sysctl under /proc/sys/vm");
  return true;
}

absl::StatusOr<bool> Runner::SetThpMode(const Step& step) {
  static constexpr std::pair<std::string_view, ThpMode> kModes[] = {
      {"always", ThpMode::kAlways}, {"madvise", ThpMode::kMadvise}, {"never", ThpMode::kNever}};
  for (const auto& [word, mode] : kModes) {
    if (word != scenario_.Arg(step, 0)) continue;
    kernel_->sysctls().transparent_hugepage = mode;
    return true;
  }
  return scenario_.ErrorAt(scenario_.Arg(step, 0).data(), "expected always, madvise or never");
}

absl::StatusOr<bool> Runner::DoLimit(const Step& step, guest::Outcome* outcome) {
  absl::StatusOr<uint64_t> which = Eval(scenario_, step.Name(), kernel_->arch(), names_);
  if (!which.ok()) return which.status();
  absl::StatusOr<uint64_t> current = Eval(scenario_, scenario_.Arg(step, 0), kernel_->arch(), names_);
  if (!current.ok()) return current.status();
  RlimitPair& limit = kernel_->default_rlimits()[static_cast<Rlimit>(*which)];
  limit.cur = limit.max = *current;
  if (step.nr_args > 1) {
    absl::StatusOr<uint64_t> maximum = Eval(scenario_, scenario_.Arg(step, 1), kernel_->arch(), names_);
    if (!maximum.ok()) return maximum.status();
    limit.max = *maximum;
  }
  outcome->result = 0;
  return true;
}

absl::Status Runner::DoLet(const Step& step) {
  absl::StatusOr<uint64_t> value = Eval(scenario_, scenario_.Arg(step, 0), kernel_->arch(), names_);
  if (!value.ok()) return value.status();
  names_[std::string(step.Name().substr(1))] = *value;
  return absl::OkStatus();
}

absl::StatusOr<bool> Runner::DoInject(const Step& step) {
  static constexpr std::pair<std::string_view, Seam> kSeams[] = {
      {"frame", Seam::kPage},       {"table", Seam::kTable},
      {"vma", Seam::kVma},          {"anon_vma", Seam::kAnonVma},
      {"vma_tree", Seam::kVmaTree}, {"swap_slot", Seam::kSwapSlot},
      {"file", Seam::kFile},        {"mm", Seam::kMm}};
  if (step.Name() == "off") {
    for (const auto& [name, seam] : kSeams) kernel_->system().failures.FailAt(seam, 0);
    return true;
  }
  for (const auto& [name, seam] : kSeams) {
    if (name != step.Name()) continue;
    absl::StatusOr<uint64_t> nth = Eval(scenario_, scenario_.Arg(step, 0), kernel_->arch(), names_);
    if (!nth.ok()) return nth.status();
    kernel_->system().failures.FailAt(seam, *nth);
    return true;
  }
  return scenario_.ErrorAt(step.Name().data(),
                           "expected frame, table, vma, anon_vma, vma_tree, swap_slot, file, mm or off");
}

absl::StatusOr<bool> Runner::DoAccess(const Step& step, guest::Outcome* outcome) {
  absl::StatusOr<Task*> victim = VictimOf(step);
  if (!victim.ok()) return victim.status();
  Task* task = *victim;
  LoweredAccess access;
  if (absl::Status s = LowerAccess(scenario_, step, kernel_->arch(), names_, &access); !s.ok()) return s;
  AccessResult result;
  std::string loaded;
  const VirtAddr address(access.address);
  switch (access.kind) {
    case AccessKind::kStore:
      result = kernel_->Store(*task, address,
                              {reinterpret_cast<const uint8_t*>(access.bytes.data()), access.bytes.size()});
      break;
    case AccessKind::kLoad:
      loaded.resize(access.len);
      result = kernel_->Load(*task, address, {reinterpret_cast<uint8_t*>(loaded.data()), loaded.size()});
      break;
    case AccessKind::kFetch:
      result = kernel_->Fetch(*task, address);
      if (result.ok()) result.done_bytes = 0;
      break;
  }
  *outcome = AccessOutcome(result);
  if (access.kind == AccessKind::kLoad) outcome->out[0] = loaded.substr(0, result.done_bytes);
  last_access_[task->pid] = {&step, result.signal, result.traps};
  if (!result.ok()) {
    unsettled_.insert(task->pid);
    return true;
  }
  if (step.result == ResultKind::kName && access.kind == AccessKind::kLoad) {
    uint64_t number = 0;  // what it loaded, as far as a register holds it
    std::memcpy(&number, loaded.data(), std::min(loaded.size(), sizeof(number)));
    names_[std::string(scenario_.ResultToken(step).substr(1))] = number;
  }
  if (!options_.check_results) return true;
  if (access.checks_bytes && loaded != access.bytes) {
    AddMismatch(step, Quoted(access.bytes), Quoted(loaded));
  } else if (step.result == ResultKind::kValue && step.value != outcome->result) {
    AddMismatch(step, fmt::format("= {}", step.value), fmt::format("= {}", outcome->result));
  }
  return true;
}

// An access that came to a signal which no line expects.
void Runner::SettleSignal(int pid) {
  const int process = pid == kNoPid ? first_pid_ : pid;
  if (unsettled_.erase(process) == 0 || !options_.check_results) return;
  const LastAccess& access = last_access_[process];
  AddMismatch(*access.step, "no signal", SignalText(access.signal));
}

absl::Status Runner::DoSignal(const Step& step) {
  if (step.nr_args == 0) return absl::OkStatus();
  const int pid = step.pid == kNoPid ? first_pid_ : step.pid;
  if (!unsettled_.contains(pid)) {
    // A log's signals come from accesses that it does not show, or from other processes.
    if (options_.check_results && !scenario_.is_log() &&
        (step.Name() == "SIGSEGV" || step.Name() == "SIGBUS")) {
      AddMismatch(step, std::string(step.Text()), "no signal");
    }
    return absl::OkStatus();
  }
  absl::StatusOr<LoweredSignal> expected = LowerSignal(scenario_, step, kernel_->arch(), names_);
  if (!expected.ok()) return expected.status();
  const LastAccess& p = last_access_[pid];
  unsettled_.erase(pid);
  const bool same =
      SignalNumber(expected->name) == p.signal.signo &&
      (expected->code.empty() || expected->code == SignalCodeName(p.signal.signo, p.signal.code)) &&
      (!expected->address || *expected->address == p.signal.addr);
  if (!same && options_.check_results) {
    AddMismatch(step, std::string(step.Text()), SignalText(p.signal));
  }
  return absl::OkStatus();
}

// "+++ exited with 0 +++": the end of a thread that the model did not see leave, or of one that a signal
// killed. True: it is this step that ended it.
bool Runner::DoExit(const Step& step) {
  Task* task = TaskOf(step);
  if (task == nullptr || !task->IsAlive()) return false;
  if (step.exit == ExitKind::kKilled) kernel_->Kill(*task, SignalNumber(step.Name()));
  if (step.exit == ExitKind::kExited) kernel_->ExitTask(*task, static_cast<int>(step.value) << 8);
  return step.exit != ExitKind::kSuperseded;
}

void Runner::AddMismatch(const Step& step, std::string expected, std::string actual) {
  mismatches_.push_back({scenario_.Locate(step.text), std::string(scenario_.LineAt(step.text)),
                         std::move(expected), std::move(actual), hung_on_touch_});
}

}  // namespace mmsim::scenario
