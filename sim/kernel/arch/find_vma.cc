// SPDX-License-Identifier: Apache-2.0
#include "sim/kernel/arch/fault.h"
#include "sim/mm/verbs.h"

namespace mmsim {

// Linux: mm/memory.c lock_mm_and_find_vma()
Vma* FindVmaOrGrow(Task& task, VirtAddr address) {
  Vma* vma = task.mm->vmas.Find(address);
  if (vma != nullptr && vma->start <= address) return vma;
  if (vma == nullptr || !vma->Has(kVmGrowsDown)) return nullptr;
  if (!ExpandDownwards(*vma, task.AsCurrent(), address.PageFloor()).ok()) return nullptr;
  return vma;
}

}  // namespace mmsim
