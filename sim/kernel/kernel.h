// SPDX-License-Identifier: Apache-2.0
// The simulated kernel: one a simulator. It owns the machine's memory (System), the tasks, the files, the
// System V segments and the sysctls, dispatches system calls and carries out memory accesses through the trap
// loop. Not thread-safe; two kernels are independent. Address-space randomisation is off, as under `setarch
// -R`.
#pragma once

#include <absl/container/btree_map.h>

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mmsim/types.h"
#include "sim/base/errno.h"
#include "sim/hw/trap.h"
#include "sim/kernel/files.h"
#include "sim/kernel/signal.h"
#include "sim/kernel/syscall.h"
#include "sim/kernel/task.h"
#include "sim/mm/mm.h"
#include "sim/mm/system.h"

namespace mmsim {

class ShadowPt;
class ShmTable;
class TaskCpu;

struct KernelOptions {
  Arch arch = Arch::kX86_64;
  std::string_view profile = "6.12";             // FindProfile's name
  uint64_t total_ram_bytes = uint64_t{1} << 30;  // what the simulated machine believes to have (overcommit)
  uint64_t memory_bytes = uint64_t{1} << 36;     // the simulated physical memory; reserved, not used
  // A replay of a recording: a path that nobody declared is not -ENOENT but "not modelled", for the recorded
  // machine may have had it.
  bool open_world = false;
  // Called when a task has ended, with what wait4 would report of it.
  std::function<void(int pid, int code)> on_exit = nullptr;
  // Hook points (hooks.h) at which shadowpt is not called: what would be seen if they had been forgotten.
  uint64_t without_hooks = 0;
  // What a machine has, where it is known: instead of the profile's.
  std::optional<bool> pkeys, bti;
};

// The traps that an access met on its way. Nearly always none or one; two when the access crosses into
// another page.
using Traps = boost::container::small_vector<Trap, 2>;

// What an access by the program came to.
struct AccessResult {
  uint64_t done_bytes = 0;
  SigInfo signal;  // signo 0: all of it was done
  Traps traps;
  bool ok() const { return signal.signo == 0; }
};

// A new process outside of fork.
struct SpawnRequest {
  int pid = 0;       // 0: the next free one
  std::string path;  // of the program, for comm and exe; the ELF file is looked up in the Vfs
  std::vector<std::string> argv, envp;
  uint32_t personality = kAddrNoRandomize;
  Credentials cred;  // user 0 with all rights, unless said otherwise
  // As /proc/PID/maps printed it right after exec: the address space is this and the ELF file is not looked
  // at. Empty: the ELF file decides.
  std::string maps;
  bool empty = false;  // no program at all: an address space without VMAs (attached in the middle)
};

class Kernel {
 public:
  explicit Kernel(const KernelOptions& options);
  ~Kernel();
  Kernel(const Kernel&) = delete;

  const KernelOptions& options() const { return options_; }
  Arch arch() const { return options_.arch; }
  System& system() { return *system_; }
  const System& system() const { return *system_; }
  Vfs& vfs() { return vfs_; }
  ShmTable& shm() { return *shm_; }
  ShadowPt& shadowpt() { return *shadowpt_; }
  Sysctls& sysctls() { return system_->sysctl; }
  // Limits that Spawn gives to a new process.
  Rlimits& default_rlimits() { return default_rlimits_; }

  // --- tasks
  // A process that no fork made. Errors are those of execve (ENOENT, ENOEXEC, ENOMEM, EINVAL ...), EEXIST for
  // a pid in use.
  Result<Task*> Spawn(const SpawnRequest& request);
  // The live or zombie task of this pid (thread ids included), or null.
  Task* FindTask(int pid);
  // All tasks in order of pid.
  const absl::btree_map<int, std::unique_ptr<Task>>& tasks() const { return tasks_; }
  // The pid that the next task gets (fork, clone, Spawn without one): a recording's. Used once; a pid in use
  // is passed over.
  void SetNextPid(int pid) { next_pid_hint_ = pid; }
  // The whole process dies of `signo` (recorded "+++ killed by ..."), or one thread exits without a call of
  // its own.
  void Kill(Task& task, int signo);
  // Ends one thread with `code` as exit(2) would; the process when it was the last.
  void ExitTask(Task& task, int code);
  // Forgets a zombie, as its parent's wait would.
  void Reap(Task& task);

  // --- what programs do
  SyscallResult Syscall(Task& task, Sys nr, const SyscallArgs& args);
  // True when Syscall knows the call at all (whatever its arguments).
  static bool Models(Sys nr);
  // Accesses by the program itself: hardware walk, faults, retry. A signal is reported, not delivered.
  AccessResult Load(Task& task, VirtAddr address, std::span<uint8_t> bytes);
  AccessResult Store(Task& task, VirtAddr address, std::span<const uint8_t> bytes);
  AccessResult Fetch(Task& task, VirtAddr address, uint64_t len_bytes = 1);
  // Faults [address, +len) in, a byte a page, as the kernel's own copies to and from the user do; returns how
  // many bytes were reachable.
  uint64_t Touch(Task& task, VirtAddr address, uint64_t len_bytes, bool write);

  // --- corrections by a replay
  // Puts a descriptor in place: a path that strace -y shows for one that was never seen opened. Kinds by
  // path: /memfd:NAME, /dev/zero, /SYSVxxxxxxxx, else a disk file.
  FileRef InstallFd(Task& task, int fd, std::string_view path, uint32_t open_flags);
  // The address space of `task` becomes what a maps listing says (after an exec whose file is not here).
  // Empty: none.
  Status InstallMaps(Task& task, std::string_view maps);
  // execve that is known to have succeeded, with the address space of `maps` instead of the ELF file's.
  Status ExecGivenMaps(Task& task, std::string_view path, std::string_view maps);

  // --- for the files of sim/kernel, one a verb
  // A pid for the next task. Linux: kernel/pid.c alloc_pid()
  int AllocPid();
  // A bare task of this pid, in the table.
  Task& NewTask(int pid);
  // The task goes on under another pid (execve by a thread that is not the leader).
  void RenameTask(Task& task, int pid);
  // Drops mm and files. The task stays.
  void ReleaseResources(Task& task);
  TaskCpu& cpu() { return *cpu_; }

 private:
  KernelOptions options_;
  std::unique_ptr<System> system_;
  Vfs vfs_;
  std::unique_ptr<ShmTable> shm_;
  std::unique_ptr<ShadowPt> shadowpt_;
  std::unique_ptr<TaskCpu> cpu_;
  absl::btree_map<int, std::unique_ptr<Task>> tasks_;
  Rlimits default_rlimits_;
  int next_pid_hint_ = 0;
  int last_pid_ = 99;
};

}  // namespace mmsim
