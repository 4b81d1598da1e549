// SPDX-License-Identifier: Apache-2.0
// From a page to all entries that map it: the VMAs that may, then their tables. Linux: mm/rmap.c rmap_walk(),
// mm/page_vma_mapped.c page_vma_mapped_walk()
//
// Invariant: every entry that maps a page of the folio is found, and no other. The order is that of the
// lists, which follows the calls alone. Not modelled: KSM pages, trylock modes, migration entries.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "sim/mm/folio.h"
#include "sim/mm/page_table.h"
#include "sim/mm/rmap.h"

namespace mmsim {

// Calls visit(vma, range) for each VMA that may map the folio, with the addresses at which it would; until it
// returns false. Linux: rmap_walk_anon(), rmap_walk_file()
template <typename Visit>
void RmapWalk(System& system, Pfn folio, Visit visit) {
  const Page& page = system.pages[folio];
  const uint64_t first = page.Index(), nr = FolioNrPages(system, folio);
  const auto in_vma = [&](Vma& vma) {
    const uint64_t vma_first = vma.pgoff, vma_end = vma_first + vma.NrPages();
    const uint64_t from = std::max(first, vma_first), to = std::min(first + nr, vma_end);
    if (from >= to) return true;
    const VirtAddr start = vma.start + ((from - vma_first) << kPageShift);
    return visit(vma, VirtRange{start, start + ((to - from) << kPageShift)});
  };
  if (page.mapping == 0) return;
  if (page.IsAnon()) {
    auto& anon_vma = *reinterpret_cast<AnonVma*>(page.mapping & ~uint64_t{1});
    for (AnonVmaChain& chain : anon_vma.chains) {
      if (!in_vma(*chain.vma)) return;
    }
  } else {
    for (Vma& vma : reinterpret_cast<Inode*>(page.mapping)->i_mmap) {
      if (!in_vma(vma)) return;
    }
  }
}

// One entry that maps a page of a folio.
struct Mapping {
  Vma* vma;
  VirtAddr address;
  EntryPtr entry;
  int level;  // kLevelPte or kLevelPmd
};

// Calls visit(mapping) for each entry in `range` of `vma` that maps a page of the folio. The visitor may
// change that entry, and split it if it is a PMD (its PTEs are then visited).
template <typename Visit>
void PageVmaMappedWalk(System& system, Pfn folio, Vma& vma, VirtRange range, Visit visit) {
  const uint64_t nr = FolioNrPages(system, folio);
  const auto ours = [&](Pfn pfn) { return pfn.value - folio.value < nr; };
  for (VirtAddr address = range.start; address < range.end;) {
    EntryPtr pmd = FindEntry(*vma.mm, address, kLevelPmd);
    const VirtAddr next = LevelEnd(address, range.end, kLevelPmd);
    if (pmd != nullptr && *pmd != 0 && !PmdIsTable(system, pmd) && ours(VmNormalPagePmd(system, {*pmd}))) {
      visit(Mapping{&vma, VirtAddr(address.value & kHugeMask), pmd, kLevelPmd});
    }
    if (pmd != nullptr && PmdIsTable(system, pmd)) {
      for (VirtAddr a = address; a < next; a += kPageSize) {
        EntryPtr pte = Descend(system, pmd, a, kLevelPte);
        const Pte value = ReadEntry(pte);
        if (PteNone(system.arch, value) || !PtePresent(system.arch, value)) continue;
        if (ours(VmNormalPage(system, value))) visit(Mapping{&vma, a, pte, kLevelPte});
      }
    }
    address = next;
  }
}

// All of them.
inline std::vector<Mapping> FindMappings(System& system, Pfn folio) {
  std::vector<Mapping> found;
  RmapWalk(system, folio, [&](Vma& vma, VirtRange range) {
    PageVmaMappedWalk(system, folio, vma, range, [&](const Mapping& m) { found.push_back(m); });
    return true;
  });
  return found;
}

}  // namespace mmsim
