// SPDX-License-Identifier: Apache-2.0
// What exec needs of the end of tasks. Linux: kernel/exit.c, kernel/fork.c
#pragma once

#include "sim/kernel/kernel.h"

namespace mmsim {

// The program leaves its address space: whoever waits for its thread id or its vfork is told. Linux:
// kernel/fork.c mm_release()
void ReleaseVforkAndTid(Kernel& kernel, Task& task);
// Makes `task` the only thread of its group, and its leader. Linux: fs/exec.c de_thread()
void DeThread(Kernel& kernel, Task& task);
// Linux: kernel/exit.c do_group_exit()
void ExitGroup(Kernel& kernel, Task& task, int code);

}  // namespace mmsim
