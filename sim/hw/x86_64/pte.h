// SPDX-License-Identifier: Apache-2.0
// The bits of x86-64 page-table entries (four levels) and what the processor makes of them: the codec of
// walk.h. Sections are of the Intel SDM, volume 3A, chapter 4.
//
// Not modelled: five levels, 32-bit and PAE paging, supervisor protection keys (PKS), shadow stacks (CET),
// HLAT, the LAM bits, memory types (PWT, PCD and PAT are carried and have no effect), SGX.
#pragma once

#include <cstdint>

#include "mmsim/types.h"
#include "sim/base/check.h"
#include "sim/hw/geometry.h"
#include "sim/hw/need.h"
#include "sim/hw/trap.h"

namespace mmsim::x86_64 {

// 4.5.4, tables 4-15 to 4-20: the same places at every level, except where said.
inline constexpr uint64_t kPresent = uint64_t{1} << 0;       // P
inline constexpr uint64_t kWritable = uint64_t{1} << 1;      // R/W
inline constexpr uint64_t kUser = uint64_t{1} << 2;          // U/S
inline constexpr uint64_t kWriteThrough = uint64_t{1} << 3;  // PWT
inline constexpr uint64_t kCacheDisable = uint64_t{1} << 4;  // PCD
inline constexpr uint64_t kAccessed = uint64_t{1} << 5;      // A, 4.8
inline constexpr uint64_t kDirty = uint64_t{1} << 6;         // D, 4.8: of leaves; ignored in others
inline constexpr uint64_t kLarge = uint64_t{1} << 7;      // PS: a leaf at levels 1 and 2; reserved at level 3
inline constexpr uint64_t kPat = uint64_t{1} << 7;        // PAT of a level-0 leaf
inline constexpr uint64_t kGlobal = uint64_t{1} << 8;     // G, 4.10.2.4: of leaves; ignored in others
inline constexpr uint64_t kPatLarge = uint64_t{1} << 12;  // PAT of a leaf at levels 1 and 2
inline constexpr uint64_t kAddressMask = 0x000f'ffff'ffff'f000;
inline constexpr int kPkeyShift = 59;  // 4.6.2
inline constexpr uint64_t kPkeyMask = uint64_t{15}
                                      << kPkeyShift;       // of leaves; ignored in others, or while CR4.PKE=0
inline constexpr uint64_t kNoExecute = uint64_t{1} << 63;  // XD; reserved while EFER.NXE=0
// Ignored by the processor in every entry: software's to use.
inline constexpr uint64_t kSoftwareMask = (uint64_t{7} << 9) | (uint64_t{0x7f} << 52);

// 4.7, figure 4-12: the error code of a page fault.
inline constexpr uint32_t kErrorPresent = 1u << 0;   // P: the entries were there, or a reserved bit was set
inline constexpr uint32_t kErrorWrite = 1u << 1;     // W/R
inline constexpr uint32_t kErrorUser = 1u << 2;      // U/S: the access was made at CPL 3
inline constexpr uint32_t kErrorReserved = 1u << 3;  // RSVD
inline constexpr uint32_t kErrorFetch = 1u << 4;     // I/D, only while NX or SMEP is on
inline constexpr uint32_t kErrorProtectionKey = 1u << 5;  // PK

inline constexpr int kVectorGeneralProtection = 13;  // chapter 6, table 6-1
inline constexpr int kVectorPageFault = 14;

constexpr int VectorOf(TrapKind kind) {
  return kind == TrapKind::kNonCanonical ? kVectorGeneralProtection : kVectorPageFault;
}

// The control bits that decide, 4.1.3. The default is what a 64-bit kernel switches on, on a processor that
// has it.
struct Config {
  bool write_protect = true;     // CR0.WP
  bool no_execute = true;        // EFER.NXE
  bool smep = true;              // CR4.SMEP
  bool smap = true;              // CR4.SMAP
  bool protection_keys = false;  // CR4.PKE
  bool gigabyte_pages = true;    // CPUID.80000001H:EDX.Page1GB
  int max_phys_bits = 46;        // MAXPHYADDR
};

// What the entries on the way come to, in 32 bits (WalkResult::attributes): the leaf's low bits where they
// are, with R/W and U/S those of all entries together, and bits 63:59 at 31:27, XD that of any entry.
inline constexpr uint32_t kAttributeExecuteDisable = 1u << 31;
inline constexpr int kAttributePkeyShift = kPkeyShift - 32;
inline constexpr uint32_t kAttributePkeyMask = 15u << kAttributePkeyShift;

class Controls {
 public:
  // `machine_mask`: the address bits that lead to memory in this machine, PhysMem::AddressMask().
  Controls(const Config& config, uint64_t machine_mask);

  const Config& config() const { return config_; }
  // PKRU, 4.6.2: two bits a key, access-disable and write-disable. The only control that a user program
  // changes.
  uint32_t pkru() const { return pkru_; }
  void SetPkru(uint32_t pkru);

 private:
  friend struct Codec;
  void Set(Access access, uint32_t set, uint32_t clear);

  Config config_;
  uint32_t pkru_ = 0;
  uint64_t reserved_;                            // in any entry
  uint64_t odd_;                                 // reserved_ and what leads out of the machine's memory
  uint64_t plain_table_mask_, plain_leaf_mask_;  // what IsPlainTable and IsPlainLeaf look at
  // By Access::Index(). at_once_: with what makes a store of hardware's and a look at PKRU needless, so that
  // one comparison decides nearly always.
  Need<uint32_t> need_[kNrAccesses];
  Need<uint32_t> at_once_[kNrAccesses];
  Need<uint64_t> leaf_need_[kNrAccesses];     // need_ of an entry
  Need<uint64_t> serving_leaf_[kNrAccesses];  // at_once_ of an entry that is a plain leaf and not global
  uint32_t absent_code_[kNrAccesses] = {};    // of a fault on an entry with P=0
};

struct Codec {
  using Controls = x86_64::Controls;
  static constexpr Geometry kGeometry{.levels = 4,
                                      .bits_per_level = 9,
                                      .page_shift = 12,
                                      .va_bits = 48,
                                      .leaf_levels = 0b0111,
                                      .sign_extended = true};
  static constexpr uint64_t kRootRights = ~uint64_t{0};
  static constexpr uint64_t kRightsMask = kWritable | kUser | kNoExecute;
  static constexpr uint64_t kPlainTable = kPresent | kWritable | kUser | kAccessed;

  // Volume 1, 3.3.7.1: an address that is not canonical has no translation.
  static TrapKind CheckAddress(const Controls&, VirtAddr va, Access) {
    return kGeometry.IsCanonical(va) ? TrapKind::kNone : TrapKind::kNonCanonical;
  }
  static uint64_t Root(const Controls&, PhysAddr root, VirtAddr) { return root.value & kAddressMask; }
  static uint64_t AddressOf(uint64_t entry) { return entry & kAddressMask; }

  // What nearly every walk meets, in one comparison each: an address of the lower half; a table that takes no
  // right away and has A set; a leaf of level 0 with A set.
  static bool IsPlainAddress(VirtAddr va, Access) { return va.value >> (kGeometry.va_bits - 1) == 0; }
  static bool IsPlainTable(const Controls& c, uint64_t entry) {
    return (entry & c.plain_table_mask_) == kPlainTable;
  }
  static bool IsPlainLeaf(const Controls& c, uint64_t entry) {
    return (entry & c.plain_leaf_mask_) == (kPresent | kAccessed);
  }
  static uint32_t PlainAttributes(const Controls&, uint64_t leaf) { return Narrow(leaf); }
  // The bits of an entry that these attributes come from.
  static uint64_t Widen(uint32_t attributes) {
    return (attributes & 0x7ff) | static_cast<uint64_t>(attributes & 0xf800'0000) << 32;
  }
  // Whether a leaf below plain tables serves the access as it is, and is not global.
  static bool IsServingLeaf(const Controls& c, uint64_t entry, Access access) {
    return c.serving_leaf_[access.Index()].IsMetBy(entry);
  }
  static bool ServesAtOnce(const Controls& c, uint32_t attributes, Access access) {
    return c.at_once_[access.Index()].IsMetBy(attributes);
  }
  static uint32_t AbsentCode(const Controls& c, Access access) { return c.absent_code_[access.Index()]; }
  // Whether a leaf below plain tables has not the rights that the access needs; of keys it says nothing.
  static bool IsRefusingLeaf(const Controls& c, uint64_t entry, Access access) {
    return IsPlainLeaf(c, entry) && !c.leaf_need_[access.Index()].IsMetBy(entry);
  }
  // The error code of such a leaf.
  static uint32_t RefusedCode(const Controls& c, uint64_t entry, Access access) {
    const uint32_t code = AbsentCode(c, access) | kErrorPresent;
    if ((entry & kPkeyMask) == 0 && (c.pkru_ & 3) == 0) [[likely]]
      return code;
    return KeyAllows(c, Narrow(entry), access) ? code : code | kErrorProtectionKey;
  }
  static bool IsValid(uint64_t entry) { return (entry & kPresent) != 0; }
  // What an entry is: a trap (4.7), or a table, or a leaf (4.5.4). P=0 comes first: no other bit is then
  // looked at.
  template <int kLevel>
  static TrapKind Classify(const Controls& c, uint64_t entry, bool& is_leaf) {
    is_leaf = kLevel == 0 || (entry & kLarge) != 0;
    if ((entry & kPresent) == 0) return TrapKind::kTranslation;
    if ((entry & (c.reserved_ | ReservedByLevel<kLevel>(c, entry))) != 0) return TrapKind::kReservedBits;
    MMSIM_CHECK((entry & c.odd_) == 0 && "an entry leads out of the machine's memory");
    return TrapKind::kNone;
  }

  static uint64_t Descend(uint64_t rights, uint64_t entry) { return rights & (entry ^ kNoExecute); }
  // 4.8: A in each entry that is used; D in the leaf, for a write.
  static uint64_t TouchTable(const Controls&, uint64_t entry) { return entry | kAccessed; }
  static uint64_t TouchLeaf(const Controls&, uint64_t entry, Access access) {
    return entry | kAccessed | (access.IsWrite() ? kDirty : 0);
  }
  static uint32_t Attributes(const Controls&, uint64_t rights, uint64_t leaf) {
    return Narrow(((rights | ~kRightsMask) & (leaf ^ kNoExecute)) ^ kNoExecute);
  }
  // 4.6: whether the access is allowed.
  static bool Allows(const Controls& c, uint32_t attributes, Access access) {
    return c.need_[access.Index()].IsMetBy(attributes) && KeyAllows(c, attributes, access);
  }
  // Whether a leaf with these attributes serves the access as it is: a first write must store D.
  static bool ServesFromTlb(const Controls& c, uint32_t attributes, Access access) {
    return (!access.IsWrite() || (attributes & kDirty) != 0) && Allows(c, attributes, access);
  }
  static bool IsGlobal(uint32_t attributes) { return (attributes & kGlobal) != 0; }
  static VirtAddr ReportedAddress(const Controls&, VirtAddr va, Access) { return va; }

  // 4.7: the error code; 0 for a #GP. `attributes` are those of the walk if it came to a leaf, else 0.
  static uint32_t FaultCode(const Controls& c, TrapKind kind, int /*level*/, Access access,
                            uint32_t attributes) {
    if (kind == TrapKind::kNonCanonical) return 0;
    uint32_t code = kind == TrapKind::kTranslation ? 0 : kErrorPresent;
    if (kind == TrapKind::kReservedBits) code |= kErrorReserved;
    if (access.IsWrite()) code |= kErrorWrite;
    if (access.IsUser()) code |= kErrorUser;
    if (access.IsFetch() && (c.config_.no_execute || c.config_.smep)) code |= kErrorFetch;
    if (!KeyAllows(c, attributes, access)) code |= kErrorProtectionKey;
    return code;
  }

 private:
  template <int kLevel>
  static constexpr uint64_t ReservedByLevel(const Controls& c, uint64_t entry) {
    if (kLevel == 0 || (entry & kLarge) == 0) return 0;
    if (kLevel == 3) return kLarge;  // table 4-15
    if (kLevel == 2 && !c.config_.gigabyte_pages) return kLarge;
    // Tables 4-16 and 4-18: the bits below the page's address, PAT aside.
    return (kGeometry.LevelSize(kLevel) - 1) & kAddressMask & ~kPatLarge;
  }
  // 4.6.2: PKRU limits data accesses to user-mode addresses, made by user or supervisor.
  static bool KeyAllows(const Controls& c, uint32_t attributes, Access access) {
    if (!c.config_.protection_keys || access.IsFetch() || (attributes & kUser) == 0) return true;
    const uint32_t denied = c.pkru_ >> (2 * ((attributes & kAttributePkeyMask) >> kAttributePkeyShift));
    if ((denied & 1) != 0) return false;
    return !access.IsWrite() || (denied & 2) == 0 || (!access.IsUser() && !c.config_.write_protect);
  }
  static uint32_t Narrow(uint64_t entry) {
    return (static_cast<uint32_t>(entry) & 0x7ff) | (static_cast<uint32_t>(entry >> 32) & 0xf800'0000);
  }
};

inline Controls::Controls(const Config& config, uint64_t machine_mask)
    : config_(config),
      reserved_((kAddressMask & ~((uint64_t{1} << config.max_phys_bits) - 1)) |
                (config.no_execute ? 0 : kNoExecute)),
      odd_(reserved_ | (kAddressMask & ~machine_mask)),
      plain_table_mask_(Codec::kPlainTable | kLarge | kNoExecute | odd_),
      plain_leaf_mask_(kPresent | kAccessed | odd_) {
  constexpr uint32_t kUs = kUser, kRw = kWritable, kXd = kAttributeExecuteDisable;
  const uint32_t smap = config.smap ? kUs : 0, smep = config.smep ? kUs : 0,
                 wp = config.write_protect ? kRw : 0;
  // 4.6.1: which bits each kind of access demands set, and which clear.
  Set({AccessKind::kRead, Privilege::kUser}, kUs, 0);
  Set({AccessKind::kWrite, Privilege::kUser}, kUs | kRw, 0);
  Set({AccessKind::kFetch, Privilege::kUser}, kUs, kXd);
  Set({AccessKind::kRead, Privilege::kKernel}, 0, smap);
  Set({AccessKind::kWrite, Privilege::kKernel}, wp, smap);
  Set({AccessKind::kFetch, Privilege::kKernel}, 0, kXd | smep);
  Set({AccessKind::kRead, Privilege::kKernelOnUser}, 0, 0);
  Set({AccessKind::kWrite, Privilege::kKernelOnUser}, wp, 0);
  Set({AccessKind::kFetch, Privilege::kKernelOnUser}, 0, kXd | smep);
}

inline void Controls::Set(Access access, uint32_t set, uint32_t clear) {
  const unsigned i = access.Index();
  need_[i] = {set | clear, set};
  leaf_need_[i] = {Codec::Widen(set | clear), Codec::Widen(set)};
  if (access.IsWrite()) set |= kDirty;
  // Only key 0, and only while PKRU leaves it alone, is decided without a look at PKRU.
  if (config_.protection_keys && !access.IsFetch()) clear |= kAttributePkeyMask;
  if (config_.protection_keys && !access.IsFetch() && (pkru_ & 3) != 0) {
    at_once_[i] = {};
    serving_leaf_[i] = {};
  } else {
    at_once_[i] = {set | clear, set};
    serving_leaf_[i] = {plain_leaf_mask_ | kGlobal | Codec::Widen(set | clear),
                        kPresent | kAccessed | Codec::Widen(set)};
  }
  absent_code_[i] = Codec::FaultCode(*this, TrapKind::kTranslation, 0, access, 0);
}

inline void Controls::SetPkru(uint32_t pkru) {
  const bool same = (pkru & 3) == (pkru_ & 3);
  pkru_ = pkru;
  if (same || !config_.protection_keys) return;
  for (unsigned i = 0; i < kNrAccesses; ++i) {
    if ((i & 3) < kNrAccessKinds) Set(Access::OfIndex(i), need_[i].value, need_[i].mask & ~need_[i].value);
  }
}

}  // namespace mmsim::x86_64
