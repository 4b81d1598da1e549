// SPDX-License-Identifier: Apache-2.0
// Huge pages of anonymous memory: PMDs that map 2 MiB, their splits and their making. Linux:
// mm/huge_memory.c, mm/khugepaged.c
//
// Invariants: beside each huge PMD a table of PTEs waits for its split (it is counted in pgtables_bytes),
// kept in the record of the PMD's own table. A huge folio may be mapped by PMDs and by PTEs at once. Not
// modelled: huge pages of files and shmem, migration, khugepaged, orders below 9.
#pragma once

#include "sim/base/errno.h"
#include "sim/mm/page_table.h"

namespace mmsim {

// Whether the mode of the machine, the process and the VMA's advice allow huge pages in it. Linux:
// include/linux/huge_mm.h thp_vma_allowable_orders()
bool ThpEnabled(const Vma& vma);

// Whether a huge page may stand at `haddr` in the VMA as it lies. Linux: thp_vma_suitable_order()
inline bool ThpVmaSuitable(const Vma& vma, VirtAddr haddr) {
  if (!vma.IsAnonymous() && (((vma.start.value >> kPageShift) - vma.pgoff) & (kHugePages - 1)) != 0) {
    return false;
  }
  return haddr >= vma.start && haddr + kHugeSize <= vma.end;
}

// The 2 MiB of `address` become 512 PTEs of the same frames; the huge zero page's become zero pages.
// `freeze`: on the way to a split of the folio, by migration entries, whose soft-dirty bit is the PMD's; else
// a dirty PMD's entries are soft-dirty, too. Precondition: *pmd is huge. Linux: mm/huge_memory.c
// __split_huge_pmd()
void SplitHugePmd(Vma& vma, EntryPtr pmd, VirtAddr address, bool freeze = false);
// Linux: mm/huge_memory.c zap_huge_pmd(), the TLB aside
void ZapHugePmd(Vma& vma, EntryPtr pmd, VirtAddr address);
// Fork: false when the PMD was split instead and the PTEs are to be copied, ENOMEM when there was no memory.
// Linux: mm/huge_memory.c copy_huge_pmd()
Result<bool> CopyHugePmd(Vma& dst_vma, Vma& src_vma, EntryPtr dst_pmd, EntryPtr src_pmd, VirtAddr address);
// Linux: mm/huge_memory.c move_huge_pmd()
bool MoveHugePmd(Vma& vma, VirtAddr old_address, VirtAddr new_address, EntryPtr old_pmd, EntryPtr new_pmd);
// Linux: mm/huge_memory.c change_huge_pmd(): true when the PMD was dealt with
void ChangeHugePmd(Vma& vma, EntryPtr pmd, VirtAddr address, PgProt prot, bool try_change_writable);
// Nobody but the entries that map it and the caller holds a reference. Linux: mm/huge_memory.c
// can_split_folio()
bool CanSplitFolio(System& system, Pfn folio);
// A huge folio becomes 512 single ones, its PMD mappings having been split; pages of zeros among them become
// the zero page. False when somebody else holds a reference. Linux: mm/huge_memory.c split_folio()
bool SplitFolio(System& system, Pfn folio);

// A table put aside for the split of a PMD, and taken back. Linux: pgtable_trans_huge_deposit(), _withdraw()
void DepositTable(Mm& mm, EntryPtr pmd, Pfn table);
Pfn WithdrawTable(Mm& mm, EntryPtr pmd);

}  // namespace mmsim
