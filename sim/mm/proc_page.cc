// SPDX-License-Identifier: Apache-2.0
// kpagecount, kpageflags, clear_refs (task_mmu.h). Linux: fs/proc/page.c, fs/proc/task_mmu.c
// clear_refs_write()
#include <optional>

#include "sim/mm/folio.h"
#include "sim/mm/mmu_notifier.h"
#include "sim/mm/page_table.h"
#include "sim/mm/task_mmu.h"
#include "sim/mm/tlb_flush.h"

namespace mmsim {
namespace {

// Linux: include/uapi/linux/kernel-page-flags.h; what a flag of ours is called there
uint64_t CopiedFlags(const Page& folio) {
  static constexpr struct {
    PageFlags flag;
    int bit;
  } kBits[] = {{kPgReferenced, kKpfReferenced}, {kPgUptodate, kKpfUptodate},
               {kPgDirty, kKpfDirty},           {kPgLru, kKpfLru},
               {kPgActive, kKpfActive},         {kPgSwapBacked, kKpfSwapbacked},
               {kPgHead, kKpfCompoundHead},     {kPgUnevictable, kKpfUnevictable},
               {kPgReserved, kKpfReserved},     {kPgMlocked, kKpfMlocked}};
  uint64_t u = 0;
  for (const auto& b : kBits) {
    if (folio.Has(b.flag)) u |= uint64_t{1} << b.bit;
  }
  if (folio.Has(kPgSwapBacked) && folio.Has(kPgSwapCache)) u |= uint64_t{1} << kKpfSwapcache;
  return u;
}

enum ClearRefsType { kAll = 1, kAnon, kMapped, kSoftDirty, kHiwaterRss, kLast };

// Linux: fs/proc/task_mmu.c clear_soft_dirty(), clear_soft_dirty_pmd()
Pte ClearSoftDirtyOf(const Vma& vma, Pte entry) {
  const System& system = vma.mm->system;
  const Arch arch = system.arch;
  if (!PtePresent(arch, entry)) return SwpClearSoftDirty(arch, entry);
  return PteClearSoftDirty(arch, PteWrProtect(arch, entry));
}

// Linux: fs/proc/task_mmu.c pte_is_pinned()
bool PteIsPinned(const Vma& vma, Pte pte) {
  System& system = vma.mm->system;
  if (!PteWrite(system.arch, pte) || !IsCowMapping(vma.flags) || !vma.mm->has_pinned) return false;
  const Pfn page = VmNormalPage(system, pte);
  return page.value != 0 && FolioMaybeDmaPinned(system, system.pages.HeadOf(page));
}

// Linux: the rest of clear_refs_pte_range(): old and not referenced
void ClearReferenced(Vma& vma, VirtAddr address, int level, EntryPtr entry, Pfn folio) {
  System& system = vma.mm->system;
  if (folio.value == 0) return;
  const Pte old = PteMkOld(system.arch, ReadEntry(entry));
  StoreEntry(*vma.mm, address, level, entry, old.value, "clear_refs_pte_range");
  system.pages[folio].Clear(kPgReferenced);
}

// Linux: fs/proc/task_mmu.c clear_refs_pte_range()
void ClearRefsPteRange(Vma& vma, EntryPtr pmd, VirtRange range, int type) {
  System& system = vma.mm->system;
  const Arch arch = system.arch;
  EntryPtr pte = Descend(system, pmd, range.start, kLevelPte);
  for (VirtAddr a = range.start; a < range.end; a += kPageSize, ++pte) {
    const Pte ptent = ReadEntry(pte);
    if (PteNone(arch, ptent)) continue;
    if (type == kSoftDirty) {
      if (PtePresent(arch, ptent) && PteIsPinned(vma, ptent)) continue;
      if (system.profile.soft_dirty) {
        StorePte(*vma.mm, a, pte, ClearSoftDirtyOf(vma, ptent), "clear_soft_dirty");
      }
    } else if (PtePresent(arch, ptent)) {
      const Pfn page = VmNormalPage(system, ptent);
      ClearReferenced(vma, a, kLevelPte, pte, page.value == 0 ? page : system.pages.HeadOf(page));
    }
  }
}

void ClearRefsVma(Vma& vma, int type) {
  System& system = vma.mm->system;
  for (VirtAddr address = vma.start, next; address < vma.end; address = next) {
    next = LevelEnd(address, vma.end, kLevelPmd);
    EntryPtr pmd = FindEntry(*vma.mm, address, kLevelPmd);
    if (pmd == nullptr || *pmd == 0) continue;
    if (PmdIsTable(system, pmd)) {
      ClearRefsPteRange(vma, pmd, {address, next}, type);
    } else if (type != kSoftDirty) {
      ClearReferenced(vma, address, kLevelPmd, pmd, PmdPfn(system.arch, ReadEntry(pmd)));
    } else if (system.profile.soft_dirty) {
      StoreEntry(*vma.mm, address, kLevelPmd, pmd, ClearSoftDirtyOf(vma, ReadEntry(pmd)).value,
                 "clear_soft_dirty_pmd");
    }
  }
}

}  // namespace

uint64_t KpagecountOf(const System& system, Pfn pfn) {
  const Page& page = system.pages[pfn];
  if (page.Has(kPgTable)) return 0;
  int32_t count = page.mapcount + 1;
  const Pfn head = system.pages.HeadOf(pfn);
  if (system.pages[head].IsLarge()) {
    count += static_cast<int32_t>(system.pages[head + 1].mapping) + 1;  // LargeFolio::EntireMapcount
  }
  return static_cast<uint64_t>(count);
}

uint64_t StablePageFlags(const System& system, Pfn pfn) {
  if (pfn.value >= system.pages.frames()) return uint64_t{1} << kKpfNopage;
  const Page& page = system.pages[pfn];
  const Pfn head = system.pages.HeadOf(pfn);
  const Page& folio = system.pages[head];
  if (folio.refcount == 0) return uint64_t{1} << kKpfBuddy;
  if (page.Has(kPgTable)) return uint64_t{1} << kKpfPgtable;
  uint64_t u = CopiedFlags(folio);
  const bool mapped =
      folio.IsLarge() ? static_cast<int32_t>(system.pages[head + 1].mapping >> 32) >= 0 : folio.mapcount >= 0;
  if (mapped) u |= uint64_t{1} << kKpfMmap;
  // 6.12 tests PAGE_MAPPING_KSM, two bits of which one is PAGE_MAPPING_ANON: every anonymous page is told to
  // be KSM's.
  if (folio.IsAnon()) u |= (uint64_t{1} << kKpfAnon) | (uint64_t{1} << kKpfKsm);
  if (page.Has(kPgTail)) {
    u &= ~(uint64_t{1} << kKpfCompoundHead);
    u |= uint64_t{1} << kKpfCompoundTail;
  }
  if (folio.IsLarge()) u |= uint64_t{1} << kKpfThp;
  if (head == system.zero_page || (head == system.huge_zero && head.value != 0)) {
    u |= uint64_t{1} << kKpfZeroPage;
  }
  return u;
}

Status ClearRefs(Mm& mm, int type) {
  if (type < kAll || type >= kLast) return Errno::kEINVAL;
  if (type == kHiwaterRss) {
    mm.hiwater_rss =
        static_cast<uint64_t>(mm.Rss(RssType::kFile) + mm.Rss(RssType::kAnon) + mm.Rss(RssType::kShmem));
    return {};
  }
  if (type == kSoftDirty) {
    VmaEdit edit(mm);
    for (Vma& vma : mm.vmas) {
      if (!vma.Has(mm.system.SoftDirtyFlag())) continue;
      edit.ClearFlags(vma, kVmSoftDirty);
      edit.SetPageProt(vma);
    }
  }
  std::optional<Invalidation> soft_dirty;
  if (type == kSoftDirty) {
    soft_dirty.emplace(MmuNotifyEvent::kSoftDirty, mm, VirtAddr(0), VirtAddr(~uint64_t{0}));
  }
  for (Vma& vma : mm.vmas) {
    if (vma.Has(kVmPfnMap)) continue;
    if (type == kAnon && vma.file != nullptr) continue;
    if (type == kMapped && vma.file == nullptr) continue;
    ClearRefsVma(vma, type);
  }
  // x86 and arm64 leave the access flag in the TLB as it is; a soft-dirty pass flushes.
  if (type == kSoftDirty) FlushTlbMm(mm);
  return {};
}

}  // namespace mmsim
