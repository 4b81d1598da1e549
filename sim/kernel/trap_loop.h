// SPDX-License-Identifier: Apache-2.0
// From an access to bytes: the processor translates, a trap is handed to the kernel, and the access is tried
// again.
#pragma once

#include <cstdint>

#include "sim/hw/cpu.h"
#include "sim/kernel/arch/trap.h"
#include "sim/kernel/kernel.h"

namespace mmsim {

// The processor, and whose address space it runs in.
class TaskCpu {
 public:
  explicit TaskCpu(System& system);
  ~TaskCpu();
  TaskCpu(const TaskCpu&) = delete;
  // The task's tables and protection-key rights are in force from here on. Linux: arch/*/mm switch_mm()
  [[gnu::always_inline]] void Enter(const Task& task) {
    cpu_.SetRoot(task.mm->pgd, task.mm->asid);
    cpu_.SetPkru(task.pkru);
  }
  Cpu& cpu() { return cpu_; }
  // What the last trap came to that was not followed by a success.
  TrapVerdict verdict() const { return verdict_; }
  void SetVerdict(TrapVerdict verdict) { verdict_ = verdict; }

 private:
  Cpu cpu_;  // first, so that its address is this one's
  System& system_;
  TrapVerdict verdict_ = TrapVerdict::kRetry;
};

}  // namespace mmsim
