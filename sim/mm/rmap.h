// SPDX-License-Identifier: Apache-2.0
// The reverse map of anonymous memory, as Linux has it: an anon_vma a fork generation, joined to VMAs by
// chains. A page says (mapping, index); a walk finds its PTEs through them, with no node a PTE. Linux:
// mm/rmap.c, include/linux/rmap.h.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>

#include "sim/base/errno.h"
#include "sim/mm/vma.h"

namespace mmsim {

struct AvcSameAnonVmaTag;
using AvcSameAnonVmaHook = boost::intrusive::list_base_hook<boost::intrusive::tag<AvcSameAnonVmaTag>>;

struct AnonVmaChain : AvcSameVmaHook, AvcSameAnonVmaHook {
  Vma* vma = nullptr;
  AnonVma* anon_vma = nullptr;
};

struct AnonVma {
  AnonVma* root = nullptr;
  AnonVma* parent = nullptr;
  int refcount = 0;              // pins beside the chains (a root's children, pages under migration)
  uint64_t num_children = 0;     // children, itself included for a root
  uint64_t num_active_vmas = 0;  // VMAs whose anon_vma pointer is this one
  uint64_t id = 0;               // creation order
  boost::intrusive::list<AnonVmaChain, boost::intrusive::base_hook<AvcSameAnonVmaHook>,
                         boost::intrusive::constant_time_size<false>>
      chains;
};

// Gives `vma` an anon_vma: a mergeable neighbour's, else a new one. Linux: mm/rmap.c __anon_vma_prepare()
Status AnonVmaPrepare(Vma& vma);
// Attaches `dst` to every anon_vma of `src` (split, mremap's copy_vma, merge). Linux: mm/rmap.c
// anon_vma_clone()
Status AnonVmaClone(Vma& dst, Vma& src);
// The child's side of fork: clone, then an anon_vma of its own. Linux: mm/rmap.c anon_vma_fork()
Status AnonVmaFork(Vma& vma, Vma& parent_vma);
// Detaches `vma` from all of them; empty ones are freed. Linux: mm/rmap.c unlink_anon_vmas()
void UnlinkAnonVmas(Vma& vma);

}  // namespace mmsim
