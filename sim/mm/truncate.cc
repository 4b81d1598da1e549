// SPDX-License-Identifier: Apache-2.0
// Files that become shorter or get holes, and what that takes away from every process that maps them; reads
// and writes of either kind of file. Linux: mm/truncate.c, mm/memory.c unmap_mapping_range(), mm/shmem.c
//
// Invariant: no entry maps a page that is no longer in its file, private copies apart.
#include <algorithm>

#include "sim/mm/folio.h"
#include "sim/mm/lru.h"
#include "sim/mm/page_table.h"
#include "sim/mm/shmem.h"
#include "sim/mm/swap.h"

namespace mmsim {
namespace {

constexpr uint32_t kSealShrink = 2, kSealGrow = 4, kSealWrite = 8, kSealFutureWrite = 0x10;

// Linux: mm/truncate.c truncate_inode_folio(), mm/shmem.c shmem_free_swap()
void DropEntry(Inode& inode, uint64_t index, CacheEntry entry) {
  System& system = *inode.system;
  inode.i_pages.erase(index);
  if (inode.noreserve && inode.kind == InodeKind::kShmem) {
    --inode.accounted_pages;
    --system.vm_committed_as;
  }
  if (entry.IsSwap()) {
    system.swap->Free(entry.swap_offset());
    return;
  }
  const Pfn pfn = entry.page();
  MMSIM_CHECK(system.pages[pfn].mapcount == -1);
  system.pages[pfn].Clear(kPgDirty);
  system.pages[pfn].mapping = 0;
  PutFolio(system, pfn);
}

// Linux: mm/truncate.c truncate_inode_partial_folio()
void ZeroPart(Inode& inode, uint64_t start, uint64_t end) {
  if (start >= end) return;
  System& system = *inode.system;
  const auto it = inode.i_pages.find(start >> kPageShift);
  if (it == inode.i_pages.end()) return;
  const Pfn pfn = it->second.IsSwap() ? ShmemSwapin(inode, it->first) : it->second.page();
  if (pfn.value == 0) return;
  static constexpr uint8_t kZeros[kPageSize] = {};
  system.phys.WriteBytes(pfn.Base() + (start & (kPageSize - 1)), {kZeros, end - start});
  if (inode.kind == InodeKind::kShmem) system.pages[pfn].Set(kPgDirty);
}

}  // namespace

void TruncateInodePages(Inode& inode, uint64_t start, uint64_t end) {
  const uint64_t first = (start >> kPageShift) + ((start & (kPageSize - 1)) != 0), last = end >> kPageShift;
  const uint64_t start_page_end = std::min(end, (start | (kPageSize - 1)) + 1);
  if ((start & (kPageSize - 1)) != 0) ZeroPart(inode, start, start_page_end);
  if (end != ~uint64_t{0} && (end & (kPageSize - 1)) != 0 && (end & kPageMask) >= start) {
    ZeroPart(inode, std::max(start, end & kPageMask), end);
  }
  for (auto it = inode.i_pages.lower_bound(first); it != inode.i_pages.end() && it->first < last;
       it = inode.i_pages.lower_bound(first)) {
    DropEntry(inode, it->first, it->second);
  }
}

void UnmapMappingPages(Inode& inode, uint64_t first, uint64_t nr, bool even_cows) {
  const uint64_t last = nr == 0 || first + nr - 1 < first ? ~uint64_t{0} : first + nr - 1;
  for (Vma& vma : inode.i_mmap) {
    const uint64_t vba = vma.pgoff, vea = vba + vma.NrPages() - 1;
    if (vea < first || vba > last) continue;
    const uint64_t zba = std::max(first, vba), zea = std::min(last, vea);
    ZapPageRangeSingle(vma,
                       {vma.start + ((zba - vba) << kPageShift), vma.start + ((zea - vba + 1) << kPageShift)},
                       {.even_cows = even_cows});
  }
}

Status InodeTruncate(Inode& inode, uint64_t new_size) {
  const uint64_t old_size = inode.size_bytes;
  if (inode.kind == InodeKind::kShmem) {
    if (new_size < old_size && (inode.seals & kSealShrink) != 0) return Errno::kEPERM;
    if (new_size > old_size && (inode.seals & kSealGrow) != 0) return Errno::kEPERM;
  }
  inode.size_bytes = new_size;
  if (new_size >= old_size) return {};
  const uint64_t hole = (new_size + kPageSize - 1) & kPageMask;
  if (old_size > hole) UnmapMappingPages(inode, hole >> kPageShift, 0, /*even_cows=*/true);
  TruncateInodePages(inode, new_size, ~uint64_t{0});
  if (inode.backing.size() > new_size) inode.backing.resize(new_size);
  return {};
}

Status InodePunchHole(Inode& inode, uint64_t offset, uint64_t len_bytes) {
  if (inode.kind == InodeKind::kShmem && (inode.seals & (kSealWrite | kSealFutureWrite)) != 0) {
    return Errno::kEPERM;
  }
  const uint64_t end = offset + len_bytes;
  const uint64_t first = (offset + kPageSize - 1) >> kPageShift, last = end >> kPageShift;
  if (last > first) UnmapMappingPages(inode, first, last - first, /*even_cows=*/false);
  TruncateInodePages(inode, offset, end);
  if (offset < inode.backing.size()) {
    const uint64_t n = std::min<uint64_t>(end, inode.backing.size()) - offset;
    std::fill_n(inode.backing.begin() + static_cast<ptrdiff_t>(offset), n, '\0');
  }
  return {};
}

int64_t InodeRead(Inode& inode, uint64_t position, std::span<uint8_t> out) {
  if (position >= inode.size_bytes || out.empty()) return 0;
  out = out.first(std::min<uint64_t>(out.size(), inode.size_bytes - position));
  return inode.kind == InodeKind::kShmem ? ShmemRead(inode, position, out)
                                         : FilemapRead(inode, position, out);
}

int64_t InodeWrite(Inode& inode, uint64_t position, std::span<const uint8_t> in) {
  if (in.empty()) return 0;
  return inode.kind == InodeKind::kShmem ? ShmemWrite(inode, position, in)
                                         : FilemapWrite(inode, position, in);
}

}  // namespace mmsim
