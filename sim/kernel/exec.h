// SPDX-License-Identifier: Apache-2.0
// execve, and the two forms of it that a replay needs when the program's file is not at hand. Linux:
// fs/exec.c, fs/binfmt_elf.c, fs/binfmt_script.c
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/base/errno.h"
#include "sim/kernel/kernel.h"

namespace mmsim {

struct ExecArgs {
  std::string path;  // as the caller passed it: it goes to the stack
  std::vector<std::string> argv, envp;
  FileRef file;  // execveat with AT_EMPTY_PATH; else null, and the path is looked up
};

// What an execve comes to. Past the point of no return an error kills the process.
struct ExecOutcome {
  Status status;
  bool point_of_no_return = false;
};

// Linux: fs/exec.c do_execveat_common()
ExecOutcome Execve(Kernel& kernel, Task& task, const ExecArgs& args);
// The first program of a process that no fork made.
Status ExecveSpawned(Kernel& kernel, Task& task, const ExecArgs& args);

}  // namespace mmsim
