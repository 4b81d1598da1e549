// SPDX-License-Identifier: Apache-2.0
// The bits of AArch64 stage-1 descriptors (VMSAv8-64, 4 KiB granule, 48-bit addresses, EL1&0) and what the
// processor makes of them: the codec of walk.h. Sections are of the Arm Architecture Reference Manual, DDI
// 0487, chapter D8.
//
// Not modelled: stage 2, 52-bit addresses (LPA, LPA2, LVA), 16 and 64 KiB granules, permission indirection
// and overlays (PIE, POE), BTI's GP bit, memory tagging, memory types (AttrIndx and SH are carried and have
// no effect), the access flag of tables (HAFT). The contiguous bit is a hint to TLBs and ignored.
#pragma once

#include <cstdint>

#include "mmsim/types.h"
#include "sim/base/check.h"
#include "sim/hw/geometry.h"
#include "sim/hw/need.h"
#include "sim/hw/trap.h"

namespace mmsim::arm64 {

// D8.3.1: descriptor formats.
inline constexpr uint64_t kValid = uint64_t{1} << 0;
inline constexpr uint64_t kType = uint64_t{1}
                                  << 1;  // above level 3: a table, else a block; at level 3: must be 1
inline constexpr uint64_t kTypePage = 3, kTypeTable = 3, kTypeBlock = 1, kTypeMask = 3;
inline constexpr int kAttrIndexShift = 2;  // AttrIndx, an index into MAIR_EL1
inline constexpr uint64_t kAttrIndexMask = uint64_t{7} << kAttrIndexShift;
inline constexpr uint64_t kNonSecure = uint64_t{1} << 5;
inline constexpr uint64_t kApUser = uint64_t{1} << 6;      // AP[1], D8.4.1: EL0 has data access
inline constexpr uint64_t kApReadOnly = uint64_t{1} << 7;  // AP[2]
inline constexpr int kShareabilityShift = 8;               // SH
inline constexpr uint64_t kShareabilityMask = uint64_t{3} << kShareabilityShift;
inline constexpr uint64_t kInnerShareable = uint64_t{3} << kShareabilityShift;
inline constexpr uint64_t kAccessFlag = uint64_t{1} << 10;  // AF, D8.5.1
inline constexpr uint64_t kNotGlobal = uint64_t{1} << 11;   // nG
inline constexpr uint64_t kAddressMask = 0x0000'ffff'ffff'f000;
inline constexpr uint64_t kGuarded = uint64_t{1} << 50;        // GP
inline constexpr uint64_t kDirtyModifier = uint64_t{1} << 51;  // DBM, D8.5.2
inline constexpr uint64_t kContiguous = uint64_t{1} << 52;
inline constexpr uint64_t kPrivilegedXn = uint64_t{1} << 53;  // PXN, D8.4.2
inline constexpr uint64_t kUserXn = uint64_t{1} << 54;        // UXN
// Ignored by the processor in leaves: software's to use. Bits 62:59 are so while PBHA, PIE and POE are off.
inline constexpr uint64_t kSoftwareMask = (uint64_t{15} << 55) | (uint64_t{31} << 59);
// D8.3.1: hierarchical permissions, in descriptors of tables alone.
inline constexpr uint64_t kTablePxn = uint64_t{1} << 59;         // PXNTable
inline constexpr uint64_t kTableUxn = uint64_t{1} << 60;         // UXNTable
inline constexpr uint64_t kTableApUser = uint64_t{1} << 61;      // APTable[0]: no EL0 data access below
inline constexpr uint64_t kTableApReadOnly = uint64_t{1} << 62;  // APTable[1]: no writes below

// D19.2.37 (ESR_EL1): EC at 31:26, IL at 25, ISS below.
inline constexpr int kEsrEcShift = 26;
inline constexpr uint32_t kEcFetchLower = 0x20;  // instruction abort from a lower exception level
inline constexpr uint32_t kEcFetchSame = 0x21;   // from the same
inline constexpr uint32_t kEcPcAlignment = 0x22;
inline constexpr uint32_t kEcDataLower = 0x24;  // data abort from a lower exception level
inline constexpr uint32_t kEcDataSame = 0x25;
inline constexpr uint32_t kEsrIl = 1u << 25;
inline constexpr uint32_t kIssWnr = 1u << 6;       // WnR, of data aborts
inline constexpr uint32_t kIssFscMask = 0x3f;      // DFSC, IFSC
inline constexpr uint32_t kFscAddressSize = 0x00;  // and the level in the low two bits, for each of the four
inline constexpr uint32_t kFscTranslation = 0x04;
inline constexpr uint32_t kFscAccessFlag = 0x08;
inline constexpr uint32_t kFscPermission = 0x0c;

// The control bits that decide. The default is a processor of Armv8.2 (Neoverse N1) under a 64-bit kernel.
struct Config {
  bool hardware_access_flag = true;  // TCR_EL1.HA, FEAT_HAFDBS
  bool hardware_dirty = true;        // TCR_EL1.HD; has no effect without HA
  bool pan = true;                   // PSTATE.PAN, FEAT_PAN
  bool epan = false;                 // SCTLR_EL1.EPAN, FEAT_PAN3: PAN also guards what EL0 may only execute
  bool write_implies_xn = false;     // SCTLR_EL1.WXN
  bool hierarchical_off = false;     // TCR_EL1.HPD0 and HPD1, FEAT_HPDS
  bool top_byte_ignored = true;      // TCR_EL1.TBI0
  int phys_bits = 48;                // TCR_EL1.IPS: 32, 36, 40, 42, 44 or 48
  bool high_walks = false;           // TCR_EL1.EPD1 is 0: the upper half is translated, from high_root
  uint64_t high_root = 0;            // TTBR1_EL1
};

// What the descriptors on the way come to, in 32 bits (WalkResult::attributes): the leaf's low twelve bits
// and its bits 54:51 at 22:19, with what the tables above take away taken away.
inline constexpr uint32_t kAttributePxn = kPrivilegedXn >> 32, kAttributeUxn = kUserXn >> 32;

class Controls {
 public:
  // `machine_mask`: the address bits that lead to memory in this machine, PhysMem::AddressMask().
  Controls(const Config& config, uint64_t machine_mask);

  const Config& config() const { return config_; }

 private:
  friend struct Codec;
  void Set(Access access, uint32_t set, uint32_t clear);

  Config config_;
  uint64_t too_large_;                           // address bits above IPS
  uint64_t odd_;                                 // these and what leads out of the machine's memory
  uint64_t plain_table_mask_, plain_leaf_mask_;  // what IsPlainTable and IsPlainLeaf look at
  uint64_t table_bits_;
  // By Access::Index(). at_once_: met by what one comparison can decide.
  Need<uint32_t> need_[kNrAccesses];
  Need<uint32_t> at_once_[kNrAccesses];
  Need<uint64_t> serving_leaf_[kNrAccesses];  // at_once_ of an entry that is a plain leaf and not global
  uint32_t absent_code_[kNrAccesses] = {};    // of a translation fault at level 3
};

struct Codec {
  using Controls = arm64::Controls;
  static constexpr Geometry kGeometry{.levels = 4,
                                      .bits_per_level = 9,
                                      .page_shift = 12,
                                      .va_bits = 48,
                                      .leaf_levels = 0b0111,
                                      .sign_extended = false};
  static constexpr uint64_t kRootRights = 0;

  // D8.2.1 and D8.9: the PC's alignment, which half of the address space, and whether the address lies within
  // it.
  static TrapKind CheckAddress(const Controls& c, VirtAddr va, Access access) {
    if (access.IsFetch() && (va.value & 3) != 0) return TrapKind::kAlignment;
    const bool high = InHighHalf(va);
    if (high && !c.config_.high_walks) return TrapKind::kTranslation;
    // Sign-extend from bit 55 where the top byte is ignored (only ever that of the lower half, as Config
    // says).
    const int64_t address = !high && c.config_.top_byte_ignored ? static_cast<int64_t>(va.value << 8) >> 8
                                                                : static_cast<int64_t>(va.value);
    return (address >> kGeometry.va_bits) == (high ? -1 : 0) ? TrapKind::kNone : TrapKind::kTranslation;
  }
  static uint64_t Root(const Controls& c, PhysAddr root, VirtAddr va) {
    return (InHighHalf(va) ? c.config_.high_root : root.value) & kAddressMask;
  }
  static uint64_t AddressOf(uint64_t entry) { return entry & kAddressMask; }

  // What nearly every walk meets, in one comparison each: an address of the lower half without a tag; a table
  // that takes nothing away but PXNTable; a leaf of level 3 with AF set. PXN is taken as set, so that fetches
  // of EL1, which alone it concerns, go step by step.
  static bool IsPlainAddress(VirtAddr va, Access access) {
    return (va.value & (~uint64_t{0} << kGeometry.va_bits | (access.IsFetch() ? 3 : 0))) == 0;
  }
  static bool IsPlainTable(const Controls& c, uint64_t entry) {
    return (entry & c.plain_table_mask_) == kTypeTable;
  }
  static bool IsPlainLeaf(const Controls& c, uint64_t entry) {
    return (entry & c.plain_leaf_mask_) == (kTypePage | kAccessFlag);
  }
  static uint32_t PlainAttributes(const Controls&, uint64_t leaf) { return Narrow(leaf) | kAttributePxn; }
  // The bits of an entry that these attributes come from.
  static uint64_t Widen(uint32_t attributes) {
    return (attributes & 0xfff) | static_cast<uint64_t>(attributes & 0x0078'0000) << 32;
  }
  // Whether a leaf below plain tables serves the access as it is, and is not global.
  static bool IsServingLeaf(const Controls& c, uint64_t entry, Access access) {
    return c.serving_leaf_[access.Index()].IsMetBy(entry);
  }
  static bool ServesAtOnce(const Controls& c, uint32_t attributes, Access access) {
    return c.at_once_[access.Index()].IsMetBy(attributes);
  }
  static uint32_t AbsentCode(const Controls& c, Access access) { return c.absent_code_[access.Index()]; }
  // Whether a leaf below plain tables forbids the access, with what the access would store.
  static bool IsRefusingLeaf(const Controls& c, uint64_t entry, Access access) {
    return IsPlainLeaf(c, entry) && !Allows(c, Narrow(TouchLeaf(c, entry, access)), access);
  }
  // ESR_EL1 of such a leaf.
  static uint32_t RefusedCode(const Controls& c, uint64_t, Access access) {
    return FaultCode(c, TrapKind::kPermission, 0, access, 0);
  }
  static bool IsValid(uint64_t entry) { return (entry & kValid) != 0; }
  // What an entry is (D8.3.1), and the order of its faults (D8.15.4): translation, address size, access flag.
  template <int kLevel>
  static TrapKind Classify(const Controls& c, uint64_t entry, bool& is_leaf) {
    is_leaf = kLevel == 0 || (entry & kType) == 0;
    if ((entry & kValid) == 0) return TrapKind::kTranslation;
    if (kLevel == 0 && (entry & kType) == 0) return TrapKind::kTranslation;  // reserved
    if (is_leaf && !kGeometry.MayBeLeaf(kLevel)) return TrapKind::kTranslation;
    // The low address bits of a block are RES0 and ignored: they select nothing.
    const uint64_t address = is_leaf ? entry & kGeometry.LevelMask(kLevel) : entry;
    if ((address & c.too_large_) != 0) return TrapKind::kAddressSize;
    if (is_leaf && (entry & kAccessFlag) == 0 && !c.config_.hardware_access_flag)
      return TrapKind::kAccessFlag;
    MMSIM_CHECK((address & c.odd_) == 0 && "a descriptor leads out of the machine's memory");
    return TrapKind::kNone;
  }

  static uint64_t Descend(uint64_t rights, uint64_t entry) { return rights | entry; }
  static uint64_t TouchTable(const Controls&, uint64_t entry) { return entry; }
  // D8.5: the access flag, and, for a write, the end of the write protection of a leaf whose DBM is set. The
  // walker keeps the result only if the access is then allowed, so that hierarchical permissions go before.
  static uint64_t TouchLeaf(const Controls& c, uint64_t entry, Access access) {
    if (!c.config_.hardware_access_flag) return entry;
    entry |= kAccessFlag;
    if (access.IsWrite() && c.config_.hardware_dirty && (entry & kDirtyModifier) != 0) entry &= ~kApReadOnly;
    return entry;
  }
  // D8.4.1, D8.4.2: what tables take away: APTable[0] clears AP[1], APTable[1] sets AP[2], UXNTable and
  // PXNTable the like.
  static uint32_t Attributes(const Controls& c, uint64_t rights, uint64_t leaf) {
    rights &= c.table_bits_;
    const uint64_t below =
        (leaf | ((rights >> 6) & (kUserXn | kPrivilegedXn)) | ((rights >> 55) & kApReadOnly)) &
        ~((rights >> 55) & kApUser);
    return Narrow(below);
  }
  static bool Allows(const Controls& c, uint32_t attributes, Access access) {
    if (!c.need_[access.Index()].IsMetBy(attributes)) return false;
    // What EL0 may write, EL1 never executes; nor does EL0 itself under WXN.
    return !access.IsFetch() || (access.IsUser() && !c.config_.write_implies_xn) ||
           (attributes & (kApUser | kApReadOnly)) != kApUser;
  }
  // Whether a leaf with these attributes serves the access as it is: one that DBM makes writable must be
  // stored to.
  static bool ServesFromTlb(const Controls& c, uint32_t attributes, Access access) {
    return Allows(c, attributes, access);
  }
  static bool IsGlobal(uint32_t attributes) { return (attributes & kNotGlobal) == 0; }
  // A branch to a tagged address loses the tag before it is fetched from.
  static VirtAddr ReportedAddress(const Controls& c, VirtAddr va, Access access) {
    if (!access.IsFetch() || InHighHalf(va) || !c.config_.top_byte_ignored) return va;
    return VirtAddr(va.value & (~uint64_t{0} >> 8));
  }

  // D19.2.37: ESR_EL1.
  static uint32_t FaultCode(const Controls&, TrapKind kind, int level, Access access,
                            uint32_t /*attributes*/) {
    if (kind == TrapKind::kAlignment) return (kEcPcAlignment << kEsrEcShift) | kEsrIl;
    const uint32_t ec = access.IsFetch() ? (access.IsUser() ? kEcFetchLower : kEcFetchSame)
                                         : (access.IsUser() ? kEcDataLower : kEcDataSame);
    uint32_t fsc = kFscTranslation;
    if (kind == TrapKind::kPermission) fsc = kFscPermission;
    if (kind == TrapKind::kAccessFlag) fsc = kFscAccessFlag;
    if (kind == TrapKind::kAddressSize) fsc = kFscAddressSize;
    return (ec << kEsrEcShift) | kEsrIl | (access.IsWrite() ? kIssWnr : 0) | fsc |
           static_cast<uint32_t>(Geometry::ArmLevel(level));
  }

 private:
  static bool InHighHalf(VirtAddr va) { return (va.value >> 55) & 1; }
  static uint32_t Narrow(uint64_t descriptor) {
    return (static_cast<uint32_t>(descriptor) & 0xfff) |
           (static_cast<uint32_t>(descriptor >> 32) & 0x0078'0000);
  }
};

inline Controls::Controls(const Config& config, uint64_t machine_mask)
    : config_(config),
      too_large_(kAddressMask & ~((uint64_t{1} << config.phys_bits) - 1)),
      odd_(too_large_ | (kAddressMask & ~machine_mask)),
      plain_table_mask_(kTypeMask | kTableUxn | kTableApUser | kTableApReadOnly | odd_),
      plain_leaf_mask_(kTypeMask | kAccessFlag | odd_),
      table_bits_(config.hierarchical_off ? 0 : kTablePxn | kTableUxn | kTableApUser | kTableApReadOnly) {
  constexpr uint32_t kEl0 = kApUser, kRo = kApReadOnly;
  const uint32_t pan = config.pan ? kEl0 : 0, epan = config.pan && config.epan ? kAttributeUxn : 0;
  const uint32_t wxn = config.write_implies_xn ? kRo : 0;
  // D8.4.1, D8.4.2: which bits each kind of access demands set, and which clear.
  Set({AccessKind::kRead, Privilege::kUser}, kEl0, 0);
  Set({AccessKind::kWrite, Privilege::kUser}, kEl0, kRo);
  Set({AccessKind::kFetch, Privilege::kUser}, 0, kAttributeUxn);
  Set({AccessKind::kRead, Privilege::kKernel}, epan, pan);
  Set({AccessKind::kWrite, Privilege::kKernel}, epan, pan | kRo);
  Set({AccessKind::kFetch, Privilege::kKernel}, wxn, kAttributePxn);
  Set({AccessKind::kRead, Privilege::kKernelOnUser}, kEl0, 0);
  Set({AccessKind::kWrite, Privilege::kKernelOnUser}, kEl0, kRo);
  Set({AccessKind::kFetch, Privilege::kKernelOnUser}, wxn, kAttributePxn);
}

inline void Controls::Set(Access access, uint32_t set, uint32_t clear) {
  const unsigned i = access.Index();
  need_[i] = {set | clear, set};
  // WXN makes a fetch hang on two bits together, which no comparison of this kind tells.
  if (!access.IsFetch() || !config_.write_implies_xn) at_once_[i] = need_[i];
  // PXN is taken as set, as in PlainAttributes.
  if (at_once_[i].IsMetBy(set | kAttributePxn)) {
    serving_leaf_[i] = {plain_leaf_mask_ | kNotGlobal | Codec::Widen(set | clear),
                        kTypePage | kAccessFlag | kNotGlobal | Codec::Widen(set)};
  }
  absent_code_[i] = Codec::FaultCode(*this, TrapKind::kTranslation, 0, access, 0);
}

}  // namespace mmsim::arm64
