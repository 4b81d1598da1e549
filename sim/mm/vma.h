// SPDX-License-Identifier: Apache-2.0
// A virtual memory area, and the one door through which an attached one changes. Linux: struct vm_area_struct
// (include/linux/mm_types.h), mm/vma.h.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <string_view>

#include "mmsim/types.h"
#include "sim/base/errno.h"
#include "sim/mm/filemap.h"
#include "sim/mm/vm_flags.h"

namespace mmsim {

class Mm;
struct AnonVma;
struct AnonVmaChain;

// vma->vm_ops, as far as it decides something. kNone is vma_is_anonymous().
enum class VmOps : uint8_t {
  kNone,     // private anonymous memory, heap, stack, private /dev/zero
  kFile,     // generic_file_vm_ops and those of a disk file system
  kShmem,    // tmpfs, memfd, shared anonymous memory
  kSysvShm,  // shmem under ipc/shm.c: attach counts
  kSpecial,  // special_mapping_vmops: vdso, vvar
};

struct AvcSameVmaTag;
using AvcSameVmaHook = boost::intrusive::list_base_hook<boost::intrusive::tag<AvcSameVmaTag>>;
struct IMmapTag;
using IMmapHook = boost::intrusive::list_base_hook<boost::intrusive::tag<IMmapTag>>;

// What a special mapping is called and what its pages are (struct vm_special_mapping).
struct SpecialMapping {
  std::string_view name;  // "[vdso]"
  uint64_t pages = 0;
  enum class Kind : uint8_t { kVdso, kVvar, kVvarClock } kind = Kind::kVdso;
};

struct Vma : IMmapHook {
  VirtAddr start, end;  // [start, end)
  VmFlags flags = 0;
  uint64_t pgoff = 0;  // pages into the file; start >> 12 at creation for anonymous memory
  Mm* mm = nullptr;
  AnonVma* anon_vma = nullptr;
  FileRef file;  // may be set while ops is kNone (private /dev/zero)
  VmOps ops = VmOps::kNone;
  bool attached = false;  // in its mm's tree
  uint64_t id = 0;        // creation order within the system
  const SpecialMapping* special = nullptr;
  void* private_data = nullptr;  // kSysvShm: the segment
  boost::intrusive::list<AnonVmaChain, boost::intrusive::base_hook<AvcSameVmaHook>,
                         boost::intrusive::constant_time_size<false>>
      anon_vma_chain;

  bool IsAnonymous() const { return ops == VmOps::kNone; }
  uint64_t NrPages() const { return (end - start) >> kPageShift; }
  VirtRange Range() const { return {start, end}; }
  // Linux: linear_page_index()
  uint64_t PgoffOf(VirtAddr address) const { return pgoff + ((address - start) >> kPageShift); }
  bool Has(VmFlags f) const { return (flags & f) != 0; }
};

}  // namespace mmsim
