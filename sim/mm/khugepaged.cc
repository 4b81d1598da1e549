// SPDX-License-Identifier: Apache-2.0
// MADV_COLLAPSE: 512 entries of anonymous memory become one huge page, now or with the reason why not. Linux:
// mm/khugepaged.c madvise_collapse(), hpage_collapse_scan_pmd(), collapse_huge_page()
//
// Invariant: a collapse that fails leaves the entries as they were (pages of swap that it brought in stay).
// Not modelled: the daemon, shmem and files (-EINVAL), NUMA placement.
#include "sim/mm/fault.h"
#include "sim/mm/folio.h"
#include "sim/mm/hooks.h"
#include "sim/mm/huge_memory.h"
#include "sim/mm/lru.h"
#include "sim/mm/mmu_notifier.h"
#include "sim/mm/swap.h"
#include "sim/mm/tlb_flush.h"

namespace mmsim {
namespace {

// Linux: mm/khugepaged.c enum scan_result, as far as MADV_COLLAPSE comes to them
enum class Scan {
  kFail,
  kSucceed,
  kPmdNull,
  kPmdMapped,
  kPageNull,
  kPageAnon,
  kPageLru,
  kPageCount,
  kPageRo,
  kPteNonPresent,
  kAllocHugePageFail,
};

// Linux: mm/khugepaged.c madvise_collapse_errno()
Errno CollapseErrno(Scan r) {
  if (r == Scan::kAllocHugePageFail) return Errno::kENOMEM;
  return r == Scan::kPageCount || r == Scan::kPageLru ? Errno::kEAGAIN : Errno::kEINVAL;
}

// Linux: mm/khugepaged.c is_refcount_suitable()
bool RefcountSuitable(System& system, Pfn folio) {
  const Page& page = system.pages[folio];
  const int32_t nr = page.IsLarge() ? static_cast<int32_t>(kHugePages) : 1;
  return FolioMapcount(system, folio) + (page.Has(kPgSwapCache) ? nr : 0) == page.refcount;
}

bool NoneOrZero(const System& system, Pte pte) {
  return PteNone(system.arch, pte) ||
         (PtePresent(system.arch, pte) && IsZeroPfn(system, PtePfn(system.arch, pte)));
}

// Whether the 512 may be collapsed. Linux: hpage_collapse_scan_pmd(), __collapse_huge_page_isolate();
// `swapped` counts swap entries, which only the first of the two lets pass (null: the second).
Scan ScanPtes(System& system, EntryPtr pte, int* swapped) {
  const Arch arch = system.arch;
  bool writable = false;
  for (uint64_t i = 0; i < kHugePages; ++i) {
    const Pte value = ReadEntry(pte + i);
    if (NoneOrZero(system, value)) continue;
    if (!PtePresent(arch, value)) {
      if (swapped == nullptr) return Scan::kPteNonPresent;
      ++*swapped;
      continue;
    }
    writable |= PteWrite(arch, value);
    const Pfn page = VmNormalPage(system, value);
    if (page.value == 0) return Scan::kPageNull;
    const Pfn folio = system.pages.HeadOf(page);
    if (!system.pages[folio].IsAnon()) return Scan::kPageAnon;
    if (!system.pages[folio].Has(kPgLru)) return Scan::kPageLru;
    if (!RefcountSuitable(system, folio)) return Scan::kPageCount;
  }
  return writable ? Scan::kSucceed : Scan::kPageRo;
}

// Linux: mm/khugepaged.c __collapse_huge_page_swapin()
bool SwapinAll(Vma& vma, EntryPtr pmd, VirtAddr haddr) {
  System& system = vma.mm->system;
  for (uint64_t i = 0; i < kHugePages; ++i) {
    const VirtAddr address = haddr + i * kPageSize;
    EntryPtr pte = Descend(system, pmd, address, kLevelPte);
    if (!IsSwapPte(system.arch, ReadEntry(pte))) continue;
    VmFault vmf(vma, address, /*fault_flags=*/0, pmd);
    vmf.pte = pte;
    vmf.orig_pte = ReadEntry(pte);
    if ((DoSwapPage(vmf) & kVmFaultError) != 0) return false;
  }
  LruAddDrain(system);
  return true;
}

// Contents and counts go over to the huge page. Linux: __collapse_huge_page_copy(), _copy_succeeded()
void CopyPages(Vma& vma, EntryPtr pte, VirtAddr haddr, Pfn huge) {
  Mm& mm = *vma.mm;
  System& system = mm.system;
  for (uint64_t i = 0; i < kHugePages; ++i) {
    const Pte value = ReadEntry(pte + i);
    if (NoneOrZero(system, value)) {
      ++mm.Rss(RssType::kAnon);
      if (PteNone(system.arch, value)) continue;
      StorePte(mm, haddr + i * kPageSize, pte + i, Pte{0}, "__collapse_huge_page_copy_succeeded");
      continue;
    }
    const Pfn page = PtePfn(system.arch, value);
    const Pfn folio = system.pages.HeadOf(page);
    system.phys.CopyFrame(page, huge + i);
    StorePte(mm, haddr + i * kPageSize, pte + i, Pte{0}, "__collapse_huge_page_copy_succeeded");
    FolioRemoveRmapPte(system, page, vma);
    FreeSwapCache(system, folio);
    PutFolio(system, folio);
  }
}

// Linux: mm/khugepaged.c collapse_huge_page()
Scan CollapseHugePage(Vma& vma, EntryPtr pmd, VirtAddr haddr, int swapped) {
  Mm& mm = *vma.mm;
  System& system = mm.system;
  const Arch arch = system.arch;
  const Pfn huge = AllocHugeFolio(system);
  if (huge.value == 0) return Scan::kAllocHugePageFail;
  Scan result = swapped == 0 || SwapinAll(vma, pmd, haddr) ? Scan::kSucceed : Scan::kFail;
  if (result != Scan::kSucceed) {
    PutFolio(system, huge);
    return result;
  }
  const uint64_t table_entry = *pmd;
  {
    // It ends while nothing is there; what comes in its place is not told.
    const Invalidation clear(MmuNotifyEvent::kClear, mm, haddr, haddr + kHugeSize);
    StoreEntry(mm, haddr, kLevelPmd, pmd, 0, "collapse_huge_page");
    FlushTlbRange(mm, {haddr, haddr + kHugeSize});
  }
  const Pfn table = TablePfn(table_entry);
  EntryPtr pte = EntryIn(system, table, haddr, kLevelPte);
  result = ScanPtes(system, pte, nullptr);
  if (result != Scan::kSucceed) {
    StoreEntry(mm, haddr, kLevelPmd, pmd, TableEntry(arch, table), "collapse_huge_page");
    Hook(HookPoint::kCollapseHugePage, mm, haddr, haddr + kHugeSize);
    PutFolio(system, huge);
    return result;
  }
  CopyPages(vma, pte, haddr, huge);
  system.pages[huge].Set(kPgUptodate);
  const Pte entry = MkDirtyMaybeWrite(arch, MkHugePmd(arch, huge, vma.page_prot), vma);
  FolioAddNewAnonRmap(system, huge, vma, haddr, /*exclusive=*/true);
  FolioAddLruVma(system, huge, vma);
  DepositTable(mm, pmd, table);
  StoreEntry(mm, haddr, kLevelPmd, pmd, entry.value, "collapse_huge_page");
  Hook(HookPoint::kCollapseHugePage, mm, haddr, haddr + kHugeSize);
  return Scan::kSucceed;
}

// Linux: mm/khugepaged.c hpage_collapse_scan_pmd()
Scan CollapseScanPmd(Vma& vma, VirtAddr haddr) {
  System& system = vma.mm->system;
  EntryPtr pmd = FindEntry(*vma.mm, haddr, kLevelPmd);
  if (pmd == nullptr || *pmd == 0) return Scan::kPmdNull;
  if (!PmdIsTable(system, pmd)) return Scan::kPmdMapped;
  int swapped = 0;
  const Scan result = ScanPtes(system, Descend(system, pmd, haddr, kLevelPte), &swapped);
  return result == Scan::kSucceed ? CollapseHugePage(vma, pmd, haddr, swapped) : result;
}

// Linux: thp_vma_allowable_order() with no flags: what sysfs says does not matter
bool CollapseAllowed(const Vma& vma) {
  if (!vma.IsAnonymous() || vma.anon_vma == nullptr || !vma.mm->system.profile.thp) return false;
  if (vma.mm->thp_disabled || vma.Has(kVmNoHugepage | kVmSpecial)) return false;
  if (vma.end - vma.start < kHugeSize) return false;
  return ThpVmaSuitable(vma, VirtAddr((vma.end.value - kHugeSize) & kHugeMask));
}

}  // namespace

Status MadviseCollapsePages(Vma& vma, VirtRange range) {
  if (!CollapseAllowed(vma)) return Errno::kEINVAL;
  LruAddDrain(vma.mm->system);
  const VirtAddr hstart((range.start.value + kHugeSize - 1) & kHugeMask), hend(range.end.value & kHugeMask);
  uint64_t thps = 0;
  Scan last_fail = Scan::kFail;
  for (VirtAddr haddr = hstart; haddr < hend; haddr += kHugeSize) {
    const Scan result = CollapseScanPmd(vma, haddr);
    if (result == Scan::kSucceed || result == Scan::kPmdMapped) {
      ++thps;
      continue;
    }
    last_fail = result;
    if (result == Scan::kFail || result == Scan::kPageAnon || result == Scan::kAllocHugePageFail) break;
  }
  if (thps == (hend - hstart) / kHugeSize) return {};
  return CollapseErrno(last_fail);
}

}  // namespace mmsim
