// SPDX-License-Identifier: Apache-2.0
// The invalidations that the kernel owes the processors after it changed an entry that they may hold. Linux:
// arch/*/include/asm/tlbflush.h flush_tlb_page(), flush_tlb_range(), flush_tlb_mm()
//
// Invariant: after the call, no processor has a translation of the range under the mm's identifier.
// Not modelled: lazy TLB mode, batched and deferred flushes, shootdowns that are on their way.
#pragma once

#include "sim/mm/mm.h"

namespace mmsim {

void FlushTlbRange(Mm& mm, VirtRange range);
void FlushTlbPage(Mm& mm, VirtAddr address);
void FlushTlbMm(Mm& mm);

}  // namespace mmsim
