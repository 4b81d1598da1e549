// SPDX-License-Identifier: Apache-2.0
// The system calls that shape an address space, each in the file of its name. All return what the kernel
// returns: an address or 0, or a negative errno, with the partial effects that the kernel leaves.
#pragma once

#include <cstdint>

#include "sim/mm/current.h"
#include "sim/mm/mm.h"

namespace mmsim {

// mmap.cc. Linux: mm/mmap.c ksys_mmap_pgoff() after the fd lookup; `offset_bytes` as the user passes it (the
// offset's alignment is checked by the architecture's sys_mmap). file is null for MAP_ANONYMOUS.
int64_t SysMmap(Mm& mm, const Current& current, uint64_t addr, uint64_t len, uint64_t prot, uint64_t flags,
                const FileRef& file, uint64_t offset_bytes);
// munmap.cc. Linux: mm/mmap.c __vm_munmap()
int64_t SysMunmap(Mm& mm, uint64_t addr, uint64_t len);
// mprotect.cc. Linux: mm/mprotect.c do_mprotect_pkey(); pkey -1 for mprotect.
int64_t SysMprotect(Mm& mm, const Current& current, uint64_t start, uint64_t len, uint64_t prot, int pkey);
// mremap.cc. Linux: mm/mremap.c
int64_t SysMremap(Mm& mm, const Current& current, uint64_t addr, uint64_t old_len, uint64_t new_len,
                  uint64_t flags, uint64_t new_addr);
// brk.cc. Linux: mm/mmap.c SYSCALL_DEFINE1(brk)
int64_t SysBrk(Mm& mm, const Current& current, uint64_t brk);
// madvise.cc. Linux: mm/madvise.c do_madvise()
int64_t SysMadvise(Mm& mm, const Current& current, uint64_t start, uint64_t len, int advice);
// mlock.cc. Linux: mm/mlock.c
int64_t SysMlock(Mm& mm, const Current& current, uint64_t start, uint64_t len, VmFlags flags);
int64_t SysMunlock(Mm& mm, uint64_t start, uint64_t len);
int64_t SysMlockall(Mm& mm, const Current& current, int flags);
int64_t SysMunlockall(Mm& mm);
// msync.cc. Linux: mm/msync.c
int64_t SysMsync(Mm& mm, uint64_t start, uint64_t len, int flags);
// mseal.cc. Linux: mm/mseal.c
int64_t SysMseal(Mm& mm, uint64_t start, uint64_t len, uint64_t flags);

// What the kernel's own mappers use (exec, shmat, vdso): do_mmap's body with the caller's vm_flags.
// Linux: mm/mmap.c do_mmap()
int64_t DoMmap(Mm& mm, const Current& current, const FileRef& file, uint64_t addr, uint64_t len,
               uint64_t prot, uint64_t flags, VmFlags vm_flags, uint64_t pgoff, uint64_t* populate_bytes);
// Linux: mm/mmap.c vm_brk_flags()
Status VmBrkFlags(Mm& mm, const Current& current, uint64_t addr, uint64_t len, VmFlags flags);
// Linux: mm/mmap.c _install_special_mapping()
Result<Vma*> InstallSpecialMapping(Mm& mm, const Current& current, VirtAddr addr, uint64_t len, VmFlags flags,
                                   const SpecialMapping* mapping);
// Linux: mm/mmap.c insert_vm_struct(); the VMA is the caller's until it succeeds.
Status InsertVmStruct(Mm& mm, const Current& current, Vma* vma);
// Grows a VM_GROWSDOWN VMA to `address`. Linux: mm/mmap.c expand_downwards()
Status ExpandDownwards(Vma& vma, const Current& current, VirtAddr address);
// The stack's move after the argument pages were written, at exec. Linux: mm/mmap.c relocate_vma_down()
Status RelocateVmaDown(Vma& vma, uint64_t shift_bytes);
// mmap_base and direction for a new image. Linux: mm/util.c, arch/x86/mm/mmap.c arch_pick_mmap_layout()
void PickMmapLayout(Mm& mm, const Current& current);
// A free range; the rules of hints, top-down and bottom-up. Linux: mm/mmap.c get_unmapped_area()
int64_t GetUnmappedArea(Mm& mm, const Current& current, const FileRef& file, uint64_t addr, uint64_t len,
                        uint64_t pgoff, uint64_t flags, VmFlags vm_flags);

// fork's copy of the VMAs and tables into the empty `child`. Linux: kernel/fork.c dup_mmap()
Status DupMmap(Mm& child, Mm& parent, const Current& current);
// Everything goes. Linux: mm/mmap.c exit_mmap()
void ExitMmap(Mm& mm);

// Linux: mm/util.c __vm_enough_memory() as security_vm_enough_memory_mm() calls it; accounts `pages` on
// success.
Status VmEnoughMemory(Mm& mm, const Current& current, uint64_t pages);
void VmUnacctMemory(System& system, uint64_t pages);
// Linux: mm/mmap.c may_expand_vm()
bool MayExpandVm(const Mm& mm, const Current& current, VmFlags flags, uint64_t pages);

}  // namespace mmsim
