// SPDX-License-Identifier: Apache-2.0
// The machine-wide state of the simulated memory manager: physical memory, the frames' records, the swap
// area, the sysctls, committed memory. One a simulator; there are no globals, so two simulators run on two
// cores.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "mmsim/types.h"
#include "sim/hw/phys_mem.h"
#include "sim/mm/failure.h"
#include "sim/mm/lru.h"
#include "sim/mm/page_alloc.h"
#include "sim/mm/profile.h"
#include "sim/mm/vm_flags.h"

namespace mmsim {

class Cpu;
class Mm;
class SwapArea;
struct EntryDecision;
struct EntryStore;
struct Inode;

// Who is told of every store of the kernel's to a table entry, before it is made (page_table.h), and of what
// was decided about one, and why (decision.h).
struct EntrySink {
  void (*on_store)(void* context, const EntryStore& store) = nullptr;
  void (*on_decision)(void* context, const EntryDecision& decision) = nullptr;
  void* context = nullptr;
};

// /sys/kernel/mm/transparent_hugepage/enabled
enum class ThpMode : uint8_t { kNever, kMadvise, kAlways };

// /proc/sys/vm and friends, with the kernel's defaults.
struct Sysctls {
  int overcommit_memory = 0;       // 0 guess, 1 always, 2 never
  uint64_t overcommit_ratio = 50;  // percent
  uint64_t overcommit_kbytes = 0;
  uint64_t admin_reserve_kbytes = 8192;
  uint64_t user_reserve_kbytes = 131072;
  int max_map_count = 65530;
  // In bytes. The search for free addresses begins at the first, which is the larger of the others; below the
  // second, /proc/sys/vm/mmap_min_addr, nobody maps without CAP_SYS_RAWIO; the third is
  // CONFIG_LSM_MMAP_MIN_ADDR.
  uint64_t mmap_min_addr = 65536, dac_mmap_min_addr = 65536, lsm_mmap_min_addr = 65536;
  uint64_t stack_guard_gap = 256;  // pages
  bool legacy_va_layout = false;
  ThpMode transparent_hugepage = ThpMode::kMadvise;

  // What a write to the file of that name does. Linux: security/min_addr.c mmap_min_addr_handler(),
  // mm/util.c overcommit_ratio_handler(), overcommit_kbytes_handler()
  void SetMmapMinAddr(uint64_t bytes) {
    dac_mmap_min_addr = bytes;
    mmap_min_addr = bytes > lsm_mmap_min_addr ? bytes : lsm_mmap_min_addr;
  }
  void SetOvercommitRatio(uint64_t percent) {
    overcommit_ratio = percent;
    overcommit_kbytes = 0;
  }
  void SetOvercommitKbytes(uint64_t kib) {
    overcommit_kbytes = kib;
    overcommit_ratio = 0;
  }
};

struct System {
  System(Arch arch, const KernelProfile& profile, uint64_t total_ram_pages, uint64_t arena_frames);
  ~System();
  System(const System&) = delete;

  const Arch arch;
  const KernelProfile profile;
  const uint64_t total_ram_pages;  // what the simulated machine believes to have: totalram_pages()
  Sysctls sysctl;
  FailureInjector failures;
  PhysMem phys;
  PageAllocator pages;                      // frame numbers and their records (struct page)
  std::unique_ptr<SwapArea> swap;           // null: no swap
  int64_t vm_committed_as = 0;              // pages (mm/util.c)
  int64_t committed_for_good = 0;           // what of it no unmapping gives back (stack.cc)
  Pfn zero_page;                            // empty_zero_page
  Pfn huge_zero;                            // huge_zero_folio; Pfn 0 until first used, it stays then
  std::vector<Pfn> vdso_pages, vvar_pages;  // the kernel image's, mapped by [vdso] and [vvar]
  std::vector<Pfn> kernel_pages;            // given out by AllocPagesExact (remap_pfn.h)
  LruBatches lru;
  std::vector<Cpu*> cpus;  // the processors whose TLBs are to be kept in step; whoever makes them enters them
  EntrySink entry_sink;
  std::vector<Mm*> mms;        // all of them, in order of creation
  std::vector<Inode*> inodes;  // all of them, in no order: only for those who look at each
  uint16_t next_asid = 1;
  std::vector<uint16_t> free_asids;
  // References that get_user_pages gave out and nobody has given back, by the folio's frame.
  absl::flat_hash_map<uint64_t, int64_t> gup_refs;
  // VM_SOFTDIRTY where CONFIG_MEM_SOFT_DIRTY is on, else 0.
  VmFlags SoftDirtyFlag() const { return profile.soft_dirty ? kVmSoftDirty : 0; }
  uint64_t next_id = 1;  // creation order, for everything that must not be ordered by pointer
};

}  // namespace mmsim
