// SPDX-License-Identifier: Apache-2.0
// Reclaim of given pages, as MADV_PAGEOUT asks for it, and what it is made of. Linux: mm/vmscan.c
// reclaim_pages(), mm/rmap.c try_to_unmap(), folio_mkclean()
//
// Not modelled: memory pressure, LRU scans, demotion, writeback of dirty file pages.
#pragma once

#include <vector>

#include "sim/mm/system.h"

namespace mmsim {

// Writes each page to swap, or drops it where it can be had again, if nobody keeps it; a huge one in one
// piece where swap has room for that, else page by page. They are off the LRU lists, and the caller's
// references are consumed. Linux: mm/vmscan.c reclaim_pages()
void ReclaimPages(System& system, const std::vector<Pfn>& folios);
// Removes every entry that maps the folio, having split huge ones. True when none is left. Linux: mm/rmap.c
// try_to_unmap()
bool TryToUnmap(System& system, Pfn folio);
// Every entry that maps the folio becomes clean and loses its right to write. Linux: mm/rmap.c
// folio_mkclean()
void FolioMkclean(System& system, Pfn folio);
// Linux: include/linux/mm.h folio_likely_mapped_shared()
bool FolioLikelyMappedShared(System& system, Pfn folio);

}  // namespace mmsim
