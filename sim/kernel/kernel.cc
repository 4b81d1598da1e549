// SPDX-License-Identifier: Apache-2.0
// The kernel as a whole: what a machine starts with, pids, and the corrections that a replay makes.
#include "sim/kernel/kernel.h"

#include <algorithm>
#include <utility>

#include "sim/kernel/exec.h"
#include "sim/kernel/shadowpt.h"
#include "sim/kernel/shm.h"
#include "sim/kernel/trap_loop.h"
#include "sim/kernel/uapi.h"
#include "sim/mm/profile.h"

namespace mmsim {
namespace {

constexpr int kPidMax = 4194304;  // PID_MAX_LIMIT
constexpr int kReservedPids = 300;

// What the first process has. Linux: include/asm-generic/resource.h INIT_RLIMITS, kernel/fork.c fork_init()
Rlimits InitRlimits(uint64_t total_ram_pages) {
  // max_threads: an eighth of memory for thread structures of four pages.
  const uint64_t threads = std::clamp<uint64_t>(total_ram_pages / (8 * 4), 20, 0x3fffffff) / 2;
  Rlimits limits;
  limits[Rlimit::kStack] = {uint64_t{8} << 20, kRlimInfinity};
  limits[Rlimit::kCore] = {0, kRlimInfinity};
  limits[Rlimit::kNproc] = {threads, threads};
  limits[Rlimit::kNofile] = {1024, 4096};
  limits[Rlimit::kMemlock] = {uint64_t{8} << 20, uint64_t{8} << 20};
  limits[Rlimit::kSigpending] = {threads, threads};
  limits[Rlimit::kMsgqueue] = {819200, 819200};
  limits[Rlimit::kNice] = {0, 0};
  limits[Rlimit::kRtprio] = {0, 0};
  return limits;
}

KernelProfile ProfileOf(const KernelOptions& options) {
  const KernelProfile* named = FindProfile(options.profile, options.arch);
  MMSIM_CHECK(named != nullptr);
  KernelProfile profile = *named;
  profile.pkeys = options.pkeys.value_or(profile.pkeys);
  profile.bti = options.bti.value_or(profile.bti);
  return profile;
}

}  // namespace

Kernel::Kernel(const KernelOptions& options)
    : options_(options),
      system_(std::make_unique<System>(options.arch, ProfileOf(options),
                                       options.total_ram_bytes >> kPageShift,
                                       options.memory_bytes >> kPageShift)),
      vfs_(*system_),
      shm_(std::make_unique<ShmTable>(*system_)),
      shadowpt_(std::make_unique<ShadowPt>(*this)),
      cpu_(std::make_unique<TaskCpu>(*system_)),
      default_rlimits_(InitRlimits(options.total_ram_bytes >> kPageShift)) {}

Kernel::~Kernel() {
  shadowpt_ = nullptr;
  for (auto& [pid, task] : tasks_) ReleaseResources(*task);
  tasks_.clear();
}

Task* Kernel::FindTask(int pid) {
  auto it = tasks_.find(pid);
  return it == tasks_.end() ? nullptr : it->second.get();
}

// Linux: kernel/pid.c alloc_pid(), but for the pid that a recording gave.
int Kernel::AllocPid() {
  if (int wanted = std::exchange(next_pid_hint_, 0); wanted > 0) {
    Task* old = FindTask(wanted);
    if (old != nullptr && !old->IsAlive()) Reap(*old);
    if (FindTask(wanted) == nullptr) return last_pid_ = wanted;
  }
  for (int pid = last_pid_ + 1;; ++pid) {
    if (pid >= kPidMax) pid = kReservedPids;
    if (!tasks_.contains(pid)) return last_pid_ = pid;
  }
}

Task& Kernel::NewTask(int pid) {
  auto task = std::make_unique<Task>();
  task->pid = task->tgid = pid;
  return *tasks_.emplace(pid, std::move(task)).first->second;
}

void Kernel::RenameTask(Task& task, int pid) {
  auto node = tasks_.extract(task.pid);
  MMSIM_CHECK(!node.empty() && !tasks_.contains(pid));
  task.pid = pid;
  node.key() = pid;
  tasks_.insert(std::move(node));
}

Result<Task*> Kernel::Spawn(const SpawnRequest& request) {
  if (request.pid > 0) {
    Task* old = FindTask(request.pid);
    if (old != nullptr && old->IsAlive()) return Errno::kEEXIST;
    SetNextPid(request.pid);
  }
  Task& task = NewTask(AllocPid());
  task.signal = std::make_shared<SignalStruct>();
  task.signal->rlimits = default_rlimits_;
  task.signal->threads = {&task};
  task.signal->live = 1;
  task.files = std::make_shared<FilesTable>();
  task.cwd = std::make_shared<std::string>("/");
  task.personality = request.personality;
  task.cred = request.cred;
  Status status;
  if (request.empty) {
    status = InstallMaps(task, {});
  } else if (!request.maps.empty()) {
    status = ExecGivenMaps(task, request.path, request.maps);
  } else {
    ExecArgs args{request.path, request.argv, request.envp, nullptr};
    status = ExecveSpawned(*this, task, args);
  }
  if (status.ok()) return &task;
  ReleaseResources(task);
  tasks_.erase(task.pid);
  return status.error();
}

FileRef Kernel::InstallFd(Task& task, int fd, std::string_view path, uint32_t open_flags) {
  FileRef file = vfs_.OpenSeen(path, open_flags);
  task.files->InstallAt(fd, file, (open_flags & kOCloexec) != 0);
  return file;
}

}  // namespace mmsim
