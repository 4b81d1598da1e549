// SPDX-License-Identifier: Apache-2.0
// How Linux uses the bits of an arm64 stage 1 descriptor. The hardware's bits are in the Arm ARM (DDI 0487),
// D8.3; bits 55-58 are the kernel's own. Linux: arch/arm64/include/asm/pgtable.h, pgtable-prot.h,
// pgtable-hwdef.h.
//
// Writable is DBM (kWrite); dirty is either the kernel's own bit (kDirty) or "writable and not AP[2]": where
// the hardware manages the dirty state it clears AP[2] itself, elsewhere a write fault does. A PROT_NONE page
// is not valid but has nG set.
//
// Not modelled: the contiguous bit (contpte; MADV_PAGEOUT of a huge page mapped by PTEs, of which some carry
// it, splits it there even where swap has room for it in one piece), MTE, BTI's guarded bit beyond the VMA
// flag, permission overlays.
#pragma once

#include "sim/mm/arch/pte_types.h"
#include "sim/mm/vm_flags.h"

namespace mmsim::linux_arm64 {

inline constexpr uint64_t kValid = 1, kTable = 2, kUser = 1 << 6, kRdOnly = 1 << 7, kShared = 3 << 8,
                          kAf = 1 << 10, kNg = 1 << 11;
inline constexpr uint64_t kGp = uint64_t{1} << 50, kWrite = uint64_t{1} << 51 /* DBM */,
                          kPxn = uint64_t{1} << 53, kUxn = uint64_t{1} << 54;
inline constexpr uint64_t kDirty = uint64_t{1} << 55, kSpecial = uint64_t{1} << 56,
                          kUffdWp = uint64_t{1} << 58;
inline constexpr uint64_t kTablePxn = uint64_t{1} << 59;
inline constexpr uint64_t kPresentInvalid = kNg;  // where kValid is clear
inline constexpr uint64_t kPfnMask = 0x0000fffffffff000, kHugePfnMask = kPfnMask & ~uint64_t{0x1fffff};
inline constexpr uint64_t kAttrMask = 7 << 2;
inline constexpr uint64_t kSwpExclusive = 1 << 2, kSwpUffdWp = 1 << 3;

constexpr bool PteNone(Pte p) {
  return p.value == 0;
}
constexpr bool PteValid(Pte p) {
  return (p.value & kValid) != 0;
}
constexpr bool PtePresentInvalid(Pte p) {
  return (p.value & (kValid | kPresentInvalid)) == kPresentInvalid;
}
constexpr bool PtePresent(Pte p) {
  return (p.value & (kValid | kPresentInvalid)) != 0;
}
// What nearly every entry is: the processor follows it, and to a page that is counted.
constexpr bool PtePlain(Pte p) {
  return (p.value & (kValid | kSpecial)) == kValid;
}
// PtePlain() and not PteWrite().
constexpr bool PtePlainReadOnly(Pte p) {
  return (p.value & (kValid | kSpecial | kWrite)) == kValid;
}
constexpr bool PteProtNone(Pte p) {
  return PtePresentInvalid(p) && (p.value & kUser) == 0 && (p.value & kUxn) != 0;
}
constexpr bool PteYoung(Pte p) {
  return (p.value & kAf) != 0;
}
constexpr bool PteWrite(Pte p) {
  return (p.value & kWrite) != 0;
}
constexpr bool PteHwDirty(Pte p) {
  return (p.value & (kWrite | kRdOnly)) == kWrite;
}
constexpr bool PteSwDirty(Pte p) {
  return (p.value & kDirty) != 0;
}
constexpr bool PteDirty(Pte p) {
  return PteSwDirty(p) || PteHwDirty(p);
}
constexpr bool PteSpecial(Pte p) {
  return (p.value & kSpecial) != 0;
}
constexpr bool PteExec(Pte p) {
  return (p.value & kUxn) == 0;
}
constexpr bool PteSoftDirty(Pte) {
  return false;
}
constexpr bool PteUffdWp(Pte p) {
  return (p.value & kUffdWp) != 0;
}
constexpr uint64_t PtePfn(Pte p) {
  return (p.value & kPfnMask) >> 12;
}
constexpr uint64_t PtePlainPfn(Pte p) {
  return PtePfn(p);
}

constexpr Pte PfnPte(uint64_t pfn, PgProt prot) {
  return {(pfn << 12) | prot.value};
}
// The same of the frame `nr` further on.
constexpr Pte PteAdvancePfn(Pte p, uint64_t nr) {
  return {p.value + (nr << 12)};
}
constexpr Pte PteMkYoung(Pte p) {
  return {p.value | kAf};
}
constexpr Pte PteMkOld(Pte p) {
  return {p.value & ~kAf};
}
constexpr Pte PteMkDirty(Pte p) {
  p.value |= kDirty;
  if (PteWrite(p)) p.value &= ~kRdOnly;
  return p;
}
constexpr Pte PteMkClean(Pte p) {
  return {(p.value & ~kDirty) | kRdOnly};
}
constexpr Pte PteMkWrite(Pte p) {
  p.value |= kWrite;
  if (PteSwDirty(p)) p.value &= ~kRdOnly;
  return p;
}
constexpr Pte PteWrProtect(Pte p) {
  if (PteHwDirty(p)) p.value |= kDirty;
  return {(p.value & ~kWrite) | kRdOnly};
}
constexpr Pte PteMkSpecial(Pte p) {
  return {p.value | kSpecial};
}
constexpr Pte PteMkSoftDirty(Pte p) {
  return p;
}
constexpr Pte PteClearSoftDirty(Pte p) {
  return p;
}
constexpr Pte PteMkUffdWp(Pte p) {
  return PteWrProtect({p.value | kUffdWp});
}
constexpr Pte PteClearUffdWp(Pte p) {
  return {p.value & ~kUffdWp};
}

constexpr Pte PteModify(Pte p, PgProt prot) {
  constexpr uint64_t kMask =
      kUser | kPxn | kUxn | kRdOnly | kPresentInvalid | kValid | kWrite | kGp | kAttrMask;
  if (PteHwDirty(p)) p.value |= kDirty;
  p.value = (p.value & ~kMask) | (prot.value & kMask);
  return PteSwDirty(p) ? PteMkDirty(p) : p;
}

// PMDs: a leaf lacks the table bit.
constexpr bool PmdPresent(Pte p) {
  return PtePresent(p);
}
constexpr bool PmdTransHuge(Pte p) {
  return p.value != 0 && PtePresent(p) && ((p.value | kValid) & (kValid | kTable)) != (kValid | kTable);
}
constexpr uint64_t PmdPfn(Pte p) {
  return (p.value & kHugePfnMask) >> 12;
}
constexpr Pte PmdMkHuge(Pte p) {
  return {p.value & ~kTable};
}
constexpr Pte PmdMkInvalid(Pte p) {
  return {(p.value | kPresentInvalid) & ~kValid};
}

constexpr uint64_t TableEntry(uint64_t pfn) {
  return (pfn << 12) | kValid | kTable | kTablePxn;
}

// Swap entries: | offset 61-12 | 0 | type 10-6 | - | uffd-wp 3 | exclusive 2 | 0 0 |
constexpr Pte SwapPte(SwapEntry e) {
  return {(uint64_t{e.type} << 6) | (e.offset << 12)};
}
constexpr SwapEntry PteSwap(Pte p) {
  return {static_cast<uint32_t>((p.value >> 6) & 31), (p.value >> 12) & ((uint64_t{1} << 50) - 1)};
}
constexpr bool SwpSoftDirty(Pte) {
  return false;
}
constexpr Pte SwpMkSoftDirty(Pte p) {
  return p;
}
constexpr Pte SwpClearSoftDirty(Pte p) {
  return p;
}

// Linux: arch/arm64/mm/mmap.c protection_map[], vm_get_page_prot(); without Enhanced PAN
constexpr PgProt VmGetPageProt(VmFlags flags) {
  constexpr uint64_t kDefault = kValid | kTable | kAf | kShared;
  uint64_t v = 0;
  if ((flags & kVmAccessFlags) == 0) {
    v = (kDefault & ~kValid) | kPresentInvalid | kRdOnly | kPxn | kUxn;
  } else {
    v = kDefault | kUser | kRdOnly | kNg | kPxn;
    if ((flags & (kVmShared | kVmWrite)) == (kVmShared | kVmWrite)) v |= kWrite;
    if ((flags & kVmExec) == 0) v |= kUxn;
  }
  if ((flags & kVmArch1) != 0) v |= kGp;  // VM_ARM64_BTI
  return {v};
}

}  // namespace mmsim::linux_arm64
