// SPDX-License-Identifier: Apache-2.0
// The processes of a file written by hand: victims (sim/executor/README.md), in the simulator as in a guest.
// What driving a victim leaves in a real kernel's address space is left in the model's too.
#include "fmt/format.h"
#include "sim/mm/filemap.h"
#include "sim/mm/gup.h"
#include "sim/mm/lru.h"
#include "sim/scenario/runner.h"
#include "uapi/victim.h"

namespace mmsim::scenario {
namespace {

constexpr uint32_t kUnprivilegedId = 1000;
constexpr uint32_t kReadWrite = 2;  // O_RDWR

bool HasBuffer(const LoweredArg& arg) {
  return arg.kind != ArgKind::kValue && arg.kind != ArgKind::kUnknown;
}

// The buffer of an argument, which will stand at `address`.
void AppendBuffer(const LoweredCall& call, size_t i, uint64_t address, std::string* scratch) {
  const LoweredArg& arg = call.args[i];
  switch (arg.kind) {
    case ArgKind::kOut:
      scratch->append(arg.len, '\0');
      break;
    case ArgKind::kIn:
      *scratch += call.Bytes(i);
      *scratch += '\0';
      break;
    case ArgKind::kInOut:
      *scratch += call.Bytes(i);
      break;
    case ArgKind::kStrings:
      *scratch += PointersAndStrings(call.Bytes(i), arg.value, address);
      break;
    case ArgKind::kValue:
    case ArgKind::kUnknown:
      break;
  }
}

}  // namespace

// The file that a guest executes too. A guest's file systems are all in memory.
void Runner::AddVictimFile() {
  FileFacts facts;
  const auto& bytes = kernel_->arch() == Arch::kX86_64 ? kVictim_x86_64 : kVictim_arm64;
  facts.contents.assign(reinterpret_cast<const char*>(bytes), sizeof(bytes));
  facts.size_bytes = sizeof(bytes);
  facts.kind = InodeKind::kShmem;
  const InodeRef inode = kernel_->vfs().Add("/victim", facts);
  if (scenario_.is_log()) return;
  InodeWrite(*inode, 0, {bytes, sizeof(bytes)});  // by the executor, before the first step
  kernel_->vfs().Mount("/", {.kind = InodeKind::kShmem, .contents = {}, .real_path = {}});
  for (const char* path : {"/", "/dev", "/dev/shm", "/proc", "/sys", "/tmp"}) {
    kernel_->vfs().DeclareDirectory(path);
  }
}

absl::StatusOr<Task*> Runner::SpawnVictim(const Step& step, int pid, bool privileged) {
  SpawnRequest request;
  request.pid = pid;
  request.path = "/victim";
  request.argv = {"/victim"};
  Result<Task*> task = kernel_->Spawn(request);
  if (!task.ok()) {
    return scenario_.ErrorAt(step.text,
                             fmt::format("process {} cannot be started: {}", pid, ErrnoName(task.error())));
  }
  if (!privileged) (*task)->cred = Credentials::Unprivileged(kUnprivilegedId);
  *(*task)->cwd = "/tmp";
  for (int fd = 0; fd <= 2; ++fd) kernel_->InstallFd(**task, fd, "/dev/null", kReadWrite);
  if (first_pid_ == 0) first_pid_ = (*task)->pid;
  claims_.SetDefaultPid(first_pid_);
  return *task;
}

absl::StatusOr<bool> Runner::DoSpawn(const Step& step, guest::Outcome* outcome) {
  bool privileged = false;
  for (int i = 0; i < step.nr_args; ++i) privileged |= scenario_.Arg(step, i) == "privileged";
  absl::StatusOr<Task*> task = SpawnVictim(step, step.pid, privileged);
  if (!task.ok()) return task.status();
  outcome->made = static_cast<uint32_t>(step.pid);
  outcome->result = step.pid;
  return true;
}

// The process that makes a call or an access. The first one of a file needs no `pid` line.
absl::StatusOr<Task*> Runner::VictimOf(const Step& step) {
  if (first_pid_ == 0) return SpawnVictim(step, step.pid == kNoPid ? kDefaultPid : step.pid, false);
  Task* task = TaskOf(step);
  if (task == nullptr || !task->IsAlive()) {
    return scenario_.ErrorAt(step.text, fmt::format("there is no live process {}", step.pid));
  }
  if (task->vfork_waiting) {
    return scenario_.ErrorAt(
        step.text, fmt::format("process {} stands still until its vfork child executes or ends", step.pid));
  }
  return task;
}

// The executor writes a byte to the scratch area from outside.
void Runner::TouchScratch(Mm& mm) {
  char byte = 0;
  AccessRemoteVm(mm, VirtAddr(VICTIM_SCRATCH), &byte, 1, true, true);
}

// After a fork the executor writes to the victims' scratch page, in the child first, so that their use of it
// later changes nothing.
void Runner::PartScratch(Task& parent, Task* child) {
  if (child == nullptr || child->mm == parent.mm) return;
  TouchScratch(*child->mm);
  TouchScratch(*parent.mm);
}

// A call by a victim: what its arguments point to stands in the scratch area, each buffer from the next
// multiple of 16 on, as the executor puts it there. What comes back is read from there.
SyscallResult Runner::InvokeVictim(Task& task, const LoweredCall& call) {
  SyscallArgs args;
  std::string scratch;
  absl::InlinedVector<size_t, 6> offsets;
  for (size_t i = 0; i < call.args.size(); ++i) {
    const LoweredArg& arg = call.args[i];
    offsets.push_back(scratch.size());
    args.value[i] = HasBuffer(arg) ? VICTIM_SCRATCH + scratch.size() : arg.value;
    if (!HasBuffer(arg)) continue;
    AppendBuffer(call, i, args.value[i], &scratch);
    scratch.resize((scratch.size() + 15) / 16 * 16, '\0');
  }
  if (!scratch.empty() && AccessRemoteVm(*task.mm, VirtAddr(VICTIM_SCRATCH), scratch.data(), scratch.size(),
                                         true, true) != scratch.size()) {
    return SyscallResult::NotModelled();
  }
  const int pid = task.pid;
  const uint64_t execs = task.exec_count;
  SyscallResult result = kernel_->Syscall(task, call.sys, args);
  result.outputs.clear();
  if (result.status != SyscallResult::Status::kReturned || kernel_->FindTask(pid) != &task ||
      task.exec_count != execs || !task.IsAlive()) {
    return result;
  }
  for (size_t i = 0; i < call.args.size(); ++i) {
    const LoweredArg& arg = call.args[i];
    if (arg.kind != ArgKind::kOut && arg.kind != ArgKind::kInOut) continue;
    std::string bytes(arg.len, '\0');
    AccessRemoteVm(*task.mm, VirtAddr(VICTIM_SCRATCH + offsets[i]), bytes.data(), bytes.size(), false, true);
    result.outputs.push_back({static_cast<int>(i), std::move(bytes)});
  }
  if (call.sys == Sys::k_write) TouchScratch(*task.mm);
  return result;
}

// Who ended in this step, and the state in which the executor leaves the machine. The process that a thread's
// execve took over lives on.
void Runner::EndVictimStep(int pid_of_step, guest::Outcome* outcome) {
  const uint32_t stepped = static_cast<uint32_t>(pid_of_step == kNoPid ? first_pid_ : pid_of_step);
  for (const observe_died& death : std::exchange(died_, {})) {
    const Task* task = kernel_->FindTask(static_cast<int>(death.process));
    if (task != nullptr && task->IsAlive()) continue;
    outcome->died.push_back(death);
    if (death.process == stepped && outcome->ending == OBSERVE_ENDING_DIED)
      outcome->wait_status = death.wait_status;
  }
  // The executor empties the batches of pages for the LRU lists after each step.
  LruAddDrain(kernel_->system());
}

}  // namespace mmsim::scenario
