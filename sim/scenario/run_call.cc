// SPDX-License-Identifier: Apache-2.0
// One system call of a scenario: its arguments, the call, the check of its result, and how the run goes on
// from a recorded result that the model did not give.
#include <charconv>

#include "fmt/format.h"
#include "sim/kernel/shm.h"
#include "sim/mm/mman.h"
#include "sim/mm/rmap.h"
#include "sim/mm/verbs.h"
#include "sim/scenario/eval.h"
#include "sim/scenario/observation.h"
#include "sim/scenario/runner.h"

namespace mmsim::scenario {
namespace {

using mman::kMapAnonymous, mman::kMapFixed;

constexpr uint32_t kReadWrite = 2;                              // O_RDWR
constexpr uint64_t kGetDescriptorFlags = 1, kGetFileFlags = 3;  // F_GETFD, F_GETFL

bool MakesTask(Sys sys) {
  return sys == Sys::k_clone || sys == Sys::k_clone3 || sys == Sys::k_fork || sys == Sys::k_vfork;
}

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
  Result<Task*> spawned = kernel_->Spawn(request);
  if (!spawned.ok()) return scenario_.ErrorAt(step.text, "the process of this line cannot be made");
  Task* task = *spawned;
  if (first_pid_ == 0) first_pid_ = task->pid;
  layout_[task->mm->id] = {false, false};
  for (int fd = 0; fd <= 2; ++fd) {
    kernel_->InstallFd(*task, fd, "standard:[0]", kReadWrite);
    unknown_flags_[{task->files.get(), fd}] = 3;
  }
  return task;
}

absl::StatusOr<bool> Runner::DoCall(const Step& step, guest::Outcome* outcome) {
  Task* task = TaskOf(step);
  if (scenario_.is_log()) {
    if (task == nullptr) {
      absl::StatusOr<Task*> attached = AttachInTheMiddle(step);
      if (!attached.ok()) return attached.status();
      task = *attached;
    }
    if (!task->IsAlive()) return false;
  } else {
    absl::StatusOr<Task*> victim = VictimOf(step);
    if (!victim.ok()) return victim.status();
    task = *victim;
  }
  if (step.sys == kSysByNumber || !Kernel::Models(step.sys)) {
    ++skipped_[step.sys == kSysByNumber ? "a call without a name" : std::string(SysName(step.sys))];
    return false;
  }
  if (absl::Status s = Lower(scenario_, step, kernel_->arch(), names_, &call_); !s.ok()) return s;
  if (step.result == ResultKind::kUnfinished && MakesTask(step.sys)) return false;
  if (scenario_.is_log()) {
    KnowDescriptors(*task, call_);
    TouchAsLogged(*task, call_);
  }
  if (options_.recorded != nullptr && step.sys == Sys::k_exit_group) {
    options_.recorded->AtEnd(*kernel_, *task, step);
  }
  if (scenario_.is_log() && LearnDescriptor(*task, step, call_)) return false;
  const SyscallResult result = IsExec(step.sys) ? Exec(*task, step, call_) : Invoke(*task, step, call_);
  if (result.status == SyscallResult::Status::kNotModelled) {
    ++skipped_[std::string(SysName(step.sys))];
    if (scenario_.is_log()) Follow(*task, step, call_, result);
    return false;
  }
  outcome->result = result.value;
  if (result.status == SyscallResult::Status::kBlocked) outcome->ending = OBSERVE_ENDING_BLOCKED;
  if (result.status == SyscallResult::Status::kNoReturn) outcome->ending = OBSERVE_ENDING_DIED;
  for (const SyscallOutput& out : result.outputs) outcome->out[static_cast<uint32_t>(out.arg)] = out.bytes;
  if (MakesTask(step.sys) && result.value > 0) {
    outcome->made = static_cast<uint32_t>(result.value);
    if (task->vfork_waiting) outcome->ending = OBSERVE_ENDING_SUSPENDED;
    if (!scenario_.is_log()) PartScratch(*task, kernel_->FindTask(static_cast<int>(result.value)));
  }
  if (step.result == ResultKind::kName) {
    names_[std::string(scenario_.ResultToken(step).substr(1))] = static_cast<uint64_t>(result.value);
  }
  if (options_.check_results && result.status == SyscallResult::Status::kReturned) {
    CheckResult(*task, step, call_, result);
  }
  return true;
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
  if (maps.empty()) {
    const SyscallResult result = Invoke(task, step, call);
    if (result.status == SyscallResult::Status::kReturned && result.value == 0) return result;
  }
  const Status status = kernel_->ExecGivenMaps(task, path, maps);
  if (!status.ok()) return SyscallResult::Returned(status.AsReturn());
  if (Task* now = kernel_->FindTask(tgid); now != nullptr && now->mm != nullptr && maps.empty()) {
    layout_[now->mm->id] = {false, false};
  }
  return SyscallResult::Returned(0);
}

// strace -y shows the path of each descriptor: those that were never seen opened are put in place.
void Runner::KnowDescriptors(Task& task, const LoweredCall& call) {
  for (const LoweredArg& arg : call.args) {
    const int fd = static_cast<int32_t>(arg.value);
    if (arg.path.empty() || fd < 0 || arg.kind != ArgKind::kValue) continue;
    const FileRef file = task.files->Get(fd);
    constexpr std::string_view kDeleted = " (deleted)";
    std::string_view path = arg.path;
    if (path.ends_with(kDeleted)) path.remove_suffix(kDeleted.size());
    if (file != nullptr && file->path == path) continue;
    kernel_->InstallFd(task, fd, arg.path, kReadWrite);
    unknown_flags_[{task.files.get(), fd}] = 3;
  }
}

// The rule of runner.h: private memory that may be written counts as touched by now.
void Runner::TouchAsLogged(Task& task, const LoweredCall& call) {
  if (task.mm == nullptr) return;
  VirtRange range{VirtAddr(call.Value(0)), VirtAddr(call.Value(0) + call.Value(1))};
  switch (call.sys) {
    case Sys::k_munmap:
    case Sys::k_mprotect:
    case Sys::k_pkey_mprotect:
    case Sys::k_mremap:
    case Sys::k_madvise:
    case Sys::k_mlock:
    case Sys::k_mlock2:
      break;
    case Sys::k_mmap:
      if (!(call.Value(3) & kMapFixed)) return;
      break;
    case Sys::k_fork:
    case Sys::k_clone:
    case Sys::k_clone3:
      range = {VirtAddr(0), VirtAddr(task.mm->task_size)};
      break;
    default:
      return;
  }
  for (Vma* vma = task.mm->vmas.Find(range.start); vma != nullptr && vma->start < range.end;
       vma = task.mm->vmas.Find(vma->end)) {
    if (!vma->Has(kVmWrite) || vma->Has(kVmShared) || vma->anon_vma != nullptr || vma->ops == VmOps::kSpecial)
      continue;
    if (AnonVmaPrepare(*vma).ok()) hung_on_touch_ = true;
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
      FileRef file =
          (call.Value(3) & kMapAnonymous) ? FileRef() : task.files->Get(static_cast<int32_t>(call.Value(4)));
      SysMmap(mm, task.AsCurrent(), static_cast<uint64_t>(recorded), call.Value(1), call.Value(2),
              call.Value(3) | kMapFixed, std::move(file), call.Value(5));
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
  if (succeeded) FollowDescriptors(task, step, call, recorded);
}

// What a recorded success did to the descriptors: a new one with the path that strace shows, a file's
// position.
void Runner::FollowDescriptors(Task& task, const Step& step, const LoweredCall& call, int64_t recorded) {
  if (step.sys == Sys::k_read || step.sys == Sys::k_write || step.sys == Sys::k_lseek) {
    const FileRef file = task.files->Get(static_cast<int32_t>(call.Value(0)));
    if (file == nullptr) return;
    const uint64_t from = step.sys == Sys::k_lseek ? 0 : file->position;
    file->position = from + static_cast<uint64_t>(recorded);
    return;
  }
  if (scenario_.ResultPath(step).empty()) return;
  const uint64_t large = SymbolValue("O_LARGEFILE", kernel_->arch()).value_or(0);
  const bool opens = step.sys == Sys::k_open || step.sys == Sys::k_openat;
  const uint64_t flags = call.Value(step.sys == Sys::k_open ? 1 : 2) | large;
  kernel_->InstallFd(task, static_cast<int>(recorded), scenario_.ResultPath(step),
                     opens ? static_cast<uint32_t>(flags) : kReadWrite);
  if (!opens) unknown_flags_[{task.files.get(), static_cast<int>(recorded)}] = 3;
}

// The first F_GETFD or F_GETFL of a descriptor that the log did not see made says what it is: no mismatch,
// but nothing that the model reproduced either.
bool Runner::LearnDescriptor(Task& task, const Step& step, const LoweredCall& call) {
  if (step.sys != Sys::k_fcntl || step.result != ResultKind::kValue) return false;
  const int fd = static_cast<int32_t>(call.Value(0));
  const auto unknown = unknown_flags_.find({task.files.get(), fd});
  if (unknown == unknown_flags_.end()) return false;
  if (call.Value(1) == kGetDescriptorFlags && (unknown->second & 1)) {
    if (fd < 0 || static_cast<size_t>(fd) >= task.files->entries().size()) return false;
    unknown->second &= ~1;
    task.files->entries()[static_cast<size_t>(fd)].cloexec = (step.value & 1) != 0;
  } else if (call.Value(1) == kGetFileFlags && (unknown->second & 2)) {
    const FileRef file = task.files->Get(fd);
    if (file == nullptr) return false;
    unknown->second &= ~2;
    file->flags = static_cast<uint32_t>(step.value);
  } else {
    return false;
  }
  ++skipped_["fcntl of a descriptor from before the log"];
  return true;
}

}  // namespace mmsim::scenario
