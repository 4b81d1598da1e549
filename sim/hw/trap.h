// SPDX-License-Identifier: Apache-2.0
// What an access asks of the hardware, and what it gets: a translation, or a trap. A trap is a value that the
// trap loop of a kernel handles; nothing here calls anything.
//
// Not modelled: aborts that are no matter of translation (machine checks, external aborts), #SS instead of
// #GP on stack accesses, #AC and the alignment faults of data accesses, stage 2.
#pragma once

#include <cstdint>

#include "mmsim/types.h"

namespace mmsim {

enum class AccessKind : uint8_t { kRead, kWrite, kFetch };
inline constexpr int kNrAccessKinds = 3;

// On whose behalf. kKernelOnUser is the kernel's deliberate access to the user's memory: on x86 with
// EFLAGS.AC set (stac), on arm64 by the unprivileged loads and stores (LDTR, STTR), which are checked as
// those of EL0.
enum class Privilege : uint8_t { kUser, kKernel, kKernelOnUser };
inline constexpr int kNrPrivileges = 3;

struct Access {
  AccessKind kind = AccessKind::kRead;
  Privilege privilege = Privilege::kUser;

  constexpr bool IsWrite() const { return kind == AccessKind::kWrite; }
  constexpr bool IsFetch() const { return kind == AccessKind::kFetch; }
  constexpr bool IsUser() const { return privilege == Privilege::kUser; }
  // A number in [0, kNrAccesses) for tables.
  constexpr unsigned Index() const {
    return static_cast<unsigned>(privilege) * 4 + static_cast<unsigned>(kind);
  }
  constexpr bool operator==(const Access&) const = default;
};
inline constexpr unsigned kNrAccesses = kNrPrivileges * 4;  // some numbers are never used

inline constexpr Access kUserRead{AccessKind::kRead, Privilege::kUser};
inline constexpr Access kUserWrite{AccessKind::kWrite, Privilege::kUser};
inline constexpr Access kUserFetch{AccessKind::kFetch, Privilege::kUser};

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

struct Trap {
  VirtAddr address;   // of the access: what CR2 or FAR_EL1 holds. A #GP leaves CR2 alone, its handler cannot
                      // know it
  uint32_t code = 0;  // the x86 error code (bits in x86_64/pte.h), or ESR_EL1 (arm64/pte.h)
  TrapKind kind = TrapKind::kNone;
  uint8_t level = 0;  // of the entry that decided, counted as in geometry.h
  Access access;

  constexpr bool operator==(const Trap&) const = default;
};
static_assert(sizeof(Trap) == 16);

// A translation or a trap, small enough to be returned in two registers.
class WalkResult {
 public:
  static constexpr WalkResult Translation(PhysAddr pa, int level, uint32_t attributes) {
    return WalkResult(pa.value, attributes, TrapKind::kNone, level, Access{});
  }
  static constexpr WalkResult Fault(TrapKind kind, VirtAddr address, int level, uint32_t code,
                                    Access access) {
    return WalkResult(address.value, code, kind, level, access);
  }

  constexpr bool ok() const { return kind_ == TrapKind::kNone; }
  // Of the byte accessed. Precondition: ok().
  constexpr PhysAddr phys() const { return PhysAddr(value_); }
  // The level of the leaf, or of the entry that decided a trap. Its page's size is LevelSize(level()).
  constexpr int level() const { return level_; }
  // What a TLB caches of the entries on the way; the codec's own bits. Precondition: ok().
  constexpr uint32_t attributes() const { return code_; }
  constexpr TrapKind kind() const { return kind_; }
  // Precondition: !ok().
  constexpr Trap trap() const { return Trap{VirtAddr(value_), code_, kind_, level_, access_}; }

 private:
  constexpr WalkResult(uint64_t value, uint32_t code, TrapKind kind, int level, Access access)
      : value_(value), code_(code), kind_(kind), level_(static_cast<uint8_t>(level)), access_(access) {}

  uint64_t value_;
  uint32_t code_;
  TrapKind kind_;
  uint8_t level_;
  Access access_;
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
