// SPDX-License-Identifier: Apache-2.0
// Where a mapping without a fixed address goes: hints, top-down below mmap_base with the way out bottom-up,
// guard gaps of stacks, and alignment for huge pages. Linux: mm/mmap.c, mm/huge_memory.c, mm/shmem.c
//
// Not modelled: mounts with huge=always or within_size, hugetlbfs, shadow stacks' guard pages.
#include "sim/mm/unmapped_area.h"

#include "sim/mm/arch/layout.h"
#include "sim/mm/mman.h"
#include "sim/mm/page_table.h"
#include "sim/mm/verbs.h"
#include "sim/mm/vma_ops.h"

namespace mmsim {

namespace {

constexpr int64_t kNoMemory = -static_cast<int64_t>(Errno::kENOMEM);

// A hint that lies in free space, with the next stack's gap left. Linux: the hint in
// generic_get_unmapped_area()
bool HintIsFree(const Mm& mm, uint64_t addr, uint64_t len, uint64_t mmap_end) {
  if (mmap_end - len < addr || addr < mm.system.sysctl.mmap_min_addr) return false;
  const Vma* vma = mm.vmas.Find(VirtAddr(addr));
  return vma == nullptr || addr + len <= VmStartGap(*vma).value;
}

// Linux: mm/mmap.c unmapped_area()
int64_t UnmappedArea(const Mm& mm, const UnmappedAreaInfo& info, uint64_t low, uint64_t length) {
  for (;;) {
    const VmaTree::Gap gap = mm.vmas.LowestGap(VirtAddr(low), VirtAddr(info.high_limit), length);
    if (!gap.found) return kNoMemory;
    uint64_t at = gap.start.value;
    at += (info.align_offset - at) & info.align_mask;
    if (gap.next != nullptr && gap.next->Has(kVmGrowsDown) && VmStartGap(*gap.next).value < at + length - 1) {
      low = gap.next->end.value;
      continue;
    }
    return static_cast<int64_t>(at);
  }
}

// Linux: mm/mmap.c unmapped_area_topdown()
int64_t UnmappedAreaTopdown(const Mm& mm, const UnmappedAreaInfo& info, uint64_t low, uint64_t length) {
  uint64_t high = info.high_limit;
  for (;;) {
    const VmaTree::Gap gap = mm.vmas.HighestGap(VirtAddr(low), VirtAddr(high), length);
    if (!gap.found) return kNoMemory;
    const uint64_t gap_end = gap.end.value;
    uint64_t at = gap_end - info.length;
    at -= (at - info.align_offset) & info.align_mask;
    if (gap.next != nullptr && gap.next->Has(kVmGrowsDown) && VmStartGap(*gap.next).value < gap_end) {
      high = VmStartGap(*gap.next).value;
      continue;
    }
    return static_cast<int64_t>(at);
  }
}

}  // namespace

// Linux: mm/mmap.c vm_unmapped_area()
int64_t VmUnmappedArea(const Mm& mm, const UnmappedAreaInfo& info) {
  const uint64_t length = info.length + info.align_mask;
  if (length < info.length) return kNoMemory;
  const uint64_t low = std::max(info.low_limit, mm.system.sysctl.mmap_min_addr);
  return info.topdown ? UnmappedAreaTopdown(mm, info, low, length) : UnmappedArea(mm, info, low, length);
}

int64_t GenericGetUnmappedArea(const Mm& mm, const AreaRequest& r) {
  const uint64_t mmap_end = mm.task_size;
  if (r.len > mmap_end - mm.system.sysctl.mmap_min_addr) return kNoMemory;
  if ((r.flags & mman::kMapFixed) != 0) return static_cast<int64_t>(r.addr);
  if (r.addr != 0) {
    const uint64_t addr = VirtAddr(r.addr).PageCeil().value;
    if (HintIsFree(mm, addr, r.len, mmap_end)) return static_cast<int64_t>(addr);
  }
  return VmUnmappedArea(mm, {.length = r.len, .low_limit = mm.mmap_base.value, .high_limit = mmap_end});
}

int64_t GenericGetUnmappedAreaTopdown(const Mm& mm, const AreaRequest& r) {
  const uint64_t mmap_end = mm.task_size;
  if (r.len > mmap_end - mm.system.sysctl.mmap_min_addr) return kNoMemory;
  if ((r.flags & mman::kMapFixed) != 0) return static_cast<int64_t>(r.addr);
  if (r.addr != 0) {
    const uint64_t addr = VirtAddr(r.addr).PageCeil().value;
    if (HintIsFree(mm, addr, r.len, mmap_end)) return static_cast<int64_t>(addr);
  }
  const int64_t at = VmUnmappedArea(
      mm, {.topdown = true, .length = r.len, .low_limit = kPageSize, .high_limit = mm.mmap_base.value});
  if (VirtAddr(static_cast<uint64_t>(at)).IsPageAligned()) return at;
  // Nothing below mmap_base: bottom-up, between the heap and the end, before the program fails.
  return VmUnmappedArea(
      mm, {.length = r.len, .low_limit = TaskUnmappedBase(mm.system.arch), .high_limit = mmap_end});
}

int64_t MmGetUnmappedArea(const Mm& mm, const AreaRequest& request) {
  return mm.mmap_bottom_up ? ArchGetUnmappedArea(mm, request) : ArchGetUnmappedAreaTopdown(mm, request);
}

namespace {

// Linux: mm/huge_memory.c __thp_get_unmapped_area(): 0 when it has no better place
int64_t ThpAligned(const Mm& mm, const AreaRequest& r) {
  const auto off = static_cast<int64_t>(r.pgoff << kPageShift);
  const auto off_end = static_cast<int64_t>(static_cast<uint64_t>(off) + r.len);
  const auto off_align = static_cast<int64_t>((static_cast<uint64_t>(off) + kPmdSize - 1) & ~(kPmdSize - 1));
  if (off_end <= off_align || static_cast<uint64_t>(off_end - off_align) < kPmdSize) return 0;
  const uint64_t padded = r.len + kPmdSize;
  if (padded < r.len || static_cast<uint64_t>(off) + padded < static_cast<uint64_t>(off)) return 0;
  AreaRequest larger = r;
  larger.len = padded;
  const int64_t at = MmGetUnmappedArea(mm, larger);
  if (at < 0) return 0;  // perhaps because of the padding
  if (static_cast<uint64_t>(at) == r.addr) return at;
  const uint64_t off_sub = (static_cast<uint64_t>(off) - static_cast<uint64_t>(at)) & (kPmdSize - 1);
  // From above, the unused part of the padding shall be left below.
  if (!mm.mmap_bottom_up && off_sub == 0) return at + static_cast<int64_t>(kPmdSize);
  return at + static_cast<int64_t>(off_sub);
}

// Linux: mm/huge_memory.c thp_get_unmapped_area_vmflags()
int64_t ThpGetUnmappedArea(const Mm& mm, const AreaRequest& request) {
  const int64_t at = ThpAligned(mm, request);
  return at != 0 ? at : MmGetUnmappedArea(mm, request);
}

// f_op->get_unmapped_area, as far as kinds of files differ.
enum class GetArea : uint8_t { kNone, kPlain, kThp };

GetArea GetAreaOf(const File* file, uint64_t flags) {
  // Shared anonymous memory is a file of shmem in the making; without huge=, shmem asks for nothing special.
  // Linux: mm/shmem.c shmem_get_unmapped_area()
  if (file == nullptr) return (flags & mman::kMapShared) != 0 ? GetArea::kPlain : GetArea::kNone;
  switch (file->inode->kind) {
    case InodeKind::kDisk:
      return file->inode->aligns_huge ? GetArea::kThp : GetArea::kNone;
    case InodeKind::kShmem:
    case InodeKind::kDevZero:
      return GetArea::kPlain;
    case InodeKind::kOther:
      break;
  }
  return GetArea::kNone;
}

}  // namespace

// Linux: mm/mmap.c __get_unmapped_area()
int64_t GetUnmappedArea(Mm& mm, const Current& current, const FileRef& file, uint64_t addr, uint64_t len,
                        uint64_t pgoff, uint64_t flags, VmFlags vm_flags) {
  if (len > mm.task_size) return kNoMemory;
  AreaRequest request{file.get(), addr, len, file != nullptr ? pgoff : 0, flags, vm_flags};
  const GetArea get_area = GetAreaOf(file.get(), flags);
  int64_t at;
  if (get_area != GetArea::kNone) {
    request.vm_flags = 0;  // this interface has none
    at = get_area == GetArea::kThp && mm.system.profile.thp ? ThpGetUnmappedArea(mm, request)
                                                            : MmGetUnmappedArea(mm, request);
  } else if (mm.system.profile.thp && addr == 0 && len % kPmdSize == 0) {
    at = ThpGetUnmappedArea(mm, request);
  } else {
    at = MmGetUnmappedArea(mm, request);
  }
  if (at < 0 && at >= -kMaxErrno) return at;
  const auto found = static_cast<uint64_t>(at);
  if (found > mm.task_size - len) return kNoMemory;
  if (found % kPageSize != 0) return -static_cast<int64_t>(Errno::kEINVAL);
  // Linux: security/commoncap.c cap_mmap_addr()
  if (found < mm.system.sysctl.dac_mmap_min_addr && !current.cap_sys_rawio) {
    return -static_cast<int64_t>(Errno::kEPERM);
  }
  return at;
}

}  // namespace mmsim
