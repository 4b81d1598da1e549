// SPDX-License-Identifier: Apache-2.0
// Linux: arch/x86/kernel/sys_x86_64.c, arch/x86/mm/mmap.c, arch/x86/mm/pkeys.c; mm/util.c for arm64
#include "sim/mm/arch/layout.h"

#include <algorithm>
#include <bit>

#include "sim/mm/mman.h"
#include "sim/mm/verbs.h"
#include "sim/mm/vma_ops.h"

namespace mmsim {

namespace {

constexpr int64_t kNoMemory = -static_cast<int64_t>(Errno::kENOMEM);

// The part of a mapping's address that must be free below a hint. Linux: the hint in arch_get_unmapped_area()
// of x86-64, which asks the next mapping alone
bool IsFreeUpToNext(const Mm& mm, uint64_t addr, uint64_t len) {
  const Vma* vma = mm.vmas.Find(VirtAddr(addr));
  return vma == nullptr || addr + len <= VmStartGap(*vma).value;
}

// Linux: arch/x86/kernel/sys_x86_64.c arch_get_unmapped_area()
int64_t X86GetUnmappedArea(const Mm& mm, const AreaRequest& r) {
  if ((r.flags & mman::kMapFixed) != 0) return static_cast<int64_t>(r.addr);
  uint64_t begin = mm.mmap_legacy_base.value, end = mm.task_size;
  if ((r.flags & kMap32Bit) != 0) {
    begin = 0x40000000;
    end = 0x80000000;
  }
  if (r.len > end) return kNoMemory;
  if (r.addr != 0) {
    const uint64_t addr = VirtAddr(r.addr).PageCeil().value;
    if (end - r.len >= addr && IsFreeUpToNext(mm, addr, r.len)) return static_cast<int64_t>(addr);
  }
  return VmUnmappedArea(
      mm, {.length = r.len, .low_limit = begin, .high_limit = end, .align_offset = r.pgoff << kPageShift});
}

// Linux: arch/x86/kernel/sys_x86_64.c arch_get_unmapped_area_topdown()
int64_t X86GetUnmappedAreaTopdown(const Mm& mm, const AreaRequest& r) {
  if (r.len > mm.task_size) return kNoMemory;
  if ((r.flags & mman::kMapFixed) != 0) return static_cast<int64_t>(r.addr);
  if ((r.flags & kMap32Bit) == 0) {
    const uint64_t addr = r.addr & kPageMask;
    // Linux: arch/x86/mm/mmap.c mmap_address_hint_valid(), where all of the address space is one window
    if (addr != 0 && mm.task_size - r.len >= addr && IsFreeUpToNext(mm, addr, r.len)) {
      return static_cast<int64_t>(addr);
    }
    const int64_t at =
        VmUnmappedArea(mm, {.topdown = true,
                            .length = r.len,
                            .low_limit = (r.flags & kMapAbove4G) != 0 ? uint64_t{1} << 32 : kPageSize,
                            .high_limit = mm.mmap_base.value,
                            .align_offset = r.pgoff << kPageShift});
    if (VirtAddr(static_cast<uint64_t>(at)).IsPageAligned()) return at;
  }
  return X86GetUnmappedArea(mm, r);
}

// Linux: arch/x86/mm/mmap.c mmap_base(), mm/util.c mmap_base(), without randomization
VirtAddr MmapBase(const Mm& mm, const Current& current) {
  constexpr uint64_t kMinGap = 128 << 20;
  const uint64_t max_gap = mm.task_size / 6 * 5;
  uint64_t gap = current.rlimits->Cur(Rlimit::kStack);
  const uint64_t pad = mm.system.sysctl.stack_guard_gap << kPageShift;
  if (gap + pad > gap) gap += pad;
  gap = std::clamp(gap, kMinGap, max_gap);
  return VirtAddr(mm.task_size - gap).PageCeil();
}

}  // namespace

int64_t ArchGetUnmappedArea(const Mm& mm, const AreaRequest& request) {
  return mm.system.arch == Arch::kX86_64 ? X86GetUnmappedArea(mm, request)
                                         : GenericGetUnmappedArea(mm, request);
}

int64_t ArchGetUnmappedAreaTopdown(const Mm& mm, const AreaRequest& request) {
  return mm.system.arch == Arch::kX86_64 ? X86GetUnmappedAreaTopdown(mm, request)
                                         : GenericGetUnmappedAreaTopdown(mm, request);
}

// Linux: arch/x86/mm/mmap.c arch_pick_mmap_layout(), mm/util.c arch_pick_mmap_layout()
void PickMmapLayout(Mm& mm, const Current& current) {
  const Arch arch = mm.system.arch;
  mm.task_size = ArchTaskSize(arch);
  // A stack without limit leaves no place for a base below it; x86-64 bounds the gap instead.
  const bool unlimited_stack = arch == Arch::kArm64 && current.rlimits->Cur(Rlimit::kStack) == kRlimInfinity;
  mm.mmap_bottom_up =
      (current.personality & kAddrCompatLayout) != 0 || unlimited_stack || mm.system.sysctl.legacy_va_layout;
  mm.mmap_legacy_base = VirtAddr(TaskUnmappedBase(arch));
  mm.mmap_base = mm.mmap_bottom_up ? mm.mmap_legacy_base : MmapBase(mm, current);
}

namespace {

bool PkruDeniesRead(uint32_t pkru, int pkey) {
  return (pkru >> (2 * pkey) & 1) != 0;
}

}  // namespace

int ExecuteOnlyPkey(Mm& mm, const Current& current) {
  const int max = ArchMaxPkey(mm.system.arch, mm.system.profile);
  if (max == 1) return -1;
  int pkey = mm.execute_only_pkey;
  if (pkey != -1 && PkruDeniesRead(current.pkru, pkey)) return pkey;
  if (pkey == -1) {
    pkey = std::countr_one(static_cast<uint32_t>(mm.pkey_allocation_map));
    if (pkey >= max) return -1;
    mm.pkey_allocation_map |= 1 << pkey;
    mm.execute_only_pkey = pkey;
  }
  // arch_set_user_pkey_access(): this thread may no longer read or write with the key.
  if (current.thread_pkru != nullptr) {
    *current.thread_pkru = (*current.thread_pkru & ~(3u << (2 * pkey))) | (1u << (2 * pkey));
  }
  return pkey;
}

int ArchOverrideMprotectPkey(const Vma& vma, const Current& current, uint64_t prot, int pkey) {
  Mm& mm = *vma.mm;
  if (ArchMaxPkey(mm.system.arch, mm.system.profile) == 1) return 0;
  if (pkey != -1) return pkey;
  const int own = static_cast<int>((vma.flags & kVmPkeyMask) >> kVmPkeyShift);
  if (prot == mman::kProtExec) {
    const int execute_only = ExecuteOnlyPkey(mm, current);
    if (execute_only > 0) return execute_only;
  } else if ((vma.flags & kVmAccessFlags) == kVmExec && own == mm.execute_only_pkey) {
    return 0;  // no longer execute-only
  }
  return own;
}

bool MmPkeyIsAllocated(const Mm& mm, int pkey) {
  // Without CONFIG_ARCH_HAS_PKEYS: include/linux/pkeys.h
  if (mm.system.arch == Arch::kArm64) return pkey == 0;
  if (pkey < 0 || pkey >= ArchMaxPkey(mm.system.arch, mm.system.profile)) return false;
  return pkey != mm.execute_only_pkey && (mm.pkey_allocation_map >> pkey & 1) != 0;
}

}  // namespace mmsim
