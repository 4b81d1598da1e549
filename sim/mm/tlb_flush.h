// SPDX-License-Identifier: Apache-2.0
// The invalidations that the kernel owes the processors after it changed an entry that they may hold. Linux:
// arch/*/include/asm/tlbflush.h flush_tlb_page(), flush_tlb_range(), flush_tlb_mm()
//
// Invariant: after the call, no processor has a translation of the range under the mm's identifier.
// Not modelled: lazy TLB mode, batched and deferred flushes, shootdowns that are on their way.
#pragma once

#include "sim/hw/cpu.h"
#include "sim/mm/mm.h"

namespace mmsim {

inline void FlushTlbRange(Mm& mm, VirtRange range) {
  for (Cpu* cpu : mm.system.cpus) cpu->tlb().InvalidateRange(range, mm.asid, cpu->geometry());
}
inline void FlushTlbPage(Mm& mm, VirtAddr address) {
  for (Cpu* cpu : mm.system.cpus) cpu->InvalidatePage(address, mm.asid);
}
inline void FlushTlbMm(Mm& mm) {
  for (Cpu* cpu : mm.system.cpus) cpu->tlb().InvalidateAsid(mm.asid);
}

}  // namespace mmsim
