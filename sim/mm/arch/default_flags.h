// SPDX-License-Identifier: Apache-2.0
// The flags that new data and stack VMAs begin with. Linux: arch/*/include/asm/page*.h VM_DATA_DEFAULT_FLAGS,
// include/linux/mm.h VM_STACK_FLAGS
#pragma once

#include "mmsim/types.h"
#include "sim/mm/current.h"
#include "sim/mm/vm_flags.h"

namespace mmsim {

// VM_MTE_ALLOWED of arm64 (VM_HIGH_ARCH_5). CONFIG_ARM64_MTE gives it to brk and stack whatever the
// processor; mmap only gives it where the processor has MTE, so that on others heap and mapping never merge.
inline constexpr VmFlags kVmMteAllowed = VmFlags{1} << 37;

// VM_DATA_DEFAULT_FLAGS
constexpr VmFlags VmDataDefaultFlags(Arch arch, uint32_t personality) {
  VmFlags flags = kVmRead | kVmWrite | kVmMayRead | kVmMayWrite | kVmMayExec;
  if (personality & kReadImpliesExec) flags |= kVmExec;
  if (arch == Arch::kArm64) flags |= kVmMteAllowed;
  return flags;
}

// VM_STACK_FLAGS
constexpr VmFlags VmStackFlags(Arch arch, uint32_t personality) {
  return kVmGrowsDown | VmDataDefaultFlags(arch, personality) | kVmAccount;
}

}  // namespace mmsim
