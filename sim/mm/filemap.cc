// SPDX-License-Identifier: Apache-2.0
// The page cache: pages of files found, read in and mapped (filemap.h). Linux: mm/filemap.c, mm/readahead.c
//
// Invariants: a page in the cache has one reference from it, mapping = its inode and index = its place; all
// pages of a file are order 0. A disk file's pages are filled from Inode::backing, zeros beyond. Not
// modelled: I/O that takes time or fails, locked pages, eviction, large folios, DAX.
#include "sim/mm/filemap.h"

#include <algorithm>
#include <cstring>

#include "sim/mm/fault.h"
#include "sim/mm/folio.h"
#include "sim/mm/lru.h"
#include "sim/mm/shmem.h"

namespace mmsim {
namespace {

constexpr uint64_t kRaPages = 32;  // 128 KiB, the default of a disk
constexpr uint32_t kMmapLotsamiss = 100;

uint64_t EndPage(const Inode& inode) {
  return (inode.size_bytes + kPageSize - 1) >> kPageShift;
}

// Reads one page in from the disk. Linux: mm/filemap.c filemap_add_folio(), read_folio
Pfn ReadPage(Inode& inode, uint64_t index) {
  System& system = *inode.system;
  const Pfn pfn = AllocFolio(system);
  if (pfn.value == 0) return pfn;
  const uint64_t offset = index << kPageShift;
  if (offset < inode.backing.size()) {
    const uint64_t n = std::min<uint64_t>(kPageSize, inode.backing.size() - offset);
    system.phys.WriteBytes(pfn.Base(), {reinterpret_cast<const uint8_t*>(inode.backing.data()) + offset, n});
  }
  FilemapAddFolio(inode, index, pfn);
  system.pages[pfn].Set(kPgUptodate);
  FolioAddLru(system, pfn);
  return pfn;
}

// Reads what is missing of [start, start + nr), with a marker on the page where the next readahead is to
// begin. Linux: mm/readahead.c page_cache_ra_unbounded()
void ReadAheadRange(Inode& inode, uint64_t start, uint64_t nr, uint64_t lookahead) {
  const uint64_t end = std::min(start + nr, EndPage(inode));
  for (uint64_t index = start; index < end; ++index) {
    if (inode.i_pages.contains(index)) continue;
    const Pfn pfn = ReadPage(inode, index);
    if (pfn.value == 0) return;
    if (index == start + nr - lookahead) inode.system->pages[pfn].Set(kPgReadahead);
  }
}

// Linux: mm/filemap.c do_sync_mmap_readahead()
void DoSyncMmapReadahead(VmFault& vmf) {
  File& file = *vmf.vma.file;
  if (vmf.vma.Has(kVmRandRead)) return;
  if (vmf.vma.Has(kVmSeqRead)) {
    file.ra_start = vmf.pgoff;
    file.ra_size = kRaPages;
    file.ra_async_size = kRaPages;
    ReadAheadRange(*file.inode, vmf.pgoff, kRaPages, 0);
    return;
  }
  if (file.mmap_miss < kMmapLotsamiss * 10) ++file.mmap_miss;
  if (file.mmap_miss > kMmapLotsamiss) return;
  file.ra_start = vmf.pgoff - std::min(vmf.pgoff, kRaPages / 2);
  file.ra_size = kRaPages;
  file.ra_async_size = kRaPages / 4;
  ReadAheadRange(*file.inode, file.ra_start, file.ra_size, file.ra_async_size);
}

// Linux: mm/filemap.c do_async_mmap_readahead(), mm/readahead.c page_cache_async_ra()
void DoAsyncMmapReadahead(VmFault& vmf, Page& page) {
  File& file = *vmf.vma.file;
  if (vmf.vma.Has(kVmRandRead)) return;
  if (file.mmap_miss != 0) --file.mmap_miss;
  if (!page.Has(kPgReadahead)) return;
  page.Clear(kPgReadahead);
  const uint64_t expected = file.ra_start + file.ra_size - file.ra_async_size;
  file.ra_start = vmf.pgoff == expected ? file.ra_start + file.ra_size : vmf.pgoff + 1;
  file.ra_size = kRaPages;
  file.ra_async_size = kRaPages;
  ReadAheadRange(*file.inode, file.ra_start, file.ra_size, file.ra_async_size);
}

// Maps one cached page if its entry is empty. Linux: mm/filemap.c filemap_map_order0_folio()
VmFaultResult FilemapMapOrder0Folio(VmFault& vmf, Pfn page, VirtAddr address, EntryPtr pte, int64_t* rss) {
  if (!PteNone(vmf.arch, ReadEntry(pte))) return 0;
  SetPteRange(vmf, page, 1, address, pte);
  ++*rss;
  GetFolio(vmf.system, page);
  return vmf.address == address ? kVmFaultNopage : 0;
}

}  // namespace

void intrusive_ptr_add_ref(Inode* inode) {
  ++inode->refcount;
}
void intrusive_ptr_release(Inode* inode) {
  InodePut(inode);
}
void intrusive_ptr_add_ref(File* file) {
  ++file->refcount;
}
void intrusive_ptr_release(File* file) {
  if (--file->refcount != 0) return;
  if (file->write_access) --file->inode->writers;
  delete file;
}

InodeRef NewInode(System& system, InodeKind kind, uint64_t size_bytes) {
  auto* inode = new Inode;
  inode->system = &system;
  inode->kind = kind;
  inode->id = system.next_id++;
  inode->size_bytes = size_bytes;
  inode->slot = system.inodes.size();
  system.inodes.push_back(inode);
  return InodeRef(inode);
}

void InodePut(Inode* inode) {
  if (--inode->refcount != 0) return;
  System& system = *inode->system;
  TruncateInodePages(*inode, 0, ~uint64_t{0});
  system.vm_committed_as -= static_cast<int64_t>(inode->accounted_pages);
  system.inodes.back()->slot = inode->slot;
  std::swap(system.inodes[inode->slot], system.inodes.back());
  system.inodes.pop_back();
  delete inode;
}

Pfn FilemapGetPage(const Inode& inode, uint64_t index) {
  const auto it = inode.i_pages.find(index);
  return it == inode.i_pages.end() || it->second.IsSwap() ? Pfn(0) : it->second.page();
}

// Linux: mm/filemap.c __filemap_add_folio(); the reference that the caller has becomes the cache's.
void FilemapAddFolio(Inode& inode, uint64_t index, Pfn pfn) {
  Page& page = inode.system->pages[pfn];
  page.mapping = reinterpret_cast<uint64_t>(&inode);
  page.SetIndex(index);
  inode.i_pages[index] = CacheEntry::OfPage(pfn);
}

void FolioMarkDirty(System& system, Pfn folio) {
  system.pages[folio].Set(kPgDirty);
}

void FilemapReadAhead(Inode& inode, uint64_t first, uint64_t nr) {
  ReadAheadRange(inode, first, nr, 0);
}

VmFaultResult FilemapFault(VmFault& vmf) {
  Inode& inode = *vmf.vma.file->inode;
  if (vmf.pgoff >= EndPage(inode)) return kVmFaultSigbus;
  VmFaultResult ret = 0;
  Pfn page = FilemapGetPage(inode, vmf.pgoff);
  if (page.value != 0) {
    DoAsyncMmapReadahead(vmf, vmf.system.pages[page]);
  } else {
    ret = kVmFaultMajor;
    DoSyncMmapReadahead(vmf);
    page = FilemapGetPage(inode, vmf.pgoff);
    if (page.value == 0) page = ReadPage(inode, vmf.pgoff);
    if (page.value == 0) return kVmFaultOom;
  }
  GetFolio(vmf.system, page);
  vmf.page = page;
  return ret;
}

VmFaultResult FilemapMapPages(VmFault& vmf, uint64_t start_pgoff, uint64_t end_pgoff) {
  Inode& inode = *vmf.vma.file->inode;
  System& system = vmf.system;
  if (inode.size_bytes == 0) return 0;
  end_pgoff = std::min(end_pgoff, EndPage(inode) - 1);
  VmFaultResult ret = 0;
  int64_t rss = 0;
  uint32_t mapped = 0;
  for (auto it = inode.i_pages.lower_bound(start_pgoff); it != inode.i_pages.end() && it->first <= end_pgoff;
       ++it) {
    if (it->second.IsSwap()) continue;
    const Page& page = system.pages[it->second.page()];
    if (!page.Has(kPgUptodate) || page.Has(kPgReadahead)) continue;
    if (*vmf.pmd == 0) {
      PmdInstall(vmf.mm, vmf.pmd, vmf.address, vmf.prealloc_pte, "pmd_install");
      vmf.prealloc_pte = Pfn(0);
    }
    if (!page.Has(kPgWorkingset)) ++mapped;
    const VirtAddr address = vmf.vma.start + ((it->first - vmf.vma.pgoff) << kPageShift);
    ret |= FilemapMapOrder0Folio(vmf, it->second.page(), address,
                                 Descend(system, vmf.pmd, address, kLevelPte), &rss);
  }
  vmf.mm.Rss(inode.kind == InodeKind::kShmem ? RssType::kShmem : RssType::kFile) += rss;
  File& file = *vmf.vma.file;
  file.mmap_miss -= std::min(file.mmap_miss, mapped);
  return ret;
}

// --- read and write of disk files

int64_t FilemapRead(Inode& inode, uint64_t position, std::span<uint8_t> out) {
  System& system = *inode.system;
  uint64_t done = 0;
  while (done < out.size()) {
    const uint64_t at = position + done, index = at >> kPageShift, offset = at & (kPageSize - 1);
    Pfn page = FilemapGetPage(inode, index);
    if (page.value == 0) {
      ReadAheadRange(inode, index, kRaPages, 0);
      page = FilemapGetPage(inode, index);
      if (page.value == 0) break;
    }
    const uint64_t n = std::min(out.size() - done, kPageSize - offset);
    system.phys.ReadBytes(page.Base() + offset, out.subspan(done, n));
    FolioMarkAccessed(system, page);
    done += n;
  }
  return done != 0 ? static_cast<int64_t>(done) : Status(Errno::kENOMEM).AsReturn();
}

int64_t FilemapWrite(Inode& inode, uint64_t position, std::span<const uint8_t> in) {
  System& system = *inode.system;
  uint64_t done = 0;
  while (done < in.size()) {
    const uint64_t at = position + done, index = at >> kPageShift, offset = at & (kPageSize - 1);
    Pfn page = FilemapGetPage(inode, index);
    if (page.value == 0) page = ReadPage(inode, index);
    if (page.value == 0) break;
    const uint64_t n = std::min(in.size() - done, kPageSize - offset);
    system.phys.WriteBytes(page.Base() + offset, in.subspan(done, n));
    FolioMarkAccessed(system, page);
    FolioMarkDirty(system, page);
    done += n;
    inode.size_bytes = std::max(inode.size_bytes, at + n);
  }
  return done != 0 ? static_cast<int64_t>(done) : Status(Errno::kENOMEM).AsReturn();
}

}  // namespace mmsim
