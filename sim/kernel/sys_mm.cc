// SPDX-License-Identifier: Apache-2.0
// The calls of sim/mm/verbs.h: what their entry points do before the memory manager proper begins. Linux:
// arch/*/kernel/sys*.c, mm/mmap.c ksys_mmap_pgoff(), mm/mlock.c, mm/mincore.c, mm/mprotect.c
#include <algorithm>
#include <bit>
#include <vector>

#include "sim/kernel/arch/abi.h"
#include "sim/kernel/call.h"
#include "sim/kernel/uaccess.h"
#include "sim/kernel/uapi.h"
#include "sim/mm/arch/layout.h"
#include "sim/mm/task_mmu.h"
#include "sim/mm/verbs.h"

namespace mmsim {

// Linux: arch/x86/kernel/sys_x86_64.c SYSCALL_DEFINE6(mmap), arch/arm64/kernel/sys.c, mm/mmap.c
// ksys_mmap_pgoff()
int64_t Do_mmap(Call& call) {
  const uint64_t flags = call.U(3), offset = call.U(5);
  if (offset % kPageSize != 0) return Call::Err(Errno::kEINVAL);
  FileRef file;
  if (!(flags & kMapAnonymous)) {
    file = call.File(4);
    if (file == nullptr || (file->flags & kOPath)) return Call::Err(Errno::kEBADF);
    if (file->inode->hugetlb) return call.NotModelled();
    if (flags & kMapHugetlb) return Call::Err(Errno::kEINVAL);  // no other file is one of hugetlbfs
  } else if (flags & kMapHugetlb) {
    return call.NotModelled();
  }
  return SysMmap(call.mm(), call.task.AsCurrent(), call.U(0), call.U(1), call.U(2), flags, file, offset);
}

int64_t Do_munmap(Call& call) {
  return SysMunmap(call.mm(), call.U(0), call.U(1));
}

int64_t Do_mprotect(Call& call) {
  return SysMprotect(call.mm(), call.task.AsCurrent(), call.U(0), call.U(1), call.U(2), -1);
}

int64_t Do_pkey_mprotect(Call& call) {
  return SysMprotect(call.mm(), call.task.AsCurrent(), call.U(0), call.U(1), call.U(2), call.Int(3));
}

int64_t Do_mremap(Call& call) {
  return SysMremap(call.mm(), call.task.AsCurrent(), call.U(0), call.U(1), call.U(2), call.U(3), call.U(4));
}

int64_t Do_brk(Call& call) {
  return SysBrk(call.mm(), call.task.AsCurrent(), call.U(0));
}

int64_t Do_madvise(Call& call) {
  return SysMadvise(call.mm(), call.task.AsCurrent(), call.U(0), call.U(1), call.Int(2));
}

int64_t Do_mlock(Call& call) {
  return SysMlock(call.mm(), call.task.AsCurrent(), call.U(0), call.U(1), kVmLocked);
}

// Linux: mm/mlock.c SYSCALL_DEFINE3(mlock2)
int64_t Do_mlock2(Call& call) {
  constexpr uint32_t kMlockOnfault = 1;
  if (call.Uint(2) & ~kMlockOnfault) return Call::Err(Errno::kEINVAL);
  const VmFlags flags = call.Uint(2) & kMlockOnfault ? kVmLocked | kVmLockOnFault : kVmLocked;
  return SysMlock(call.mm(), call.task.AsCurrent(), call.U(0), call.U(1), flags);
}

int64_t Do_munlock(Call& call) {
  return SysMunlock(call.mm(), call.U(0), call.U(1));
}
int64_t Do_mlockall(Call& call) {
  return SysMlockall(call.mm(), call.task.AsCurrent(), call.Int(0));
}
int64_t Do_munlockall(Call& call) {
  return SysMunlockall(call.mm());
}
int64_t Do_msync(Call& call) {
  return SysMsync(call.mm(), call.U(0), call.U(1), call.Int(2));
}
int64_t Do_mseal(Call& call) {
  return SysMseal(call.mm(), call.U(0), call.U(1), call.U(2));
}

// A byte a page; what was found before a hole is copied out all the same. Files are taken to be the caller's
// own. Linux: mm/mincore.c SYSCALL_DEFINE3(mincore), do_mincore()
int64_t Do_mincore(Call& call) {
  const uint64_t start = call.U(0), len = call.U(1), limit = call.mm().task_size;
  if (start % kPageSize != 0) return Call::Err(Errno::kEINVAL);
  if (len > limit || start > limit - len) return Call::Err(Errno::kENOMEM);
  const uint64_t pages = (len + kPageSize - 1) / kPageSize;
  if (call.U(2) > limit || pages > limit - call.U(2)) return Call::Err(Errno::kEFAULT);
  const VirtAddr end(start + pages * kPageSize);
  std::vector<uint8_t> residency;
  int64_t status = 0;
  for (VirtAddr at(start); at < end;) {
    const Vma* vma = call.mm().vmas.Lookup(at);
    if (vma == nullptr) {
      status = Call::Err(Errno::kENOMEM);
      break;
    }
    const VirtAddr stop = std::min<VirtAddr>(end, vma->end);
    if (vma->IsAnonymous() || vma->file != nullptr) {
      MincoreRange(*vma, {at, stop}, &residency);
    } else {
      residency.insert(residency.end(), (stop - at) >> kPageShift, 1);  // can_do_mincore(): not ours to know
    }
    at = stop;
  }
  if (!residency.empty() && !call.CopyOut(2, residency.data(), residency.size()))
    return Call::Err(Errno::kEFAULT);
  return status;
}

// Linux: mm/mprotect.c SYSCALL_DEFINE2(pkey_alloc), arch/x86/include/asm/pkeys.h mm_pkey_alloc()
int64_t Do_pkey_alloc(Call& call) {
  constexpr uint64_t kPkeyAccessMask = 3;
  if (call.U(0) != 0) return Call::Err(Errno::kEINVAL);
  if (call.U(1) & ~kPkeyAccessMask) return Call::Err(Errno::kEINVAL);
  const System& system = call.kernel.system();
  const int keys = ArchMaxPkey(system.arch, system.profile);
  if (keys == 1 && system.profile.pkey_alloc_needs_pkeys) return Call::Err(Errno::kENOSPC);
  int& map = call.mm().pkey_allocation_map;
  const int pkey = std::countr_one(static_cast<uint32_t>(map));
  if (pkey >= keys) return Call::Err(Errno::kENOSPC);
  map |= 1 << pkey;
  // Key 0 cannot be given back, so the next call finds none left. Linux: arch/x86/kernel/fpu/xstate.c
  // arch_set_user_pkey_access()
  if (keys == 1) return Call::Err(Errno::kEINVAL);
  const uint32_t shift = static_cast<uint32_t>(pkey) * 2;
  call.task.pkru = (call.task.pkru & ~(3u << shift)) | (static_cast<uint32_t>(call.U(1)) << shift);
  return pkey;
}

// Linux: mm/mprotect.c SYSCALL_DEFINE1(pkey_free), arch/x86/include/asm/pkeys.h mm_pkey_free()
int64_t Do_pkey_free(Call& call) {
  const int pkey = call.Int(0);
  if (call.kernel.arch() == Arch::kArm64 || !MmPkeyIsAllocated(call.mm(), pkey))
    return Call::Err(Errno::kEINVAL);
  call.mm().pkey_allocation_map &= ~(1 << pkey);
  return 0;
}

}  // namespace mmsim
