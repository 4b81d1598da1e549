// SPDX-License-Identifier: Apache-2.0
// What the architectures' fault handlers have in common: what a trap comes to, and the VMA that it is about.
#pragma once

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

// `above` is what find_vma() found: it begins above the address, or is null. That VMA, if it is a stack that
// could be made to begin below; else null.
Vma* GrowToAddress(Task& task, Vma* above, VirtAddr address);
// The VMA of `address`, after a stack below which it lies has grown to it; null: none. Linux: mm/memory.c
// lock_mm_and_find_vma()
inline Vma* FindVmaOrGrow(Task& task, VirtAddr address) {
  if (Vma* vma = task.mm->vmas.FindAgain(address)) [[likely]]
    return vma;
  Vma* vma = task.mm->vmas.Find(address);
  if (vma != nullptr && vma->start <= address) return vma;
  return GrowToAddress(task, vma, address);
}

}  // namespace mmsim
