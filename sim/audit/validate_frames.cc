// SPDX-License-Identifier: Apache-2.0
// Frames: references, map counts, reverse maps, swap slots; and that nothing is allocated that nobody holds.
#include "sim/audit/census.h"
#include "sim/mm/rmap_walk.h"
#include "sim/mm/swap.h"

namespace mmsim::audit {
namespace {

constexpr int32_t kEntirelyMapped = 0x800000;

void CountPageCaches(Census& census) {
  for (const Inode* inode : census.system.inodes) {
    for (const auto& [index, entry] : inode->i_pages) {
      if (entry.IsSwap()) {
        ++census.swap_slots[entry.swap_offset()];
        continue;
      }
      census.AddRefs(entry.page(), 1);
      const Page& page = census.system.pages[entry.page()];
      if (page.mapping != reinterpret_cast<uint64_t>(inode) || page.Index() != index) {
        census.Complain("frame {:x} is in the page cache at {:x} and does not know it", entry.page().value,
                        index);
      }
    }
  }
}

void CountOthers(Census& census) {
  System& system = census.system;
  const auto count = [&census](const auto& batch) {
    for (uint32_t i = 0; i < batch.nr; ++i) census.AddRefs(batch.folios[i], 1);
  };
  count(system.lru.add);
  count(system.lru.deactivate);
  count(system.lru.lazyfree);
  count(system.lru.mlock);
  for (const auto& [folio, refs] : system.gup_refs) census.frames[folio].refs += refs;
  census.AddRefs(system.zero_page, 1);
  if (system.huge_zero.value != 0) census.AddRefs(system.huge_zero, 1);
  for (const std::vector<Pfn>* pages : {&system.vdso_pages, &system.vvar_pages, &system.kernel_pages}) {
    for (const Pfn page : *pages) census.AddRefs(page, 1);
  }
}

void CheckSwap(Census& census) {
  SwapArea* swap = census.system.swap.get();
  if (swap == nullptr) return;
  uint64_t used = 0;
  for (uint64_t slot = 1; slot < swap->nr_slots(); ++slot) {
    const auto it = census.swap_slots.find(slot);
    const uint64_t named = it == census.swap_slots.end() ? 0 : it->second;
    const Pfn cached = swap->Cached(slot);
    if (swap->Count(slot) != named) {
      census.Complain("swap slot {} has count {}, named by {}", slot, swap->Count(slot), named);
    }
    if (cached.value != 0) census.AddRefs(cached, 1);
    used += named != 0 || cached.value != 0;
  }
  census.ExpectEqual(swap->used(), used, "used swap slots");
}

// A huge folio's own counts, against its pages'.
void CheckLarge(Census& census, Pfn head) {
  const LargeFolio large(census.system.pages, head);
  int64_t ptes = 0, mapped = 0;
  for (uint64_t i = 0; i < kHugePages; ++i) {
    const auto it = census.frames.find(head.value + i);
    const int64_t maps = it == census.frames.end() ? 0 : it->second.pte_maps;
    ptes += maps;
    mapped += maps != 0;
    if (census.system.pages[head + i].mapcount + 1 != maps) {
      census.Complain("frame {:x} of a huge page: mapcount {}, mapped by {}", head.value + i,
                      census.system.pages[head + i].mapcount + 1, maps);
    }
  }
  const int64_t pmds = census.frames[head.value].pmd_maps;
  census.ExpectEqual(large.EntireMapcount() + 1, pmds, "a huge page's entire mapcount");
  census.ExpectEqual(large.LargeMapcount() + 1, ptes + pmds, "a huge page's large mapcount");
  census.ExpectEqual(large.NrPagesMapped(), mapped + (pmds != 0 ? kEntirelyMapped : 0),
                     "a huge page's number of mapped pages");
}

// rmap must find as many entries as there are.
void CheckRmap(Census& census, Pfn head, int64_t mappings) {
  const Page& folio = census.system.pages[head];
  if (mappings == 0 || folio.mapping == 0) return;
  const auto found = static_cast<int64_t>(FindMappings(census.system, head).size());
  if (found != mappings) {
    census.Complain("rmap finds {} entries of frame {:x}, there are {}", found, head.value, mappings);
  }
}

void CheckFrame(Census& census, uint64_t pfn, const Holders& holders, int64_t mappings) {
  const Page& page = census.system.pages[Pfn(pfn)];
  if (page.refcount != holders.refs) {
    census.Complain("frame {:x} has {} references, held by {}", pfn, page.refcount, holders.refs);
  }
  if (page.Has(kPgTable)) return;
  if (page.IsLarge()) {
    if (Pfn(pfn) != census.system.huge_zero) CheckLarge(census, Pfn(pfn));
  } else if (page.mapcount + 1 != holders.pte_maps) {
    census.Complain("frame {:x} has map count {}, mapped by {}", pfn, page.mapcount + 1, holders.pte_maps);
  }
  if (page.Has(kPgAnonExclusive) && !page.IsLarge() && page.IsAnon() && holders.pte_maps > 1) {
    census.Complain("frame {:x} is exclusive and mapped {} times", pfn, holders.pte_maps);
  }
  CheckRmap(census, Pfn(pfn), mappings);
}

}  // namespace

void CheckFrames(Census& census) {
  System& system = census.system;
  CountPageCaches(census);
  CheckSwap(census);
  CountOthers(census);
  uint64_t explained = 0;
  for (auto it = census.frames.begin(); it != census.frames.end();) {
    const uint64_t pfn = it->first;
    const Pfn head = system.pages.HeadOf(Pfn(pfn));
    if (!system.pages[head].IsLarge()) {
      ++explained;
      CheckFrame(census, pfn, it->second, it->second.pte_maps);
      ++it;
      continue;
    }
    // All frames of a huge page follow each other: looked at once, at the first.
    int64_t mappings = 0;
    for (; it != census.frames.end() && system.pages.HeadOf(Pfn(it->first)) == head; ++it) {
      mappings += it->second.pte_maps + it->second.pmd_maps;
    }
    explained += kHugePages;
    CheckFrame(census, head.value, census.frames[head.value], mappings);
    it = census.frames.upper_bound(head.value + kHugePages - 1);
  }
  census.ExpectEqual(system.pages.allocated(), explained, "the number of allocated frames");
}

}  // namespace mmsim::audit
