// SPDX-License-Identifier: Apache-2.0
// Translations taken away: munmap, MADV_DONTNEED, truncate, exit. Tables stay, FreePageTables (page_table.cc)
// takes those. Linux: mm/memory.c zap_pte_range() and the levels above, unmap_page_range()
//
// Invariant: for each entry removed its frame loses one reference and one map count, and the mm one page of
// rss. Not modelled: gathering frames until the TLB was flushed (nothing else runs in between), uffd-wp
// markers.
#include <array>
#include <utility>

#include "sim/mm/arch/for_arch.h"
#include "sim/mm/fault.h"
#include "sim/mm/folio.h"
#include "sim/mm/huge_memory.h"
#include "sim/mm/lru.h"
#include "sim/mm/mmu_notifier.h"
#include "sim/mm/page_table.h"
#include "sim/mm/swap.h"
#include "sim/mm/tlb_flush.h"

namespace mmsim {
namespace {

struct Zap {
  MmuGather& tlb;
  Mm& mm;
  System& system;
  Vma& vma;
  const Arch arch;
  const ZapDetails details;
  const bool
      plain;  // ZapPlainPte may try: private copies go too, nothing is mlocked, nobody listens to stores
  std::array<int64_t, static_cast<size_t>(RssType::kCount)> rss{};
  bool force_flush = false;  // a dirty page of a file was unmapped
};

// Linux: mm/memory.c zap_present_ptes()
template <Arch kArch>
void ZapPresentPte(Zap& z, VirtAddr address, EntryPtr pte, Pte ptent) {
  const Pfn page = VmNormalPage(kArch, ptent);
  if (page.value == 0) {
    StorePte(z.mm, address, pte, Pte{0}, "zap_pte_range");
    return;
  }
  const Pfn folio = z.system.pages.HeadOf(page);
  const Page& record = z.system.pages[folio];
  const bool anon = record.IsAnon();
  if (anon && !z.details.even_cows) return;
  StorePte(z.mm, address, pte, Pte{0}, "zap_pte_range");
  --z.rss[static_cast<size_t>(RssTypeOf(record))];
  if (!anon) {
    if (PteDirty(kArch, ptent)) {
      z.system.pages[folio].Set(kPgDirty);
      z.force_flush = true;  // tlb_delay_rmap()
    }
    if (PteYoung(kArch, ptent) && !z.vma.Has(kVmSeqRead | kVmRandRead)) FolioMarkAccessed(z.system, folio);
  }
  FolioRemoveRmapPte(z.system, page, z.vma);
  FreeSwapCache(z.system, folio);
  z.tlb.RemovePage();
  PutFolio(z.system, folio);
}

// Linux: the part of mm/memory.c zap_pte_range() for entries that are not present
void ZapSwapPte(Zap& z, VirtAddr address, EntryPtr pte, Pte ptent) {
  if (!z.details.even_cows) return;
  StorePte(z.mm, address, pte, Pte{0}, "zap_pte_range");
  --z.rss[static_cast<size_t>(RssType::kSwap)];
  z.system.swap->FreeAndCache(PteSwap(z.arch, ptent).offset);
}

// What nearly every entry comes to; false: it is another, and nothing was done.
template <Arch kArch>
[[gnu::always_inline]] inline bool ZapPlainPte(Zap& z, EntryPtr pte, Pte ptent) {
  if (!z.plain || !PtePlain(kArch, ptent)) return false;
  const Pfn pfn = PtePlainPfn(kArch, ptent);
  Page& page = z.system.pages[pfn];
  if (!page.IsPlainAnon()) return false;
  StorePteUntold(pte, Pte{0});
  --z.rss[static_cast<size_t>(RssType::kAnon)];
  --page.mapcount;
  z.tlb.RemovePage();
  if (--page.refcount == 0) FreeFolio(z.system, pfn);
  return true;
}

template <Arch kArch>
void ZapPteRange(Zap& z, EntryPtr pmd, VirtAddr address, VirtAddr end) {
  EntryPtr pte = Descend(z.system, pmd, address, kLevelPte);
  for (; address != end; address += kPageSize, ++pte) {
    const Pte ptent = ReadEntry(pte);
    if (ZapPlainPte<kArch>(z, pte, ptent) || PteNone(kArch, ptent)) continue;
    if (PtePresent(kArch, ptent)) {
      ZapPresentPte<kArch>(z, address, pte, ptent);
    } else {
      ZapSwapPte(z, address, pte, ptent);
    }
  }
  if (z.force_flush) [[unlikely]] {
    z.tlb.Flush();
    z.force_flush = false;
  }
}

// Linux: mm/memory.c zap_pmd_range()
void ZapPmdRange(Zap& z, EntryPtr pud, VirtAddr address, VirtAddr end) {
  EntryPtr pmd = Descend(z.system, pud, address, kLevelPmd);
  for (VirtAddr next; address != end; address = next, ++pmd) {
    next = LevelEnd(address, end, kLevelPmd);
    if (*pmd == 0) continue;
    if (!PmdIsTable(z.system, pmd)) {
      if (next - address == kPmdSize) {
        ZapHugePmd(z.vma, pmd, address);
        z.tlb.RemovePage();
        continue;
      }
      SplitHugePmd(z.vma, pmd, address);
      if (*pmd == 0) continue;
    }
    ForArch(z.arch, [&](auto arch) { ZapPteRange<arch()>(z, pmd, address, next); });
  }
}

// Linux: mm/memory.c zap_pud_range(), zap_p4d_range(): `entry` at `level` is not empty.
void ZapRange(Zap& z, EntryPtr entry, int level, VirtAddr address, VirtAddr end) {
  if (level == kLevelPud) {
    ZapPmdRange(z, entry, address, end);
    return;
  }
  EntryPtr below = Descend(z.system, entry, address, level - 1);
  for (VirtAddr next; address != end; address = next, ++below) {
    next = LevelEnd(address, end, level - 1);
    if (*below != 0) ZapRange(z, below, level - 1, address, next);
  }
}

}  // namespace

MmuGather::MmuGather(Mm& mm) : mm_(mm) {
  LruAddDrain(mm.system);
}

void MmuGather::Flush() {
  if (std::exchange(freed_, false)) LruAddDrain(mm_.system);  // free_pages_and_swap_cache() begins with it
}

MmuGather::~MmuGather() {
  Flush();
}

void UnmapPageRange(MmuGather& tlb, Vma& vma, VirtRange range, ZapDetails details) {
  Mm& mm = tlb.mm();
  range.start = std::max<VirtAddr>(range.start, vma.start);
  range.end = std::min<VirtAddr>(range.end, vma.end);
  if (range.Empty()) return;
  Zap z{.tlb = tlb,
        .mm = mm,
        .system = mm.system,
        .vma = vma,
        .arch = mm.system.arch,
        .details = details,
        .plain = details.even_cows && !vma.Has(kVmLocked) && !IsStoreTold(mm.system)};
  EntryPtr pgd = PgdEntry(mm, range.start);
  for (VirtAddr address = range.start, next; address != range.end; address = next, ++pgd) {
    next = LevelEnd(address, range.end, kLevelPgd);
    if (*pgd != 0) ZapRange(z, pgd, kLevelPgd, address, next);
  }
  for (size_t i = 0; i < z.rss.size(); ++i) mm.rss[i] += z.rss[i];
  FlushTlbRange(mm, range);
}

// Linux: mm/memory.c zap_page_range_single()
void ZapPageRangeSingle(Vma& vma, VirtRange range, ZapDetails details) {
  MmuGather tlb(*vma.mm);
  const Invalidation clear(MmuNotifyEvent::kClear, *vma.mm, range.start, range.end);
  UnmapPageRange(tlb, vma, range, details);
}

}  // namespace mmsim
