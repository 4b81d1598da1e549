// SPDX-License-Identifier: Apache-2.0
// An address space. Linux: struct mm_struct (include/linux/mm_types.h).
// Invariants (the validator checks them): map_count is the number of VMAs; total_vm and its parts are sums
// over them; rss counters equal a fresh count of the tables; every present PTE lies inside a VMA.
#pragma once

#include <absl/container/inlined_vector.h>

#include <array>
#include <cstdint>

#include "mmsim/types.h"
#include "sim/mm/current.h"
#include "sim/mm/system.h"
#include "sim/mm/vma.h"
#include "sim/mm/vma_tree.h"

namespace mmsim {

class MmuNotifier;
struct HookPlan;

enum class RssType : uint8_t { kFile, kAnon, kSwap, kShmem, kCount };  // MM_FILEPAGES ...

class Mm {
 public:
  // An empty address space with a page-table root, as mm_alloc() and mm_init() leave it; null when memory is
  // short.
  static Mm* Alloc(System& system);
  // The last mm_users reference drops the address space (exit_mmap), the last mm_count reference the
  // structure.
  void Get() { ++mm_users; }
  void Put();
  void Grab() { ++mm_count; }
  void Drop();

  System& system;
  const uint64_t id;
  PhysAddr pgd;
  uint16_t asid = 0;  // of its TLB entries; no two live ones have the same
  VmaTree vmas;

  int mm_users = 1, mm_count = 1;
  int map_count = 0;
  uint64_t task_size = 0;  // bytes: the end of user addresses (TASK_SIZE)
  VirtAddr mmap_base, mmap_legacy_base;
  bool mmap_bottom_up = false;  // MMF_TOPDOWN cleared
  uint64_t total_vm = 0, locked_vm = 0, pinned_vm = 0, data_vm = 0, exec_vm = 0, stack_vm = 0;  // pages
  VmFlags def_flags = 0;
  VirtAddr start_code, end_code, start_data, end_data, start_brk, brk, start_stack;
  VirtAddr arg_start, arg_end, env_start, env_end;
  FileRef exe_file;
  uint64_t vdso_base = 0;
  std::array<int64_t, static_cast<size_t>(RssType::kCount)> rss{};  // pages
  uint64_t hiwater_rss = 0, hiwater_vm = 0;                         // pages
  uint64_t pgtables_bytes = 0;
  int pkey_allocation_map = 1;  // x86-64
  int execute_only_pkey = -1;   // x86-64: the key of PROT_EXEC mappings; -1: none yet
  bool has_pinned = false;      // MMF_HAS_PINNED
  bool thp_disabled = false;    // MMF_DISABLE_THP: prctl(PR_SET_THP_DISABLE)
  // MMF_HAS_MDWE, MMF_HAS_MDWE_NO_INHERIT: prctl(PR_SET_MDWE)
  bool mdwe = false, mdwe_no_inherit = false;
  uint64_t hooks = 0;  // mask of the hook points that someone listens to (hooks.h); 0: nobody
  absl::InlinedVector<const HookPlan*, 2> hook_plans;  // who does
  absl::InlinedVector<MmuNotifier*, 1> notifiers;      // mmu_notifier.h

  int64_t& Rss(RssType t) { return rss[static_cast<size_t>(t)]; }

 private:
  explicit Mm(System& system);
  ~Mm();
};

}  // namespace mmsim
