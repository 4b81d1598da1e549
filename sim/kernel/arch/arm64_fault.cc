// SPDX-License-Identifier: Apache-2.0
// Data and instruction aborts of arm64 that end in a signal, or are no faults of a page. Linux:
// arch/arm64/mm/fault.c
// Not modelled: memory tags (MTE), permission overlays (POE), EPAN (without it execute implies read),
// external aborts, the kernel's own oopses.
#include "sim/kernel/arch/arm64_fault.h"

namespace mmsim::linux_arm64 {
namespace {

uint32_t ExceptionClass(uint32_t esr) {
  return esr >> arm64::kEsrEcShift;
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

}  // namespace

TrapVerdict BadArea(int signo, int si_code, WalkResult trapped, Access access, SigInfo& signal) {
  if (!access.IsUser()) return TrapVerdict::kFixup;
  const Trap trap = trapped.trap();
  signal = {signo, si_code, trap.address().value, ThreadEsr(UntaggedAddr(trap.address()), trap.code())};
  return TrapVerdict::kSignal;
}

TrapVerdict FaultError(VmFaultResult fault, WalkResult trapped, Access access, SigInfo& signal) {
  if (!access.IsUser()) return TrapVerdict::kFixup;
  if (fault & kVmFaultOom) return TrapVerdict::kOutOfMemory;
  if (fault & kVmFaultSigbus) return BadArea(kSigBus, kBusAdrerr, trapped, access, signal);
  return BadArea(kSigSegv, kSegvMaperr, trapped, access, signal);
}

TrapVerdict HandleOddTrap(WalkResult trapped, Access access, SigInfo& signal) {
  const Trap trap = trapped.trap();
  if (trap.kind() == TrapKind::kTranslation) return BadArea(kSigSegv, kSegvMaperr, trapped, access, signal);
  MMSIM_CHECK(trap.kind() == TrapKind::kAlignment && "a fault that only corrupt tables make");
  if (!access.IsUser()) return TrapVerdict::kFixup;
  signal = {kSigBus, kBusAdraln, trap.address().value, trap.code()};
  return TrapVerdict::kSignal;
}

}  // namespace mmsim::linux_arm64
