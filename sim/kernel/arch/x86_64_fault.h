// SPDX-License-Identifier: Apache-2.0
// A page fault of x86-64 from its trap to the memory manager: inline, with the access known where it is
// compiled in, for nearly every trap is one that is handled. What ends in a signal is in x86_64_fault.cc.
// Linux: arch/x86/mm/fault.c
#pragma once

#include "sim/hw/x86_64/pte.h"
#include "sim/kernel/arch/abi.h"
#include "sim/kernel/arch/trap.h"
#include "sim/mm/fault_plain.h"

namespace mmsim::linux_x86_64 {

// What ends in a signal, or in EFAULT where the kernel itself accesses. The error code's W, U and I bits say
// what `access` says.
// Linux: arch/x86/mm/fault.c __bad_area_nosemaphore() of an address without a VMA
[[gnu::cold]] TrapVerdict BadArea(WalkResult trapped, Access access, SigInfo& signal);
// Linux: arch/x86/mm/fault.c bad_area_access_error()
[[gnu::cold]] TrapVerdict BadAreaAccessError(const Task& task, const Vma& vma, WalkResult trapped,
                                             Access access, SigInfo& signal);
// Linux: arch/x86/mm/fault.c do_user_addr_fault(), what follows an error of handle_mm_fault()
[[gnu::cold]] TrapVerdict FaultError(VmFaultResult fault, WalkResult trapped, Access access, SigInfo& signal);
// Of an address outside of the user's half: #GP, the kernel's half, the [vsyscall] page. Linux:
// arch/x86/kernel/traps.c exc_general_protection(), arch/x86/mm/fault.c do_kern_addr_fault(),
// arch/x86/entry/vsyscall/vsyscall_64.c emulate_vsyscall()
[[gnu::cold]] TrapVerdict HandleOddTrap(Task& task, WalkResult trapped, Access access, SigInfo& signal);

inline int VmaPkey(const Vma& vma) {
  return static_cast<int>((vma.flags & kVmPkeyMask) >> kVmPkeyShift);
}

// Linux: arch/x86/include/asm/mmu_context.h arch_vma_access_permitted()
inline bool ArchVmaAccessPermitted(const Task& task, const Vma& vma, Access access) {
  if (access.IsFetch()) return true;
  constexpr uint32_t kAccessDisable = 1, kWriteDisable = 2;
  const uint32_t denied = access.IsWrite() ? kAccessDisable | kWriteDisable : kAccessDisable;
  return ((task.pkru >> (2 * VmaPkey(vma))) & denied) == 0;
}

// Linux: arch/x86/mm/fault.c access_error()
inline bool AccessError(const Task& task, const Vma& vma, uint32_t error_code, Access access) {
  if (error_code & x86_64::kErrorProtectionKey) return true;
  if (!ArchVmaAccessPermitted(task, vma, access)) return true;
  if (access.IsWrite()) return !vma.Has(kVmWrite);
  if (error_code & x86_64::kErrorPresent) return true;  // a read of what is mapped
  return !vma.Has(kVmAccessFlags);
}

// Linux: arch/x86/mm/fault.c do_user_addr_fault()
[[gnu::always_inline]] inline TrapVerdict DoUserAddrFault(Task& task, WalkResult trapped, Access access,
                                                          SigInfo& signal) {
  const Trap trap = trapped.trap();
  const FaultFlags flags = (access.IsWrite() ? kFaultWrite : 0) | (access.IsFetch() ? kFaultInstruction : 0) |
                           (access.IsUser() ? kFaultUser : 0);
  Vma* vma = FindVmaOrGrow(task, trap.address());
  if (vma == nullptr) [[unlikely]]
    return BadArea(trapped, access, signal);
  if (AccessError(task, *vma, trap.code(), access)) [[unlikely]]
    return BadAreaAccessError(task, *vma, trapped, access, signal);
  const VmFaultResult fault = HandleTrappedFault<Arch::kX86_64>(*vma, trap.address(), flags);
  if ((fault & kVmFaultError) != 0) [[unlikely]]
    return FaultError(fault, trapped, access, signal);
  return TrapVerdict::kRetry;
}

// Linux: arch/x86/mm/fault.c exc_page_fault()
[[gnu::always_inline]] inline TrapVerdict HandleTrap(Task& task, WalkResult trapped, Access access,
                                                     SigInfo& signal) {
  const Trap trap = trapped.trap();
  if (trap.address().value >= abi::TaskSize(Arch::kX86_64)) [[unlikely]]
    return HandleOddTrap(task, trapped, access, signal);
  MMSIM_CHECK(!(trap.code() & x86_64::kErrorReserved));  // pgtable_bad(): the tables are corrupt
  return DoUserAddrFault(task, trapped, access, signal);
}

}  // namespace mmsim::linux_x86_64
