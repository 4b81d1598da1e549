// SPDX-License-Identifier: Apache-2.0
// The rungs for what a file (or the kernel itself, for [vdso]) provides: a read maps the page and its cached
// neighbours, a write to a private mapping maps a copy, a write to a shared one the page itself, dirty.
//
// Invariant: FinishFault hands the reference in vmf.page (or vmf.cow_page) over to the entry.
// Not modelled: page locks, retries that drop mmap_lock for reading in, huge pages of files.
#include <algorithm>

#include "sim/mm/decision.h"
#include "sim/mm/fault.h"
#include "sim/mm/filemap.h"
#include "sim/mm/folio.h"
#include "sim/mm/hooks.h"

namespace mmsim {
namespace {

constexpr uint64_t kFaultAroundPages = 16;  // 64 KiB
constexpr VmFaultResult kStop = kVmFaultError | kVmFaultNopage;

// Linux: mm/mmap.c special_mapping_fault(), arch/*/kernel/vdso.c vvar_fault(): vvar pages are mapped by
// number.
VmFaultResult SpecialMappingFault(VmFault& vmf) {
  System& system = vmf.system;
  const SpecialMapping& special = *vmf.vma.special;
  const uint64_t index = vmf.pgoff - vmf.vma.pgoff;
  if (special.kind == SpecialMapping::Kind::kVdso) {
    if (index >= system.vdso_pages.size()) return kVmFaultSigbus;
    vmf.page = system.vdso_pages[index];
    GetFolio(system, vmf.page);
    return 0;
  }
  if (index >= std::min<uint64_t>(special.pages, system.vvar_pages.size())) return kVmFaultSigbus;
  if (!PteAlloc(vmf.mm, vmf.pmd, vmf.address)) return kVmFaultOom;
  const Pte entry = PteMkSpecial(vmf.arch, PfnPte(vmf.arch, system.vvar_pages[index], vmf.vma.page_prot));
  StorePte(vmf.mm, vmf.address, Descend(system, vmf.pmd, vmf.address, kLevelPte), entry, "insert_pfn");
  HookPage(HookPoint::kInsertPfn, vmf.mm, vmf.address);
  return kVmFaultNopage;
}

// Linux: mm/memory.c __do_fault()
VmFaultResult DoFaultOps(VmFault& vmf) {
  if (*vmf.pmd == 0 && vmf.prealloc_pte.value == 0) {
    vmf.prealloc_pte = PteAllocOne(vmf.mm);
    if (vmf.prealloc_pte.value == 0) return kVmFaultOom;
  }
  switch (vmf.vma.ops) {
    case VmOps::kFile:
      return FilemapFault(vmf);
    case VmOps::kShmem:
    case VmOps::kSysvShm:
      return ShmemFault(vmf);
    case VmOps::kSpecial:
      return SpecialMappingFault(vmf);
    case VmOps::kNone:
      break;
  }
  return kVmFaultSigbus;
}

// Linux: mm/memory.c do_fault_around(), should_fault_around()
VmFaultResult DoFaultAround(VmFault& vmf) {
  const uint64_t pte_off = IndexAt(vmf.address, kLevelPte);
  const uint64_t vma_off = vmf.pgoff - vmf.vma.pgoff;
  const uint64_t from_pte =
      std::max(pte_off & ~(kFaultAroundPages - 1), pte_off - std::min(pte_off, vma_off));
  const uint64_t to_pte =
      std::min({from_pte + kFaultAroundPages, kEntriesPerTable, pte_off + vmf.vma.NrPages() - vma_off}) - 1;
  if (*vmf.pmd == 0) {
    vmf.prealloc_pte = PteAllocOne(vmf.mm);
    if (vmf.prealloc_pte.value == 0) return kVmFaultOom;
  }
  return FilemapMapPages(vmf, vmf.pgoff + from_pte - pte_off, vmf.pgoff + to_pte - pte_off);
}

// Linux: mm/memory.c do_read_fault()
VmFaultResult DoReadFault(VmFault& vmf) {
  // ipc/shm.c shm_vm_ops and special_mapping_vmops have no map_pages.
  if (vmf.vma.ops != VmOps::kSpecial && vmf.vma.ops != VmOps::kSysvShm) {
    if (const VmFaultResult ret = DoFaultAround(vmf); ret != 0) return ret;
  }
  VmFaultResult ret = DoFaultOps(vmf);
  if ((ret & kStop) != 0) return ret;
  ret |= FinishFault(vmf);
  if ((ret & kStop) != 0) PutPage(vmf.system, vmf.page);
  return ret;
}

// Linux: mm/memory.c do_cow_fault()
VmFaultResult DoCowFault(VmFault& vmf) {
  System& system = vmf.system;
  VmFaultResult ret = VmfAnonPrepare(vmf.vma);
  if (ret != 0) return ret;
  vmf.cow_page = AllocFolio(system);
  if (vmf.cow_page.value == 0) return kVmFaultOom;
  ret = DoFaultOps(vmf);
  if ((ret & kStop) == 0) {
    Decide(vmf.mm, vmf.address, vmf.page, "do_cow_fault", "copied",
           "the mapping is private, and this writes");
    system.phys.CopyFrame(vmf.page, vmf.cow_page);
    ret |= FinishFault(vmf);
    PutPage(system, vmf.page);
  }
  if ((ret & kStop) != 0) PutFolio(system, vmf.cow_page);
  return ret;
}

// Linux: mm/memory.c do_shared_fault()
VmFaultResult DoSharedFault(VmFault& vmf) {
  VmFaultResult ret = DoFaultOps(vmf);
  if ((ret & kStop) != 0) return ret;
  ret |= FinishFault(vmf);
  if ((ret & kStop) != 0) {
    PutPage(vmf.system, vmf.page);
    return ret;
  }
  FolioMarkDirty(vmf.system, vmf.system.pages.HeadOf(vmf.page));
  return ret;
}

}  // namespace

// Linux: mm/memory.c do_fault()
VmFaultResult DoFault(VmFault& vmf) {
  VmFaultResult ret;
  if (!vmf.IsWrite()) {
    ret = DoReadFault(vmf);
  } else if (!vmf.vma.Has(kVmShared)) {
    ret = DoCowFault(vmf);
  } else {
    ret = DoSharedFault(vmf);
  }
  if (vmf.prealloc_pte.value != 0) PteFreeOne(vmf.mm, vmf.prealloc_pte);
  return ret;
}

void SetPteRange(VmFault& vmf, Pfn page, uint64_t nr, VirtAddr address, EntryPtr pte) {
  const Arch arch = vmf.arch;
  System& system = vmf.system;
  const bool prefault = vmf.address < address || vmf.address >= address + nr * kPageSize;
  Pte entry = PfnPte(arch, page, vmf.vma.page_prot);
  if (prefault && ArchWantsOldPrefaultedPte(arch, system.profile.hw_afdbm)) entry = PteMkOld(arch, entry);
  if (vmf.IsWrite()) entry = MkDirtyMaybeWrite(arch, entry, vmf.vma);
  if (vmf.IsWrite() && !vmf.vma.Has(kVmShared)) {
    AddNewAnonPage(system, page, vmf.vma, address);
  } else {
    for (uint64_t i = 0; i < nr; ++i) FolioAddFileRmapPte(system, page + i, vmf.vma);
  }
  StorePtes(vmf.mm, address, pte, entry, nr, "set_pte_range");
  Hook(HookPoint::kSetPteRange, vmf.mm, address, address + nr * kPageSize);
}

// Linux: mm/memory.c finish_fault()
VmFaultResult FinishFault(VmFault& vmf) {
  const bool is_cow = vmf.IsWrite() && !vmf.vma.Has(kVmShared);
  const Pfn page = is_cow ? vmf.cow_page : vmf.page;
  if (*vmf.pmd == 0) {
    if (vmf.prealloc_pte.value != 0) {
      PmdInstall(vmf.mm, vmf.pmd, vmf.address, vmf.prealloc_pte, "pmd_install");
      vmf.prealloc_pte = Pfn(0);
    } else if (!PteAlloc(vmf.mm, vmf.pmd, vmf.address)) {
      return kVmFaultOom;
    }
  }
  vmf.pte = Descend(vmf.system, vmf.pmd, vmf.address, kLevelPte);
  SetPteRange(vmf, page, 1, vmf.address, vmf.pte);
  ++vmf.mm.Rss(is_cow ? RssType::kAnon : RssTypeOf(vmf.system.pages[vmf.system.pages.HeadOf(page)]));
  return 0;
}

}  // namespace mmsim
