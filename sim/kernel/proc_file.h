// SPDX-License-Identifier: Apache-2.0
// The files of /proc/PID that act on an address space: clear_refs and mem. What /proc tells is procfs.h.
// Not modelled: /proc/PID/task, ptrace's stops (who may trace a process may use its mem), the other files of
// /proc, which a scenario's own lines read.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "sim/base/errno.h"
#include "sim/mm/filemap.h"

namespace mmsim {

struct Call;
struct Task;
class Kernel;

// What an open file of /proc is about.
struct ProcFile {
  enum class Kind : uint8_t { kClearRefs, kMem };
  Kind kind = Kind::kClearRefs;
  int pid = 0;            // clear_refs: whose space is looked up with each write
  uint64_t space_id = 0;  // mem: the space as of open, Mm::id; another program's after an exec is none of it
};

// The open file when the path names one of these, nothing when it does not. ENOENT, EACCES, ESRCH. Linux:
// fs/proc/base.c mem_open(), fs/namei.c may_open()
std::optional<Result<FileRef>> OpenProcFile(Kernel& kernel, Task& task, std::string_view path,
                                            uint32_t open_flags);
// read and write; `position` is where, and is moved on. Linux: fs/proc/base.c mem_rw(), fs/proc/task_mmu.c
// clear_refs_write()
int64_t ProcFileTransfer(Call& call, const ProcFile& file, bool write, uint64_t* position, uint64_t count);

// Linux: kernel/ptrace.c __ptrace_may_access(), as far as users decide it
bool PtraceMayAccess(const Task& task, const Task& target);

}  // namespace mmsim
