// SPDX-License-Identifier: Apache-2.0
// Files as the memory manager sees them: an inode with its page cache (address_space) and the VMAs that map
// it, and an open file. File descriptors and paths are the kernel's (sim/kernel). Linux: struct inode, struct
// address_space, struct file; mm/filemap.c, mm/shmem.c.
#pragma once

#include <absl/container/btree_map.h>

#include <boost/intrusive/list.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <cstdint>
#include <string>

#include "mmsim/types.h"
#include "sim/base/errno.h"

namespace mmsim {

struct System;
struct Vma;
struct ShmSegment;
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

struct Inode {
  System* system = nullptr;
  InodeKind kind = InodeKind::kDisk;
  uint64_t id = 0;  // inode number
  uint32_t dev_major = 0, dev_minor = 0;
  uint64_t size_bytes = 0;
  uint32_t seals = 0;      // F_SEAL_*
  bool noexec = false;     // of a mount with MNT_NOEXEC
  bool noreserve = false;  // shmem: VM_NORESERVE, accounted a page at a time
  int refcount = 0;
  int nlink = 1;
  int i_mmap_writable = 0;  // shared writable mappings; negative: denied (F_SEAL_WRITE)
  int writers = 0;          // i_writecount: > 0 open for writing, < 0 executed (ETXTBSY)
  // The VMAs that map it (i_mmap).
  boost::intrusive::list<
      Vma, boost::intrusive::base_hook<boost::intrusive::list_base_hook<boost::intrusive::tag<IMmapTag>>>,
      boost::intrusive::constant_time_size<false>>
      i_mmap;
  // The page cache: page index -> frame, or a swap entry for shmem (tagged as mm/filemap.cc says).
  absl::btree_map<uint64_t, uint64_t> i_pages;
  // Bytes of the file that the page cache is filled from (disk files); beyond it, zeros. May be empty.
  std::string backing;
};

inline constexpr uint32_t kFmodeRead = 1, kFmodeWrite = 2, kFmodeExec = 0x20;

struct File {
  InodeRef inode;
  std::string path;  // as /proc/PID/maps prints it, " (deleted)" apart
  bool deleted = false;
  ShmSegment* shm = nullptr;  // made by shmat: its VMAs are VmOps::kSysvShm and attachments of the segment
  bool write_access = false;  // counts in inode->writers, until the file is released
  uint32_t mode = 0;      // kFmode*
  uint32_t flags = 0;     // O_* as fcntl(F_GETFL) shows
  uint64_t position = 0;  // bytes
  int refcount = 0;
};
void intrusive_ptr_add_ref(File* file);
void intrusive_ptr_release(File* file);
using FileRef = boost::intrusive_ptr<File>;

}  // namespace mmsim
