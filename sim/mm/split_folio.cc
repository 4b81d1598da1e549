// SPDX-License-Identifier: Apache-2.0
// A huge folio falls apart into 512 pages. Linux: mm/huge_memory.c split_huge_page_to_list_to_order(),
// __split_huge_page(), remap_page()
//
// Invariants: afterwards each of the 512 has as many references as mappings (the head one more, the
// caller's); pages without a mapping are free again; pages of zeros are mapped as the zero page, unless they
// are mlocked. Not modelled: the migration entries that stand in the tables meanwhile.
#include "sim/mm/folio.h"
#include "sim/mm/hooks.h"
#include "sim/mm/huge_memory.h"
#include "sim/mm/lru.h"
#include "sim/mm/rmap_walk.h"
#include "sim/mm/tlb_flush.h"

namespace mmsim {
namespace {

// Linux: mm/migrate.c try_to_map_unused_to_zeropage()
bool MapZeroPageInstead(System& system, const Mapping& m, Pfn page) {
  if (system.pages[page].Has(kPgMlocked) || m.vma->Has(kVmLocked) || !system.phys.IsUniform(page, 0)) {
    return false;
  }
  const Arch arch = system.arch;
  const Pte old = ReadEntry(m.entry);
  Pte entry = PteMkSpecial(arch, PfnPte(arch, system.zero_page, m.vma->page_prot));
  if (PteSoftDirty(arch, old)) entry = PteMkSoftDirty(arch, entry);
  StorePte(*m.vma->mm, m.address, m.entry, entry, "try_to_map_unused_to_zeropage");
  FlushTlbPage(*m.vma->mm, m.address);  // by try_to_migrate_one(), in each address space
  HookPage(HookPoint::kTryToMapUnusedToZeropage, *m.vma->mm, m.address);
  --m.vma->mm->Rss(RssType::kAnon);
  return true;
}

// The records of the tails, from the head's. Linux: __split_huge_page_tail()
void SplitRecords(System& system, Pfn head) {
  constexpr PageFlags kInherited = kPgReferenced | kPgSwapBacked | kPgMlocked | kPgUptodate | kPgActive |
                                   kPgWorkingset | kPgUnevictable | kPgDirty | kPgLru;
  Page& first = system.pages[head];
  const PageFlags flags = first.index_flags & kInherited;
  const uint64_t mapping = first.mapping, index = first.Index();
  first.Clear(kPgPartiallyMapped);
  system.pages.SplitCompound(head);
  for (uint64_t i = 1; i < kHugePages; ++i) {
    Page& tail = system.pages[head + i];
    tail.mapping = mapping;
    tail.SetIndex(index + i);
    tail.Set(flags);
    tail.refcount = 1;  // the split's own, until all are remapped
  }
}

}  // namespace

bool CanSplitFolio(System& system, Pfn folio) {
  return folio != system.huge_zero && FolioMapcount(system, folio) == system.pages[folio].refcount - 1;
}

bool SplitFolio(System& system, Pfn folio) {
  Page& head = system.pages[folio];
  MMSIM_CHECK(head.IsLarge());
  if (!CanSplitFolio(system, folio)) return false;
  for (const Mapping& m : FindMappings(system, folio)) {
    if (m.level == kLevelPmd) SplitHugePmd(*m.vma, m.entry, m.address, /*freeze=*/true);
  }
  const std::vector<Mapping> mappings = FindMappings(system, folio);
  for (const Mapping& m : mappings) {
    if (PteDirty(system.arch, ReadEntry(m.entry))) head.Set(kPgDirty);
  }
  SplitRecords(system, folio);
  head.refcount = 1;
  for (const Mapping& m : mappings) {
    const Pfn page = PtePfn(system.arch, ReadEntry(m.entry));
    if (MapZeroPageInstead(system, m, page)) {
      --system.pages[page].mapcount;
    } else {
      GetFolio(system, page);
    }
  }
  for (uint64_t i = 1; i < kHugePages; ++i) PutFolio(system, folio + i);
  return true;
}

}  // namespace mmsim
