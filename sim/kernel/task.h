// SPDX-License-Identifier: Apache-2.0
// Tasks, thread groups and what they share. Linux: struct task_struct, struct signal_struct
// (include/linux/sched.h, include/linux/sched/signal.h).
// Invariants: every live task has an mm until it exits; the members of a thread group share mm, signal and
// files of their leader as CLONE_THREAD demands; a dead task stays, without mm and files, until its parent
// has reaped it. Not modelled: scheduling, signal handlers and masks, namespaces, cgroups.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "mmsim/types.h"
#include "sim/kernel/files.h"
#include "sim/mm/current.h"
#include "sim/mm/mm.h"

namespace mmsim {

struct Task;

// What a thread group shares. Linux: struct signal_struct
struct SignalStruct {
  Rlimits rlimits;
  std::vector<Task*> threads;  // live ones and the dead leader, in order of creation
  int live = 0;                // threads that have not exited
  bool group_exit = false;
  int group_exit_code = 0;  // as wait4 reports it
  bool is_child_subreaper = false;
};

// Rights, as far as calls ask for them. All on: root.
struct Credentials {
  uint32_t uid = 0, gid = 0;
  // A user without any rights.
  static Credentials Unprivileged(uint32_t id) { return {id, id, false, false, false, false, false}; }
  bool cap_ipc_lock = true, cap_sys_admin = true, cap_sys_rawio = true, cap_sys_resource = true,
       cap_ipc_owner = true;
};

enum class TaskState : uint8_t { kRunning, kZombie, kDead };

struct Task {
  int pid = 0;   // of the thread (strace's column)
  int tgid = 0;  // of the process (getpid)
  std::string comm;
  TaskState state = TaskState::kRunning;
  Mm* mm = nullptr;  // null once it has exited; one mm_users reference
  std::shared_ptr<SignalStruct> signal;
  std::shared_ptr<FilesTable> files;  // null once it has exited
  std::shared_ptr<std::string> cwd;   // shared under CLONE_FS
  Credentials cred;
  uint32_t personality = 0;
  uint32_t pkru = 0x55555554;  // x86-64 protection-key rights of this thread
  Task* parent = nullptr;      // null: started by the scenario, or its parent is gone
  std::vector<Task*> children;
  int exit_signal = 17;  // -1: a thread
  int exit_code = 0;     // as wait4 reports it
  uint64_t clear_child_tid = 0;
  uint64_t set_child_tid = 0;
  Task* vfork_parent = nullptr;           // waits until this task execs or exits
  bool vfork_waiting = false;             // this task waits for a vfork child
  uint64_t exec_count = 0;                // successful execs so far
  uint64_t entry = 0, stack_pointer = 0;  // registers after the last exec

  bool IsLeader() const { return pid == tgid; }
  bool IsAlive() const { return state == TaskState::kRunning; }
  // What the memory manager asks of `current`.
  Current AsCurrent() const;
};

}  // namespace mmsim
