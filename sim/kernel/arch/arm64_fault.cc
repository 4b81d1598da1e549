// SPDX-License-Identifier: Apache-2.0
// Data and instruction aborts of arm64. Linux: arch/arm64/mm/fault.c
// Not modelled: memory tags (MTE), permission overlays (POE), EPAN (without it execute implies read),
// external aborts, the kernel's own oopses.
#include "sim/hw/arm64/pte.h"
#include "sim/kernel/arch/abi.h"
#include "sim/kernel/arch/fault.h"
#include "sim/mm/fault.h"

namespace mmsim {
namespace {

// Linux: arch/arm64/include/asm/uaccess.h untagged_addr(): the top byte of a user address is ignored.
VirtAddr UntaggedAddr(uint64_t far) {
  const int64_t extended = static_cast<int64_t>(far << 8) >> 8;
  return VirtAddr(far & static_cast<uint64_t>(extended));
}

// Linux: arch/arm64/include/asm/processor.h is_ttbr0_addr()
bool IsTtbr0Addr(VirtAddr address) {
  return address.value < abi::TaskSize(Arch::kArm64);
}

uint32_t ExceptionClass(uint32_t esr) {
  return esr >> arm64::kEsrEcShift;
}
bool IsUserMode(const Trap& trap) {
  return trap.access.IsUser();
}

// Linux: arch/arm64/mm/fault.c set_thread_esr(): programs learn nothing of the kernel's half.
uint64_t ThreadEsr(VirtAddr address, uint32_t esr) {
  if (IsTtbr0Addr(address)) return esr;
  const uint32_t class_and_il = esr & ((~0u << arm64::kEsrEcShift) | arm64::kEsrIl);
  if (ExceptionClass(esr) == arm64::kEcDataLower) {
    return class_and_il | (esr & arm64::kIssWnr) | arm64::kFscTranslation;
  }
  return class_and_il | arm64::kFscTranslation;
}

TrapVerdict BadArea(const Trap& trap, int signo, int si_code, SigInfo& signal) {
  if (!IsUserMode(trap)) return TrapVerdict::kFixup;
  const VirtAddr address = UntaggedAddr(trap.address.value);
  signal = {signo, si_code, trap.address.value, 0, ThreadEsr(address, trap.code), 0};
  return TrapVerdict::kSignal;
}

// Linux: arch/arm64/mm/fault.c do_page_fault()
TrapVerdict DoPageFault(Task& task, const Trap& trap, SigInfo& signal) {
  const VirtAddr address = UntaggedAddr(trap.address.value);
  FaultFlags flags = IsUserMode(trap) ? kFaultUser : 0;
  VmFlags wanted;
  if (ExceptionClass(trap.code) == arm64::kEcFetchLower) {
    wanted = kVmExec;
    flags |= kFaultInstruction;
  } else if (trap.code & arm64::kIssWnr) {
    wanted = kVmWrite;
    flags |= kFaultWrite;
  } else {
    wanted = kVmRead | kVmWrite | kVmExec;
  }
  Vma* vma = FindVmaOrGrow(task, address);
  if (vma == nullptr) return BadArea(trap, kSigSegv, kSegvMaperr, signal);
  if (!vma->Has(wanted)) return BadArea(trap, kSigSegv, kSegvAccerr, signal);
  const VmFaultResult fault = HandleMmFault(*vma, address, flags);
  if (!(fault & kVmFaultError)) [[likely]]
    return TrapVerdict::kRetry;
  if (!IsUserMode(trap)) return TrapVerdict::kFixup;
  if (fault & kVmFaultOom) return TrapVerdict::kOutOfMemory;
  if (fault & kVmFaultSigbus) return BadArea(trap, kSigBus, kBusAdrerr, signal);
  return BadArea(trap, kSigSegv, kSegvMaperr, signal);
}

}  // namespace

// The table fault_info[] by the fault's status code. Linux: arch/arm64/mm/fault.c do_mem_abort(),
// do_sp_pc_abort()
TrapVerdict HandleTrapArm64(Task& task, WalkResult trapped, SigInfo& signal) {
  const Trap trap = trapped.trap();
  switch (trap.kind) {
    case TrapKind::kAlignment:
      if (!IsUserMode(trap)) return TrapVerdict::kFixup;
      signal = {kSigBus, kBusAdraln, trap.address.value, 0, trap.code, 0};
      return TrapVerdict::kSignal;
    case TrapKind::kTranslation:
      if (!IsTtbr0Addr(UntaggedAddr(trap.address.value))) return BadArea(trap, kSigSegv, kSegvMaperr, signal);
      return DoPageFault(task, trap, signal);
    case TrapKind::kPermission:
    case TrapKind::kAccessFlag:
      return DoPageFault(task, trap, signal);
    default:
      MMSIM_CHECK(false && "a fault that only corrupt tables make");
  }
  return TrapVerdict::kFixup;
}

}  // namespace mmsim
