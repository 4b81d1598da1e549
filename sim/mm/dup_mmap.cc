// SPDX-License-Identifier: Apache-2.0
// fork's copy of an address space. Linux: kernel/fork.c dup_mmap()
//
// A copy that fails midway leaves the child with what was copied; whoever called drops it. Not modelled:
// userfaultfd, uprobes, KSM's and khugepaged's lists.
#include "sim/mm/page_table.h"
#include "sim/mm/rmap.h"
#include "sim/mm/tlb_flush.h"
#include "sim/mm/verbs.h"
#include "sim/mm/vma_ops.h"

namespace mmsim {

namespace {

// Right behind the parent's, as rmap walks go.
void LinkFileAfter(Vma& vma, Vma& parent) {
  if (vma.file == nullptr) return;
  Inode& inode = *vma.file->inode;
  if ((vma.flags & (kVmShared | kVmMayWrite)) == (kVmShared | kVmMayWrite)) ++inode.i_mmap_writable;
  inode.i_mmap.insert(std::next(inode.i_mmap.iterator_to(parent)), vma);
}

// Linux: the body of dup_mmap()'s loop
Status DupVma(Mm& child, Mm& parent, const Current& current, Vma& vma) {
  System& system = parent.system;
  const uint64_t charge = vma.Has(kVmAccount) ? vma.NrPages() : 0;
  // Asked of the parent, as the kernel does.
  if (charge != 0 && !VmEnoughMemory(parent, current, charge).ok()) return Errno::kENOMEM;
  Vma* copy = VmAreaDup(vma, child);
  if (copy == nullptr) {
    VmUnacctMemory(system, charge);
    return Errno::kENOMEM;
  }
  VmaEdit edit(child);
  const bool wipe = copy->Has(kVmWipeOnFork);
  if (wipe || vma.anon_vma == nullptr) {
    copy->anon_vma = nullptr;
  } else if (!AnonVmaFork(*copy, vma).ok()) {
    VmAreaFree(copy);
    VmUnacctMemory(system, charge);
    return Errno::kENOMEM;
  }
  edit.ClearFlags(*copy, kVmLockedMask);
  edit.Attach(*copy);
  ++child.map_count;
  VmaOpen(*copy);
  LinkFileAfter(*copy, vma);
  return wipe ? Status() : CopyPageRange(*copy, vma);
}

}  // namespace

// Linux: kernel/fork.c dup_mmap()
Status DupMmap(Mm& child, Mm& parent, const Current& current) {
  child.total_vm = parent.total_vm;
  child.data_vm = parent.data_vm;
  child.exec_vm = parent.exec_vm;
  child.stack_vm = parent.stack_vm;
  child.def_flags = parent.def_flags & kVmNoHugepage;  // VM_INIT_DEF_MASK
  if (parent.system.failures.ShouldFail(Seam::kVmaTree)) return Errno::kENOMEM;
  Status status;
  for (Vma& vma : parent.vmas) {
    if (vma.Has(kVmDontCopy)) {
      VmStatAccount(child, vma.flags, -static_cast<int64_t>(vma.NrPages()));
      continue;
    }
    status = DupVma(child, parent, current, vma);
    if (!status.ok()) break;
  }
  FlushTlbMm(parent);
  return status;
}

}  // namespace mmsim
