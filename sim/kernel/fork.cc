// SPDX-License-Identifier: Apache-2.0
// New tasks: fork, vfork, clone, clone3, and their checks in the kernel's order. Linux: kernel/fork.c
// Not modelled: namespaces (the CLONE_NEW* flags beyond their checks), pidfds, cgroups, pending signals,
// limits of processes for others than root.
#include <algorithm>
#include <string>

#include "sim/kernel/arch/abi.h"
#include "sim/kernel/call.h"
#include "sim/kernel/mm_ref.h"
#include "sim/kernel/uaccess.h"
#include "sim/kernel/uapi.h"
#include "sim/mm/verbs.h"

namespace mmsim {
namespace {

constexpr uint64_t kNamespaceFlags = kCloneNewns | kCloneNewcgroup | kCloneNewuts | kCloneNewipc |
                                     kCloneNewuser | kCloneNewpid | kCloneNewnet | kCloneNewtime;
constexpr int kSigchld = 17, kNrSignals = 64;
constexpr uint64_t kMaxPidNsLevel = 32;

// Linux: include/linux/sched/task.h struct kernel_clone_args
struct CloneArgs {
  uint64_t flags = 0, pidfd = 0, child_tid = 0, parent_tid = 0;
  int exit_signal = 0;
  uint64_t stack = 0, stack_size = 0, tls = 0;
};

// The checks of copy_process() that come before anything is made.
Status CheckCloneFlags(const Task& task, uint64_t flags) {
  const auto both = [flags](uint64_t a, uint64_t b) { return (flags & (a | b)) == (a | b); };
  if (both(kCloneNewns, kCloneFs)) return Errno::kEINVAL;
  if (both(kCloneNewuser, kCloneFs)) return Errno::kEINVAL;
  if ((flags & kCloneThread) && !(flags & kCloneSighand)) return Errno::kEINVAL;
  if ((flags & kCloneSighand) && !(flags & kCloneVm)) return Errno::kEINVAL;
  if ((flags & kCloneParent) && task.tgid == 1) return Errno::kEINVAL;
  if ((flags & kCloneThread) && (flags & (kCloneNewuser | kCloneNewpid))) return Errno::kEINVAL;
  if ((flags & kClonePidfd) && (flags & kCloneDetached)) return Errno::kEINVAL;
  return {};
}

// Linux: kernel/fork.c dup_mm()
Result<Mm*> DupMm(Task& task) {
  Mm& old = *task.mm;
  Mm* mm = Mm::Alloc(old.system);
  if (mm == nullptr) return Errno::kENOMEM;
  CopyMmFields(*mm, old);
  DenyExeWrite(*mm);
  Status status = DupMmap(*mm, old, task.AsCurrent());
  if (!status.ok()) {
    MmPut(mm);
    return Errno::kENOMEM;  // copy_mm() reports every failure so
  }
  mm->hiwater_rss = MmRss(*mm);
  mm->hiwater_vm = mm->total_vm;
  return mm;
}

void LinkTask(Task& child, Task& parent_thread, const CloneArgs& args) {
  if (args.flags & kCloneThread) {
    child.tgid = parent_thread.tgid;
    child.signal = parent_thread.signal;
    child.exit_signal = -1;
    child.parent = parent_thread.parent;
    child.signal->threads.push_back(&child);
    ++child.signal->live;
    return;
  }
  child.signal = std::make_shared<SignalStruct>();
  child.signal->rlimits = parent_thread.signal->rlimits;
  child.signal->threads = {&child};
  child.signal->live = 1;
  if (args.flags & kCloneParent) {
    child.parent = parent_thread.parent;
    child.exit_signal = parent_thread.exit_signal;
    for (const Task* t : parent_thread.signal->threads) {
      if (t->IsLeader()) child.exit_signal = t->exit_signal;
    }
  } else {
    child.parent = &parent_thread;
    child.exit_signal = args.exit_signal;
  }
  if (child.parent != nullptr) child.parent->children.push_back(&child);
}

// What a task has of its own or shares, apart from memory and place in the tree.
void CopyTask(Task& child, const Task& from, const CloneArgs& args) {
  child.comm = from.comm;
  child.cred = from.cred;
  child.personality = from.personality;
  child.pkru = from.pkru;
  child.entry = from.entry;
  child.stack_pointer = args.stack != 0 ? args.stack : from.stack_pointer;
  child.exec_count = from.exec_count;
  child.set_child_tid = (args.flags & kCloneChildSettid) ? args.child_tid : 0;
  child.clear_child_tid = (args.flags & kCloneChildCleartid) ? args.child_tid : 0;
  child.files = (args.flags & kCloneFiles) ? from.files : std::make_shared<FilesTable>(*from.files);
  child.cwd = (args.flags & kCloneFs) ? from.cwd : std::make_shared<std::string>(*from.cwd);
}

// Linux: kernel/fork.c kernel_clone(), copy_process()
int64_t KernelClone(Call& call, const CloneArgs& args) {
  Task& task = call.task;
  if ((args.flags & kClonePidfd) && (args.flags & kCloneParentSettid) && args.pidfd == args.parent_tid) {
    return Call::Err(Errno::kEINVAL);
  }
  Status status = CheckCloneFlags(task, args.flags);
  if (!status.ok()) return status.AsReturn();
  // Linux: kernel/nsproxy.c copy_namespaces(); a new user namespace would bring the right along
  if ((args.flags & kNamespaceFlags) && !(args.flags & kCloneNewuser) && !task.cred.cap_sys_admin) {
    return Call::Err(Errno::kEPERM);
  }
  if (args.flags & (kNamespaceFlags | kClonePidfd | kCloneIntoCgroup)) return call.NotModelled();

  Mm* mm = task.mm;
  if (args.flags & kCloneVm) {
    mm->Get();
  } else {
    Result<Mm*> copy = DupMm(task);
    if (!copy.ok()) return Call::Err(copy.error());
    mm = *copy;
  }
  const int pid = call.kernel.AllocPid();
  Task& child = call.kernel.NewTask(pid);
  child.mm = mm;
  CopyTask(child, task, args);
  LinkTask(child, task, args);

  const int32_t tid = pid;
  const auto put_tid = [&](Task& who, uint64_t address) {
    CopyToUser(call.kernel, who, VirtAddr(address), {reinterpret_cast<const uint8_t*>(&tid), sizeof(tid)});
  };
  if (args.flags & kCloneParentSettid) put_tid(task, args.parent_tid);
  if (args.flags & kCloneVfork) {
    child.vfork_parent = &task;
    task.vfork_waiting = true;
  }
  // Linux: kernel/sched/core.c schedule_tail(), when the child runs first.
  if (child.set_child_tid != 0) put_tid(child, child.set_child_tid);
  return pid;
}

// struct clone_args of include/uapi/linux/sched.h.
struct UserCloneArgs {
  uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;  // version 0: 64 bytes
  uint64_t set_tid, set_tid_size;                                                     // version 1: 80
  uint64_t cgroup;                                                                    // version 2: 88
};
constexpr uint64_t kCloneArgsVer0 = 64, kCloneArgsVer2 = 88;

// Linux: include/linux/uaccess.h copy_struct_from_user()
Status CopyCloneStruct(Call& call, uint64_t size, UserCloneArgs* args) {
  *args = {};
  const uint64_t known = std::min<uint64_t>(size, sizeof(*args));
  if (size > sizeof(*args)) {
    std::string rest(size, '\0');
    if (!call.CopyIn(0, rest.data(), size)) return Errno::kEFAULT;
    if (rest.find_first_not_of('\0', sizeof(*args)) != std::string::npos) return Errno::kE2BIG;
    std::memcpy(args, rest.data(), known);
    return {};
  }
  if (!call.CopyIn(0, args, known)) return Errno::kEFAULT;
  return {};
}

// Linux: kernel/fork.c copy_clone_args_from_user()
Status CopyCloneArgs(Call& call, CloneArgs* out) {
  const uint64_t size = call.U(1);
  if (size > kPageSize) return Errno::kE2BIG;
  if (size < kCloneArgsVer0) return Errno::kEINVAL;
  UserCloneArgs args;
  Status status = CopyCloneStruct(call, size, &args);
  if (!status.ok()) return status;
  if (args.set_tid_size > kMaxPidNsLevel) return Errno::kEINVAL;
  if (args.set_tid == 0 && args.set_tid_size > 0) return Errno::kEINVAL;
  if (args.set_tid != 0 && args.set_tid_size == 0) return Errno::kEINVAL;
  if ((args.exit_signal & ~kCsignal) || args.exit_signal > kNrSignals) return Errno::kEINVAL;
  if ((args.flags & kCloneIntoCgroup) && (args.cgroup > 0x7fffffff || size < kCloneArgsVer2))
    return Errno::kEINVAL;
  *out = {args.flags, args.pidfd,      args.child_tid, args.parent_tid, static_cast<int>(args.exit_signal),
          args.stack, args.stack_size, args.tls};
  if (args.set_tid != 0) {
    int32_t tid = 0;
    if (!call.CopyFrom(args.set_tid, &tid, sizeof(tid))) return Errno::kEFAULT;
    call.kernel.SetNextPid(tid);
  }
  return {};
}

// Linux: kernel/fork.c clone3_args_valid(), clone3_stack_valid()
bool Clone3ArgsValid(const Call& call, CloneArgs* args) {
  constexpr uint64_t kLegacyFlags = 0xffffffff;
  if (args->flags & ~(kLegacyFlags | kCloneClearSighand | kCloneIntoCgroup)) return false;
  if (args->flags & (kCloneDetached | (kCsignal & ~kCloneNewtime))) return false;
  constexpr uint64_t kSighandBoth = kCloneSighand | kCloneClearSighand;
  if ((args->flags & kSighandBoth) == kSighandBoth) return false;
  if ((args->flags & (kCloneThread | kCloneParent)) && args->exit_signal != 0) return false;
  if ((args->stack == 0) != (args->stack_size == 0)) return false;
  if (args->stack == 0) return true;
  const uint64_t limit = call.task.mm->task_size;
  if (args->stack_size > limit || args->stack > limit - args->stack_size) return false;
  args->stack += args->stack_size;
  return true;
}

}  // namespace

int64_t Do_fork(Call& call) {
  CloneArgs args;
  args.exit_signal = kSigchld;
  return KernelClone(call, args);
}

int64_t Do_vfork(Call& call) {
  CloneArgs args;
  args.flags = kCloneVfork | kCloneVm;
  args.exit_signal = kSigchld;
  return KernelClone(call, args);
}

int64_t Do_clone(Call& call) {
  const bool backwards = abi::CloneTlsBeforeChildTid(call.kernel.arch());
  CloneArgs args;
  args.flags = call.Uint(0) & ~kCsignal;
  args.exit_signal = static_cast<int>(call.U(0) & kCsignal);
  args.stack = call.U(1);
  args.pidfd = args.parent_tid = call.U(2);
  args.child_tid = call.U(backwards ? 4 : 3);
  args.tls = call.U(backwards ? 3 : 4);
  return KernelClone(call, args);
}

int64_t Do_clone3(Call& call) {
  CloneArgs args;
  Status status = CopyCloneArgs(call, &args);
  if (!status.ok()) return status.AsReturn();
  if (!Clone3ArgsValid(call, &args)) return Call::Err(Errno::kEINVAL);
  return KernelClone(call, args);
}

int64_t Do_set_tid_address(Call& call) {
  call.task.clear_child_tid = call.U(0);
  return call.task.pid;
}

// Only what concerns tasks' shared parts. Linux: kernel/fork.c ksys_unshare(), check_unshare_flags()
int64_t Do_unshare(Call& call) {
  uint64_t flags = call.U(0);
  if (flags & kCloneNewuser) flags |= kCloneThread | kCloneFs;
  if (flags & kCloneVm) flags |= kCloneSighand;
  if (flags & kCloneSighand) flags |= kCloneThread;
  if (flags & kCloneNewns) flags |= kCloneFs;
  if (flags &
      ~(kCloneThread | kCloneFs | kCloneSighand | kCloneVm | kCloneFiles | kCloneSysvsem | kNamespaceFlags)) {
    return Call::Err(Errno::kEINVAL);
  }
  Task& task = call.task;
  const bool alone = task.signal->threads.size() == 1;
  if ((flags & (kCloneThread | kCloneSighand | kCloneVm)) && !alone) return Call::Err(Errno::kEINVAL);
  if ((flags & kCloneVm) && task.mm->mm_users > 1) return Call::Err(Errno::kEINVAL);
  if (flags & kNamespaceFlags) return call.NotModelled();
  if (flags & kCloneFs) task.cwd = std::make_shared<std::string>(*task.cwd);
  if (flags & kCloneFiles) task.files = std::make_shared<FilesTable>(*task.files);
  return 0;
}

}  // namespace mmsim
