// SPDX-License-Identifier: Apache-2.0
// The end of an address space. Linux: mm/mmap.c exit_mmap()
#include "sim/mm/mmu_notifier.h"
#include "sim/mm/page_table.h"
#include "sim/mm/rmap.h"
#include "sim/mm/verbs.h"
#include "sim/mm/vma_ops.h"

namespace mmsim {

// Linux: mm/mmap.c exit_mmap()
void ExitMmap(Mm& mm) {
  MmuNotifierRelease(mm);
  if (mm.vmas.First() == nullptr) return;
  UpdateHiwaterRss(mm);
  {
    MmuGather tlb(mm);
    for (Vma& vma : mm.vmas) UnmapPageRange(tlb, vma, vma.Range());
    const VirtRange all{mm.vmas.First()->start, mm.vmas.Last()->end};
    for (Vma& vma : mm.vmas) {
      UnlinkAnonVmas(vma);
      UnlinkFileVma(vma);
    }
    FreePageTables(mm, all, VirtAddr(0), VirtAddr(0));
  }
  uint64_t nr_accounted = 0;
  VmaEdit edit(mm);
  while (Vma* vma = mm.vmas.First()) {
    if (vma->Has(kVmAccount)) nr_accounted += vma->NrPages();
    edit.Detach(*vma);
    --mm.map_count;
    RemoveVma(vma);
  }
  VmUnacctMemory(mm.system, nr_accounted);
}

}  // namespace mmsim
