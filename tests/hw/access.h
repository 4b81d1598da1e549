// SPDX-License-Identifier: Apache-2.0
// A machine of four tables in a row, for tests that permute the bits of their entries: entry of level L in
// frame 4-L, the page in what level 0 points to. An Expected is what a manual says of one access; Run does
// the access and compares.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <string>

#include "sim/hw/walk.h"

namespace mmsim {

inline constexpr uint64_t kTestPage =
    0x4020'0000;  // 2 MiB aligned, above 1 GiB: a frame of the page, or of the block
inline constexpr uint64_t kTestFrames = uint64_t{1} << 20;  // 4 GiB

using Entries = std::array<uint64_t, 4>;  // by level

struct Expected {
  TrapKind kind = TrapKind::kNone;
  int level = 0;
  uint32_t code = 0;
  uint64_t phys = 0;
  Entries after = {};

  std::string Text() const {
    std::string s = std::string(TrapKindName(kind)) + " level " + std::to_string(level);
    char hex[120];
    std::snprintf(hex, sizeof(hex), " code %#x phys %#llx entries %llx %llx %llx %llx", code,
                  static_cast<unsigned long long>(phys), static_cast<unsigned long long>(after[3]),
                  static_cast<unsigned long long>(after[2]), static_cast<unsigned long long>(after[1]),
                  static_cast<unsigned long long>(after[0]));
    return s + hex;
  }
};

template <class Codec>
class AccessMachine {
 public:
  AccessMachine() {
    for (int level = 0; level < 4; ++level) mem_.MakeTable(Pfn(static_cast<uint64_t>(4 - level)));
  }
  PhysMem& mem() { return mem_; }
  static constexpr PhysAddr Root() { return PhysAddr(kPageSize); }
  // The frame that an entry of `level` points to when it points to the next table.
  static constexpr uint64_t NextTable(int level) { return static_cast<uint64_t>(5 - level) * kPageSize; }

  // Does the access through these entries, and says whether all came as expected; if not, the first failures
  // are told.
  bool Matches(const typename Codec::Controls& controls, const Entries& entries, VirtAddr va, Access access,
               const Expected& expected) {
    for (int level = 0; level < 4; ++level) Slot(va, level) = entries[static_cast<size_t>(level)];
    const WalkResult look = Walk<Codec, WalkMode::kLook>(mem_, Root(), va, access, controls);
    for (int level = 0; level < 4; ++level) {
      if (Slot(va, level) != entries[static_cast<size_t>(level)])
        return Tell("a look wrote", expected, entries);
    }
    stores_ = {};
    const HardwareSink sink{&AccessMachine::Record, this};
    const WalkResult walk = Walk<Codec>(mem_, Root(), va, access, controls, &sink);

    Expected actual;
    actual.kind = walk.kind();
    actual.level = walk.level();
    if (walk.ok()) actual.phys = walk.phys().value;
    if (!walk.ok()) actual.code = walk.trap().code();
    uint64_t nr_changed = 0;
    for (int level = 0; level < 4; ++level) {
      const auto i = static_cast<size_t>(level);
      actual.after[i] = Slot(va, level);
      nr_changed += actual.after[i] != entries[i];
    }
    if (actual.kind != expected.kind || actual.level != expected.level || actual.code != expected.code ||
        actual.phys != expected.phys || actual.after != expected.after) {
      return Tell(actual.Text(), expected, entries);
    }
    if (stores_.told != nr_changed || !stores_.right)
      return Tell("the sink was told wrongly", expected, entries);
    const bool same =
        look.ok() == walk.ok() && (walk.ok() ? look.phys() == walk.phys() : look.trap() == walk.trap());
    if (!same) return Tell("a look comes to something else", expected, entries);
    if (!walk.ok() && (walk.trap().access() != access || walk.trap().address() != va)) {
      return Tell("the trap names another access", expected, entries);
    }
    return true;
  }

 private:
  struct Stores {
    uint64_t told = 0;
    bool right = true;
  };
  static void Record(void* self, const HardwareUpdate& u) {
    auto* m = static_cast<AccessMachine*>(self);
    ++m->stores_.told;
    m->stores_.right &= m->Slot(u.address, u.level) == u.after && u.before != u.after;
    m->stores_.right &= m->mem_.AddressOf(&m->Slot(u.address, u.level)) == u.entry;
  }
  uint64_t& Slot(VirtAddr va, int level) {
    return mem_.TableAt(Pfn(static_cast<uint64_t>(4 - level)))[Codec::kGeometry.Index(va, level)];
  }
  bool Tell(const std::string& what, const Expected& expected, const Entries& before) {
    Expected b;
    b.after = before;
    if (++nr_told_ <= 5) {
      ADD_FAILURE() << "actual:   " << what << "\nexpected: " << expected.Text()
                    << "\nbefore:   " << b.Text();
    }
    return false;
  }

  PhysMem mem_{kTestFrames};
  Stores stores_;
  int nr_told_ = 0;
};

// Every combination of entry bits meets every kind of access in each build, under the everyday controls.
// Under a sanitizer, where all of it would take minutes, the other controls meet every seventh, a different
// one each time.
#ifdef __SANITIZE_ADDRESS__
inline constexpr uint64_t kRareStride = 7;
#else
inline constexpr uint64_t kRareStride = 1;
#endif

inline constexpr std::array<Privilege, 3> kAllPrivileges = {Privilege::kUser, Privilege::kKernel,
                                                            Privilege::kKernelOnUser};
inline constexpr std::array<AccessKind, 3> kAllKinds = {AccessKind::kRead, AccessKind::kWrite,
                                                        AccessKind::kFetch};

// Calls f(access) for each kind of access.
template <typename Function>
void ForEachAccess(Function&& f) {
  for (const Privilege p : kAllPrivileges) {
    for (const AccessKind k : kAllKinds) f(Access{k, p});
  }
}

// The bits of `choice`, handed out one by one.
class Bits {
 public:
  explicit Bits(uint64_t choice) : choice_(choice) {}
  bool Next() {
    const bool bit = choice_ & 1;
    choice_ >>= 1;
    return bit;
  }
  uint64_t Next(uint64_t if_set) { return Next() ? if_set : 0; }

 private:
  uint64_t choice_;
};

}  // namespace mmsim
