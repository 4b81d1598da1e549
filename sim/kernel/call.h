// SPDX-License-Identifier: Apache-2.0
// One system call under way: what the handlers, one file a group, see of it. Arguments by the kernel's types,
// copies from and to the caller's memory, and the ways out that are no return value.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "sim/kernel/kernel.h"

namespace mmsim {

inline constexpr uint64_t kPathMax = 4096;  // PATH_MAX, the NUL included

struct Call {
  Kernel& kernel;
  Task& task;
  const SyscallArgs& args;
  SyscallResult result;

  Mm& mm() { return *task.mm; }
  uint64_t U(int i) const { return args.value[static_cast<size_t>(i)]; }
  int32_t Int(int i) const { return static_cast<int32_t>(U(i)); }
  uint32_t Uint(int i) const { return static_cast<uint32_t>(U(i)); }
  static int64_t Err(Errno e) { return -int64_t{static_cast<int32_t>(e)}; }

  // copy_from_user of argument i, from its payload when that is known. False: -EFAULT.
  bool CopyIn(int i, void* to, uint64_t len_bytes);
  // The same for memory that no argument points to directly.
  bool CopyFrom(uint64_t address, void* to, uint64_t len_bytes);
  // A NUL-terminated string of at most `max_bytes` with its NUL. ENAMETOOLONG, EFAULT.
  Result<std::string> CopyString(int i, uint64_t max_bytes);
  // A vector of pointers to strings (argv). EFAULT, E2BIG.
  Result<std::vector<std::string>> CopyStrings(int i);
  // copy_to_user through argument i. False: -EFAULT.
  bool CopyOut(int i, const void* from, uint64_t len_bytes);
  template <typename T>
  bool PutOut(int i, const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    return CopyOut(i, &value, sizeof(value));
  }
  // The open file behind descriptor argument i; null: -EBADF.
  FileRef File(int i) const { return task.files->Get(Int(i)); }

  int64_t NotModelled() {
    result.status = SyscallResult::Status::kNotModelled;
    return Err(Errno::kENOSYS);
  }
  int64_t Blocked() {
    result.status = SyscallResult::Status::kBlocked;
    return 0;
  }
  int64_t NoReturn() {
    result.status = SyscallResult::Status::kNoReturn;
    return 0;
  }
};

// getname(), and the directory that a relative path starts from: an absolute path. EFAULT, ENAMETOOLONG,
// ENOENT, EBADF, ENOTDIR.
Result<std::string> PathArgument(Call& call, int64_t dirfd, int index);

// The handlers, by file. Each is named after its call.
// clang-format off
#define MMSIM_MODELLED_SYSCALLS(X)                                                                         \
  /* sys_mm.cc */                                                                                          \
  X(mmap)                                                                                                  \
  X(munmap)                                                                                                \
  X(mprotect)                                                                                              \
  X(pkey_mprotect)                                                                                         \
  X(mremap)                                                                                                \
  X(brk)                                                                                                   \
  X(madvise)                                                                                               \
  X(mlock)                                                                                                 \
  X(mlock2)                                                                                                \
  X(munlock)                                                                                               \
  X(mlockall)                                                                                              \
  X(munlockall) X(msync) X(mincore) X(mseal) X(pkey_alloc) X(pkey_free) /* fork.cc */                      \
      X(fork) X(vfork) X(clone) X(clone3) X(set_tid_address) X(unshare) /* exec.cc */                      \
      X(execve) X(execveat)                                             /* exit.cc */                      \
      X(exit) X(exit_group) X(wait4) X(waitid)                          /* sys_task.cc */                  \
      X(getpid) X(gettid) X(getppid) X(prlimit64) X(getrlimit) X(setrlimit) X(personality) X(prctl)        \
          X(arch_prctl) X(kill) X(tkill) X(tgkill) /* sys_open.cc, sys_file.cc */                          \
      X(open) X(openat) X(creat) X(close) X(close_range) X(dup) X(dup2) X(dup3) X(fcntl) X(memfd_create)   \
          X(mkdir) X(mkdirat) X(rmdir) X(unlink) X(unlinkat) X(truncate) X(ftruncate) X(fallocate) X(lseek) X(read) X(write) X(pread64) \
              X(pwrite64) /* shm.cc */                                                                     \
      X(shmget) X(shmat) X(shmdt) X(shmctl) /* process_vm.cc */                                            \
      X(process_vm_readv) X(process_vm_writev) /* shadowpt_*.cc */                                         \
      X(shadowpt_open) X(shadowpt_close) X(shadowpt_start) X(shadowpt_stop) X(shadowpt_page_contents)
// clang-format on

#define MMSIM_X(name) int64_t Do_##name(Call& call);
MMSIM_MODELLED_SYSCALLS(MMSIM_X)
#undef MMSIM_X

}  // namespace mmsim
