// SPDX-License-Identifier: Apache-2.0
// The end of tasks: exit, exit_group, death by a signal, reaping. Linux: kernel/exit.c
// Not modelled: core dumps, process groups and sessions, ptrace, robust futexes, SIGCHLD that is ignored
// (children stay zombies until somebody waits).
#include "sim/kernel/exit.h"

#include <algorithm>
#include <utility>

#include "sim/kernel/call.h"
#include "sim/kernel/mm_ref.h"
#include "sim/kernel/uaccess.h"
#include "sim/mm/hooks.h"

namespace mmsim {
namespace {

constexpr uint32_t kWnohang = 1, kWuntraced = 2, kWexited = 4, kWcontinued = 8, kWnowait = 0x01000000,
                   kWnothread = 0x20000000, kWall = 0x40000000, kWclone = 0x80000000;

// Linux: kernel/fork.c mm_release()
void MmRelease(Kernel& kernel, Task& task) {
  if (uint64_t tid = std::exchange(task.clear_child_tid, 0); tid != 0 && task.mm->mm_users > 1) {
    ClearUser(kernel, task, VirtAddr(tid), sizeof(int32_t));
  }
  if (Task* waiting = std::exchange(task.vfork_parent, nullptr); waiting != nullptr)
    waiting->vfork_waiting = false;
}

// Whoever waited for a vfork's child and is killed waits no longer. Linux: kernel/fork.c
// wait_for_vfork_done()
void StopWaitingForVfork(Kernel& kernel, Task& task) {
  if (!std::exchange(task.vfork_waiting, false)) return;
  for (const auto& [pid, other] : kernel.tasks()) {
    if (other->vfork_parent == &task) other->vfork_parent = nullptr;
  }
}

Task* Leader(const Task& task) {
  for (Task* t : task.signal->threads) {
    if (t->IsLeader()) return t;
  }
  return nullptr;
}

// Linux: kernel/exit.c find_new_reaper(): another thread of the group, else the nearest subreaper.
Task* FindNewReaper(const Task& dying) {
  for (Task* t : dying.signal->threads) {
    if (t != &dying && t->IsAlive()) return t;
  }
  for (Task* up = dying.parent; up != nullptr; up = up->parent) {
    if (!up->signal->is_child_subreaper) continue;
    for (Task* t : up->signal->threads) {
      if (t->IsAlive()) return t;
    }
  }
  return nullptr;
}

// Linux: kernel/exit.c forget_original_parent(): a child's threads follow it.
void Reparent(Task& dying) {
  Task* reaper = FindNewReaper(dying);
  for (Task* child : dying.children) {
    for (Task* thread : child->signal->threads) thread->parent = reaper;
    if (reaper != nullptr) reaper->children.push_back(child);
  }
  dying.children.clear();
}

void Unlink(std::vector<Task*>& list, const Task* task) {
  list.erase(std::remove(list.begin(), list.end(), task), list.end());
}

// A zombie whose whole group is dead can be waited for. Linux: kernel/exit.c delay_group_leader()
bool IsWaitable(const Task& task) {
  return task.state == TaskState::kZombie && task.IsLeader() && task.signal->live == 0;
}

// Linux: kernel/exit.c eligible_child(), for pid > 0 or -1.
bool Eligible(const Task& child, int64_t pid, uint32_t options) {
  if (pid > 0 && child.tgid != pid) return false;
  if (options & kWall) return true;
  return (child.exit_signal != kSigChld) == ((options & kWclone) != 0);
}

struct WaitResult {
  bool any_child = false;
  Task* zombie = nullptr;
};

WaitResult FindChild(const Task& task, int64_t pid, uint32_t options) {
  WaitResult result;
  for (const Task* thread : task.signal->threads) {
    if ((options & kWnothread) && thread != &task) continue;
    for (Task* child : thread->children) {
      if (!Eligible(*child, pid, options)) continue;
      result.any_child = true;
      if (result.zombie == nullptr && IsWaitable(*child)) result.zombie = child;
    }
  }
  return result;
}

int StatusOf(const Task& task) {
  return task.signal->group_exit ? task.signal->group_exit_code : task.exit_code;
}

}  // namespace

void ReleaseVforkAndTid(Kernel& kernel, Task& task) {
  MmRelease(kernel, task);
}

void Kernel::ReleaseResources(Task& task) {
  MmPut(std::exchange(task.mm, nullptr));
  task.files = nullptr;
}

// Linux: kernel/exit.c do_exit()
void Kernel::ExitTask(Task& task, int code) {
  if (!task.IsAlive()) return;
  task.exit_code = code;
  const bool group_dead = --task.signal->live == 0;
  if (group_dead) HookProcess(HookPoint::kDoExit, *task.mm, task.tgid);
  StopWaitingForVfork(*this, task);
  MmRelease(*this, task);
  Mm& mm = *task.mm;
  const bool hooked = group_dead && IsHooked(mm, HookPoint::kExitMm);
  if (hooked) mm.Grab();
  ReleaseResources(task);
  if (hooked) {
    HookProcess(HookPoint::kExitMm, mm, task.tgid);
    mm.Drop();
  }
  task.state = TaskState::kZombie;
  Reparent(task);
  if (options_.on_exit) options_.on_exit(task.pid, code);
  if (!task.IsLeader()) {
    Unlink(task.signal->threads, &task);  // threads are reaped at once
    tasks_.erase(task.pid);
  }
}

// Linux: kernel/exit.c do_group_exit()
void ExitGroup(Kernel& kernel, Task& task, int code) {
  SignalStruct& signal = *task.signal;
  if (!std::exchange(signal.group_exit, true)) signal.group_exit_code = code;
  const std::shared_ptr<SignalStruct> keep = task.signal;
  const std::vector<Task*> threads = signal.threads;
  for (Task* thread : threads) {
    if (thread != &task) kernel.ExitTask(*thread, signal.group_exit_code);
  }
  kernel.ExitTask(task, signal.group_exit_code);
}

void Kernel::Kill(Task& task, int signo) {
  ExitGroup(*this, task, signo);
}

// Linux: kernel/exit.c release_task()
void Kernel::Reap(Task& task) {
  MMSIM_CHECK(!task.IsAlive());
  if (task.parent != nullptr) Unlink(task.parent->children, &task);
  Unlink(task.signal->threads, &task);
  tasks_.erase(task.pid);
}

int64_t Do_exit(Call& call) {
  call.kernel.ExitTask(call.task, (call.Int(0) & 0xff) << 8);
  return call.NoReturn();
}

int64_t Do_exit_group(Call& call) {
  ExitGroup(call.kernel, call.task, (call.Int(0) & 0xff) << 8);
  return call.NoReturn();
}

// Linux: kernel/exit.c kernel_wait4()
int64_t Do_wait4(Call& call) {
  const int64_t pid = call.Int(0);
  const uint32_t options = call.Uint(2);
  if (options & ~(kWnohang | kWuntraced | kWcontinued | kWnothread | kWclone | kWall))
    return Call::Err(Errno::kEINVAL);
  if (pid == INT32_MIN) return Call::Err(Errno::kESRCH);
  if (pid == 0 || pid < -1) return call.NotModelled();  // process groups
  const WaitResult found = FindChild(call.task, pid, options);
  if (!found.any_child) return Call::Err(Errno::kECHILD);
  if (found.zombie == nullptr) return (options & kWnohang) ? 0 : call.Blocked();
  const int32_t status = StatusOf(*found.zombie);
  const int child = found.zombie->pid;
  call.kernel.Reap(*found.zombie);
  if (call.U(1) != 0 && !call.PutOut(1, status)) return Call::Err(Errno::kEFAULT);
  const std::array<uint64_t, 18> rusage{};
  if (call.U(3) != 0 && !call.PutOut(3, rusage)) return Call::Err(Errno::kEFAULT);
  return child;
}

// Linux: kernel/exit.c kernel_waitid(), for P_ALL and P_PID.
int64_t Do_waitid(Call& call) {
  constexpr int kPAll = 0, kPPid = 1;
  const int which = call.Int(0);
  const int64_t upid = call.Int(1);
  const uint32_t options = call.Uint(3);
  if (options & ~(kWnohang | kWnowait | kWexited | kWuntraced | kWcontinued | kWnothread | kWclone | kWall)) {
    return Call::Err(Errno::kEINVAL);
  }
  if (!(options & (kWexited | kWuntraced | kWcontinued))) return Call::Err(Errno::kEINVAL);
  if (which == kPPid && upid <= 0) return Call::Err(Errno::kEINVAL);
  if (which != kPAll && which != kPPid) return call.NotModelled();
  const WaitResult found = FindChild(call.task, which == kPAll ? -1 : upid, options);
  if (!found.any_child) return Call::Err(Errno::kECHILD);
  struct {
    int32_t signo = 0, error = 0, code = 0, pad = 0, pid = 0, uid = 0, status = 0;
    uint8_t rest[100] = {};
  } info;
  static_assert(sizeof(info) == 128);
  if (found.zombie == nullptr || !(options & kWexited)) {
    if (!(options & kWnohang)) return call.Blocked();
  } else {
    constexpr int kCldExited = 1, kCldKilled = 2;
    const int status = StatusOf(*found.zombie);
    info.signo = kSigChld;
    info.pid = found.zombie->pid;
    info.uid = static_cast<int32_t>(found.zombie->cred.uid);
    info.code = (status & 0x7f) ? kCldKilled : kCldExited;
    info.status = (status & 0x7f) ? (status & 0x7f) : status >> 8;
    if (!(options & kWnowait)) call.kernel.Reap(*found.zombie);
  }
  if (call.U(2) != 0 && !call.PutOut(2, info)) return Call::Err(Errno::kEFAULT);
  return 0;
}

// The others of the group die; the thread that execs takes the leader's place and pid. Linux: fs/exec.c
// de_thread()
void DeThread(Kernel& kernel, Task& task) {
  const std::vector<Task*> threads = task.signal->threads;
  for (Task* thread : threads) {
    if (thread != &task) kernel.ExitTask(*thread, 0);  // get_signal(): a group that execs has no exit code
  }
  if (task.IsLeader()) return;
  Task* leader = Leader(task);
  MMSIM_CHECK(leader != nullptr);
  const int tgid = task.tgid;
  task.exit_signal = kSigChld;
  if (Task* parent = leader->parent; parent != nullptr) {
    std::replace(parent->children.begin(), parent->children.end(), leader, &task);
    task.parent = parent;
    leader->parent = nullptr;
  }
  kernel.Reap(*leader);
  kernel.RenameTask(task, tgid);
  task.signal->threads = {&task};
}

}  // namespace mmsim
