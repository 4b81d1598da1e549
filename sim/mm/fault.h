// SPDX-License-Identifier: Apache-2.0
// The fault handler's entry, what a fault comes to, and the one struct that is threaded through the ladder.
// Linux: mm/memory.c handle_mm_fault(), enum vm_fault_reason and enum fault_flag (include/linux/mm_types.h),
// struct vm_fault (include/linux/mm.h).
#pragma once

#include <cstdint>

#include "mmsim/types.h"
#include "sim/mm/mm.h"
#include "sim/mm/page_table.h"

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

// --- what follows is for the files of the ladder alone

struct VmFault {
  VmFault(Vma& vma_of_it, VirtAddr page_address, FaultFlags fault_flags, EntryPtr its_pmd)
      : vma(vma_of_it),
        mm(*vma.mm),
        system(mm.system),
        arch(system.arch),
        address(page_address),
        pgoff(vma.PgoffOf(address)),
        flags(fault_flags),
        pmd(its_pmd) {}

  Vma& vma;
  Mm& mm;
  System& system;
  const Arch arch;
  const VirtAddr address;  // of the page
  const uint64_t pgoff;
  FaultFlags flags;
  EntryPtr pmd;
  EntryPtr pte = nullptr;  // null: there is no table yet
  Pte orig_pte{};
  Pte orig_pmd{};
  Pfn page{};          // that vma.ops found; with a reference of ours
  Pfn cow_page{};      // a private copy that is to be mapped
  Pfn prealloc_pte{};  // a table made ahead; freed by HandleMmFault when nothing took it

  bool IsWrite() const { return (flags & kFaultWrite) != 0; }
};

// fault.cc
// Linux: mm/memory.c vmf_anon_prepare(), __vmf_anon_prepare()
VmFaultResult PrepareAnonVma(Vma& vma);
inline VmFaultResult VmfAnonPrepare(Vma& vma) {
  if (vma.anon_vma != nullptr) [[likely]]
    return 0;
  return PrepareAnonVma(vma);
}
// fault_anon.cc
// `address` is the page's, `pte` its entry. Linux: mm/memory.c do_anonymous_page()
template <Arch kArch>
VmFaultResult DoAnonymousPage(System& system, Vma& vma, VirtAddr address, FaultFlags flags, EntryPtr pte);
// fault_file.cc
VmFaultResult DoFault(VmFault& vmf);
VmFaultResult FinishFault(VmFault& vmf);
// `nr` entries for consecutive pages of a file from `page`, at `address`; vmf.pte is the first. Linux:
// mm/memory.c set_pte_range()
void SetPteRange(VmFault& vmf, Pfn page, uint64_t nr, VirtAddr address, EntryPtr pte);
// fault_wp.cc
template <Arch kArch>
VmFaultResult DoWpPage(VmFault& vmf);
// fault_swap.cc
VmFaultResult DoSwapPage(VmFault& vmf);
// huge_memory.cc
bool ThpVmaAllowable(const Vma& vma);  // at the order of a PMD, in a fault
VmFaultResult DoHugePmdAnonymousPage(VmFault& vmf);
VmFaultResult DoHugePmdWpPage(VmFault& vmf);
void HugePmdSetAccessed(VmFault& vmf);

}  // namespace mmsim
