// SPDX-License-Identifier: Apache-2.0
#include "sim/mm/remap_pfn.h"

#include <vector>

#include "sim/base/check.h"
#include "sim/mm/folio.h"
#include "sim/mm/mm.h"
#include "sim/mm/page_table.h"

namespace mmsim {
namespace {

// Linux: mm/memory.c remap_pte_range() and the levels above
Status RemapPteRange(Vma& vma, VirtRange range, Pfn pfn) {
  Mm& mm = *vma.mm;
  const Arch arch = mm.system.arch;
  const PgProt prot = vma.page_prot;
  EntryPtr pte = nullptr;
  for (VirtAddr address = range.start; address < range.end; address += kPageSize, pfn = pfn + 1) {
    if (pte == nullptr || IndexAt(address, kLevelPte) == 0) {
      EntryPtr pmd = AllocPmd(mm, address);
      if (pmd == nullptr || !PteAlloc(mm, pmd, address)) return Errno::kENOMEM;
      pte = Descend(mm.system, pmd, address, kLevelPte);
    }
    MMSIM_CHECK(PteNone(arch, ReadEntry(pte)));
    StorePte(mm, address, pte++, PteMkSpecial(arch, PfnPte(arch, pfn, prot)), "remap_pte_range");
  }
  return {};
}

}  // namespace

Pfn AllocPagesExact(System& system, uint64_t nr) {
  if (system.failures.ShouldFail(Seam::kPage)) return Pfn(0);
  const Pfn first = system.pages.AllocExact(nr);
  if (first.value == 0) return first;
  for (uint64_t i = 0; i < nr; ++i) system.kernel_pages.push_back(first + i);
  return first;
}

void FreePagesExact(System& system, Pfn first, uint64_t nr) {
  std::erase_if(system.kernel_pages, [&](Pfn pfn) { return pfn.value - first.value < nr; });
  for (uint64_t i = 0; i < nr; ++i) PutFolio(system, first + i);
}

Status RemapPfnRange(Vma& vma, VirtRange range, Pfn pfn) {
  MMSIM_CHECK(!range.Empty() && vma.Range().Contains(range));
  VmaEdit edit(*vma.mm);
  if (IsCowMapping(vma.flags)) {
    if (range != vma.Range()) return Errno::kEINVAL;
    edit.SetPgoff(vma, pfn.value);
  }
  edit.AddFlags(vma, kVmIo | kVmPfnMap | kVmDontExpand | kVmDontDump);
  const Status status = RemapPteRange(vma, range, pfn);
  if (!status.ok()) ZapPageRangeSingle(vma, range);
  return status;
}

void ZapVmaPtes(Vma& vma, VirtRange range) {
  if (!vma.Range().Contains(range) || !vma.Has(kVmPfnMap)) return;
  ZapPageRangeSingle(vma, range);
}

}  // namespace mmsim
