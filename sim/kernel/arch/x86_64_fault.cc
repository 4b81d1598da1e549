// SPDX-License-Identifier: Apache-2.0
// Page faults and general-protection faults of x86-64. Linux: arch/x86/mm/fault.c, arch/x86/kernel/traps.c
// Not modelled: shadow stacks, SGX, errata, the kernel's own oopses (a kernel access that faults always has a
// fixup here).
#include "sim/hw/x86_64/pte.h"
#include "sim/kernel/arch/abi.h"
#include "sim/kernel/arch/fault.h"
#include "sim/mm/fault.h"

namespace mmsim {
namespace {

// One trap under way: the locals of do_user_addr_fault(). By value, so that the way without a signal keeps
// them in registers.
struct X86Fault {
  Task& task;
  VirtAddr address;
  uint32_t error_code;
  bool user_mode;
  SigInfo& signal;
};

bool IsVsyscall(VirtAddr address) {
  return address.PageFloor().value == abi::VsyscallPage(Arch::kX86_64);
}

// Linux: arch/x86/mm/fault.c fault_in_kernel_space()
bool FaultInKernelSpace(VirtAddr address) {
  return address.value >= abi::TaskSize(Arch::kX86_64) && !IsVsyscall(address);
}

// Linux: arch/x86/mm/fault.c sanitize_error_code(), set_signal_archinfo(): programs learn nothing of the
// kernel's half.
SigInfo ArchSignal(X86Fault f, int signo, int code, int pkey) {
  uint64_t error_code = f.error_code | x86_64::kErrorUser;
  if (f.address.value >= abi::TaskSize(Arch::kX86_64)) error_code |= x86_64::kErrorPresent;
  return {signo, code, f.address.value, pkey, error_code, x86_64::kVectorPageFault};
}

TrapVerdict Signal(X86Fault f, const SigInfo& signal) {
  if (!f.user_mode) return TrapVerdict::kFixup;
  f.signal = signal;
  return TrapVerdict::kSignal;
}

// Linux: arch/x86/mm/fault.c __bad_area_nosemaphore()
TrapVerdict BadArea(X86Fault f, int si_code, int pkey = 0) {
  return Signal(f, ArchSignal(f, kSigSegv, si_code, pkey));
}

int VmaPkey(const Vma& vma) {
  return static_cast<int>((vma.flags & kVmPkeyMask) >> kVmPkeyShift);
}

// Linux: arch/x86/include/asm/mmu_context.h arch_vma_access_permitted()
bool ArchVmaAccessPermitted(const Task& task, const Vma& vma, bool write, bool execute) {
  if (execute) return true;
  constexpr uint32_t kAccessDisable = 1, kWriteDisable = 2;
  const uint32_t denied = write ? kAccessDisable | kWriteDisable : kAccessDisable;
  return ((task.pkru >> (2 * VmaPkey(vma))) & denied) == 0;
}

// Linux: arch/x86/mm/fault.c bad_area_access_error()
TrapVerdict BadAreaAccessError(X86Fault f, const Vma& vma) {
  const bool by_pkey = (f.error_code & x86_64::kErrorProtectionKey) ||
                       !ArchVmaAccessPermitted(f.task, vma, f.error_code & x86_64::kErrorWrite,
                                               f.error_code & x86_64::kErrorFetch);
  return by_pkey ? BadArea(f, kSegvPkuerr, VmaPkey(vma)) : BadArea(f, kSegvAccerr);
}

// Linux: arch/x86/mm/fault.c access_error()
bool AccessError(X86Fault f, const Vma& vma) {
  if (f.error_code & x86_64::kErrorProtectionKey) return true;
  const bool write = f.error_code & x86_64::kErrorWrite;
  if (!ArchVmaAccessPermitted(f.task, vma, write, f.error_code & x86_64::kErrorFetch)) return true;
  if (write) return !vma.Has(kVmWrite);
  if (f.error_code & x86_64::kErrorPresent) return true;  // a read of what is mapped
  return !vma.Has(kVmAccessFlags);
}

// A fetch from one of the three entries of the page is a system call; all else is a fault like any. Linux:
// arch/x86/entry/vsyscall/vsyscall_64.c emulate_vsyscall(), of vsyscall=xonly
TrapVerdict EmulateVsyscall(X86Fault f) {
  constexpr uint64_t kEntrySize = 1024, kEntries = 3;
  const uint64_t offset = f.address.PageOffset();
  if (offset % kEntrySize == 0 && offset / kEntrySize < kEntries) return TrapVerdict::kEmulated;
  // force_sig(SIGSEGV): no address and no code of its own.
  return Signal(f, {kSigSegv, kSiKernel, 0, 0, 0, 0});
}

// Linux: arch/x86/mm/fault.c do_user_addr_fault(), from `done` on
TrapVerdict FaultDone(X86Fault f, VmFaultResult fault) {
  if (!(fault & kVmFaultError)) [[likely]]
    return TrapVerdict::kRetry;
  if (fault & kVmFaultOom) return f.user_mode ? TrapVerdict::kOutOfMemory : TrapVerdict::kFixup;
  if (fault & kVmFaultSigbus) return Signal(f, ArchSignal(f, kSigBus, kBusAdrerr, 0));
  return BadArea(f, kSegvMaperr);
}

// Linux: arch/x86/mm/fault.c do_user_addr_fault()
TrapVerdict DoUserAddrFault(X86Fault f) {
  FaultFlags flags = 0;
  if (f.error_code & x86_64::kErrorWrite) flags |= kFaultWrite;
  if (f.error_code & x86_64::kErrorFetch) flags |= kFaultInstruction;
  if (f.user_mode) flags |= kFaultUser;
  if ((f.error_code & x86_64::kErrorFetch) && f.user_mode && IsVsyscall(f.address) &&
      f.task.mm->system.profile.vsyscall)
    return EmulateVsyscall(f);
  Vma* vma = FindVmaOrGrow(f.task, f.address);
  if (vma == nullptr) return BadArea(f, kSegvMaperr);
  if (AccessError(f, *vma)) return BadAreaAccessError(f, *vma);
  return FaultDone(f, HandleMmFault(*vma, f.address, flags));
}

}  // namespace

// Linux: arch/x86/mm/fault.c exc_page_fault(), arch/x86/kernel/traps.c exc_general_protection()
TrapVerdict HandleTrapX86(Task& task, WalkResult trapped, SigInfo& signal) {
  const Trap trap = trapped.trap();
  const X86Fault f{task, trap.address, trap.code, trap.access.IsUser(), signal};
  if (trap.kind == TrapKind::kNonCanonical) {
    return Signal(f, {kSigSegv, kSiKernel, 0, 0, 0, x86_64::kVectorGeneralProtection});
  }
  MMSIM_CHECK(!(trap.code & x86_64::kErrorReserved));  // pgtable_bad(): the tables are corrupt
  if (FaultInKernelSpace(trap.address)) return BadArea(f, kSegvMaperr);
  return DoUserAddrFault(f);
}

}  // namespace mmsim
