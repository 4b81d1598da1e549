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

class Controls {
 public:
  // `machine_mask`: the address bits that lead to memory in this machine, PhysMem::AddressMask().
  constexpr Controls(const Config& config, uint64_t machine_mask)
      : config_(config),
        reserved_((kAddressMask & ~((uint64_t{1} << config.max_phys_bits) - 1)) |
                  (config.no_execute ? 0 : kNoExecute)),
        odd_(reserved_ | (kAddressMask & ~machine_mask)) {
    const uint32_t no_smap = config.smap ? kAttributeUser : 0, no_smep = config.smep ? kAttributeUser : 0;
    const uint32_t wp = config.write_protect ? kAttributeWritable : 0;
    Set({AccessKind::kRead, Privilege::kUser}, kAttributeUser, 0);
    Set({AccessKind::kWrite, Privilege::kUser}, kAttributeUser | kAttributeWritable, 0);
    Set({AccessKind::kFetch, Privilege::kUser}, kAttributeUser | kAttributeExecutable, 0);
    Set({AccessKind::kRead, Privilege::kKernel}, 0, no_smap);
    Set({AccessKind::kWrite, Privilege::kKernel}, wp, no_smap);
    Set({AccessKind::kFetch, Privilege::kKernel}, kAttributeExecutable, no_smep);
    Set({AccessKind::kRead, Privilege::kKernelOnUser}, 0, 0);
    Set({AccessKind::kWrite, Privilege::kKernelOnUser}, wp, 0);
    Set({AccessKind::kFetch, Privilege::kKernelOnUser}, kAttributeExecutable, no_smep);
  }

  constexpr const Config& config() const { return config_; }
  // PKRU, 4.6.2: two bits a key, access-disable and write-disable. The only control that a user program
  // changes.
  uint32_t pkru = 0;

 private:
  friend struct Codec;
  // What the entries on the way come to, in 32 bits (WalkResult::attributes): the leaf's low bits where they
  // are, with R/W and U/S those of all entries together, and bits 63:59 at 31:27, with bit 31 set if no entry
  // has XD.
  static constexpr uint32_t kAttributeWritable = kWritable, kAttributeUser = kUser, kAttributeDirty = kDirty;
  static constexpr uint32_t kAttributeGlobal = kGlobal, kAttributeExecutable = 1u << 31;
  static constexpr int kAttributePkeyShift = kPkeyShift - 32;

  struct Need {
    uint32_t mask, value;  // allowed if (attributes & mask) == value
  };
  // 4.6.1: the rights that each kind of access demands: these bits set, those clear. And 4.8: the dirty flag,
  // without which a write is allowed, but not without a store.
  constexpr void Set(Access access, uint32_t set, uint32_t clear) {
    need_[access.Index()] = {set | clear, set};
    if (access.IsWrite()) set |= kAttributeDirty;
    need_at_once_[access.Index()] = {set | clear, set};
  }

  Config config_;
  uint64_t reserved_;  // in any entry
  uint64_t odd_;       // reserved_ and what leads out of the machine's memory
  Need need_[kNrAccesses] = {};
  Need need_at_once_[kNrAccesses] = {};  // with what no store of hardware's is needed for
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
  static constexpr uint32_t kAttributeGlobal = Controls::kAttributeGlobal;

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
    return (entry & (kPlainTable | kLarge | kNoExecute | c.odd_)) == kPlainTable;
  }
  static bool IsPlainLeaf(const Controls& c, uint64_t entry) {
    return (entry & (kPresent | kAccessed | c.odd_)) == (kPresent | kAccessed);
  }
  static uint64_t DescendPlain(uint64_t rights, uint64_t) { return rights; }
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
    const uint64_t all = (rights | ~kRightsMask) & (leaf ^ kNoExecute);
    return (static_cast<uint32_t>(all) & 0x7ff) | (static_cast<uint32_t>(all >> 32) & 0xf800'0000);
  }
  // 4.6: whether the access is allowed.
  static bool Allows(const Controls& c, uint32_t attributes, Access access) {
    const Controls::Need& need = c.need_[access.Index()];
    if ((attributes & need.mask) != need.value) return false;
    return !c.config_.protection_keys || KeyAllows(c, attributes, access);
  }
  // Whether a TLB entry with these attributes serves the access without a walk: a first write must walk to
  // set D.
  static bool ServesFromTlb(const Controls& c, uint32_t attributes, Access access) {
    const Controls::Need& need = c.need_at_once_[access.Index()];
    if ((attributes & need.mask) != need.value) return false;
    return !c.config_.protection_keys || KeyAllows(c, attributes, access);
  }
  static bool IsGlobal(uint32_t attributes) { return (attributes & kAttributeGlobal) != 0; }
  // What the TLB knows an address by, and whether an access may be served from it before the address is
  // checked: an address that is not canonical has no entry.
  static VirtAddr TlbPage(const Controls&, VirtAddr va) { return va.PageFloor(); }
  static bool MayHitTlb(VirtAddr, Access) { return true; }
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
    if (c.config_.protection_keys && !KeyAllows(c, attributes, access)) code |= kErrorProtectionKey;
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
    if (access.IsFetch() || (attributes & Controls::kAttributeUser) == 0) return true;
    const uint32_t denied = c.pkru >> (2 * ((attributes >> Controls::kAttributePkeyShift) & 15));
    if ((denied & 1) != 0) return false;
    return !access.IsWrite() || (denied & 2) == 0 || (!access.IsUser() && !c.config_.write_protect);
  }
};

}  // namespace mmsim::x86_64
