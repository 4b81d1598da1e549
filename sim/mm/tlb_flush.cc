// SPDX-License-Identifier: Apache-2.0
#include "sim/mm/tlb_flush.h"

#include "sim/hw/cpu.h"

namespace mmsim {

void FlushTlbRange(Mm& mm, VirtRange range) {
  for (Cpu* cpu : mm.system.cpus) cpu->tlb().InvalidateRange(range, mm.asid, cpu->geometry());
}

void FlushTlbPage(Mm& mm, VirtAddr address) {
  for (Cpu* cpu : mm.system.cpus) {
    if (cpu->tlb().HasOthers()) [[unlikely]]  // of which one may translate it
      return FlushTlbRange(mm, {address.PageFloor(), address.PageFloor() + kPageSize});
    cpu->tlb().InvalidateSmall(address, mm.asid);
  }
}

void FlushTlbMm(Mm& mm) {
  for (Cpu* cpu : mm.system.cpus) cpu->tlb().InvalidateAsid(mm.asid);
}

}  // namespace mmsim
