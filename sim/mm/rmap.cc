// SPDX-License-Identifier: Apache-2.0
// The anon_vmas' life: made at the first write of anonymous memory, cloned by splits and copies, grown by a
// generation at fork, freed with their last VMA. Linux: mm/rmap.c
//
// Invariants: a VMA's chains are in order from newest to oldest; an anon_vma lives while a chain or a child
// of its root's tree refers to it; num_active_vmas counts the VMAs whose anon_vma it is. Not modelled: locks,
// KSM's references.
#include "sim/mm/rmap.h"

#include <memory>

#include "sim/base/check.h"
#include "sim/mm/mm.h"
#include "sim/mm/vma_ops.h"

namespace mmsim {

namespace {

// Linux: mm/rmap.c anon_vma_alloc()
AnonVma* AnonVmaAlloc(System& system) {
  if (system.failures.ShouldFail(Seam::kAnonVma)) return nullptr;
  AnonVma* anon_vma = new AnonVma;
  anon_vma->refcount = 1;
  anon_vma->root = anon_vma->parent = anon_vma;
  anon_vma->id = system.next_id++;
  return anon_vma;
}

// Linux: mm/rmap.c __put_anon_vma()
void PutAnonVma(AnonVma* anon_vma) {
  if (--anon_vma->refcount != 0) return;
  AnonVma* root = anon_vma->root;
  MMSIM_CHECK(anon_vma->chains.empty());
  delete anon_vma;
  if (root != anon_vma) PutAnonVma(root);
}

// Linux: mm/rmap.c anon_vma_chain_alloc()
AnonVmaChain* ChainAlloc(System& system) {
  return system.failures.ShouldFail(Seam::kAnonVma) ? nullptr : new AnonVmaChain;
}

// Linux: mm/rmap.c anon_vma_chain_assign(), anon_vma_interval_tree_insert()
void ChainAssign(Vma& vma, AnonVmaChain* chain, AnonVma* anon_vma) {
  chain->vma = &vma;
  chain->anon_vma = anon_vma;
  vma.anon_vma_chain.push_front(*chain);
  anon_vma->chains.push_back(*chain);
}

}  // namespace

// Linux: mm/rmap.c __anon_vma_prepare()
Status AnonVmaPrepare(Vma& vma) {
  if (vma.anon_vma != nullptr) return {};
  System& system = vma.mm->system;
  AnonVmaChain* chain = ChainAlloc(system);
  if (chain == nullptr) return Errno::kENOMEM;
  AnonVma* anon_vma = FindMergeableAnonVma(vma);
  if (anon_vma == nullptr) {
    anon_vma = AnonVmaAlloc(system);
    if (anon_vma == nullptr) {
      delete chain;
      return Errno::kENOMEM;
    }
    ++anon_vma->num_children;  // a root is its own parent
  }
  vma.anon_vma = anon_vma;
  ChainAssign(vma, chain, anon_vma);
  ++anon_vma->num_active_vmas;
  return {};
}

// With dst.anon_vma null (fork), one that no VMA uses and that has one child at most is taken over, so that a
// program that forks again and again does not pile them up. Linux: mm/rmap.c anon_vma_clone()
Status AnonVmaClone(Vma& dst, Vma& src) {
  for (auto it = src.anon_vma_chain.rbegin(); it != src.anon_vma_chain.rend(); ++it) {
    AnonVmaChain* chain = ChainAlloc(src.mm->system);
    if (chain == nullptr) {
      // The caller does not care for dst.anon_vma any more; its count was not raised yet.
      dst.anon_vma = nullptr;
      UnlinkAnonVmas(dst);
      return Errno::kENOMEM;
    }
    AnonVma* anon_vma = it->anon_vma;
    ChainAssign(dst, chain, anon_vma);
    if (dst.anon_vma == nullptr && src.anon_vma != nullptr && anon_vma->num_children < 2 &&
        anon_vma->num_active_vmas == 0) {
      dst.anon_vma = anon_vma;
    }
  }
  if (dst.anon_vma != nullptr) ++dst.anon_vma->num_active_vmas;
  return {};
}

// Linux: mm/rmap.c anon_vma_fork()
Status AnonVmaFork(Vma& vma, Vma& parent_vma) {
  if (parent_vma.anon_vma == nullptr) return {};
  System& system = vma.mm->system;
  vma.anon_vma = nullptr;
  Status status = AnonVmaClone(vma, parent_vma);
  if (!status.ok()) return status;
  if (vma.anon_vma != nullptr) return {};  // taken over
  AnonVma* anon_vma = AnonVmaAlloc(system);
  AnonVmaChain* chain = anon_vma != nullptr ? ChainAlloc(system) : nullptr;
  if (chain == nullptr) {
    if (anon_vma != nullptr) PutAnonVma(anon_vma);
    UnlinkAnonVmas(vma);
    return Errno::kENOMEM;
  }
  ++anon_vma->num_active_vmas;
  anon_vma->root = parent_vma.anon_vma->root;
  anon_vma->parent = parent_vma.anon_vma;
  ++anon_vma->root->refcount;
  vma.anon_vma = anon_vma;
  ChainAssign(vma, chain, anon_vma);
  ++anon_vma->parent->num_children;
  return {};
}

// Linux: mm/rmap.c unlink_anon_vmas()
void UnlinkAnonVmas(Vma& vma) {
  // First all leave the trees; those that nobody refers to any more are freed afterwards, the root last.
  for (auto it = vma.anon_vma_chain.begin(); it != vma.anon_vma_chain.end();) {
    AnonVmaChain* chain = &*it;
    AnonVma* anon_vma = chain->anon_vma;
    anon_vma->chains.erase(anon_vma->chains.iterator_to(*chain));
    if (anon_vma->chains.empty()) {
      --anon_vma->parent->num_children;
      ++it;
      continue;
    }
    it = vma.anon_vma_chain.erase(it);
    delete chain;
  }
  if (vma.anon_vma != nullptr) {
    --vma.anon_vma->num_active_vmas;
    vma.anon_vma = nullptr;
  }
  vma.anon_vma_chain.clear_and_dispose([](AnonVmaChain* chain) {
    MMSIM_CHECK(chain->anon_vma->num_children == 0 && chain->anon_vma->num_active_vmas == 0);
    PutAnonVma(chain->anon_vma);
    delete chain;
  });
}

}  // namespace mmsim
