// SPDX-License-Identifier: Apache-2.0
// The rung between a trap and the memory manager: is there a VMA, may it grow, is the access allowed, and if
// not, which signal with which code. One file an architecture, as the kernel has it. Linux:
// arch/x86/mm/fault.c, arch/arm64/mm/fault.c
#pragma once

#include "sim/hw/trap.h"
#include "sim/kernel/signal.h"
#include "sim/kernel/task.h"
#include "sim/mm/vma.h"

namespace mmsim {

enum class TrapVerdict : uint8_t {
  kRetry,        // the fault was handled: do the access again
  kOutOfMemory,  // the same, but nothing was done for want of memory: the OOM killer's turn
  kSignal,       // the program gets a signal
  kFixup,        // the kernel's own access fails: -EFAULT
  kEmulated,     // the access was carried out without memory (a call into [vsyscall])
};

// `signal` is written if there is one, and left alone else. Precondition: !trapped.ok().
TrapVerdict HandleTrapX86(Task& task, WalkResult trapped, SigInfo& signal);
TrapVerdict HandleTrapArm64(Task& task, WalkResult trapped, SigInfo& signal);
template <Arch kArch>
TrapVerdict HandleTrap(Task& task, WalkResult trapped, SigInfo& signal) {
  return kArch == Arch::kX86_64 ? HandleTrapX86(task, trapped, signal)
                                : HandleTrapArm64(task, trapped, signal);
}

// `above` is what find_vma() found: it begins above the address, or is null. That VMA, if it is a stack that
// could be made to begin below; else null.
Vma* GrowToAddress(Task& task, Vma* above, VirtAddr address);
// The VMA of `address`, after a stack below which it lies has grown to it; null: none. Linux: mm/memory.c
// lock_mm_and_find_vma()
inline Vma* FindVmaOrGrow(Task& task, VirtAddr address) {
  Vma* vma = task.mm->vmas.Find(address);
  if (vma != nullptr && vma->start <= address) [[likely]]
    return vma;
  return GrowToAddress(task, vma, address);
}

}  // namespace mmsim
