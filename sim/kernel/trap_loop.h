// SPDX-License-Identifier: Apache-2.0
// From an access to bytes: the processor translates, a trap is handed to the kernel, and the access is tried
// again.
#pragma once

#include <cstdint>

#include "sim/hw/cpu.h"
#include "sim/kernel/kernel.h"

namespace mmsim {

// The processor, and whose address space it runs in.
class TaskCpu {
 public:
  explicit TaskCpu(System& system);
  ~TaskCpu();
  TaskCpu(const TaskCpu&) = delete;
  // The task's tables and protection-key rights are in force from here on. Linux: arch/*/mm switch_mm()
  Cpu& Enter(const Task& task) {
    cpu_.SetRoot(task.mm->pgd, task.mm->asid);
    cpu_.SetPkru(task.pkru);
    return cpu_;
  }

 private:
  System& system_;
  Cpu cpu_;
};

}  // namespace mmsim
