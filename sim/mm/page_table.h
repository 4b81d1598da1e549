// SPDX-License-Identifier: Apache-2.0
// Page tables: the one door through which the kernel writes a table entry, at any level, and the walks over
// ranges that the verbs are made of. An entry's bits are made and read in sim/mm/arch. Linux: mm/memory.c,
// mm/mprotect.c, mm/mremap.c, include/linux/pgtable.h.
//
// Levels are those of sim/hw/geometry.h: 0 holds PTEs, 1 PMDs, 2 PUDs, 3 the root. Entries are read through
// EntryPtr, which nothing can be written through but StoreEntry and its forms for many.
// Invariants: a table is referenced by exactly one entry; pgtables_bytes counts all but the root; an entry is
// written while the mm's TLB entries for it are stale only until the Flush* call that follows.
// Not modelled: table locks, the fifth level, tables shared between address spaces.
#pragma once

#include <cstdint>

#include "mmsim/types.h"
#include "sim/base/errno.h"
#include "sim/hw/geometry.h"
#include "sim/mm/arch/pte.h"
#include "sim/mm/mm.h"

namespace mmsim {

using EntryPtr = const uint64_t*;

inline constexpr uint64_t kEntriesPerTable = 512;
inline constexpr uint64_t LevelSize(int level) {
  return uint64_t{1} << (kPageShift + 9 * level);
}  // bytes
inline constexpr uint64_t kPmdSize = LevelSize(kLevelPmd), kPudSize = LevelSize(kLevelPud);
inline constexpr uint64_t IndexAt(VirtAddr address, int level) {
  return (address.value >> (kPageShift + 9 * level)) & (kEntriesPerTable - 1);
}
// The next boundary of the level after `address`, or `end` if that comes first. Linux: pmd_addr_end() ...
inline VirtAddr LevelEnd(VirtAddr address, VirtAddr end, int level) {
  const uint64_t boundary = (address.value + LevelSize(level)) & ~(LevelSize(level) - 1);
  return boundary - 1 < end.value - 1 ? VirtAddr(boundary) : end;
}

// --- the door

// A store to an entry, as it is told to whoever listens: the truth about what changed.
struct EntryStore {
  Mm* mm;
  VirtAddr address;  // the first that the entry translates
  int level;
  uint64_t before, after;
  const char* function;  // the kernel function that stores
};
// Linux: set_pte_at(), set_pmd(), pte_clear() ... all of them
[[gnu::cold]] void ReportEntryStore(Mm& mm, VirtAddr address, int level, EntryPtr entry, uint64_t value,
                                    const char* function);
inline bool IsStoreTold(const System& system) {
  return system.entry_sink.on_store != nullptr;
}
inline void StoreEntry(Mm& mm, VirtAddr address, int level, EntryPtr entry, uint64_t value,
                       const char* function) {
  if (IsStoreTold(mm.system)) [[unlikely]] {
    ReportEntryStore(mm, address, level, entry, value, function);
  }
  *const_cast<uint64_t*>(entry) = value;
}
inline void StorePte(Mm& mm, VirtAddr address, EntryPtr entry, Pte pte, const char* function) {
  StoreEntry(mm, address, kLevelPte, entry, pte.value, function);
}
// For a loop that has asked before it begins. Precondition: !IsStoreTold(system).
inline void StorePteUntold(EntryPtr entry, Pte pte) {
  *const_cast<uint64_t*>(entry) = pte.value;
}
// `nr` PTEs from `address` on, of consecutive frames. Linux: set_ptes()
void StorePtes(Mm& mm, VirtAddr address, EntryPtr entry, Pte first, uint64_t nr, const char* function);

// --- looking

inline Pte ReadEntry(EntryPtr entry) {
  return {*entry};
}
inline EntryPtr EntryIn(const System& system, Pfn table, VirtAddr address, int level) {
  return system.phys.TableAt(table) + IndexAt(address, level);
}
inline EntryPtr PgdEntry(const Mm& mm, VirtAddr address) {
  return mm.system.phys.TableAt(mm.pgd) + IndexAt(address, kLevelPgd);
}
// The entry of `address` at the level below `entry`, which must point to a table. Linux: pud_offset() ...
inline EntryPtr Descend(const System& system, EntryPtr entry, VirtAddr address, int level_below) {
  return EntryIn(system, TablePfn(*entry), address, level_below);
}
// Whether a PMD points to a table. Linux: neither pmd_none() nor pmd_trans_huge()
inline bool PmdIsTable(Arch arch, EntryPtr pmd) {
  return *pmd != 0 && !PmdTransHuge(arch, {*pmd});
}
inline bool PmdIsTable(const System& system, EntryPtr pmd) {
  return PmdIsTable(system.arch, pmd);
}
// The entry of `address` at a level, or null where a table above is missing; for a PTE also where a huge page
// is.
EntryPtr FindEntry(const Mm& mm, VirtAddr address, int level);

// The frame that a PTE of `vma` maps as a normal page; Pfn 0 for the zero page and for special mappings.
// Linux: mm/memory.c vm_normal_page()
inline Pfn VmNormalPage(Arch arch, Pte pte) {
  return PteSpecial(arch, pte) ? Pfn(0) : PtePfn(arch, pte);
}
inline Pfn VmNormalPage(const System& system, Pte pte) {
  return VmNormalPage(system.arch, pte);
}
// The same of a huge PMD: Pfn 0 for the huge zero page. Linux: vm_normal_page_pmd()
inline Pfn VmNormalPagePmd(const System& system, Pte pmd) {
  const Pfn pfn = PmdPfn(system.arch, pmd);
  return pfn == system.huge_zero ? Pfn(0) : pfn;
}
inline bool IsZeroPfn(const System& system, Pfn pfn) {
  return pfn == system.zero_page;
}
inline bool IsCowMapping(VmFlags flags) {
  return (flags & (kVmShared | kVmMayWrite)) == kVmMayWrite;
}

// Linux: mm/internal.h vma_soft_dirty_enabled()
inline bool VmaSoftDirtyEnabled(const System& system, const Vma& vma) {
  return system.profile.soft_dirty && !vma.Has(kVmSoftDirty);
}
// The entry of a page that is written to: maybe_mkwrite(pte_mkdirty()), in the other order, for a writable
// entry is the simpler one to make dirty. Linux: include/linux/mm.h maybe_mkwrite()
inline Pte MkDirtyMaybeWrite(Arch arch, Pte pte, const Vma& vma) {
  return PteMkDirty(arch, vma.Has(kVmWrite) ? PteMkWrite(arch, pte) : pte);
}

// --- tables

// An empty root and its end. Linux: pgd_alloc(), pgd_free()
PhysAddr PgdAlloc(System& system);  // 0 when memory is short
void PgdFree(System& system, PhysAddr pgd);
// The entry of `address` at `level` (PUD or PMD), tables made on the way; null when memory is short. Linux:
// p4d_alloc(), pud_alloc(), pmd_alloc()
EntryPtr AllocEntry(Mm& mm, VirtAddr address, int level);
// The PMD of `address`, as AllocEntry; for faults, where it mostly is there already.
inline EntryPtr AllocPmd(Mm& mm, VirtAddr address) {
  const EntryPtr pgd = PgdEntry(mm, address);
  if (*pgd != 0) [[likely]] {
    const EntryPtr pud = Descend(mm.system, pgd, address, kLevelPud);
    if (*pud != 0) [[likely]]
      return Descend(mm.system, pud, address, kLevelPmd);
  }
  return AllocEntry(mm, address, kLevelPmd);
}
// A table of PTEs below the PMD, unless there is one; false when memory is short. Linux: pte_alloc(),
// __pte_alloc()
bool PteAllocBelow(Mm& mm, EntryPtr pmd, VirtAddr address);
inline bool PteAlloc(Mm& mm, EntryPtr pmd, VirtAddr address) {
  if (*pmd != 0) [[likely]]
    return true;
  return PteAllocBelow(mm, pmd, address);
}
// A table that no entry points to yet, not counted; Pfn 0 when memory is short. Linux: pte_alloc_one()
Pfn PteAllocOne(Mm& mm);
void PteFreeOne(Mm& mm, Pfn table);
// Puts it below the PMD, counted. Linux: pmd_install(), pmd_populate()
void PmdInstall(Mm& mm, EntryPtr pmd, VirtAddr address, Pfn table, const char* function);

// --- ranges

// What a zap leaves alone. Linux: struct zap_details
struct ZapDetails {
  bool even_cows = true;  // private copies as well
};
// One removal of translations, of one VMA or many: the LRU batches are emptied before it, and after it when
// it freed pages. Linux: struct mmu_gather, tlb_gather_mmu(), tlb_finish_mmu()
class MmuGather {
 public:
  explicit MmuGather(Mm& mm);
  ~MmuGather();
  MmuGather(const MmuGather&) = delete;
  MmuGather& operator=(const MmuGather&) = delete;
  void RemovePage() { freed_ = true; }
  // Linux: mm/mmu_gather.c tlb_flush_mmu()
  void Flush();
  Mm& mm() const { return mm_; }

 private:
  Mm& mm_;
  bool freed_ = false;
};
// Removes the translations of [range) inside `vma`, drops the frames' references and counters, flushes the
// TLB. The tables stay, and no notifier is told: that is the caller's to do. Linux: mm/memory.c
// unmap_page_range()
void UnmapPageRange(MmuGather& tlb, Vma& vma, VirtRange range, ZapDetails details = {});
// The same, and notifiers are told. Linux: mm/memory.c zap_page_range_single()
void ZapPageRangeSingle(Vma& vma, VirtRange range, ZapDetails details = {});

// Frees page tables that became empty when [range) lost its VMAs; [floor, ceiling) bounds what neighbours
// still need (0, 0: no bound). Linux: mm/memory.c free_pgtables(), free_pgd_range()
void FreePageTables(Mm& mm, VirtRange range, VirtAddr floor, VirtAddr ceiling);

// Moves the translations of [old_address, +len) to new_address; returns how many bytes were moved before
// memory for a table ran out (len: all of it). Linux: mm/mremap.c move_page_tables()
uint64_t MovePageTables(Vma& old_vma, VirtAddr old_address, Vma& new_vma, VirtAddr new_address,
                        uint64_t len_bytes, bool for_stack);

// Rewrites the translations of [range) after vma.flags changed. Linux: mm/mprotect.c change_protection()
void ChangeProtection(Vma& vma, VirtRange range, VmFlags old_flags);
// Linux: mm/mprotect.c can_change_pte_writable()
bool CanChangePteWritable(const Vma& vma, Pte pte);

// Splits huge pages that would straddle a boundary when `vma` becomes [start, end) and the VMA after it
// starts `adjust_next_bytes` later (0: unchanged). Called before the bounds change. Linux: mm/huge_memory.c
// vma_adjust_trans_huge()
void VmaAdjustTransHuge(Vma& vma, VirtAddr start, VirtAddr end, int64_t adjust_next_bytes);

// The pages of [range) become mlocked, or no longer, after vma.flags got VM_LOCKED or lost it. Linux:
// mm/mlock.c mlock_vma_pages_range()
void MlockVmaPages(Vma& vma, VirtRange range);

// The page side of madvise, a VMA at a time; the checks of flags and ranges were made by mm/madvise.cc.
// MADV_DONTNEED is UnmapPageRange. Linux: mm/madvise.c madvise_free_single_vma(), madvise_cold(),
// madvise_pageout(), madvise_willneed(), mm/khugepaged.c madvise_collapse()
void MadviseFreePages(Vma& vma, VirtRange range);
void MadviseColdPages(Vma& vma, VirtRange range);
void MadvisePageoutPages(Vma& vma, VirtRange range);
void MadviseWillneedPages(Vma& vma, VirtRange range);
Status MadviseCollapsePages(Vma& vma, VirtRange range);

// Copies what fork must copy. Linux: mm/memory.c copy_page_range()
Status CopyPageRange(Vma& dst_vma, Vma& src_vma);

}  // namespace mmsim
