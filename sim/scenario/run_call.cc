// SPDX-License-Identifier: Apache-2.0
// One system call of a scenario: its arguments, the call, the check of its result, and how the run goes on
// from a recorded result that the model did not give.
#include <charconv>

#include "fmt/format.h"
#include "sim/kernel/exec.h"
#include "sim/kernel/path.h"
#include "sim/kernel/shm.h"
#include "sim/mm/mman.h"
#include "sim/mm/rmap.h"
#include "sim/mm/verbs.h"
#include "sim/scenario/eval.h"
#include "sim/scenario/host_program.h"
#include "sim/scenario/observation.h"
#include "sim/scenario/runner.h"
#include "sim/scenario/shapes.h"

namespace mmsim::scenario {
namespace {

using mman::kMapAnonymous, mman::kMapFixed;

bool IsExec(Sys sys) {
  return sys == Sys::k_execve || sys == Sys::k_execveat;
}

int64_t RecordedResult(const Step& step) {
  return step.result == ResultKind::kErrno ? -int64_t{step.error} : step.value;
}

bool HasResult(const Step& step) {
  return step.result == ResultKind::kValue || step.result == ResultKind::kErrno;
}

}  // namespace

// The process of the first line of a log, or one that strace attached to in the middle: nothing is known of
// its address space, and of its descriptors only that the standard ones are open.
absl::StatusOr<Task*> Runner::AttachInTheMiddle(const Step& step) {
  SpawnRequest request;
  request.pid = step.pid == kNoPid ? 0 : step.pid;
  request.empty = true;
  request.cred = options_.credentials;
  Result<Task*> spawned = kernel_->Spawn(request);
  if (!spawned.ok()) return scenario_.ErrorAt(step.text, "the process of this line cannot be made");
  Task* task = *spawned;
  if (first_pid_ == 0) first_pid_ = task->pid;
  layout_[task->mm->id] = {false, false, {}};
  for (int fd = 0; fd <= 2; ++fd) InstallSeen(*task, fd, "standard:[0]");
  return task;
}

// What a log's line tells beside its call, before the call is carried out. False: the call is not to be
// carried out, because it is about what was before the log.
bool Runner::LearnBefore(Task& task, const Step& step) {
  KnowDescriptors(task, call_);
  LearnRegion(task, step, call_);
  if (options_.recorded == nullptr || !options_.recorded->KnowsFaults()) TouchAsLogged(task, step, call_);
  const bool waits = step.sys == Sys::k_wait4 && step.result == ResultKind::kValue && step.value > 0;
  const bool names_itself =
      step.sys == Sys::k_set_tid_address || step.sys == Sys::k_getpid || step.sys == Sys::k_gettid;
  // A child or a parent from before the log, and the number of a process in a log that numbers none.
  const bool unknown = (waits && kernel_->FindTask(static_cast<int>(step.value)) == nullptr) ||
                       (step.sys == Sys::k_getppid && task.parent == nullptr) ||
                       (names_itself && step.pid == kNoPid);
  if (unknown) ++skipped_[std::string(SysName(step.sys)) + " of a process from before the log"];
  return !unknown;
}

// The task that makes the call; null: none that lives.
absl::StatusOr<Task*> Runner::CallerOf(const Step& step) {
  if (!scenario_.is_log()) return VictimOf(step);
  Task* task = TaskOf(step);
  if (task == nullptr) return AttachInTheMiddle(step);
  return task->IsAlive() ? task : nullptr;
}

absl::StatusOr<bool> Runner::DoCall(const Step& step, guest::Outcome* outcome) {
  const bool is_log = scenario_.is_log();
  const absl::StatusOr<Task*> caller = CallerOf(step);
  if (!caller.ok()) return caller.status();
  Task* task = *caller;
  if (is_log && options_.recorded != nullptr) {
    const bool executes = IsExec(step.sys) && step.result == ResultKind::kValue && step.value == 0;
    options_.recorded->BeforeCall(*kernel_, step.pid, executes);
  }
  if (task == nullptr) return false;
  // A call that is newer than the strace that logged it comes by its number: syscall_0x1ce(...).
  const Sys sys = step.sys == kSysByNumber
                      ? FindSysByNumber(step.number, kernel_->arch()).value_or(kSysByNumber)
                      : step.sys;
  if (sys == kSysByNumber || !Kernel::Models(sys)) {
    ++skipped_[sys == kSysByNumber ? "a call without a name" : std::string(SysName(sys))];
    if (is_log) FollowDescriptorsOfText(*task, step);
    return false;
  }
  if (absl::Status s = Lower(scenario_, step, kernel_->arch(), names_, &call_); !s.ok()) return s;
  if (step.result == ResultKind::kUnfinished && MakesTask(step.sys)) return false;
  if (is_log && !LearnBefore(*task, step)) return false;
  if (options_.recorded != nullptr && step.sys == Sys::k_exit_group) {
    options_.recorded->AtEnd(*kernel_, *task, step);
  }
  if (is_log && LearnDescriptor(*task, step, call_)) return false;
  const bool believed = is_log && OpensFile(step.sys) && !BelieveFile(*task, step, &call_);
  if (is_log && !believed) LearnNumber(*task, step, call_);
  const SyscallResult result = believed           ? SyscallResult::NotModelled()
                               : IsExec(step.sys) ? Exec(*task, step, call_)
                                                  : Invoke(*task, step, call_);
  if (result.status == SyscallResult::Status::kNotModelled) {
    ++skipped_[std::string(SysName(call_.sys))];
    if (is_log) Follow(*task, step, call_, result);
    return false;
  }
  NoteOutcome(*task, step, result, outcome);
  if (options_.check_results && result.status == SyscallResult::Status::kReturned) {
    CheckResult(*task, step, call_, result);
  }
  return true;
}

void Runner::NoteOutcome(Task& task, const Step& step, const SyscallResult& result, guest::Outcome* outcome) {
  outcome->result = result.value;
  if (result.status == SyscallResult::Status::kBlocked) outcome->ending = OBSERVE_ENDING_BLOCKED;
  if (result.status == SyscallResult::Status::kNoReturn) outcome->ending = OBSERVE_ENDING_DIED;
  for (const SyscallOutput& out : result.outputs) outcome->out[static_cast<uint32_t>(out.arg)] = out.bytes;
  if (MakesTask(step.sys) && result.value > 0) {
    outcome->made = static_cast<uint32_t>(result.value);
    if (task.vfork_waiting) outcome->ending = OBSERVE_ENDING_SUSPENDED;
    if (!scenario_.is_log()) PartScratch(task, kernel_->FindTask(static_cast<int>(result.value)));
  }
  if (step.result == ResultKind::kName) {
    names_[std::string(scenario_.ResultToken(step).substr(1))] = static_cast<uint64_t>(result.value);
  }
}

SyscallResult Runner::Invoke(Task& task, const Step& step, const LoweredCall& call) {
  if (MakesTask(step.sys) && step.result == ResultKind::kValue && step.value > 0) {
    kernel_->SetNextPid(static_cast<int>(step.value));
  }
  // Ids of segments count on from before the log.
  const bool names_segment =
      step.sys == Sys::k_shmget && step.result == ResultKind::kValue && step.value >= 0;
  if (names_segment) kernel_->shm().SetNextId(static_cast<int>(step.value));
  SyscallResult result = scenario_.is_log() ? InvokeLogged(task, call) : InvokeVictim(task, call);
  if (names_segment) kernel_->shm().SetNextId(-1);
  return result;
}

// A call of a log: the log says what is behind the pointers, as far as it matters.
SyscallResult Runner::InvokeLogged(Task& task, const LoweredCall& call) {
  SyscallArgs args;
  args.lenient = true;
  for (size_t i = 0; i < call.args.size() && i < 6; ++i) {
    const LoweredArg& arg = call.args[i];
    args.value[i] = arg.value;
    if (arg.kind == ArgKind::kIn || arg.kind == ArgKind::kInOut || arg.kind == ArgKind::kStrings) {
      args.payload[i] = call.Bytes(i);
    }
  }
  return kernel_->Syscall(task, call.sys, args);
}

// As this host's ELF file lays it out; `argv`: strings, each with its NUL. What the environment held is not
// known. False: there is no such program here.
bool Runner::ExecHostProgram(Task& task, const std::string& path, std::string_view argv) {
  const std::string absolute = AbsolutePath(*task.cwd, path);
  ProvideHostProgram(kernel_->vfs(), absolute);
  const InodeRef inode = kernel_->vfs().Lookup(absolute);
  if (inode == nullptr || inode->backing.empty()) return false;
  ExecArgs args{.path = absolute, .argv = {}, .envp = {}, .file = {}};
  while (!argv.empty()) {
    args.argv.emplace_back(argv.substr(0, argv.find('\0')));
    argv.remove_prefix(std::min(argv.size(), args.argv.back().size() + 1));
  }
  return Execve(*kernel_, task, args).status.ok();
}

// execve: the listing that was recorded just after it decides, where there is one; else the program's ELF
// file; where that is not here either, the address space is learned from what the log goes on to say.
SyscallResult Runner::Exec(Task& task, const Step& step, const LoweredCall& call) {
  const size_t path_arg = step.sys == Sys::k_execveat ? 1 : 0;
  if (!scenario_.is_log()) return Invoke(task, step, call);
  if (step.result != ResultKind::kValue || step.value != 0) {
    return HasResult(step) ? SyscallResult::Returned(RecordedResult(step)) : SyscallResult::NotModelled();
  }
  std::string path(path_arg < call.args.size() ? call.Bytes(path_arg) : std::string_view());
  if (const size_t nul = path.find('\0'); nul != std::string::npos) path.resize(nul);
  const int tgid = task.tgid;
  const int nth = ++execs_[tgid];
  const std::string maps = options_.recorded ? options_.recorded->Start(tgid, nth) : std::string();
  if (maps.empty() && ExecHostProgram(task, path, call.Bytes(path_arg + 1)))
    return SyscallResult::Returned(0);
  const Status status = kernel_->ExecGivenMaps(task, path, maps);
  if (!status.ok()) return SyscallResult::Returned(status.AsReturn());
  if (Task* now = kernel_->FindTask(tgid); now != nullptr && now->mm != nullptr && maps.empty()) {
    layout_[now->mm->id] = {false, false, {}};
  }
  return SyscallResult::Returned(0);
}

namespace {

// Anonymous memory right behind a writable mapping of a file.
bool IsBss(const Vma& vma) {
  const Vma* prev = vma.Prev();
  return vma.file == nullptr && prev != nullptr && prev->end == vma.start && prev->file != nullptr &&
         prev->Has(kVmWrite);
}

// The loader protects the data of a file once it has relocated it (RELRO), and goes on to run its code: the
// .bss behind counts as touched from then on.
Vma* BssBehind(Vma* vma) {
  if (vma->file == nullptr || !vma->Has(kVmWrite)) return nullptr;
  const File* file = vma->file.get();
  while (vma != nullptr && vma->file.get() == file) {
    Vma* next = vma->Next();
    if (next == nullptr || next->start != vma->end) return nullptr;
    vma = next;
  }
  return vma != nullptr && IsBss(*vma) && vma->Has(kVmWrite) && !vma->Has(kVmShared) ? vma : nullptr;
}

// What a call splits, copies or moves; empty: nothing.
VirtRange ReachedBy(const Step& step, const LoweredCall& call, const Mm& mm) {
  uint64_t start = call.Value(0), len = call.Value(1);
  switch (call.sys) {
    case Sys::k_fork:
    case Sys::k_clone:
    case Sys::k_clone3:
      return {VirtAddr(0), VirtAddr(mm.task_size)};
    case Sys::k_mmap:
      if (step.result == ResultKind::kValue) start = static_cast<uint64_t>(step.value);
      break;
    case Sys::k_munmap:
    case Sys::k_mprotect:
    case Sys::k_pkey_mprotect:
    case Sys::k_mremap:
    case Sys::k_madvise:
    case Sys::k_mlock:
    case Sys::k_mlock2:
      break;
    default:
      return {VirtAddr(0), VirtAddr(0)};
  }
  if (start >= mm.task_size || len > mm.task_size - start) return {VirtAddr(0), VirtAddr(0)};
  return {VirtAddr(start), VirtAddr(start + len).PageCeil()};
}

}  // namespace

void Runner::CountAsTouched(Vma& vma) {
  const VirtRange range = vma.Range();
  const std::vector<VirtRange>& untouched = options_.untouched;
  if (std::find(untouched.begin(), untouched.end(), range) != untouched.end()) return;
  if (!AnonVmaPrepare(vma).ok()) return;
  hung_on_touch_ = true;
  touched_.push_back(range);
}

// The rule of runner.h: private memory that may be written counts as touched by now.
void Runner::TouchAsLogged(Task& task, const Step& step, const LoweredCall& call) {
  if (task.mm == nullptr) return;
  const VirtRange range = ReachedBy(step, call, *task.mm);
  if (range.end.value == 0) return;
  if (call.sys == Sys::k_mprotect) {
    Vma* first = task.mm->vmas.Lookup(range.start);
    Vma* bss = first != nullptr ? BssBehind(first) : nullptr;
    if (bss != nullptr && bss->anon_vma == nullptr) CountAsTouched(*bss);
  }
  const VirtAddr before(range.start.value - std::min(range.start.value, kPageSize));
  for (Vma* vma = task.mm->vmas.Find(before); vma != nullptr && vma->start < range.end + kPageSize;
       vma = task.mm->vmas.Find(vma->end)) {
    if (!vma->Has(kVmWrite) || vma->Has(kVmShared) || vma->anon_vma != nullptr || vma->ops == VmOps::kSpecial)
      continue;
    const bool reached = vma->end > range.start && vma->start < range.end;
    if (!reached && IsBss(*vma)) continue;
    CountAsTouched(*vma);
  }
}

void Runner::CheckResult(Task& task, const Step& step, const LoweredCall& call, const SyscallResult& result) {
  if (!HasResult(step)) return;
  const int64_t recorded = RecordedResult(step);
  if (recorded == result.value) return;
  if (scenario_.is_log() && LearnLayout(task, step, call, result)) return;
  AddMismatch(step, "= " + ResultText(recorded), "= " + ResultText(result.value));
  if (scenario_.is_log()) Follow(task, step, call, result);
}

// Where nothing says what the address space held when the log began, what succeeds on a range that the log
// has not unmapped shows that there was memory: private, and of whatever rights.
void Runner::LearnRegion(Task& task, const Step& step, const LoweredCall& call) {
  if (task.mm == nullptr) return;
  const auto layout = layout_.find(task.mm->id);
  if (layout == layout_.end() || step.result != ResultKind::kValue || step.value == -1) return;
  Mm& mm = *task.mm;
  const uint64_t len = call.Value(1);
  const VirtRange range{VirtAddr(call.Value(0)), VirtAddr(call.Value(0) + len).PageCeil()};
  if (range.end <= range.start || range.end.value > mm.task_size) return;
  switch (call.sys) {
    case Sys::k_munmap:
      layout->second.unmapped.push_back(range);
      return;
    case Sys::k_mprotect:
    case Sys::k_pkey_mprotect:
    case Sys::k_madvise:
    case Sys::k_mremap:
    case Sys::k_mlock:
    case Sys::k_mlock2:
    case Sys::k_munlock:
    case Sys::k_msync:
    case Sys::k_mincore:
    case Sys::k_mseal:
      break;
    default:
      return;
  }
  for (VirtAddr at = range.start; at < range.end;) {
    const Vma* vma = mm.vmas.Find(at);
    const VirtAddr end = vma == nullptr ? range.end : std::min<VirtAddr>(range.end, vma->start);
    for (const VirtRange& gone : layout->second.unmapped) {
      if (at < gone.end && gone.start < end) return;
    }
    if (at < end) {
      SysMmap(mm, task.AsCurrent(), at.value, end - at, mman::kProtRead | mman::kProtWrite,
              mman::kMapPrivate | kMapAnonymous | kMapFixed, {}, 0);
    }
    at = vma == nullptr ? range.end : vma->end;
  }
}

// The first recorded address of each region fixes it, where neither an ELF file nor a listing said where it
// is: no mismatch.
bool Runner::LearnLayout(Task& task, const Step& step, const LoweredCall& call, const SyscallResult& result) {
  if (task.mm == nullptr) return false;
  const auto layout = layout_.find(task.mm->id);
  if (layout == layout_.end() || step.result != ResultKind::kValue) return false;
  Mm& mm = *task.mm;
  const VirtAddr recorded(static_cast<uint64_t>(step.value));
  if (step.sys == Sys::k_brk && !layout->second.brk_known) {
    layout->second.brk_known = true;
    mm.start_brk = mm.brk = recorded;
    return true;
  }
  if (step.sys == Sys::k_mmap && !layout->second.mmap_known && !(call.Value(3) & kMapFixed)) {
    layout->second.mmap_known = true;
    mm.mmap_base = recorded + ((call.Value(1) + kPageSize - 1) & kPageMask);
    Follow(task, step, call, result);
    return true;
  }
  return false;
}

// Makes the address space what the recorded result says it was.
void Runner::Follow(Task& task, const Step& step, const LoweredCall& call, const SyscallResult& result) {
  if (task.mm == nullptr || !HasResult(step)) return;
  const int64_t recorded = RecordedResult(step);
  const bool succeeded = recorded >= 0 || recorded < -4095;
  const bool model_did =
      result.status == SyscallResult::Status::kReturned && (result.value >= 0 || result.value < -4095);
  Mm& mm = *task.mm;
  switch (step.sys) {
    case Sys::k_mmap: {
      if (model_did && result.value > 0) SysMunmap(mm, static_cast<uint64_t>(result.value), call.Value(1));
      if (!succeeded) return;
      const FileRef file =
          (call.Value(3) & kMapAnonymous) ? FileRef() : task.files->Get(static_cast<int32_t>(call.Value(4)));
      SysMmap(mm, task.AsCurrent(), static_cast<uint64_t>(recorded), call.Value(1), call.Value(2),
              call.Value(3) | kMapFixed, file, call.Value(5));
      return;
    }
    case Sys::k_mremap:
      if (!succeeded || !model_did) return;
      SysMremap(mm, task.AsCurrent(), static_cast<uint64_t>(result.value), call.Value(2), call.Value(2), 3,
                static_cast<uint64_t>(recorded));
      return;
    case Sys::k_brk:
      SysBrk(mm, task.AsCurrent(), static_cast<uint64_t>(recorded));
      return;
    default:
      break;
  }
  if (succeeded) FollowDescriptors(task, step, call, result);
}

}  // namespace mmsim::scenario
