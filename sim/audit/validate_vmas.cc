// SPDX-License-Identifier: Apache-2.0
// VMAs: in order, within bounds, and what was added up over them. Reverse maps of VMAs: each VMA is on the
// lists on which rmap would look for it, and on no other.
#include <absl/container/flat_hash_map.h>

#include "sim/audit/census.h"
#include "sim/mm/rmap.h"

namespace mmsim::audit {
namespace {

// By address of the object; looked up, never iterated.
struct Links {
  absl::flat_hash_map<const AnonVma*, uint64_t> active;    // VMAs whose anon_vma it is
  absl::flat_hash_map<const AnonVma*, uint64_t> children;  // anon_vmas whose parent it is
  std::vector<const AnonVma*> anon_vmas;                   // each once, as met
  absl::flat_hash_map<const Inode*, uint64_t> mapped;      // VMAs on i_mmap
  absl::flat_hash_map<const Inode*, int64_t> writable;     // those that count in i_mmap_writable
  int64_t committed = 0;                                   // pages
};

void MeetAnonVma(Links& links, const AnonVma* anon_vma) {
  if (links.children.try_emplace(anon_vma, 0).second) links.anon_vmas.push_back(anon_vma);
}

void CheckAnonVma(Census& census, Links& links, const Vma& vma) {
  bool own = false;
  for (const AnonVmaChain& chain : vma.anon_vma_chain) {
    if (chain.vma != &vma) census.Complain("VMA {:x}: a chain of another VMA", vma.start.value);
    own |= chain.anon_vma == vma.anon_vma;
    MeetAnonVma(links, chain.anon_vma);
    uint64_t found = 0;
    for (const AnonVmaChain& other : chain.anon_vma->chains) found += &other == &chain;
    if (found != 1) census.Complain("VMA {:x}: a chain that its anon_vma does not know", vma.start.value);
    if (vma.anon_vma != nullptr && chain.anon_vma->root != vma.anon_vma->root) {
      census.Complain("VMA {:x}: chained to anon_vmas of different roots", vma.start.value);
    }
  }
  if (vma.anon_vma == nullptr) {
    if (!vma.anon_vma_chain.empty()) census.Complain("VMA {:x}: chains, but no anon_vma", vma.start.value);
    return;
  }
  ++links.active[vma.anon_vma];
  if (!own) census.Complain("VMA {:x}: not chained to its anon_vma", vma.start.value);
}

void CheckFileLink(Census& census, Links& links, const Vma& vma) {
  if (vma.file == nullptr) return;
  const Inode& inode = *vma.file->inode;
  ++links.mapped[&inode];
  uint64_t found = 0;
  for (const Vma& other : inode.i_mmap) found += &other == &vma;
  if (found != 1) census.Complain("VMA {:x}: {} times on its file's i_mmap", vma.start.value, found);
  if ((vma.flags & (kVmShared | kVmMayWrite)) == (kVmShared | kVmMayWrite)) ++links.writable[&inode];
}

struct Sums {
  int64_t total = 0, locked = 0, data = 0, exec = 0, stack = 0;
};

// Linux: mm/mmap.c vm_stat_account() and the tests of mm/internal.h
void AddUp(Sums& sums, const Vma& vma) {
  const int64_t pages = static_cast<int64_t>(vma.NrPages());
  sums.total += pages;
  if (vma.Has(kVmLocked)) sums.locked += pages;
  if ((vma.flags & (kVmExec | kVmWrite | kVmGrowsDown)) == kVmExec) {
    sums.exec += pages;
  } else if (vma.Has(kVmGrowsDown)) {
    sums.stack += pages;
  } else if ((vma.flags & (kVmWrite | kVmShared | kVmGrowsDown)) == kVmWrite) {
    sums.data += pages;
  }
}

void CheckMm(Census& census, Links& links, Mm& mm) {
  Sums sums;
  VirtAddr last_end;
  size_t count = 0;
  for (Vma& vma : mm.vmas) {
    ++count;
    if (vma.start < last_end || vma.start >= vma.end || !vma.start.IsPageAligned() ||
        !vma.end.IsPageAligned() || vma.end.value > mm.task_size) {
      census.Complain("VMA {:x}-{:x} is out of order or bounds", vma.start.value, vma.end.value);
    }
    last_end = vma.end;
    if (vma.mm != &mm) census.Complain("VMA {:x} says that it is another mm's", vma.start.value);
    AddUp(sums, vma);
    if (vma.Has(kVmAccount)) links.committed += static_cast<int64_t>(vma.NrPages());
    CheckAnonVma(census, links, vma);
    CheckFileLink(census, links, vma);
  }
  census.ExpectEqual(mm.vmas.size(), count, "the number of VMAs in the tree");
  census.ExpectEqual(mm.map_count, count, "map_count");
  if (mm.mm_users == 0)
    return;  // it has ended, and is held by mm_count alone: its counters stay as they were
  census.ExpectEqual(mm.total_vm, sums.total, "total_vm");
  census.ExpectEqual(mm.locked_vm, sums.locked, "locked_vm");
  census.ExpectEqual(mm.data_vm, sums.data, "data_vm");
  census.ExpectEqual(mm.exec_vm, sums.exec, "exec_vm");
  census.ExpectEqual(mm.stack_vm, sums.stack, "stack_vm");
}

void CheckAnonVmas(Census& census, Links& links) {
  // Parents that no VMA is chained to any more are met through their children.
  for (size_t i = 0; i < links.anon_vmas.size(); ++i) MeetAnonVma(links, links.anon_vmas[i]->parent);
  for (const AnonVma* anon_vma : links.anon_vmas) ++links.children[anon_vma->parent];
  for (const AnonVma* anon_vma : links.anon_vmas) {
    census.ExpectEqual(anon_vma->num_active_vmas, links.active[anon_vma], "an anon_vma's num_active_vmas");
    census.ExpectEqual(anon_vma->num_children, links.children[anon_vma], "an anon_vma's num_children");
  }
}

}  // namespace

void CheckVmas(Census& census) {
  System& system = census.system;
  Links links;
  for (Mm* mm : system.mms) CheckMm(census, links, *mm);
  CheckAnonVmas(census, links);
  for (const Inode* inode : system.inodes) {
    uint64_t mapped = 0;
    for ([[maybe_unused]] const Vma& vma : inode->i_mmap) ++mapped;
    census.ExpectEqual(mapped, links.mapped[inode], "the length of an i_mmap");
    if (inode->i_mmap_writable >= 0) {
      census.ExpectEqual(inode->i_mmap_writable, links.writable[inode], "i_mmap_writable");
    }
    links.committed += static_cast<int64_t>(inode->accounted_pages);
  }
  census.ExpectEqual(system.vm_committed_as, links.committed + system.committed_for_good, "vm_committed_as");
}

}  // namespace mmsim::audit
