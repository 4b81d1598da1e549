// SPDX-License-Identifier: Apache-2.0
// How Linux uses the bits of an x86-64 table entry. The hardware's bits are in Intel SDM vol. 3A, 4.5 (tables
// 4-15 to 4-20); bits 9-11 and 52-58 are the kernel's own. Linux: arch/x86/include/asm/pgtable.h,
// pgtable_types.h, pgtable_64.h, pgtable-invert.h.
//
// An entry that is not present is nothing (0), a PROT_NONE page (bit 8, frame number inverted against L1TF)
// or a swap entry. A page that is dirty but not writable keeps its dirty state in a bit of the kernel's
// (kSavedDirty), because Write=0, Dirty=1 means a shadow stack to the hardware.
//
// Not modelled: shadow stacks, memory encryption, page attribute tables other than write-back, PTI's copies.
#pragma once

#include "sim/mm/arch/pte_types.h"
#include "sim/mm/vm_flags.h"

namespace mmsim::linux_x86_64 {

inline constexpr uint64_t kPresent = 1, kRw = 2, kUser = 4, kPwt = 8, kPcd = 0x10, kAccessed = 0x20,
                          kDirty = 0x40, kPse = 0x80, kGlobal = 0x100;
inline constexpr uint64_t kSpecial = 1 << 9, kUffdWp = 1 << 10, kSoftDirty = 1 << 11;
inline constexpr uint64_t kSavedDirty = uint64_t{1} << 58, kNx = uint64_t{1} << 63;
inline constexpr int kRwShift = 1, kDirtyShift = 6, kSavedDirtyShift = 58, kPkeyShift = 59;
inline constexpr uint64_t kProtNone = kGlobal;  // where kPresent is clear
inline constexpr uint64_t kPfnMask = 0x000ffffffffff000, kDirtyBits = kDirty | kSavedDirty;
inline constexpr uint64_t kHugePfnMask = kPfnMask & ~uint64_t{0x1fffff};
// In swap entries.
inline constexpr uint64_t kSwpSoftDirty = kRw, kSwpUffdWp = kUser, kSwpExclusive = kPwt;
// What pte_modify() keeps; a PMD keeps kPse as well.
inline constexpr uint64_t kChangeMask = kPfnMask | kPcd | kPwt | kSpecial | kAccessed | kDirtyBits |
                                        kSoftDirty | (uint64_t{1} << 57) | kUffdWp | kPse;

constexpr uint64_t InvertMask(uint64_t v) {
  return v != 0 && (v & kPresent) == 0 ? ~uint64_t{0} : 0;
}

constexpr bool PteNone(Pte p) {
  return (p.value & ~(kDirty | kAccessed)) == 0;
}
constexpr bool PtePresent(Pte p) {
  return (p.value & (kPresent | kProtNone)) != 0;
}
// What nearly every entry is: the processor follows it, and to a page that is counted.
constexpr bool PtePlain(Pte p) {
  return (p.value & (kPresent | kSpecial)) == kPresent;
}
// PtePlain() and not PteWrite().
constexpr bool PtePlainReadOnly(Pte p) {
  return (p.value & (kPresent | kSpecial | kRw)) == kPresent;
}
constexpr bool PteProtNone(Pte p) {
  return (p.value & (kProtNone | kPresent)) == kProtNone;
}
constexpr bool PteYoung(Pte p) {
  return (p.value & kAccessed) != 0;
}
constexpr bool PteDirty(Pte p) {
  return (p.value & kDirtyBits) != 0;
}
constexpr bool PteWrite(Pte p) {
  return (p.value & kRw) != 0;
}
constexpr bool PteSpecial(Pte p) {
  return (p.value & kSpecial) != 0;
}
constexpr bool PteExec(Pte p) {
  return (p.value & kNx) == 0;
}
constexpr bool PteSoftDirty(Pte p) {
  return (p.value & kSoftDirty) != 0;
}
constexpr bool PteUffdWp(Pte p) {
  return (p.value & kUffdWp) != 0;
}
constexpr uint64_t PtePfn(Pte p) {
  return ((p.value ^ InvertMask(p.value)) & kPfnMask) >> 12;
}
// Precondition: PtePlain.
constexpr uint64_t PtePlainPfn(Pte p) {
  return (p.value & kPfnMask) >> 12;
}

constexpr Pte PfnPte(uint64_t pfn, PgProt prot) {
  return {(((pfn << 12) ^ InvertMask(prot.value)) & kPfnMask) | prot.value};
}
// The same of the frame `nr` further on.
constexpr Pte PteAdvancePfn(Pte p, uint64_t nr) {
  return {InvertMask(p.value) != 0 ? p.value - (nr << 12) : p.value + (nr << 12)};
}
// The dirty state moves to the kernel's bit where the entry is not writable, and back where it is.
constexpr Pte MkSavedDirty(Pte p) {
  const uint64_t readonly = (~p.value >> kRwShift) & 1;
  uint64_t v = p.value | (((p.value >> kDirtyShift) & readonly) << kSavedDirtyShift);
  v &= ~(readonly << kDirtyShift);
  return {v};
}
constexpr Pte ClearSavedDirty(Pte p) {
  const uint64_t writable = (p.value >> kRwShift) & 1;
  uint64_t v = p.value | (((p.value >> kSavedDirtyShift) & writable) << kDirtyShift);
  v &= ~(writable << kSavedDirtyShift);
  return {v};
}
constexpr Pte PteMkYoung(Pte p) {
  return {p.value | kAccessed};
}
constexpr Pte PteMkOld(Pte p) {
  return {p.value & ~kAccessed};
}
constexpr Pte PteMkDirty(Pte p) {
  return MkSavedDirty({p.value | kDirty | kSoftDirty});
}
constexpr Pte PteMkClean(Pte p) {
  return {p.value & ~kDirtyBits};
}
constexpr Pte PteMkWrite(Pte p) {
  return ClearSavedDirty({p.value | kRw});
}
constexpr Pte PteWrProtect(Pte p) {
  return MkSavedDirty({p.value & ~kRw});
}
constexpr Pte PteMkSpecial(Pte p) {
  return {p.value | kSpecial};
}
constexpr Pte PteMkSoftDirty(Pte p) {
  return {p.value | kSoftDirty};
}
constexpr Pte PteClearSoftDirty(Pte p) {
  return {p.value & ~kSoftDirty};
}
constexpr Pte PteMkUffdWp(Pte p) {
  return PteWrProtect({p.value | kUffdWp});
}
constexpr Pte PteClearUffdWp(Pte p) {
  return {p.value & ~kUffdWp};
}

constexpr Pte PteModify(Pte old, PgProt prot) {
  uint64_t v = (old.value & kChangeMask) | (prot.value & ~kChangeMask);
  // The frame number is inverted in one of the two forms (flip_protnone_guard).
  if ((InvertMask(old.value) != 0) != (InvertMask(v) != 0)) v ^= kPfnMask;
  return (old.value & kRw) != 0 ? MkSavedDirty({v}) : ClearSavedDirty({v});
}

// PMDs: kPse marks a leaf, whether present or not.
constexpr bool PmdPresent(Pte p) {
  return (p.value & (kPresent | kProtNone | kPse)) != 0;
}
constexpr bool PmdTransHuge(Pte p) {
  return (p.value & kPse) != 0;
}
constexpr uint64_t PmdPfn(Pte p) {
  return ((p.value ^ InvertMask(p.value)) & kHugePfnMask) >> 12;
}
constexpr Pte PmdMkHuge(Pte p) {
  return {p.value | kPse};
}
constexpr Pte PmdMkInvalid(Pte p) {
  const uint64_t flags = p.value & ~kHugePfnMask & ~(kPresent | kProtNone);
  return {(((PmdPfn(p) << 12) ^ InvertMask(flags)) & kHugePfnMask) | flags};
}

// An entry that points to a table: _PAGE_TABLE, everything permitted.
constexpr uint64_t TableEntry(uint64_t pfn) {
  return (pfn << 12) | kPresent | kRw | kUser | kAccessed | kDirty;
}

// Swap entries: | type 63-59 | ~offset 58-9 | 0 | 7 THP migration | 6-4 | exclusive, uffd-wp, soft-dirty | 0
// |
constexpr Pte SwapPte(SwapEntry e) {
  return {(~e.offset << 14 >> 5) | (uint64_t{e.type} << 59)};
}
constexpr SwapEntry PteSwap(Pte p) {
  return {static_cast<uint32_t>(p.value >> 59), ~p.value << 5 >> 14};
}
constexpr bool SwpSoftDirty(Pte p) {
  return (p.value & kSwpSoftDirty) != 0;
}
constexpr Pte SwpMkSoftDirty(Pte p) {
  return {p.value | kSwpSoftDirty};
}
constexpr Pte SwpClearSoftDirty(Pte p) {
  return {p.value & ~kSwpSoftDirty};
}

// Linux: arch/x86/mm/pgprot.c protection_map[], vm_get_page_prot()
constexpr PgProt VmGetPageProt(VmFlags flags) {
  uint64_t v = kAccessed;
  if ((flags & kVmAccessFlags) == 0) {
    v |= kProtNone;
  } else {
    v |= kPresent | kUser;
    if ((flags & (kVmShared | kVmWrite)) == (kVmShared | kVmWrite)) v |= kRw;
    if ((flags & kVmExec) == 0) v |= kNx;
  }
  return {v | (((flags & kVmPkeyMask) >> kVmPkeyShift) << kPkeyShift)};
}

}  // namespace mmsim::linux_x86_64
