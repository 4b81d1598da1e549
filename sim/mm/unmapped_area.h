// SPDX-License-Identifier: Apache-2.0
// The search for a free range of addresses, and who decides where it looks. Linux: mm/mmap.c
// vm_unmapped_area(), get_unmapped_area()
#pragma once

#include <cstdint>

#include "sim/mm/current.h"
#include "sim/mm/mm.h"

namespace mmsim {

// What is looked for: length free bytes in [low_limit, high_limit) at an address that has align_offset's bits
// under align_mask. Linux: struct vm_unmapped_area_info
struct UnmappedAreaInfo {
  bool topdown = false;
  uint64_t length = 0, low_limit = 0, high_limit = 0, align_mask = 0, align_offset = 0;
};
// An address or -ENOMEM. Linux: mm/mmap.c vm_unmapped_area()
int64_t VmUnmappedArea(const Mm& mm, const UnmappedAreaInfo& info);

// A request as it goes from hand to hand. `file` may be null.
struct AreaRequest {
  File* file;
  uint64_t addr, len, pgoff, flags;
  VmFlags vm_flags;
};
// By the mm's direction. Linux: mm/mmap.c mm_get_unmapped_area_vmflags()
int64_t MmGetUnmappedArea(const Mm& mm, const AreaRequest& request);
// What architectures without rules of their own do. Linux: mm/mmap.c generic_get_unmapped_area(),
// generic_get_unmapped_area_topdown()
int64_t GenericGetUnmappedArea(const Mm& mm, const AreaRequest& request);
int64_t GenericGetUnmappedAreaTopdown(const Mm& mm, const AreaRequest& request);

}  // namespace mmsim
