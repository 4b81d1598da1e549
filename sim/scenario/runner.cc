// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/runner.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "fmt/format.h"
#include "sim/mm/page_alloc.h"
#include "sim/mm/page_table.h"
#include "sim/mm/swap.h"
#include "sim/scenario/shapes.h"

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

// Whether the page of a [vdso] there is the kernel's, and no copy that the program has made of it.
bool IsKernelsPage(const Mm& mm, VirtAddr address) {
  const Arch arch = mm.system.arch;
  const EntryPtr entry = FindEntry(mm, address, kLevelPte);
  if (entry == nullptr || !PtePresent(arch, ReadEntry(entry))) return false;
  return !mm.system.pages[PtePfn(arch, ReadEntry(entry))].IsAnon();
}

// Whether there is a part of [vvar] or [vdso], whose bytes nobody can tell: they are the time, and the
// kernel's own code.
bool HasBytesOfTheKernel(const Task& task, VirtAddr at, uint64_t len_bytes) {
  if (task.mm == nullptr) return false;
  const VirtAddr end = at + len_bytes;
  for (const Vma* vma = task.mm->vmas.Find(at); vma != nullptr && vma->start < end; vma = vma->Next()) {
    if (vma->special == nullptr) continue;
    if (vma->special->kind != SpecialMapping::Kind::kVdso) return true;
    VirtAddr page = std::max<VirtAddr>(vma->start, at.PageFloor());
    for (const VirtAddr last = std::min<VirtAddr>(vma->end, end); page < last; page += kPageSize) {
      if (IsKernelsPage(*task.mm, page)) return true;
    }
  }
  return false;
}

}  // namespace

Runner::Runner(const Scenario& scenario, const RunnerOptions& options)
    : scenario_(scenario), options_(options), claims_(scenario, options.kernel.arch, names_, &mismatches_) {
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
    if (stopped_ || step.first_line > options_.last_line) break;
    const bool in_flight = step.kind == StepKind::kCall && step.last_line > step.first_line;
    if (in_flight && !MakesTask(step.sys)) {
      in_flight_.push_back(&step);
      continue;
    }
    if (absl::Status s = Complete(step, after_step); !s.ok()) return s;
  }
  const bool to_the_end = options_.last_line == ~uint32_t{0} && !stopped_;
  if (absl::Status s = CompleteUpTo(to_the_end ? ~uint32_t{0} : options_.last_line + 1, after_step);
      !s.ok()) {
    return s;
  }
  if (ChecksClaims() && to_the_end) claims_.Finish();
  return absl::OkStatus();
}

absl::Status Runner::RunNow(const Step& step, const AfterStep& after_step) {
  if (stopped_) return absl::OkStatus();
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
  if (ChecksClaims()) claims_.Before(step);
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
    case StepKind::kExpect:
      if (absl::Status s = Check(step); !s.ok()) return s;
      break;
    case StepKind::kExit:
      if (absl::Status s = Check(step); !s.ok()) return s;
      done = DoExit(step);
      break;
  }
  if (done.ok() && *done) {
    ++steps_done_;
    if (!scenario_.is_log()) EndVictimStep(step.pid, outcome);
    if (ChecksClaims()) {
      if (absl::Status s = claims_.Took(step, *outcome); !s.ok()) return s;
    }
    if (options_.audit) options_.audit(*kernel_);
  }
  return done;
}

Task* Runner::TaskOf(const Step& step) {
  if (step.pid != kNoPid) return kernel_->FindTask(step.pid);
  return kernel_->FindTask(first_pid_);
}

absl::Status Runner::DoLet(const Step& step) {
  absl::StatusOr<uint64_t> value = Eval(scenario_, scenario_.Arg(step, 0), kernel_->arch(), names_);
  if (!value.ok()) return value.status();
  names_[std::string(step.Name().substr(1))] = *value;
  return absl::OkStatus();
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
  if (access.kind == AccessKind::kLoad && !HasBytesOfTheKernel(*task, address, result.done_bytes)) {
    outcome->out[0] = loaded.substr(0, result.done_bytes);
  }
  if (step.result == ResultKind::kName && access.kind == AccessKind::kLoad) {
    names_[std::string(scenario_.ResultToken(step).substr(1))] =
        RegisterOf(std::string_view(loaded).substr(0, result.done_bytes));
  }
  for (const Trap& trap : result.traps) {
    // What the tracepoints of page faults tell: x86-64 alone has them, and not of a general protection
    // exception.
    if (kernel_->arch() != Arch::kX86_64 || trap.kind() == TrapKind::kNonCanonical) continue;
    outcome->faults.push_back({trap.address().value, 0, trap.code(), 1, static_cast<uint32_t>(task->pid)});
  }
  return true;
}

// What a line says that carries nothing out, held against what is.
absl::Status Runner::Check(const Step& step) {
  if (!ChecksClaims()) return absl::OkStatus();
  if (step.kind == StepKind::kSignal) return claims_.CheckSignal(step);
  if (step.kind == StepKind::kExpect) {
    KernelWitness witness(*kernel_, claims_.record());
    return claims_.CheckExpect(step, witness);
  }
  const Task* task = TaskOf(step);
  claims_.CheckExit(step, task != nullptr && task->IsAlive());
  return absl::OkStatus();
}

// "+++ exited with 0 +++": the end of a thread that the model did not see leave, or of one that a signal
// killed. True: it is this step that ended it.
bool Runner::DoExit(const Step& step) {
  Task* task = TaskOf(step);
  if (task == nullptr || !task->IsAlive()) return false;
  if (!scenario_.is_log() && step.exit != ExitKind::kKilled) return false;
  if (step.exit == ExitKind::kKilled) kernel_->Kill(*task, SignalNumber(step.Name()));
  if (step.exit == ExitKind::kExited) kernel_->ExitTask(*task, static_cast<int>(step.value) << 8);
  return step.exit != ExitKind::kSuperseded;
}

void Runner::AddMismatch(const Step& step, std::string expected, std::string actual) {
  mismatches_.push_back({scenario_.LocateStep(step), std::string(scenario_.LineAt(step.text)),
                         std::move(expected), std::move(actual), hung_on_touch_});
}

}  // namespace mmsim::scenario
