// SPDX-License-Identifier: Apache-2.0
// A virtual memory area, and the one door through which an attached one changes. Linux: struct vm_area_struct
// (include/linux/mm_types.h), mm/vma.h.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

#include "mmsim/types.h"
#include "sim/base/errno.h"
#include "sim/mm/arch/pte_types.h"
#include "sim/mm/filemap.h"
#include "sim/mm/vm_flags.h"

namespace mmsim {

class Mm;
struct AnonVma;
struct AnonVmaChain;
struct ShmSegment;

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

// A field that everybody reads as a plain T and that only VmaEdit writes.
template <typename T>
class Guarded {
 public:
  constexpr Guarded() = default;
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  constexpr operator T() const { return value_; }  // NOLINT(google-explicit-constructor)

 private:
  friend class VmaEdit;
  T value_{};
};

// The same for a class type, whose members stay reachable: `vma.start.value`, `vma.file->inode`.
template <typename T>
requires std::is_class_v<T>
class Guarded<T> : public T {
 public:
  constexpr Guarded() = default;
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

 private:
  friend class VmaEdit;
  void Set(T other) { T::operator=(std::move(other)); }
};

struct Vma : IMmapHook {
  Guarded<VirtAddr> start, end;  // [start, end)
  Guarded<VmFlags> flags;
  Guarded<PgProt>
      page_prot;  // of new entries: vm_page_prot, which followed from the flags and ops when it was set
  Guarded<uint64_t> pgoff;  // pages into the file; start >> 12 at creation for anonymous memory
  Mm* mm = nullptr;
  AnonVma* anon_vma = nullptr;
  Guarded<FileRef> file;  // may be set while ops is kNone (private /dev/zero)
  Guarded<VmOps> ops;
  Guarded<bool> attached;  // in its mm's tree
  uint64_t id = 0;         // creation order within the system
  const SpecialMapping* special = nullptr;
  ShmSegment* shm = nullptr;  // kSysvShm: the segment
  boost::intrusive::list<AnonVmaChain, boost::intrusive::base_hook<AvcSameVmaHook>,
                         boost::intrusive::constant_time_size<false>>
      anon_vma_chain;  // newest first

  bool IsAnonymous() const { return ops == VmOps::kNone; }
  uint64_t NrPages() const { return (end - start) >> kPageShift; }
  VirtRange Range() const { return {start, end}; }
  // Linux: linear_page_index()
  uint64_t PgoffOf(VirtAddr address) const { return pgoff + ((address - start) >> kPageShift); }
  bool Has(VmFlags f) const { return (flags & f) != 0; }
  // Linux: include/linux/mm.h vma_is_accessible()
  bool IsAccessible() const { return Has(kVmAccessFlags); }
  // The neighbours in the tree, or null.
  Vma* Next() const { return next_; }
  Vma* Prev() const { return prev_; }

 private:
  friend class VmaTree;
  Vma* prev_ = nullptr;
  Vma* next_ = nullptr;
};

// What follows for new entries from a VMA as it is.
PgProt PageProtOf(const Vma& vma);

// A VMA of `mm` that is in no tree yet; null when memory is short. Linux: kernel/fork.c vm_area_alloc()
Vma* VmAreaAlloc(Mm& mm);
// A copy for `mm` that is attached to nothing: neither tree nor anon_vma chains nor i_mmap. Linux:
// vm_area_dup()
Vma* VmAreaDup(const Vma& vma, Mm& mm);
// Precondition: detached, no chains. Linux: vm_area_free()
void VmAreaFree(Vma* vma);

// The one door through which a VMA changes: its bounds, flags, offset and file, and its place in the tree.
// What happens to VMAs is known here, in full, whoever else was told.
class VmaEdit {
 public:
  explicit VmaEdit(Mm& mm) : mm_(mm) {}

  // Stores it in the tree, which must be free there. Linux: vma_iter_store()
  void Attach(Vma& vma);
  // Takes it out of the tree. Linux: vma_iter_clear()
  void Detach(Vma& vma);
  // New bounds and offset; the tree follows when it is attached. Linux: vma_set_range()
  void SetRange(Vma& vma, VirtAddr start, VirtAddr end, uint64_t pgoff);
  void SetPgoff(Vma& vma, uint64_t pgoff) { SetRange(vma, vma.start, vma.end, pgoff); }
  // The protection of new entries stays, as it does there: a merge may leave one that belongs to other flags.
  // Linux: vm_flags_reset()
  void SetFlags(Vma& vma, VmFlags flags);
  void AddFlags(Vma& vma, VmFlags flags) { SetFlags(vma, vma.flags | flags); }
  void ClearFlags(Vma& vma, VmFlags flags) { SetFlags(vma, vma.flags & ~flags); }
  void SetFile(Vma& vma, FileRef file, VmOps ops);
  // Linux: mm/mmap.c vma_set_page_prot()
  void SetPageProt(Vma& vma) { vma.page_prot.Set(PageProtOf(vma)); }
  void CopyPageProt(Vma& to, const Vma& from) { to.page_prot.Set(from.page_prot); }

 private:
  Mm& mm_;
};

}  // namespace mmsim
