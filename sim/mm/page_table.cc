// SPDX-License-Identifier: Apache-2.0
// Tables made, found and freed (page_table.h). Linux: mm/memory.c, mm/pgtable-generic.c, arch/*/mm/pgd.c
#include "sim/mm/page_table.h"

#include "sim/mm/tlb_flush.h"

namespace mmsim {

void ReportEntryStore(Mm& mm, VirtAddr address, int level, EntryPtr entry, uint64_t value,
                      const char* function) {
  if (*entry == value) return;
  const VirtAddr first(address.value & ~(LevelSize(level) - 1));
  const EntrySink& sink = mm.system.entry_sink;
  sink.on_store(sink.context, EntryStore{&mm, first, level, *entry, value, function});
}

void StorePtes(Mm& mm, VirtAddr address, EntryPtr entry, Pte first, uint64_t nr, const char* function) {
  const Arch arch = mm.system.arch;
  for (uint64_t i = 0; i < nr; ++i) {
    StorePte(mm, address + i * kPageSize, entry + i, PteAdvancePfn(arch, first, i), function);
  }
}

EntryPtr FindEntry(const Mm& mm, VirtAddr address, int level) {
  const System& system = mm.system;
  EntryPtr entry = PgdEntry(mm, address);
  for (int below = kLevelPud; below >= level; --below) {
    if (*entry == 0 || (below == kLevelPte && !PmdIsTable(system, entry))) return nullptr;
    entry = Descend(system, entry, address, below);
  }
  return entry;
}

PhysAddr PgdAlloc(System& system) {
  if (system.failures.ShouldFail(Seam::kTable)) return PhysAddr(0);
  return system.pages.AllocTable().Base();
}

void PgdFree(System& system, PhysAddr pgd) {
  system.pages.FreeTable(Pfn::Of(pgd));
}

Pfn PteAllocOne(Mm& mm) {
  if (mm.system.failures.ShouldFail(Seam::kTable)) return Pfn(0);
  return mm.system.pages.AllocTable();
}

void PteFreeOne(Mm& mm, Pfn table) {
  mm.system.pages.FreeTable(table);
}

EntryPtr AllocEntry(Mm& mm, VirtAddr address, int level) {
  System& system = mm.system;
  EntryPtr entry = PgdEntry(mm, address);
  for (int above = kLevelPgd; above > level; --above) {
    if (*entry == 0) [[unlikely]] {
      const Pfn table = PteAllocOne(mm);
      if (table.value == 0) return nullptr;
      mm.pgtables_bytes += kPageSize;
      StoreEntry(mm, address, above, entry, TableEntry(system.arch, table),
                 above == kLevelPgd ? "__pud_alloc" : "__pmd_alloc");
    }
    entry = Descend(system, entry, address, above - 1);
  }
  return entry;
}

void PmdInstall(Mm& mm, EntryPtr pmd, VirtAddr address, Pfn table, const char* function) {
  mm.pgtables_bytes += kPageSize;
  StoreEntry(mm, address, kLevelPmd, pmd, TableEntry(mm.system.arch, table), function);
}

bool PteAllocBelow(Mm& mm, EntryPtr pmd, VirtAddr address) {
  const Pfn table = PteAllocOne(mm);
  if (table.value == 0) return false;
  PmdInstall(mm, pmd, address, table, "pmd_install");
  return true;
}

namespace {

// Frees the table that `entry` at `level` points to. Linux: pte_free_tlb() ..., mm_dec_nr_ptes() ...
void FreeTable(Mm& mm, VirtAddr address, int level, EntryPtr entry) {
  const Pfn table = TablePfn(*entry);
  StoreEntry(mm, address, level, entry, 0, "free_pgd_range");
  mm.system.pages.FreeTable(table);
  mm.pgtables_bytes -= kPageSize;
}

// Below `entry` at `level`, which points to a table: frees what [address, end) alone used, then that table.
// Linux: mm/memory.c free_pud_range(), free_pmd_range(), free_pte_range()
void FreeRangeBelow(Mm& mm, int level, EntryPtr entry, VirtAddr address, VirtAddr end, VirtAddr floor,
                    VirtAddr ceiling) {
  if (level > kLevelPmd) {
    const VirtAddr start = address;
    EntryPtr below = Descend(mm.system, entry, address, level - 1);
    for (VirtAddr a = start, next; a != end; a = next, ++below) {
      next = LevelEnd(a, end, level - 1);
      if (*below != 0) FreeRangeBelow(mm, level - 1, below, a, next, floor, ceiling);
    }
    const uint64_t mask = ~(LevelSize(level) - 1);
    if ((start.value & mask) < floor.value) return;
    if (ceiling.value != 0) {
      ceiling.value &= mask;
      if (ceiling.value == 0) return;
    }
    if (end.value - 1 > ceiling.value - 1) return;
  }
  FreeTable(mm, address, level, entry);
}

}  // namespace

void FreePageTables(Mm& mm, VirtRange range, VirtAddr floor, VirtAddr ceiling) {
  constexpr uint64_t kPmdMask = ~(kPmdSize - 1);
  VirtAddr address(range.start.value & kPmdMask), end = range.end;
  if (address < floor) {
    address += kPmdSize;
    if (address.value == 0) return;
  }
  if (ceiling.value != 0) {
    ceiling.value &= kPmdMask;
    if (ceiling.value == 0) return;
  }
  if (end.value - 1 > ceiling.value - 1) end -= kPmdSize;
  if (address.value > end.value - 1) return;
  EntryPtr pgd = PgdEntry(mm, address);
  for (VirtAddr a = address, next; a != end; a = next, ++pgd) {
    next = LevelEnd(a, end, kLevelPgd);
    if (*pgd != 0) FreeRangeBelow(mm, kLevelPgd, pgd, a, next, floor, ceiling);
  }
  // The paging-structure caches and whatever translated through the freed tables.
  FlushTlbRange(mm, {address, end});
}

}  // namespace mmsim
