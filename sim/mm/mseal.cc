// SPDX-License-Identifier: Apache-2.0
// mseal: mappings that no call may take away or change any more. Linux: mm/mseal.c
#include "sim/mm/arch/layout.h"
#include "sim/mm/verbs.h"
#include "sim/mm/vma_ops.h"

namespace mmsim {

namespace {

// Linux: mm/mseal.c check_mm_seal(): all of it is mapped
bool AllMapped(const Mm& mm, VirtAddr start, VirtAddr end) {
  for (const Vma* vma = mm.vmas.Find(start); vma != nullptr && vma->start < end; vma = vma->Next()) {
    if (vma->start > start) return false;
    if (vma->end >= end) return true;
    start = vma->end;
  }
  return false;
}

// Linux: mm/mseal.c apply_mm_seal()
Status ApplySeal(Mm& mm, VirtAddr start, VirtAddr end) {
  Vma* vma = mm.vmas.Lookup(start);
  Vma* prev = start > vma->start ? vma : vma->Prev();
  while (vma != nullptr && vma->start < end) {
    const VirtAddr to = std::min<VirtAddr>(vma->end, end);
    const VmFlags flags = vma->flags | kVmSealed;
    Vma* now = vma;
    if (flags != vma->flags) {
      Result<Vma*> modified = VmaModifyFlags(prev, *vma, start, to, flags);
      if (!modified.ok()) return modified.error();
      now = *modified;
      VmaEdit(mm).AddFlags(*now, kVmSealed);
    }
    prev = now;
    start = now->end;
    vma = now->Next();
  }
  return {};
}

}  // namespace

// Linux: mm/mseal.c do_mseal()
int64_t SysMseal(Mm& mm, uint64_t start, uint64_t len, uint64_t flags) {
  if (flags != 0) return Status(Errno::kEINVAL).AsReturn();
  const VirtAddr from(UntaggedAddr(mm.system.arch, start));
  const uint64_t bytes = VirtAddr(len).PageCeil().value;
  const VirtAddr to = from + bytes;
  if (!from.IsPageAligned() || (len != 0 && bytes == 0) || to < from)
    return Status(Errno::kEINVAL).AsReturn();
  if (to == from) return 0;
  if (!AllMapped(mm, from, to)) return Status(Errno::kENOMEM).AsReturn();
  return ApplySeal(mm, from, to).AsReturn();
}

}  // namespace mmsim
