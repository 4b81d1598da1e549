// SPDX-License-Identifier: Apache-2.0
// What an access asks of the hardware, and what it gets: a translation, or a trap. A trap is a value that the
// trap loop of a kernel handles; nothing here calls anything.
//
// Not modelled: aborts that are no matter of translation (machine checks, external aborts), #SS instead of
// #GP on stack accesses, #AC and the alignment faults of data accesses, stage 2.
#pragma once

#include <cstdint>
#include <type_traits>

#include "mmsim/types.h"

namespace mmsim {

enum class AccessKind : uint8_t { kRead, kWrite, kFetch };
inline constexpr int kNrAccessKinds = 3;

// On whose behalf. kKernelOnUser is the kernel's deliberate access to the user's memory: on x86 with
// EFLAGS.AC set (stac), on arm64 by the unprivileged loads and stores (LDTR, STTR), which are checked as
// those of EL0.
enum class Privilege : uint8_t { kUser, kKernel, kKernelOnUser };
inline constexpr int kNrPrivileges = 3;

// Without anything private, so that an access can be a template's argument.
struct Access {
  constexpr Access() = default;
  constexpr Access(AccessKind kind, Privilege privilege)
      : index(static_cast<uint8_t>(static_cast<unsigned>(privilege) * 4 + static_cast<unsigned>(kind))) {}
  static constexpr Access OfIndex(unsigned i) {
    return Access(static_cast<AccessKind>(i & 3), static_cast<Privilege>(i >> 2));
  }

  constexpr AccessKind kind() const { return static_cast<AccessKind>(index & 3); }
  constexpr Privilege privilege() const { return static_cast<Privilege>(index >> 2); }
  constexpr bool IsWrite() const { return kind() == AccessKind::kWrite; }
  constexpr bool IsFetch() const { return kind() == AccessKind::kFetch; }
  constexpr bool IsUser() const { return privilege() == Privilege::kUser; }
  // A number in [0, kNrAccesses) for tables.
  constexpr unsigned Index() const { return index; }
  constexpr bool operator==(const Access&) const = default;

  uint8_t index = 0;  // a read by the user
};
inline constexpr unsigned kNrAccesses = kNrPrivileges * 4;  // some numbers are never used

inline constexpr Access kUserRead{AccessKind::kRead, Privilege::kUser};
inline constexpr Access kUserWrite{AccessKind::kWrite, Privilege::kUser};
inline constexpr Access kUserFetch{AccessKind::kFetch, Privilege::kUser};

// function(std::integral_constant<Access, ...>), and what it returns: within, the access is a constant.
template <typename Function>
decltype(auto) ForAccess(Access access, Function&& function) {
  const auto by_privilege = [&]<AccessKind kKind>() -> decltype(auto) {
    switch (access.privilege()) {
      case Privilege::kUser:
        return function(std::integral_constant<Access, Access(kKind, Privilege::kUser)>());
      case Privilege::kKernel:
        return function(std::integral_constant<Access, Access(kKind, Privilege::kKernel)>());
      case Privilege::kKernelOnUser:
        break;
    }
    return function(std::integral_constant<Access, Access(kKind, Privilege::kKernelOnUser)>());
  };
  switch (access.kind()) {
    case AccessKind::kRead:
      return by_privilege.template operator()<AccessKind::kRead>();
    case AccessKind::kWrite:
      return by_privilege.template operator()<AccessKind::kWrite>();
    case AccessKind::kFetch:
      break;
  }
  return by_privilege.template operator()<AccessKind::kFetch>();
}

enum class TrapKind : uint8_t {
  kNone,          // no trap
  kTranslation,   // an entry on the way is not valid (x86: P=0)
  kPermission,    // the entries forbid it, a protection key included
  kReservedBits,  // x86: a reserved bit is set in an entry
  kAccessFlag,    // arm64: AF=0 and the hardware does not manage it
  kAddressSize,   // arm64: an output address has more bits than TCR_EL1.IPS says
  kNonCanonical,  // x86: the address has no translation at all, #GP(0)
  kAlignment,     // arm64: the PC is not a multiple of four
};

constexpr const char* TrapKindName(TrapKind kind) {
  switch (kind) {
    case TrapKind::kNone:
      return "none";
    case TrapKind::kTranslation:
      return "translation";
    case TrapKind::kPermission:
      return "permission";
    case TrapKind::kReservedBits:
      return "reserved bits";
    case TrapKind::kAccessFlag:
      return "access flag";
    case TrapKind::kAddressSize:
      return "address size";
    case TrapKind::kNonCanonical:
      return "non-canonical";
    case TrapKind::kAlignment:
      return "alignment";
  }
  return "?";
}

// Two words, as the walk packs them.
class Trap {
 public:
  // Of the access: what CR2 or FAR_EL1 holds. A #GP leaves CR2 alone, its handler cannot know it.
  constexpr VirtAddr address() const { return address_; }
  // The x86 error code (bits in x86_64/pte.h), or ESR_EL1 (arm64/pte.h).
  constexpr uint32_t code() const { return static_cast<uint32_t>(bits_); }
  constexpr TrapKind kind() const { return static_cast<TrapKind>(bits_ >> kKindShift & 0xff); }
  // Of the entry that decided, counted as in geometry.h.
  constexpr int level() const { return static_cast<int>(bits_ >> kLevelShift & 0xff); }
  constexpr Access access() const { return Access::OfIndex(static_cast<uint8_t>(bits_ >> kAccessShift)); }
  constexpr bool operator==(const Trap&) const = default;

 private:
  friend class WalkResult;
  // A code lies below; in a translation, attributes.
  static constexpr int kKindShift = 32, kLevelShift = 40, kAccessShift = 48;
  constexpr Trap(VirtAddr address, uint64_t bits) : address_(address), bits_(bits) {}

  VirtAddr address_;
  uint64_t bits_;
};
static_assert(sizeof(Trap) == 16 && sizeof(Access) == 1);

// A translation or a trap, returned in two registers: one scalar, because compilers take a struct of this
// size apart and put it together again on every return.
class WalkResult {
 public:
  static constexpr WalkResult Translation(PhysAddr pa, int level, uint32_t attributes) {
    return WalkResult(pa.value, attributes | static_cast<uint64_t>(level) << Trap::kLevelShift);
  }
  static constexpr WalkResult Fault(TrapKind kind, VirtAddr address, int level, uint32_t code,
                                    Access access) {
    return WalkResult(address.value, kTrapped | code | static_cast<uint64_t>(kind) << Trap::kKindShift |
                                         static_cast<uint64_t>(level) << Trap::kLevelShift |
                                         static_cast<uint64_t>(access.Index()) << Trap::kAccessShift);
  }

  constexpr bool ok() const { return (High() & kTrapped) == 0; }
  // Of the byte accessed. Precondition: ok().
  constexpr PhysAddr phys() const { return PhysAddr(static_cast<uint64_t>(value_)); }
  // The level of the leaf, or of the entry that decided a trap. Its page's size is LevelSize(level()).
  constexpr int level() const { return static_cast<int>(High() >> Trap::kLevelShift & 0xff); }
  // What a TLB caches of the entries on the way; the codec's own bits. Precondition: ok().
  constexpr uint32_t attributes() const { return static_cast<uint32_t>(High()); }
  // kNone if ok().
  constexpr TrapKind kind() const { return static_cast<TrapKind>(High() >> Trap::kKindShift & 0xff); }
  // Precondition: !ok().
  constexpr Trap trap() const { return Trap(VirtAddr(static_cast<uint64_t>(value_)), High()); }

 private:
  static constexpr uint64_t kTrapped = uint64_t{1} << 63;  // the sign, which takes no shift to look at
  constexpr WalkResult(uint64_t low, uint64_t high)
      : value_(static_cast<unsigned __int128>(high) << 64 | low) {}
  constexpr uint64_t High() const { return static_cast<uint64_t>(value_ >> 64); }

  unsigned __int128 value_;
};
static_assert(sizeof(WalkResult) == 16);

// A store that the hardware made to an entry while it walked: an accessed flag, a dirty state.
struct HardwareUpdate {
  PhysAddr entry;  // where the entry lies
  uint64_t before, after;
  VirtAddr address;  // of the access that caused it
  int level;
};

// Who wants to be told of such stores, after each. Called rarely (once a flag and page), so a plain function
// pointer.
struct HardwareSink {
  void (*on_update)(void* context, const HardwareUpdate& update) = nullptr;
  void* context = nullptr;
};

}  // namespace mmsim
