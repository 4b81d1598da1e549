// SPDX-License-Identifier: Apache-2.0
// Reclaim of given pages, as MADV_PAGEOUT asks for it, and what it is made of. Linux: mm/vmscan.c
// reclaim_pages(), mm/rmap.c try_to_unmap(), folio_mkclean()
//
// Not modelled: memory pressure, LRU scans, demotion, writeback of dirty file pages.
#pragma once

#include "sim/mm/system.h"

namespace mmsim {

// Writes a page to swap, or drops it where it can be had again, if nobody keeps it. The caller's reference is
// consumed. True when the page is gone. Linux: the body of mm/vmscan.c shrink_folio_list() with
// ignore_references
bool ReclaimFolio(System& system, Pfn folio);
// Removes every entry that maps the folio. True when none is left. Linux: mm/rmap.c try_to_unmap()
bool TryToUnmap(System& system, Pfn folio);
// Every entry that maps the folio becomes clean and loses its right to write. Linux: mm/rmap.c
// folio_mkclean()
void FolioMkclean(System& system, Pfn folio);
// Linux: include/linux/mm.h folio_likely_mapped_shared()
bool FolioLikelyMappedShared(System& system, Pfn folio);

}  // namespace mmsim
