// SPDX-License-Identifier: Apache-2.0
// The fault handler's entry and what a fault comes to. Linux: mm/memory.c handle_mm_fault(), enum
// vm_fault_reason and enum fault_flag (include/linux/mm_types.h).
#pragma once

#include <cstdint>

#include "mmsim/types.h"
#include "sim/mm/mm.h"

namespace mmsim {

using FaultFlags = uint32_t;
inline constexpr FaultFlags kFaultWrite = 1, kFaultUser = 0x40, kFaultRemote = 0x80,
                            kFaultInstruction = 0x100, kFaultUnshare = 0x400;

// A bit mask, as vm_fault_t is.
using VmFaultResult = uint32_t;
inline constexpr VmFaultResult kVmFaultOom = 1, kVmFaultSigbus = 2, kVmFaultMajor = 4, kVmFaultSigsegv = 0x40,
                               kVmFaultNopage = 0x100, kVmFaultLocked = 0x200, kVmFaultFallback = 0x800;
inline constexpr VmFaultResult kVmFaultError = kVmFaultOom | kVmFaultSigbus | kVmFaultSigsegv;

// Makes `address` accessible, or says why not. The access was checked against the VMA by the caller
// (kernel/arch, GUP). Linux: mm/memory.c handle_mm_fault()
VmFaultResult HandleMmFault(Vma& vma, VirtAddr address, FaultFlags flags);

}  // namespace mmsim
