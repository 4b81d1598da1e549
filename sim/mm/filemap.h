// SPDX-License-Identifier: Apache-2.0
// Files as the memory manager sees them: an inode with its page cache (address_space) and the VMAs that map
// it, and an open file. File descriptors and paths are the kernel's (sim/kernel). Linux: struct inode, struct
// address_space, struct file; mm/filemap.c, mm/shmem.c.
#pragma once

#include <absl/container/btree_map.h>

#include <boost/intrusive/list.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "mmsim/types.h"
#include "sim/base/errno.h"

namespace mmsim {

struct System;
struct Vma;
struct ShmSegment;
struct ProcFile;
struct VmFault;
struct IMmapTag;

// What stands behind an inode, as far as mmap, faults and truncate tell the kinds apart.
enum class InodeKind : uint8_t {
  kDisk,     // a regular file of a disk file system (ext4): pages are read in and written back
  kShmem,    // tmpfs, memfd, shared anonymous memory, System V segments: pages live in memory or swap
  kDevZero,  // /dev/zero
  kOther,    // directories, pipes, sockets: no mmap
};

struct Inode;
void InodePut(Inode* inode);  // frees it, and its page cache, with the last reference
void intrusive_ptr_add_ref(Inode* inode);
void intrusive_ptr_release(Inode* inode);
using InodeRef = boost::intrusive_ptr<Inode>;

// What the page cache holds at an index. Linux: a folio, or a value entry
class CacheEntry {
 public:
  constexpr CacheEntry() = default;
  static constexpr CacheEntry OfPage(Pfn pfn) { return CacheEntry(pfn.value << 1); }
  static constexpr CacheEntry OfSwap(uint64_t offset) { return CacheEntry(offset << 1 | 1); }
  constexpr bool IsSwap() const { return (value_ & 1) != 0; }
  constexpr Pfn page() const { return Pfn(value_ >> 1); }
  constexpr uint64_t swap_offset() const { return value_ >> 1; }

 private:
  explicit constexpr CacheEntry(uint64_t value) : value_(value) {}
  uint64_t value_ = 0;
};

struct Inode {
  System* system = nullptr;
  InodeKind kind = InodeKind::kDisk;
  uint64_t id = 0;  // inode number
  uint32_t dev_major = 0, dev_minor = 0;
  uint64_t size_bytes = 0;
  uint32_t seals = 0;      // F_SEAL_*
  bool noexec = false;     // of a mount with MNT_NOEXEC
  bool directory = false;  // kOther
  bool hugetlb = false;    // kOther: a memfd of huge pages, which can be opened and closed and no more
  // kDisk: its file system asks for addresses where huge pages fit (ext4, xfs, btrfs; not overlayfs)
  bool aligns_huge = true;
  bool noreserve = false;        // shmem: VM_NORESERVE, accounted a page at a time
  uint64_t accounted_pages = 0;  // shmem: what of vm_committed_as is this file's; given back with it
  int refcount = 0;
  size_t slot = 0;  // in System::inodes
  int nlink = 1;
  int i_mmap_writable = 0;  // shared writable mappings; negative: denied (F_SEAL_WRITE)
  int writers = 0;          // i_writecount: > 0 open for writing, < 0 executed (ETXTBSY)
  // The VMAs that map it (i_mmap).
  boost::intrusive::list<
      Vma, boost::intrusive::base_hook<boost::intrusive::list_base_hook<boost::intrusive::tag<IMmapTag>>>,
      boost::intrusive::constant_time_size<false>>
      i_mmap;
  // The page cache: page index -> frame, or a swap entry for shmem.
  absl::btree_map<uint64_t, CacheEntry> i_pages;
  // Bytes of the file that the page cache is filled from (disk files); beyond it, zeros. May be empty.
  std::string backing;
};

inline constexpr uint32_t kFmodeRead = 1, kFmodeWrite = 2, kFmodeExec = 0x20;

struct File {
  InodeRef inode;
  std::string path;  // as /proc/PID/maps prints it, " (deleted)" apart
  bool deleted = false;
  std::shared_ptr<const ProcFile> proc;  // of a file of /proc (sim/kernel/proc_file.h)
  ShmSegment* shm = nullptr;  // made by shmat: its VMAs are VmOps::kSysvShm and attachments of the segment
  bool write_access = false;  // counts in inode->writers, until the file is released
  uint32_t mode = 0;          // kFmode*
  uint32_t flags = 0;         // O_* as fcntl(F_GETFL) shows
  bool flags_known = true;    // false: a replay has not seen it opened
  uint64_t position = 0;      // bytes
  // Readahead (struct file_ra_state), in pages.
  uint64_t ra_start = 0;
  uint32_t ra_size = 0, ra_async_size = 0, mmap_miss = 0;
  int refcount = 0;
};
void intrusive_ptr_add_ref(File* file);
void intrusive_ptr_release(File* file);
using FileRef = boost::intrusive_ptr<File>;

// A new inode without a name and without accounted memory.
InodeRef NewInode(System& system, InodeKind kind, uint64_t size_bytes);

// --- reading, writing, truncating (the system calls' bodies after the descriptor was looked up)

// Bytes read, 0 at the end of the file; or a negative errno. Linux: mm/filemap.c generic_file_read_iter(),
// mm/shmem.c shmem_file_read_iter()
int64_t InodeRead(Inode& inode, uint64_t position, std::span<uint8_t> out);
// Bytes written, the file grown where needed; or a negative errno (EPERM for seals). Linux: mm/filemap.c
// generic_perform_write(), mm/shmem.c shmem_write_begin()
int64_t InodeWrite(Inode& inode, uint64_t position, std::span<const uint8_t> in);
// EPERM for seals; mappings beyond the new end go, private copies included. Linux: mm/shmem.c
// shmem_setattr(), mm/truncate.c truncate_setsize()
Status InodeTruncate(Inode& inode, uint64_t new_size);
// FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, and MADV_REMOVE: private copies stay. Linux: mm/shmem.c
// shmem_fallocate()
Status InodePunchHole(Inode& inode, uint64_t offset, uint64_t len_bytes);
// fallocate without a hole. Linux: mm/shmem.c shmem_fallocate()
Status InodeAllocate(Inode& inode, uint64_t offset, uint64_t len_bytes, bool keep_size);
// What msync(MS_SYNC) and fsync do: dirty pages of [first, last] of a disk file are written back, their
// entries become clean and write-protected. Linux: mm/page-writeback.c folio_clear_dirty_for_io(), mm/rmap.c
// folio_mkclean()
void FilemapWriteback(Inode& inode, uint64_t first, uint64_t last);
// Removes the translations of pages [first, first + nr) in every process (nr 0: to the end), private copies
// too if `even_cows`. Linux: mm/memory.c unmap_mapping_pages()
void UnmapMappingPages(Inode& inode, uint64_t first, uint64_t nr, bool even_cows);

// --- for the fault ladder and rmap

// The page at an index, or Pfn 0; no reference is taken. Linux: filemap_get_folio()
Pfn FilemapGetPage(const Inode& inode, uint64_t index);
// Linux: mm/filemap.c filemap_fault(), filemap_map_pages(), mm/shmem.c shmem_fault(): set vmf.page with a
// reference
uint32_t FilemapFault(VmFault& vmf);
uint32_t FilemapMapPages(VmFault& vmf, uint64_t start_pgoff, uint64_t end_pgoff);
uint32_t ShmemFault(VmFault& vmf);
// Reads in what is missing of [first, first + nr) of a disk file. Linux: mm/readahead.c force_page_cache_ra()
void FilemapReadAhead(Inode& inode, uint64_t first, uint64_t nr);
// Linux: mm/page-writeback.c folio_mark_dirty()
void FolioMarkDirty(System& system, Pfn folio);

// Why a page of shmem is asked for. Linux: include/linux/shmem_fs.h enum sgp_type
enum class Sgp : uint8_t { kRead, kNoAlloc, kCache, kWrite, kFalloc };
// The page at an index, made or brought back from swap as `sgp` says, with a reference for the caller; Pfn 0
// for a hole under kRead. Linux: mm/shmem.c shmem_get_folio_gfp()
Result<Pfn> ShmemGetFolio(Inode& inode, uint64_t index, Sgp sgp);

}  // namespace mmsim
