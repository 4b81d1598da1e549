// SPDX-License-Identifier: Apache-2.0
// Huge pages: faults that make and use them, and what zap, fork, mprotect and mremap do with a huge PMD
// (huge_memory.h). Linux: mm/huge_memory.c
#include "sim/mm/huge_memory.h"

#include "sim/mm/decision.h"
#include "sim/mm/fault.h"
#include "sim/mm/folio.h"
#include "sim/mm/hooks.h"
#include "sim/mm/lru.h"
#include "sim/mm/mmu_notifier.h"
#include "sim/mm/rmap.h"
#include "sim/mm/tlb_flush.h"

namespace mmsim {
namespace {

// Where the tables put aside for a PMD table's huge entries hang: its own record. Linux: pmd_huge_pte()
uint64_t& DepositList(System& system, EntryPtr pmd) {
  return system.pages[Pfn::Of(system.phys.AddressOf(pmd))].mapping;
}

void StorePmd(Mm& mm, VirtAddr address, EntryPtr pmd, Pte value, const char* function) {
  StoreEntry(mm, address, kLevelPmd, pmd, value.value, function);
}

void FlushTlbPmd(Mm& mm, VirtAddr haddr) {
  FlushTlbRange(mm, {haddr, haddr + kHugeSize});
}

void ZapDepositedTable(Mm& mm, EntryPtr pmd) {
  PteFreeOne(mm, WithdrawTable(mm, pmd));
  mm.pgtables_bytes -= kPageSize;
}

// Linux: mm/huge_memory.c mm_get_huge_zero_folio(); it stays once it was made.
bool GetHugeZeroFolio(System& system) {
  if (system.huge_zero.value != 0) return true;
  const Pfn folio = AllocHugeFolio(system);
  if (folio.value == 0) return false;
  system.huge_zero = folio;
  system.pages[folio].Set(kPgUptodate | kPgReserved);
  return true;
}

// Linux: mm/huge_memory.c set_huge_zero_folio() and its caller
VmFaultResult MapHugeZero(VmFault& vmf, VirtAddr haddr) {
  const Pfn table = PteAllocOne(vmf.mm);
  if (table.value == 0) return kVmFaultOom;
  if (!GetHugeZeroFolio(vmf.system)) {
    PteFreeOne(vmf.mm, table);
    return kVmFaultFallback;
  }
  DepositTable(vmf.mm, vmf.pmd, table);
  StorePmd(vmf.mm, haddr, vmf.pmd, MkHugePmd(vmf.arch, vmf.system.huge_zero, vmf.vma.page_prot),
           "set_huge_zero_folio");
  vmf.mm.pgtables_bytes += kPageSize;
  Hook(HookPoint::kSetHugeZeroFolio, vmf.mm, haddr, haddr + kHugeSize);
  return 0;
}

// Linux: mm/huge_memory.c __split_huge_zero_page_pmd()
void SplitHugeZeroPmd(Vma& vma, EntryPtr pmd, VirtAddr haddr) {
  Mm& mm = *vma.mm;
  System& system = mm.system;
  StorePmd(mm, haddr, pmd, Pte{0}, "__split_huge_zero_page_pmd");
  FlushTlbPmd(mm, haddr);
  const Pfn table = WithdrawTable(mm, pmd);
  const Pte entry = PteMkSpecial(system.arch, PfnPte(system.arch, system.zero_page, vma.page_prot));
  EntryPtr pte = EntryIn(system, table, haddr, kLevelPte);
  for (uint64_t i = 0; i < kHugePages; ++i) {
    StorePte(mm, haddr + i * kPageSize, pte + i, entry, "__split_huge_zero_page_pmd");
  }
  StoreEntry(mm, haddr, kLevelPmd, pmd, TableEntry(system.arch, table), "__split_huge_zero_page_pmd");
}

// The entry from which the 512 of a split are made; a frozen one as it is when the migration entry has gone
// again. Linux: the middle of __split_huge_pmd_locked(), mm/migrate.c remove_migration_pte()
Pte SplitEntry(const Vma& vma, Arch arch, Pfn page, Pte pmd, bool freeze) {
  Pte entry = PfnPte(arch, page, vma.page_prot);
  if (PteWrite(arch, pmd)) entry = PteMkWrite(arch, entry);
  if (!PteYoung(arch, pmd)) entry = PteMkOld(arch, entry);
  if (PteDirty(arch, pmd)) entry = PteMkDirty(arch, entry);
  if (PteSoftDirty(arch, pmd)) return PteMkSoftDirty(arch, entry);
  return freeze ? PteClearSoftDirty(arch, entry) : entry;
}

}  // namespace

void DepositTable(Mm& mm, EntryPtr pmd, Pfn table) {
  uint64_t& list = DepositList(mm.system, pmd);
  mm.system.pages[table].mapping = list;
  list = table.value;
}

Pfn WithdrawTable(Mm& mm, EntryPtr pmd) {
  uint64_t& list = DepositList(mm.system, pmd);
  const Pfn table(list);
  MMSIM_CHECK(list != 0);
  list = mm.system.pages[table].mapping;
  mm.system.pages[table].mapping = 0;
  return table;
}

bool ThpEnabled(const Vma& vma) {
  const System& system = vma.mm->system;
  if (!system.profile.thp || vma.mm->thp_disabled || vma.Has(kVmNoHugepage)) return false;
  const ThpMode mode = system.sysctl.transparent_hugepage;
  return mode == ThpMode::kAlways || (mode == ThpMode::kMadvise && vma.Has(kVmHugepage));
}

// Linux: mm/huge_memory.c thp_vma_allowable_orders() with TVA_IN_PF, of order PMD_ORDER
bool ThpVmaAllowable(const Vma& vma) {
  if (!vma.IsAnonymous() || !ThpEnabled(vma)) return false;
  // A stack that exec is still building: vma_is_temporary_stack()
  constexpr VmFlags kTemporary = kVmStackIncompleteSetup;
  return (vma.flags & kTemporary) != kTemporary;
}

// Linux: mm/huge_memory.c do_huge_pmd_anonymous_page(), __do_huge_pmd_anonymous_page()
VmFaultResult DoHugePmdAnonymousPage(VmFault& vmf) {
  const VirtAddr haddr(vmf.address.value & kHugeMask);
  if (!ThpVmaSuitable(vmf.vma, haddr)) return kVmFaultFallback;
  if (const VmFaultResult ret = VmfAnonPrepare(vmf.vma); ret != 0) return ret;
  if (!vmf.IsWrite()) return MapHugeZero(vmf, haddr);

  System& system = vmf.system;
  const Pfn folio = AllocHugeFolio(system);
  if (folio.value == 0) return kVmFaultFallback;
  const Pfn table = PteAllocOne(vmf.mm);
  if (table.value == 0) {
    PutFolio(system, folio);
    return kVmFaultOom;
  }
  system.pages[folio].Set(kPgUptodate);
  const Arch arch = vmf.arch;
  const Pte entry = MkDirtyMaybeWrite(arch, MkHugePmd(arch, folio, vmf.vma.page_prot), vmf.vma);
  FolioAddNewAnonRmap(system, folio, vmf.vma, haddr, /*exclusive=*/true);
  FolioAddLruVma(system, folio, vmf.vma);
  DepositTable(vmf.mm, vmf.pmd, table);
  StorePmd(vmf.mm, haddr, vmf.pmd, entry, "__do_huge_pmd_anonymous_page");
  vmf.mm.Rss(RssType::kAnon) += kHugePages;
  vmf.mm.pgtables_bytes += kPageSize;
  Hook(HookPoint::kDoHugePmdAnonymousPage, vmf.mm, haddr, haddr + kHugeSize);
  return 0;
}

// Linux: mm/huge_memory.c do_huge_pmd_wp_page()
VmFaultResult DoHugePmdWpPage(VmFault& vmf) {
  System& system = vmf.system;
  const Arch arch = vmf.arch;
  const VirtAddr haddr(vmf.address.value & kHugeMask);
  const Pfn folio = VmNormalPagePmd(system, vmf.orig_pmd);
  if (folio.value != 0) {
    Page& page = system.pages[folio];
    const bool exclusive = page.Has(kPgAnonExclusive);
    if (exclusive || page.refcount == 1) {
      Decide(vmf.mm, haddr, folio, "do_huge_pmd_wp_page", "reused",
             exclusive ? kWhyExclusive : kWhyUnreferenced);
      if (!exclusive) {
        FolioMoveAnonRmap(system, folio, vmf.vma);
        page.Set(kPgAnonExclusive);
      }
      if ((vmf.flags & kFaultUnshare) != 0) return 0;
      const Pte entry = MkDirtyMaybeWrite(arch, PteMkYoung(arch, vmf.orig_pmd), vmf.vma);
      StorePmd(vmf.mm, haddr, vmf.pmd, entry, "do_huge_pmd_wp_page");
      FlushTlbPmd(vmf.mm, haddr);
      return 0;
    }
  }
  Decide(vmf.mm, haddr, folio, "do_huge_pmd_wp_page", "split",
         "huge pages are not copied: the page that is written to is, by its own entry");
  SplitHugePmd(vmf.vma, vmf.pmd, haddr);
  return kVmFaultFallback;
}

// Linux: mm/huge_memory.c huge_pmd_set_accessed(), touch_pmd()
void HugePmdSetAccessed(VmFault& vmf) {
  const Arch arch = vmf.arch;
  const VirtAddr haddr(vmf.address.value & kHugeMask);
  Pte entry = PteMkYoung(arch, vmf.orig_pmd);
  if (vmf.IsWrite()) entry = PteMkDirty(arch, entry);
  if (entry == vmf.orig_pmd || (!vmf.IsWrite() && ArchHasHwAccessFlagAlways(arch))) return;
  StorePmd(vmf.mm, haddr, vmf.pmd, entry, "touch_pmd");
  if (vmf.IsWrite()) FlushTlbPmd(vmf.mm, haddr);
}

// Linux: mm/huge_memory.c __split_huge_pmd(), __split_huge_pmd_locked()
void SplitHugePmd(Vma& vma, EntryPtr pmd, VirtAddr address, bool freeze) {
  Mm& mm = *vma.mm;
  System& system = mm.system;
  const Arch arch = system.arch;
  const VirtAddr haddr(address.value & kHugeMask);
  const Invalidation clear(MmuNotifyEvent::kClear, mm, haddr, haddr + kHugeSize);
  const Pte old = ReadEntry(pmd);
  const Pfn folio = VmNormalPagePmd(system, old);
  if (folio.value == 0) {
    SplitHugeZeroPmd(vma, pmd, haddr);
    return;
  }
  StorePmd(mm, haddr, pmd, PmdMkInvalid(arch, old), "__split_huge_pmd_locked");
  FlushTlbPmd(mm, haddr);
  Page& page = system.pages[folio];
  if (PteDirty(arch, old)) page.Set(kPgDirty);
  const bool exclusive = page.Has(kPgAnonExclusive);
  GetFolio(system, folio, kHugePages - 1);
  for (uint64_t i = 0; i < kHugePages; ++i) {
    AddRmapLargePte(system, folio + i);
    if (exclusive) system.pages[folio + i].Set(kPgAnonExclusive);
  }
  const Pfn table = WithdrawTable(mm, pmd);
  StorePtes(mm, haddr, EntryIn(system, table, haddr, kLevelPte), SplitEntry(vma, arch, folio, old, freeze),
            kHugePages, "__split_huge_pmd_locked");
  RemoveRmapPmd(system, folio, vma);
  StoreEntry(mm, haddr, kLevelPmd, pmd, TableEntry(arch, table), "__split_huge_pmd_locked");
}

void ZapHugePmd(Vma& vma, EntryPtr pmd, VirtAddr address) {
  Mm& mm = *vma.mm;
  System& system = mm.system;
  const Pfn folio = VmNormalPagePmd(system, ReadEntry(pmd));
  StorePmd(mm, address, pmd, Pte{0}, "zap_huge_pmd");
  ZapDepositedTable(mm, pmd);
  if (folio.value == 0) return;
  RemoveRmapPmd(system, folio, vma);
  mm.Rss(RssType::kAnon) -= kHugePages;
  PutFolio(system, folio);
}

Result<bool> CopyHugePmd(Vma& dst_vma, Vma& src_vma, EntryPtr dst_pmd, EntryPtr src_pmd, VirtAddr address) {
  Mm& dst = *dst_vma.mm;
  Mm& src = *src_vma.mm;
  System& system = src.system;
  const Arch arch = system.arch;
  const Pfn table = PteAllocOne(dst);
  if (table.value == 0) return Errno::kENOMEM;
  const Pte pmd = ReadEntry(src_pmd);
  const Pfn folio = VmNormalPagePmd(system, pmd);
  if (folio.value != 0) {
    if (!FolioTryDupAnonRmapPmd(system, folio, src)) {
      PteFreeOne(dst, table);
      SplitHugePmd(src_vma, src_pmd, address);
      return false;
    }
    GetFolio(system, folio);
    dst.Rss(RssType::kAnon) += kHugePages;
  }
  dst.pgtables_bytes += kPageSize;
  DepositTable(dst, dst_pmd, table);
  StorePmd(src, address, src_pmd, PteWrProtect(arch, pmd), "copy_huge_pmd");
  StorePmd(dst, address, dst_pmd, PteMkOld(arch, PteWrProtect(arch, pmd)), "copy_huge_pmd");
  return true;
}

bool MoveHugePmd(Vma& vma, VirtAddr old_address, VirtAddr new_address, EntryPtr old_pmd, EntryPtr new_pmd) {
  if (*new_pmd != 0) return false;
  Mm& mm = *vma.mm;
  const Pte pmd = ReadEntry(old_pmd);
  StorePmd(mm, old_address, old_pmd, Pte{0}, "move_huge_pmd");
  if (Pfn::Of(mm.system.phys.AddressOf(old_pmd)) != Pfn::Of(mm.system.phys.AddressOf(new_pmd))) {
    DepositTable(mm, new_pmd, WithdrawTable(mm, old_pmd));
  }
  StorePmd(mm, new_address, new_pmd, PteMkSoftDirty(mm.system.arch, pmd), "move_huge_pmd");
  FlushTlbPmd(mm, old_address);
  Hook(HookPoint::kMoveHugePmd, mm, new_address, new_address + kHugeSize);
  return true;
}

void ChangeHugePmd(Vma& vma, EntryPtr pmd, VirtAddr address, PgProt prot, bool try_change_writable) {
  Mm& mm = *vma.mm;
  System& system = mm.system;
  const Arch arch = system.arch;
  const Pte old = ReadEntry(pmd);
  StorePmd(mm, address, pmd, PmdMkInvalid(arch, old), "change_huge_pmd");
  Pte entry = PteModify(arch, old, prot);
  const Pfn folio = VmNormalPagePmd(system, old);
  // Linux: can_change_pmd_writable()
  if (try_change_writable && !PteWrite(arch, entry) && !PteProtNone(arch, entry) && vma.Has(kVmWrite) &&
      folio.value != 0 && system.pages[folio].Has(kPgAnonExclusive) &&
      !(VmaSoftDirtyEnabled(system, vma) && !PteSoftDirty(arch, entry))) {
    entry = PteMkWrite(arch, entry);
  }
  StorePmd(mm, address, pmd, entry, "change_huge_pmd");
}

namespace {

// Linux: mm/huge_memory.c split_huge_pmd_if_needed()
void SplitHugePmdIfNeeded(Vma& vma, VirtAddr address) {
  if ((address.value & ~kHugeMask) == 0) return;
  const VirtAddr haddr(address.value & kHugeMask);
  if (haddr < vma.start || haddr + kHugeSize > vma.end) return;
  EntryPtr pmd = FindEntry(*vma.mm, haddr, kLevelPmd);
  if (pmd != nullptr && *pmd != 0 && !PmdIsTable(vma.mm->system, pmd)) SplitHugePmd(vma, pmd, haddr);
}

}  // namespace

void VmaAdjustTransHuge(Vma& vma, VirtAddr start, VirtAddr end, int64_t adjust_next_bytes) {
  SplitHugePmdIfNeeded(vma, start);
  SplitHugePmdIfNeeded(vma, end);
  if (adjust_next_bytes > 0) {
    Vma* next = vma.mm->vmas.Find(vma.end);
    if (next != nullptr) SplitHugePmdIfNeeded(*next, next->start + static_cast<uint64_t>(adjust_next_bytes));
  }
}

}  // namespace mmsim
