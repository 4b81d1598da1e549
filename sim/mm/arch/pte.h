// SPDX-License-Identifier: Apache-2.0
// The kernel's use of a table entry's bits, for either architecture by an inline two-way switch: what
// asm/pgtable.h is to mm/. Functions named Pmd* take an entry of the level above; all others serve PTEs and
// huge PMDs alike.
#pragma once

#include "sim/mm/arch/arm64.h"
#include "sim/mm/arch/pte_types.h"
#include "sim/mm/arch/x86_64.h"

namespace mmsim {

#define MMSIM_BY_ARCH(call) (arch == Arch::kX86_64 ? linux_x86_64::call : linux_arm64::call)
#define MMSIM_PREDICATE(name)             \
  constexpr bool name(Arch arch, Pte p) { \
    return MMSIM_BY_ARCH(name(p));        \
  }
#define MMSIM_MAKER(name)                \
  constexpr Pte name(Arch arch, Pte p) { \
    return MMSIM_BY_ARCH(name(p));       \
  }

MMSIM_PREDICATE(PteNone)
MMSIM_PREDICATE(PtePresent)
MMSIM_PREDICATE(PtePlain)
MMSIM_PREDICATE(PtePlainReadOnly)
MMSIM_PREDICATE(PteProtNone)
MMSIM_PREDICATE(PteYoung)
MMSIM_PREDICATE(PteDirty)
MMSIM_PREDICATE(PteWrite)
MMSIM_PREDICATE(PteSpecial)
MMSIM_PREDICATE(PteExec)
MMSIM_PREDICATE(PteSoftDirty)
MMSIM_PREDICATE(PteUffdWp)
MMSIM_PREDICATE(PmdPresent)
MMSIM_PREDICATE(PmdTransHuge)
MMSIM_PREDICATE(SwpSoftDirty)
MMSIM_MAKER(PteMkYoung)
MMSIM_MAKER(PteMkOld)
MMSIM_MAKER(PteMkDirty)
MMSIM_MAKER(PteMkClean)
MMSIM_MAKER(PteMkWrite)
MMSIM_MAKER(PteWrProtect)
MMSIM_MAKER(PteMkSpecial)
MMSIM_MAKER(PteMkSoftDirty)
MMSIM_MAKER(PteClearSoftDirty)
MMSIM_MAKER(PteMkUffdWp)
MMSIM_MAKER(PteClearUffdWp)
MMSIM_MAKER(PmdMkHuge)
MMSIM_MAKER(PmdMkInvalid)
MMSIM_MAKER(SwpMkSoftDirty)
MMSIM_MAKER(SwpClearSoftDirty)
#undef MMSIM_PREDICATE
#undef MMSIM_MAKER

constexpr bool PmdNone(Pte p) {
  return p.value == 0;
}
constexpr Pfn PtePfn(Arch arch, Pte p) {
  return Pfn(MMSIM_BY_ARCH(PtePfn(p)));
}
constexpr Pfn PtePlainPfn(Arch arch, Pte p) {
  return Pfn(MMSIM_BY_ARCH(PtePlainPfn(p)));
}
constexpr Pfn PmdPfn(Arch arch, Pte p) {
  return Pfn(MMSIM_BY_ARCH(PmdPfn(p)));
}
constexpr Pte PfnPte(Arch arch, Pfn pfn, PgProt prot) {
  return MMSIM_BY_ARCH(PfnPte(pfn.value, prot));
}
// The same of a protection that permits something.
constexpr Pte PlainPte(Pfn pfn, PgProt prot) {
  return {pfn.Base().value | prot.value};
}
// A huge leaf. Linux: mm/huge_memory.c mk_huge_pmd()
constexpr Pte MkHugePmd(Arch arch, Pfn pfn, PgProt prot) {
  return PmdMkHuge(arch, PfnPte(arch, pfn, prot));
}
constexpr Pte PteModify(Arch arch, Pte p, PgProt prot) {
  return MMSIM_BY_ARCH(PteModify(p, prot));
}
constexpr Pte PteAdvancePfn(Arch arch, Pte p, uint64_t nr) {
  return MMSIM_BY_ARCH(PteAdvancePfn(p, nr));
}
constexpr uint64_t TableEntry(Arch arch, Pfn table) {
  return MMSIM_BY_ARCH(TableEntry(table.value));
}
// Both have the address of a table in the same bits, as long as there are no more than 48 of them.
inline constexpr uint64_t kTableAddressMask = linux_arm64::kPfnMask;
static_assert((linux_x86_64::kPfnMask & kTableAddressMask) == kTableAddressMask);
constexpr Pfn TablePfn(uint64_t entry) {
  return Pfn((entry & kTableAddressMask) >> kPageShift);
}
constexpr PgProt VmGetPageProt(Arch arch, VmFlags flags) {
  return MMSIM_BY_ARCH(VmGetPageProt(flags));
}

constexpr uint64_t SwpExclusiveBit(Arch arch) {
  return arch == Arch::kX86_64 ? linux_x86_64::kSwpExclusive : linux_arm64::kSwpExclusive;
}
constexpr bool SwpExclusive(Arch arch, Pte p) {
  return (p.value & SwpExclusiveBit(arch)) != 0;
}
constexpr Pte SwpMkExclusive(Arch arch, Pte p) {
  return {p.value | SwpExclusiveBit(arch)};
}
constexpr Pte SwpClearExclusive(Arch arch, Pte p) {
  return {p.value & ~SwpExclusiveBit(arch)};
}
constexpr Pte SwapPte(Arch arch, SwapEntry e) {
  return MMSIM_BY_ARCH(SwapPte(e));
}
// Linux: include/linux/swapops.h pte_to_swp_entry(); the flags beside it fall away by the masks.
constexpr SwapEntry PteSwap(Arch arch, Pte p) {
  return MMSIM_BY_ARCH(PteSwap(p));
}
// Whether an entry is neither nothing nor present.
constexpr bool IsSwapPte(Arch arch, Pte p) {
  return !PteNone(arch, p) && !PtePresent(arch, p);
}

// Whether new mappings of fault-around are made old: only where the hardware sets the flag at no cost. Linux:
// arch_wants_old_prefaulted_pte()
constexpr bool ArchWantsOldPrefaultedPte(Arch arch, bool hw_afdbm) {
  return arch == Arch::kArm64 && hw_afdbm;
}

// Whether a page table walk always sets the access flag itself, so that ptep_set_access_flags() leaves it to
// that unless a write is to be permitted as well. Linux: arch/x86/mm/pgtable.c, arch/arm64/mm/fault.c
// ptep_set_access_flags()
constexpr bool ArchHasHwAccessFlagAlways(Arch arch) {
  return arch == Arch::kX86_64;
}

#undef MMSIM_BY_ARCH

}  // namespace mmsim
