// SPDX-License-Identifier: Apache-2.0
// mprotect's walk over the tables: each entry gets the new protection and keeps what it knows of its page.
// Linux: mm/mprotect.c change_protection() and the levels below it
//
// Invariant: an entry becomes writable here only where a write fault would make it so without further ado.
// Not modelled: NUMA hinting, uffd-wp.
#include <optional>

#include "sim/mm/huge_memory.h"
#include "sim/mm/mmu_notifier.h"
#include "sim/mm/page_table.h"
#include "sim/mm/tlb_flush.h"

namespace mmsim {
namespace {

struct Change {
  Vma& vma;
  Mm& mm;
  System& system;
  const Arch arch;
  const PgProt prot;
  const bool try_change_writable;
};

void ChangePteRange(const Change& c, EntryPtr pmd, VirtAddr address, VirtAddr end) {
  EntryPtr pte = Descend(c.system, pmd, address, kLevelPte);
  for (; address != end; address += kPageSize, ++pte) {
    const Pte old = ReadEntry(pte);
    if (!PtePresent(c.arch, old)) continue;
    Pte entry = PteModify(c.arch, old, c.prot);
    if (c.try_change_writable && !PteWrite(c.arch, entry) && CanChangePteWritable(c.vma, entry)) {
      entry = PteMkWrite(c.arch, entry);
    }
    StorePte(c.mm, address, pte, entry, "change_pte_range");
  }
}

void ChangePmdRange(const Change& c, EntryPtr pud, VirtAddr address, VirtAddr end) {
  EntryPtr pmd = Descend(c.system, pud, address, kLevelPmd);
  for (VirtAddr next; address != end; address = next, ++pmd) {
    next = LevelEnd(address, end, kLevelPmd);
    if (*pmd == 0) continue;
    if (!PmdIsTable(c.system, pmd)) {
      if (next - address == kPmdSize) {
        ChangeHugePmd(c.vma, pmd, address, c.prot, c.try_change_writable);
        continue;
      }
      SplitHugePmd(c.vma, pmd, address);
      if (*pmd == 0) continue;
    }
    ChangePteRange(c, pmd, address, next);
  }
}

void ChangeRange(const Change& c, EntryPtr entry, int level, VirtAddr address, VirtAddr end) {
  if (level == kLevelPud) {
    ChangePmdRange(c, entry, address, end);
    return;
  }
  EntryPtr below = Descend(c.system, entry, address, level - 1);
  // Told from the first PUD that is there, to the end of the row. Linux: change_pud_range()
  std::optional<Invalidation> protect;
  for (VirtAddr next; address != end; address = next, ++below) {
    next = LevelEnd(address, end, level - 1);
    if (*below == 0) continue;
    if (!protect) protect.emplace(MmuNotifyEvent::kProtectionVma, c.mm, address, end);
    ChangeRange(c, below, level - 1, address, next);
  }
}

}  // namespace

bool CanChangePteWritable(const Vma& vma, Pte pte) {
  const System& system = vma.mm->system;
  const Arch arch = system.arch;
  if (!vma.Has(kVmWrite)) return false;
  if (PteProtNone(arch, pte)) return false;
  // Linux: pte_needs_soft_dirty_wp()
  if (VmaSoftDirtyEnabled(system, vma) && !PteSoftDirty(arch, pte)) return false;
  if (!vma.Has(kVmShared)) {
    const Pfn page = VmNormalPage(system, pte);
    if (page.value == 0) return false;
    const Page& head = system.pages[system.pages.HeadOf(page)];
    return head.IsAnon() && system.pages[page].Has(kPgAnonExclusive);
  }
  return PteDirty(arch, pte);
}

void ChangeProtection(Vma& vma, VirtRange range, VmFlags /*old_flags*/) {
  if (range.Empty()) return;
  Mm& mm = *vma.mm;
  // Linux: mm/vma.h vma_wants_manual_pte_write_upgrade(). Of a shared mapping it asks with the new flags and
  // the old vm_page_prot. Tracking of soft-dirty pages is no reason then: that protection allows no writes,
  // which is not what the flags say, and vma_wants_writenotify() takes it for the doing of a driver.
  const bool upgrade = vma.Has(kVmWrite) && (!vma.Has(kVmShared) || vma.ops == VmOps::kFile);
  const Change c{.vma = vma,
                 .mm = mm,
                 .system = mm.system,
                 .arch = mm.system.arch,
                 .prot = vma.page_prot,
                 .try_change_writable = upgrade};
  EntryPtr pgd = PgdEntry(mm, range.start);
  for (VirtAddr address = range.start, next; address != range.end; address = next, ++pgd) {
    next = LevelEnd(address, range.end, kLevelPgd);
    if (*pgd != 0) ChangeRange(c, pgd, kLevelPgd, address, next);
  }
  FlushTlbRange(mm, range);
}

}  // namespace mmsim
