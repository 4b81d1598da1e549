// SPDX-License-Identifier: Apache-2.0
// The shape of a user's half of the address space, and what the architectures add to prot and flags. Linux:
// arch/x86/include/asm/{processor,page_64_types,mman,pkeys}.h,
// arch/arm64/include/asm/{processor,memory,mman}.h
//
// Not modelled: five levels and 52-bit addresses, 32-bit programs, LAM, MTE.
#pragma once

#include <cstdint>

#include "mmsim/types.h"
#include "sim/mm/arch/task_size.h"
#include "sim/mm/profile.h"
#include "sim/mm/unmapped_area.h"

namespace mmsim {

// TASK_UNMAPPED_BASE
constexpr uint64_t TaskUnmappedBase(Arch arch) {
  const uint64_t base = arch == Arch::kX86_64 ? ArchTaskSize(arch) / 3 : ArchTaskSize(arch) / 4;
  return VirtAddr(base).PageCeil().value;
}
// Without the tag in the top byte, which arm64's calls (but for mmap, brk and mremap's new address) ignore.
// Linux: untagged_addr()
constexpr uint64_t UntaggedAddr(Arch arch, uint64_t addr) {
  if (arch == Arch::kX86_64) return addr;
  const auto extended = static_cast<uint64_t>(static_cast<int64_t>(addr << 8) >> 8);
  return addr & extended;
}

inline constexpr uint64_t kProtBti = 0x10;                       // arm64
inline constexpr uint64_t kMap32Bit = 0x40, kMapAbove4G = 0x80;  // x86-64

// The flags that MAP_SHARED_VALIDATE knows beside the common ones.
constexpr uint64_t ArchLegacyMapFlags(Arch arch) {
  return arch == Arch::kX86_64 ? kMap32Bit | kMapAbove4G : 0;
}
// Linux: arch_calc_vm_prot_bits()
constexpr VmFlags ArchCalcVmProtBits(Arch arch, const KernelProfile& profile, uint64_t prot, unsigned pkey) {
  if (arch == Arch::kX86_64) return VmFlags{pkey & 0xf} << kVmPkeyShift;
  return profile.bti && (prot & kProtBti) != 0 ? kVmArch1 : 0;
}
// Linux: arch_validate_prot()
constexpr bool ArchValidateProt(Arch arch, const KernelProfile& profile, uint64_t prot) {
  const uint64_t bti = arch == Arch::kArm64 && profile.bti ? kProtBti : 0;
  return (prot & ~(uint64_t{0xf} | bti)) == 0;
}
// What an mprotect without them takes away. Linux: VM_FLAGS_CLEAR, with VM_ARCH_CLEAR of arm64
constexpr VmFlags VmFlagsClear(Arch arch) {
  return arch == Arch::kX86_64 ? kVmPkeyMask : kVmArch1;
}

// Linux: arch_get_unmapped_area(), arch_get_unmapped_area_topdown()
int64_t ArchGetUnmappedArea(const Mm& mm, const AreaRequest& request);
int64_t ArchGetUnmappedAreaTopdown(const Mm& mm, const AreaRequest& request);

// Protection keys: 1 where the processor has none. Linux: arch_max_pkey()
constexpr int ArchMaxPkey(Arch arch, const KernelProfile& profile) {
  return arch == Arch::kX86_64 && profile.pkeys ? 16 : 1;
}
// The key that makes a mapping executable and nothing else, or -1. Linux: arch/x86/mm/pkeys.c
// __execute_only_pkey()
int ExecuteOnlyPkey(Mm& mm, const Current& current);
// Linux: arch/x86/mm/pkeys.c __arch_override_mprotect_pkey()
int ArchOverrideMprotectPkey(const Vma& vma, const Current& current, uint64_t prot, int pkey);
// Linux: arch/x86/include/asm/pkeys.h mm_pkey_is_allocated()
bool MmPkeyIsAllocated(const Mm& mm, int pkey);

}  // namespace mmsim
