// SPDX-License-Identifier: Apache-2.0
// mremap's walk: translations go from one range to another without their pages noticing. Whole tables move
// where both ranges lie so that they can, at the level of a PMD or a PUD, without an entry below being
// touched. Linux: mm/mremap.c move_page_tables()
//
// Invariants: what the old range loses the new one has; no count of a frame changes.
// Not modelled: rmap locks, userfaultfd, huge PUDs.
#include <algorithm>

#include "sim/mm/hooks.h"
#include "sim/mm/huge_memory.h"
#include "sim/mm/mmu_notifier.h"
#include "sim/mm/page_table.h"
#include "sim/mm/tlb_flush.h"

namespace mmsim {
namespace {

// Linux: mm/mremap.c get_extent()
uint64_t GetExtent(int level, VirtAddr old_address, VirtAddr old_end, VirtAddr new_address) {
  const uint64_t size = LevelSize(level), mask = ~(size - 1);
  const uint64_t to_old_boundary = ((old_address.value + size) & mask) - old_address.value;
  const uint64_t to_new_boundary = ((new_address.value + size) & mask) - new_address.value;
  return std::min({to_old_boundary, old_end - old_address, to_new_boundary});
}

// Linux: mm/mremap.c move_ptes()
void MovePtes(Mm& mm, EntryPtr old_pmd, VirtAddr old_address, VirtAddr old_end, EntryPtr new_pmd,
              VirtAddr new_address) {
  System& system = mm.system;
  const Arch arch = system.arch;
  EntryPtr old_pte = Descend(system, old_pmd, old_address, kLevelPte);
  EntryPtr new_pte = Descend(system, new_pmd, new_address, kLevelPte);
  const VirtAddr start = old_address;
  for (; old_address < old_end; old_address += kPageSize, new_address += kPageSize, ++old_pte, ++new_pte) {
    Pte pte = ReadEntry(old_pte);
    if (PteNone(arch, pte)) continue;
    StorePte(mm, old_address, old_pte, Pte{0}, "move_ptes");
    pte = PtePresent(arch, pte) ? PteMkSoftDirty(arch, pte) : SwpMkSoftDirty(arch, pte);
    StorePte(mm, new_address, new_pte, pte, "move_ptes");
  }
  FlushTlbRange(mm, {start, old_end});
  Hook(HookPoint::kMovePtes, mm, new_address - (old_end - start), new_address);
}

// A table below `old_entry` goes below `new_entry`. Linux: mm/mremap.c move_normal_pmd(), move_normal_pud()
bool MoveNormalTable(Mm& mm, int level, VirtAddr old_address, VirtAddr new_address, EntryPtr old_entry,
                     EntryPtr new_entry) {
  if (*new_entry != 0) return false;
  const uint64_t entry = *old_entry;
  if (entry == 0) return false;
  const char* function = level == kLevelPmd ? "move_normal_pmd" : "move_normal_pud";
  StoreEntry(mm, old_address, level, old_entry, 0, function);
  StoreEntry(mm, new_address, level, new_entry, TableEntry(mm.system.arch, TablePfn(entry)), function);
  FlushTlbRange(mm, {old_address, old_address + LevelSize(level)});
  Hook(level == kLevelPmd ? HookPoint::kMoveNormalPmd : HookPoint::kMoveNormalPud, mm, new_address,
       new_address + LevelSize(level));
  return true;
}

// Linux: mm/mremap.c can_align_down()
bool CanAlignDown(const Vma& vma, VirtAddr address, bool for_stack) {
  const VirtAddr masked(address.value & ~(kPmdSize - 1));
  if (!for_stack && vma.start != address) return false;
  if (for_stack && masked >= vma.start) return true;
  return vma.mm->vmas.FindIntersection(masked, vma.start) == nullptr;
}

// Linux: mm/mremap.c try_realign_addr()
void TryRealign(VirtAddr& old_address, const Vma& old_vma, VirtAddr& new_address, const Vma& new_vma,
                bool for_stack) {
  constexpr uint64_t kMask = ~(kPmdSize - 1);
  if ((old_address.value & ~kMask) == 0) return;
  if ((old_address.value & ~kMask) != (new_address.value & ~kMask)) return;
  if (!CanAlignDown(old_vma, old_address, for_stack) || !CanAlignDown(new_vma, new_address, for_stack))
    return;
  old_address.value &= kMask;
  new_address.value &= kMask;
}

struct Move {
  Vma& vma;
  Mm& mm;
  VirtAddr old_address, old_end, new_address;
};

// One step at the level of PMDs; false when memory is short. Linux: the second half of move_page_tables()'s
// loop
bool MoveAtPmd(const Move& m, uint64_t extent) {
  EntryPtr old_pmd = FindEntry(m.mm, m.old_address, kLevelPmd);
  if (old_pmd == nullptr || *old_pmd == 0) return true;
  EntryPtr new_pmd = AllocEntry(m.mm, m.new_address, kLevelPmd);
  if (new_pmd == nullptr) return false;
  if (!PmdIsTable(m.mm.system, old_pmd)) {
    if (extent == kPmdSize && MoveHugePmd(m.vma, m.old_address, m.new_address, old_pmd, new_pmd)) return true;
    SplitHugePmd(m.vma, old_pmd, m.old_address);
  } else if (extent == kPmdSize &&
             MoveNormalTable(m.mm, kLevelPmd, m.old_address, m.new_address, old_pmd, new_pmd)) {
    return true;
  }
  if (*old_pmd == 0) return true;
  if (!PteAlloc(m.mm, new_pmd, m.new_address)) return false;
  MovePtes(m.mm, old_pmd, m.old_address, m.old_address + extent, new_pmd, m.new_address);
  return true;
}

}  // namespace

uint64_t MovePageTables(Vma& old_vma, VirtAddr old_address, Vma& new_vma, VirtAddr new_address,
                        uint64_t len_bytes, bool for_stack) {
  if (len_bytes == 0) return 0;
  Mm& mm = *old_vma.mm;
  const VirtAddr old_end = old_address + len_bytes;
  if (len_bytes >= kPmdSize - (old_address.value & (kPmdSize - 1))) {
    TryRealign(old_address, old_vma, new_address, new_vma, for_stack);
  }
  const Invalidation unmap(MmuNotifyEvent::kUnmap, mm, old_address, old_end);
  uint64_t extent;
  for (; old_address < old_end; old_address += extent, new_address += extent) {
    extent = GetExtent(kLevelPud, old_address, old_end, new_address);
    EntryPtr old_pud = FindEntry(mm, old_address, kLevelPud);
    if (old_pud == nullptr || *old_pud == 0) continue;
    EntryPtr new_pud = AllocEntry(mm, new_address, kLevelPud);
    if (new_pud == nullptr) break;
    if (extent == kPudSize && MoveNormalTable(mm, kLevelPud, old_address, new_address, old_pud, new_pud)) {
      continue;
    }
    extent = GetExtent(kLevelPmd, old_address, old_end, new_address);
    if (!MoveAtPmd({old_vma, mm, old_address, old_end, new_address}, extent)) break;
  }
  if (old_address < old_end - len_bytes) return 0;
  return len_bytes - (old_end - old_address);
}

}  // namespace mmsim
