// SPDX-License-Identifier: Apache-2.0
// An abort of arm64 from its trap to the memory manager: inline, with the access known where it is compiled
// in, for nearly every trap is one that is handled. What ends in a signal is in arm64_fault.cc. Linux:
// arch/arm64/mm/fault.c
#pragma once

#include "sim/hw/arm64/pte.h"
#include "sim/kernel/arch/abi.h"
#include "sim/kernel/arch/trap.h"
#include "sim/mm/fault_plain.h"

namespace mmsim::linux_arm64 {

// What ends in a signal, or in EFAULT where the kernel itself accesses. The ESR's class and WnR say what
// `access` says.
// Linux: arch/arm64/mm/fault.c do_bad_area(), arm64_force_sig_fault()
[[gnu::cold]] TrapVerdict BadArea(int signo, int si_code, WalkResult trapped, Access access, SigInfo& signal);
// Linux: arch/arm64/mm/fault.c do_page_fault(), what follows an error of handle_mm_fault()
[[gnu::cold]] TrapVerdict FaultError(VmFaultResult fault, WalkResult trapped, Access access, SigInfo& signal);
// Whatever is no fault of a page of the user's half. Linux: the table fault_info[] of arch/arm64/mm/fault.c,
// do_translation_fault(), do_sp_pc_abort()
[[gnu::cold]] TrapVerdict HandleOddTrap(WalkResult trapped, Access access, SigInfo& signal);

// Linux: arch/arm64/include/asm/uaccess.h untagged_addr(): the top byte of a user address is ignored.
inline VirtAddr UntaggedAddr(VirtAddr far) {
  const int64_t extended = static_cast<int64_t>(far.value << 8) >> 8;
  return VirtAddr(far.value & static_cast<uint64_t>(extended));
}
// Linux: arch/arm64/include/asm/processor.h is_ttbr0_addr()
inline bool IsTtbr0Addr(VirtAddr address) {
  return address.value < abi::TaskSize(Arch::kArm64);
}

// Linux: arch/arm64/mm/fault.c do_page_fault()
[[gnu::always_inline]] inline TrapVerdict DoPageFault(Task& task, VirtAddr address, WalkResult trapped,
                                                      Access access, SigInfo& signal) {
  FaultFlags flags = access.IsUser() ? kFaultUser : 0;
  VmFlags wanted = kVmRead | kVmWrite | kVmExec;
  if (access.IsFetch()) {
    wanted = kVmExec;
    flags |= kFaultInstruction;
  } else if (access.IsWrite()) {
    wanted = kVmWrite;
    flags |= kFaultWrite;
  }
  Vma* vma = FindVmaOrGrow(task, address);
  if (vma == nullptr) [[unlikely]]
    return BadArea(kSigSegv, kSegvMaperr, trapped, access, signal);
  if (!vma->Has(wanted)) [[unlikely]]
    return BadArea(kSigSegv, kSegvAccerr, trapped, access, signal);
  const VmFaultResult fault = HandleTrappedFault<Arch::kArm64>(*vma, address, flags);
  if ((fault & kVmFaultError) != 0) [[unlikely]]
    return FaultError(fault, trapped, access, signal);
  return TrapVerdict::kRetry;
}

// Linux: arch/arm64/mm/fault.c do_mem_abort()
[[gnu::always_inline]] inline TrapVerdict HandleTrap(Task& task, WalkResult trapped, Access access,
                                                     SigInfo& signal) {
  const TrapKind kind = trapped.kind();
  const VirtAddr address = UntaggedAddr(trapped.trap().address());
  const bool of_a_page =
      kind == TrapKind::kTranslation || kind == TrapKind::kPermission || kind == TrapKind::kAccessFlag;
  if (!of_a_page || !IsTtbr0Addr(address)) [[unlikely]]
    return HandleOddTrap(trapped, access, signal);
  return DoPageFault(task, address, trapped, access, signal);
}

}  // namespace mmsim::linux_arm64
