// SPDX-License-Identifier: Apache-2.0
// The VMAs of an address space in order of address: a stand-in for the maple tree. Range lookup, next and
// previous, first-fit gap search from above and from below, all O(log n).
#pragma once

#include <absl/container/btree_map.h>

#include <cstdint>

#include "mmsim/types.h"

namespace mmsim {

struct Vma;

class VmaTree {
 public:
  // The first VMA that ends after `address`, or null. Linux: find_vma()
  Vma* Find(VirtAddr address) const;
  // The VMA that contains `address`, or null. Linux: vma_lookup()
  Vma* Lookup(VirtAddr address) const;
};

}  // namespace mmsim
