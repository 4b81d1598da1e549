// SPDX-License-Identifier: Apache-2.0
// Files that live in memory: tmpfs, memfd, shared anonymous memory, System V segments. Linux: mm/shmem.c
//
// Invariants: a page is in the cache or its swap entry is, never both. A page that fallocate made is not up
// to date until somebody asks for its contents; fault-around passes it over. Not modelled: huge shmem pages
// (shmem_enabled is `never`), the size limit of a mount.
#include "sim/mm/shmem.h"

#include <algorithm>

#include "sim/mm/fault.h"
#include "sim/mm/folio.h"
#include "sim/mm/lru.h"
#include "sim/mm/swap.h"

namespace mmsim {
namespace {

// include/uapi/linux/fcntl.h F_SEAL_*
constexpr uint32_t kSealGrow = 4, kSealWrite = 8, kSealFutureWrite = 0x10;

// Linux: mm/shmem.c shmem_alloc_and_add_folio()
Pfn ShmemAllocAndAddFolio(Inode& inode, uint64_t index) {
  System& system = *inode.system;
  const Pfn pfn = AllocFolio(system);
  if (pfn.value == 0) return pfn;
  system.pages[pfn].Set(kPgSwapBacked);
  if (inode.noreserve) {
    ++inode.accounted_pages;
    ++system.vm_committed_as;
  }
  FilemapAddFolio(inode, index, pfn);
  FolioAddLru(system, pfn);
  return pfn;
}

}  // namespace

Result<Pfn> ShmemGetFolio(Inode& inode, uint64_t index, Sgp sgp) {
  System& system = *inode.system;
  if (sgp <= Sgp::kCache && index >= (inode.size_bytes + kPageSize - 1) >> kPageShift) return Errno::kEINVAL;
  const auto it = inode.i_pages.find(index);
  Pfn pfn;
  if (it != inode.i_pages.end()) {
    if (it->second.IsSwap()) {
      pfn = ShmemSwapin(inode, index);
      if (pfn.value == 0) return Errno::kENOMEM;
    } else {
      pfn = it->second.page();
    }
    if (sgp == Sgp::kWrite) FolioMarkAccessed(system, pfn);
  } else {
    if (sgp == Sgp::kRead) return Pfn(0);
    if (sgp == Sgp::kNoAlloc) return Errno::kENOENT;
    pfn = ShmemAllocAndAddFolio(inode, index);
    if (pfn.value == 0) return Errno::kENOMEM;
    if (sgp == Sgp::kWrite) system.pages[pfn].Set(kPgReferenced);
    if (sgp == Sgp::kFalloc) sgp = Sgp::kWrite;
  }
  if (sgp != Sgp::kWrite) system.pages[pfn].Set(kPgUptodate);
  GetFolio(system, pfn);
  return pfn;
}

VmFaultResult ShmemFault(VmFault& vmf) {
  const Result<Pfn> page = ShmemGetFolio(*vmf.vma.file->inode, vmf.pgoff, Sgp::kCache);
  if (!page.ok()) return page.error() == Errno::kENOMEM ? kVmFaultOom : kVmFaultSigbus;
  vmf.page = *page;
  return 0;
}

// Linux: mm/shmem.c shmem_file_read_iter()
int64_t ShmemRead(Inode& inode, uint64_t position, std::span<uint8_t> out) {
  System& system = *inode.system;
  uint64_t done = 0;
  while (done < out.size()) {
    const uint64_t at = position + done, offset = at & (kPageSize - 1);
    const uint64_t n = std::min(out.size() - done, kPageSize - offset);
    const Result<Pfn> page = ShmemGetFolio(inode, at >> kPageShift, Sgp::kRead);
    if (!page.ok()) break;
    if (page.value().value == 0) {
      std::ranges::fill(out.subspan(done, n), uint8_t{0});
    } else {
      system.phys.ReadBytes(page.value().Base() + offset, out.subspan(done, n));
      if (offset == 0) FolioMarkAccessed(system, page.value());
      PutFolio(system, page.value());
    }
    done += n;
  }
  return static_cast<int64_t>(done);
}

// Linux: mm/shmem.c shmem_write_begin(), shmem_write_end()
int64_t ShmemWrite(Inode& inode, uint64_t position, std::span<const uint8_t> in) {
  System& system = *inode.system;
  if ((inode.seals & (kSealWrite | kSealFutureWrite)) != 0) return Status(Errno::kEPERM).AsReturn();
  uint64_t done = 0;
  while (done < in.size()) {
    const uint64_t at = position + done, offset = at & (kPageSize - 1);
    const uint64_t n = std::min(in.size() - done, kPageSize - offset);
    Errno error = Errno::kEPERM;
    Pfn page;
    if ((inode.seals & kSealGrow) == 0 || at + n <= inode.size_bytes) {
      const Result<Pfn> got = ShmemGetFolio(inode, at >> kPageShift, Sgp::kWrite);
      if (got.ok()) page = *got;
      if (!got.ok()) error = got.error();
    }
    if (page.value == 0) return done != 0 ? static_cast<int64_t>(done) : Status(error).AsReturn();
    system.phys.WriteBytes(page.Base() + offset, in.subspan(done, n));
    inode.size_bytes = std::max(inode.size_bytes, at + n);
    system.pages[page].Set(kPgUptodate | kPgDirty);
    PutFolio(system, page);
    done += n;
  }
  return static_cast<int64_t>(done);
}

Status InodeAllocate(Inode& inode, uint64_t offset, uint64_t len_bytes, bool keep_size) {
  System& system = *inode.system;
  if ((inode.seals & kSealGrow) != 0 && offset + len_bytes > inode.size_bytes) return Errno::kEPERM;
  if (inode.kind == InodeKind::kShmem) {
    const uint64_t start = offset >> kPageShift, end = (offset + len_bytes + kPageSize - 1) >> kPageShift;
    for (uint64_t index = start; index < end; ++index) {
      const Result<Pfn> page = ShmemGetFolio(inode, index, Sgp::kFalloc);
      if (!page.ok()) {
        // Pages that this call added are not up to date: they go again.
        for (uint64_t i = start; i < index; ++i) {
          const Pfn made = FilemapGetPage(inode, i);
          if (made.value != 0 && !system.pages[made].Has(kPgUptodate)) {
            TruncateInodePages(inode, i << kPageShift, (i + 1) << kPageShift);
          }
        }
        return page.error();
      }
      system.pages[*page].Set(kPgDirty);
      PutFolio(system, page.value());
    }
  }
  if (!keep_size) inode.size_bytes = std::max(inode.size_bytes, offset + len_bytes);
  return {};
}

}  // namespace mmsim
