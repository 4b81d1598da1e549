// SPDX-License-Identifier: Apache-2.0
#include "sim/kernel/arch/trap.h"
#include "sim/mm/verbs.h"

namespace mmsim {

// Linux: the end of mm/memory.c lock_mm_and_find_vma()
Vma* GrowToAddress(Task& task, Vma* above, VirtAddr address) {
  if (above == nullptr || !above->Has(kVmGrowsDown)) return nullptr;
  return ExpandDownwards(*above, task.AsCurrent(), address.PageFloor()).ok() ? above : nullptr;
}

}  // namespace mmsim
