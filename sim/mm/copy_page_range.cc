// SPDX-License-Identifier: Apache-2.0
// What fork copies of the parent's translations. Linux: mm/memory.c copy_page_range() and the levels below it
//
// Only where faults could not bring them back: private memory that was written to, special mappings. Private
// entries lose their right to write in both; a page that the parent may have pinned is copied at once.
// Invariants: each entry made in the child adds one reference and one map count to its frame and one page to
// the child's rss; nothing is undone when memory runs out, dup_mmap's caller tears the child down. Not
// modelled: device memory, uffd-wp, hardware poison.
#include <optional>

#include "sim/mm/arch/for_arch.h"
#include "sim/mm/decision.h"
#include "sim/mm/folio.h"
#include "sim/mm/huge_memory.h"
#include "sim/mm/lru.h"
#include "sim/mm/mmu_notifier.h"
#include "sim/mm/page_table.h"
#include "sim/mm/swap.h"
#include "sim/mm/tlb_flush.h"

namespace mmsim {
namespace {

struct Copy {
  Vma& dst_vma;
  Vma& src_vma;
  Mm& dst;
  Mm& src;
  System& system;
  const Arch arch;
  const bool is_cow;
  const bool plain;  // CopyPlainPtes may try: private, no page can be pinned, nobody listens to stores
  std::array<int64_t, static_cast<size_t>(RssType::kCount)> rss{};
};

// Linux: mm/memory.c copy_nonpresent_pte()
void CopyNonpresentPte(Copy& c, EntryPtr dst_pte, EntryPtr src_pte, Pte pte, VirtAddr address) {
  c.system.swap->Duplicate(PteSwap(c.arch, pte).offset);
  if (SwpExclusive(c.arch, pte)) {
    pte = SwpClearExclusive(c.arch, pte);
    StorePte(c.src, address, src_pte, pte, "copy_nonpresent_pte");
  }
  ++c.rss[static_cast<size_t>(RssType::kSwap)];
  StorePte(c.dst, address, dst_pte, pte, "copy_nonpresent_pte");
}

// A pinned page stays the parent's; the child gets a copy. Linux: mm/memory.c copy_present_page()
bool CopyPresentPage(Copy& c, EntryPtr dst_pte, Pfn page, VirtAddr address) {
  const Pfn copy = AllocFolio(c.system);
  if (copy.value == 0) return false;
  c.system.phys.CopyFrame(page, copy);
  AddNewAnonPage(c.system, copy, c.dst_vma, address);
  ++c.rss[static_cast<size_t>(RssType::kAnon)];
  const Pte pte = MkDirtyMaybeWrite(c.arch, PfnPte(c.arch, copy, c.dst_vma.page_prot), c.dst_vma);
  StorePte(c.dst, address, dst_pte, pte, "copy_present_page");
  return true;
}

// Linux: mm/memory.c copy_present_ptes(), __copy_present_ptes(); false when memory is short.
template <Arch kArch>
bool CopyPresentPte(Copy& c, EntryPtr dst_pte, EntryPtr src_pte, Pte pte, VirtAddr address) {
  const Pfn page = VmNormalPage(kArch, pte);
  if (page.value != 0) {
    const Pfn folio = c.system.pages.HeadOf(page);
    const Page& record = c.system.pages[folio];
    if (record.IsAnon()) {
      if (!FolioTryDupAnonRmapPte(c.system, page, c.src)) {
        Decide(c.dst, address, page, "copy_present_page", "copied", "the parent may have pinned it");
        return CopyPresentPage(c, dst_pte, page, address);
      }
    } else {
      AddRmapPte(c.system, page);
    }
    GetFolio(c.system, folio);
    ++c.rss[static_cast<size_t>(RssTypeOf(record))];
  }
  if (c.is_cow && PteWrite(kArch, pte)) {
    pte = PteWrProtect(kArch, pte);
    StorePte(c.src, address, src_pte, pte, "__copy_present_ptes");
  }
  if (c.src_vma.Has(kVmShared)) pte = PteMkClean(kArch, pte);
  StorePte(c.dst, address, dst_pte, PteMkOld(kArch, pte), "__copy_present_ptes");
  return true;
}

// What nearly every entry comes to: the first of `nr` up to one that is something else. Returns how many
// these are.
template <Arch kArch>
uint64_t CopyPlainPtes(Copy& c, EntryPtr dst_pte, EntryPtr src_pte, uint64_t nr) {
  PageAllocator& pages = c.system.pages;
  uint64_t i = 0, copied = 0;
  for (; i != nr; ++i) {
    Pte pte = ReadEntry(src_pte + i);
    if (!PtePlain(kArch, pte)) {
      if (PteNone(kArch, pte)) continue;
      break;
    }
    Page& page = pages[PtePlainPfn(kArch, pte)];
    if (!page.IsPlainAnon()) break;
    page.Clear(kPgAnonExclusive);
    ++page.mapcount;
    ++page.refcount;
    ++copied;
    pte = PteWrProtect(kArch, pte);
    StorePteUntold(src_pte + i, pte);
    StorePteUntold(dst_pte + i, PteMkOld(kArch, pte));
  }
  c.rss[static_cast<size_t>(RssType::kAnon)] += static_cast<int64_t>(copied);
  return i;
}

// Linux: mm/memory.c copy_pte_range()
template <Arch kArch>
bool CopyPteRange(Copy& c, EntryPtr dst_pmd, EntryPtr src_pmd, VirtAddr address, VirtAddr end) {
  if (!PteAlloc(c.dst, dst_pmd, address)) return false;
  const EntryPtr dst_pte = Descend(c.system, dst_pmd, address, kLevelPte);
  const EntryPtr src_pte = Descend(c.system, src_pmd, address, kLevelPte);
  const uint64_t nr = (end - address) >> kPageShift;
  for (uint64_t i = 0;; ++i) {
    if (c.plain) i += CopyPlainPtes<kArch>(c, dst_pte + i, src_pte + i, nr - i);
    if (i == nr) return true;
    const Pte pte = ReadEntry(src_pte + i);
    const VirtAddr at = address + i * kPageSize;
    if (PteNone(kArch, pte)) continue;
    if (!PtePresent(kArch, pte)) {
      CopyNonpresentPte(c, dst_pte + i, src_pte + i, pte, at);
    } else if (!CopyPresentPte<kArch>(c, dst_pte + i, src_pte + i, pte, at)) {
      return false;
    }
  }
}

// Linux: mm/memory.c copy_pmd_range()
bool CopyPmdRange(Copy& c, EntryPtr src_pud, VirtAddr address, VirtAddr end) {
  EntryPtr dst_pmd = AllocEntry(c.dst, address, kLevelPmd);
  if (dst_pmd == nullptr) return false;
  EntryPtr src_pmd = Descend(c.system, src_pud, address, kLevelPmd);
  for (VirtAddr next; address != end; address = next, ++dst_pmd, ++src_pmd) {
    next = LevelEnd(address, end, kLevelPmd);
    if (*src_pmd == 0) continue;
    if (!PmdIsTable(c.system, src_pmd)) {
      const Result<bool> copied = CopyHugePmd(c.dst_vma, c.src_vma, dst_pmd, src_pmd, address);
      if (!copied.ok()) return false;
      if (*copied) continue;
    }
    const bool copied =
        ForArch(c.arch, [&](auto arch) { return CopyPteRange<arch()>(c, dst_pmd, src_pmd, address, next); });
    if (!copied) return false;
  }
  return true;
}

// Linux: mm/memory.c copy_p4d_range(), copy_pud_range(); `src` at `level` is not empty.
bool CopyRange(Copy& c, EntryPtr src, int level, VirtAddr address, VirtAddr end) {
  if (level == kLevelPud) return CopyPmdRange(c, src, address, end);
  if (AllocEntry(c.dst, address, level - 1) == nullptr) return false;
  EntryPtr below = Descend(c.system, src, address, level - 1);
  for (VirtAddr next; address != end; address = next, ++below) {
    next = LevelEnd(address, end, level - 1);
    if (*below != 0 && !CopyRange(c, below, level - 1, address, next)) return false;
  }
  return true;
}

}  // namespace

Status CopyPageRange(Vma& dst_vma, Vma& src_vma) {
  // Linux: mm/memory.c vma_needs_copy()
  if (!src_vma.Has(kVmPfnMap | kVmMixedMap) && src_vma.anon_vma == nullptr) return {};
  Mm& src = *src_vma.mm;
  const bool is_cow = IsCowMapping(src_vma.flags);
  Copy c{.dst_vma = dst_vma,
         .src_vma = src_vma,
         .dst = *dst_vma.mm,
         .src = src,
         .system = src.system,
         .arch = src.system.arch,
         .is_cow = is_cow,
         .plain = is_cow && !src.has_pinned && !IsStoreTold(src.system)};
  bool ok = true;
  const VirtAddr end = src_vma.end;
  std::optional<Invalidation> protect;
  if (c.is_cow) protect.emplace(MmuNotifyEvent::kProtectionPage, src, src_vma.start, end);
  EntryPtr pgd = PgdEntry(src, src_vma.start);
  for (VirtAddr address = src_vma.start, next; address != end && ok; address = next, ++pgd) {
    next = LevelEnd(address, end, kLevelPgd);
    if (*pgd != 0) ok = CopyRange(c, pgd, kLevelPgd, address, next);
  }
  for (size_t i = 0; i < c.rss.size(); ++i) c.dst.rss[i] += c.rss[i];
  // dup_mmap() flushes the parent's TLB once, at its end.
  return ok ? Status() : Status(Errno::kENOMEM);
}

}  // namespace mmsim
