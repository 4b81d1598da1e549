// SPDX-License-Identifier: Apache-2.0
// A kernel profile: the named switches and numbers in which one kernel differs from another. Each switch
// cites the change that it stands for; the default is Debian's 6.12.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "mmsim/types.h"

namespace mmsim {

struct KernelProfile {
  std::string_view name = "6.12";

  // The address-space layout (arch/*/include/asm/{processor,elf}.h, arch/*/{entry,kernel}/vdso*).
  uint64_t vvar_pages = 4;        // size of [vvar], in pages
  uint64_t vvar_clock_pages = 0;  // size of [vvar_vclock], in pages; 0: it is part of [vvar]
  uint64_t vdso_pages = 2;        // size of [vdso], in pages

  // x86-64: whether there is a [vsyscall] page (CONFIG_LEGACY_VSYSCALL_XONLY; Debian has _NONE).
  bool vsyscall = false;

  // CONFIG_MEM_SOFT_DIRTY: x86-64 has it, arm64 not (before 6.19).
  bool soft_dirty = true;
  bool thp = true;  // CONFIG_TRANSPARENT_HUGEPAGE
  // Hardware management of the access flag and the dirty state on arm64 (FEAT_HAFDBS); always there on
  // x86-64.
  bool hw_afdbm = false;
  // Protection keys (x86-64) and branch target identification (arm64), as the processor has them.
  bool pkeys = true;
  // pkey_alloc on a processor without keys: -ENOSPC; false: -EINVAL, and -ENOSPC from the second time on
  // (arch/x86/include/asm/pkeys.h: mm_pkey_alloc() asks arch_pkeys_enabled() in Debian's 6.12.117, not
  // in 6.18).
  bool pkey_alloc_needs_pkeys = true;
  // A VMA without pages of its own merges with one that has them (6.16, "mm/vma: fix incorrectly disallowed
  // anonymous VMA merges").
  bool merges_unfaulted = false;
  // Memory without pages that MREMAP_DONTUNMAP moves next to itself is one VMA with what it leaves (until
  // "mm/mremap: fix locked_vm leak from MREMAP_DONTUNMAP self-merge", which Debian's 6.12.117 has and 6.18.44
  // has not).
  bool dontunmap_merges_itself = false;
  bool bti = false;
};

// The profile of `arch` in 6.12, or of another version by its name ("6.12", "6.18"); null for an unknown
// name.
const KernelProfile* FindProfile(std::string_view name, Arch arch);
// The names of all profiles, the oldest kernel first.
std::span<const std::string_view> ProfileNames();

}  // namespace mmsim
