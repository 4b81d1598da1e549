// SPDX-License-Identifier: Apache-2.0
// Page faults and general-protection faults of x86-64 that end in a signal, or are no faults of a page.
// Linux: arch/x86/mm/fault.c, arch/x86/kernel/traps.c Not modelled: shadow stacks, SGX, errata, the kernel's
// own oopses (a kernel access that faults always has a fixup here).
#include "sim/kernel/arch/x86_64_fault.h"

namespace mmsim::linux_x86_64 {
namespace {

bool IsVsyscall(VirtAddr address) {
  return address.PageFloor().value == abi::VsyscallPage(Arch::kX86_64);
}

// Linux: arch/x86/mm/fault.c sanitize_error_code(), set_signal_archinfo(): programs learn nothing of the
// kernel's half.
SigInfo ArchSignal(const Trap& trap, int signo, int code, int pkey) {
  uint64_t error_code = trap.code() | x86_64::kErrorUser;
  if (trap.address().value >= abi::TaskSize(Arch::kX86_64)) error_code |= x86_64::kErrorPresent;
  return {signo, code, trap.address().value, error_code, pkey, x86_64::kVectorPageFault};
}

TrapVerdict Signal(Access access, SigInfo& signal, const SigInfo& which) {
  if (!access.IsUser()) return TrapVerdict::kFixup;
  signal = which;
  return TrapVerdict::kSignal;
}

// A fetch from one of the three entries of the page is a system call; all else is a fault like any. Linux:
// arch/x86/entry/vsyscall/vsyscall_64.c emulate_vsyscall(), of vsyscall=xonly
TrapVerdict EmulateVsyscall(VirtAddr address, Access access, SigInfo& signal) {
  constexpr uint64_t kEntrySize = 1024, kEntries = 3;
  const uint64_t offset = address.PageOffset();
  if (offset % kEntrySize == 0 && offset / kEntrySize < kEntries) return TrapVerdict::kEmulated;
  // force_sig(SIGSEGV): no address and no code of its own.
  return Signal(access, signal, {kSigSegv, kSiKernel, 0, 0, 0, 0});
}

}  // namespace

TrapVerdict BadArea(WalkResult trapped, Access access, SigInfo& signal) {
  return Signal(access, signal, ArchSignal(trapped.trap(), kSigSegv, kSegvMaperr, 0));
}

TrapVerdict BadAreaAccessError(const Task& task, const Vma& vma, WalkResult trapped, Access access,
                               SigInfo& signal) {
  const Trap trap = trapped.trap();
  const bool by_pkey =
      (trap.code() & x86_64::kErrorProtectionKey) || !ArchVmaAccessPermitted(task, vma, access);
  return Signal(access, signal,
                by_pkey ? ArchSignal(trap, kSigSegv, kSegvPkuerr, VmaPkey(vma))
                        : ArchSignal(trap, kSigSegv, kSegvAccerr, 0));
}

TrapVerdict FaultError(VmFaultResult fault, WalkResult trapped, Access access, SigInfo& signal) {
  if (fault & kVmFaultOom) return access.IsUser() ? TrapVerdict::kOutOfMemory : TrapVerdict::kFixup;
  if (fault & kVmFaultSigbus)
    return Signal(access, signal, ArchSignal(trapped.trap(), kSigBus, kBusAdrerr, 0));
  return BadArea(trapped, access, signal);
}

TrapVerdict HandleOddTrap(Task& task, WalkResult trapped, Access access, SigInfo& signal) {
  const Trap trap = trapped.trap();
  if (trap.kind() == TrapKind::kNonCanonical) {
    return Signal(access, signal, {kSigSegv, kSiKernel, 0, 0, 0, x86_64::kVectorGeneralProtection});
  }
  MMSIM_CHECK(!(trap.code() & x86_64::kErrorReserved));
  // Linux: arch/x86/mm/fault.c fault_in_kernel_space()
  if (!IsVsyscall(trap.address())) return BadArea(trapped, access, signal);
  if (access.IsFetch() && access.IsUser() && task.mm->system.profile.vsyscall)
    return EmulateVsyscall(trap.address(), access, signal);
  return DoUserAddrFault(task, trapped, access, signal);
}

}  // namespace mmsim::linux_x86_64
