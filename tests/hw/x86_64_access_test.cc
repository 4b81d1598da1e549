// SPDX-License-Identifier: Apache-2.0
// Every combination of entry bits, controls and kinds of access, as x86/access.c of kvm-unit-tests permutes
// them, against an oracle that is written from the tables of the SDM (volume 3A, chapter 4), bit by bit in
// its own words and numbers: nothing of sim/hw/x86_64 is used to say what is expected.
#include <gtest/gtest.h>

#include "sim/base/random.h"
#include "tests/hw/access.h"

namespace mmsim {
namespace {

using x86_64::Codec;
using x86_64::Config;
using x86_64::Controls;

constexpr uint64_t Bit(int n) {
  return uint64_t{1} << n;
}
constexpr uint64_t kP = Bit(0), kRw = Bit(1), kUs = Bit(2), kA = Bit(5), kD = Bit(6), kPs = Bit(7),
                   kG = Bit(8);
constexpr uint64_t kXd = Bit(63);
constexpr uint64_t kTooHigh = Bit(51);      // above MAXPHYADDR
constexpr uint64_t kLowReserved = Bit(13);  // reserved in a large page
constexpr uint64_t kLargePat = Bit(12);
constexpr uint64_t KeyBits(uint64_t key) {
  return key << 59;
}

// 4.6.1, "Determination of Access Rights", as a table: under which condition an access is allowed, by who
// makes it, what it is, and whether the address is a user-mode address (U/S=1 in every entry).
enum class When {
  kAlways,
  kNever,
  kWritable,
  kWritableOrNoWp,
  kNoSmap,
  kNoSmapAndWritableOrNoWp,
  kExecutable,
  kNoSmepAndExecutable
};
struct Rule {
  Privilege privilege;
  AccessKind kind;
  bool user_address;
  When when;
};
constexpr Rule kRules[] = {
    {Privilege::kUser, AccessKind::kRead, true, When::kAlways},
    {Privilege::kUser, AccessKind::kRead, false, When::kNever},
    {Privilege::kUser, AccessKind::kWrite, true, When::kWritable},
    {Privilege::kUser, AccessKind::kWrite, false, When::kNever},
    {Privilege::kUser, AccessKind::kFetch, true, When::kExecutable},
    {Privilege::kUser, AccessKind::kFetch, false, When::kNever},
    {Privilege::kKernel, AccessKind::kRead, true, When::kNoSmap},
    {Privilege::kKernel, AccessKind::kRead, false, When::kAlways},
    {Privilege::kKernel, AccessKind::kWrite, true, When::kNoSmapAndWritableOrNoWp},
    {Privilege::kKernel, AccessKind::kWrite, false, When::kWritableOrNoWp},
    {Privilege::kKernel, AccessKind::kFetch, true, When::kNoSmepAndExecutable},
    {Privilege::kKernel, AccessKind::kFetch, false, When::kExecutable},
    // EFLAGS.AC = 1: SMAP does not hold, SMEP does.
    {Privilege::kKernelOnUser, AccessKind::kRead, true, When::kAlways},
    {Privilege::kKernelOnUser, AccessKind::kRead, false, When::kAlways},
    {Privilege::kKernelOnUser, AccessKind::kWrite, true, When::kWritableOrNoWp},
    {Privilege::kKernelOnUser, AccessKind::kWrite, false, When::kWritableOrNoWp},
    {Privilege::kKernelOnUser, AccessKind::kFetch, true, When::kNoSmepAndExecutable},
    {Privilege::kKernelOnUser, AccessKind::kFetch, false, When::kExecutable},
};

bool Holds(When when, const Config& c, bool writable, bool no_xd) {
  switch (when) {
    case When::kAlways:
      return true;
    case When::kNever:
      return false;
    case When::kWritable:
      return writable;
    case When::kWritableOrNoWp:
      return writable || !c.write_protect;
    case When::kNoSmap:
      return !c.smap;
    case When::kNoSmapAndWritableOrNoWp:
      return !c.smap && (writable || !c.write_protect);
    case When::kExecutable:
      return no_xd;
    case When::kNoSmepAndExecutable:
      return !c.smep && no_xd;
  }
  return false;
}

bool RightsAllow(const Config& c, Access access, bool user_address, bool writable, bool no_xd) {
  for (const Rule& r : kRules) {
    if (r.privilege == access.privilege() && r.kind == access.kind() && r.user_address == user_address) {
      return Holds(r.when, c, writable, no_xd);
    }
  }
  ADD_FAILURE() << "no rule";
  return false;
}

// 4.6.2, "Protection Keys": the two bits of PKRU for the page's key, and what each forbids.
bool KeyForbids(const Config& c, uint32_t pkru, uint64_t leaf, Access access, bool user_address) {
  if (!c.protection_keys || !user_address || access.kind() == AccessKind::kFetch) return false;
  const uint64_t key = leaf >> 59 & 15;
  const bool access_disabled = pkru >> (key * 2) & 1, write_disabled = pkru >> (key * 2 + 1) & 1;
  if (access_disabled) return true;
  if (access.kind() != AccessKind::kWrite || !write_disabled) return false;
  return access.privilege() == Privilege::kUser || c.write_protect;
}

// 4.5.4, the formats: whether a present entry of the level has a bit set that must be clear.
bool HasReserved(const Config& c, uint64_t e, int level) {
  if ((e & 0x000f'c000'0000'0000) != 0 || ((e & kXd) != 0 && !c.no_execute)) return true;
  if (level == 0 || (e & kPs) == 0) return false;
  if (level == 3) return true;
  if (level == 2 && !c.gigabyte_pages) return true;
  const int low = 13, high = level == 1 ? 20 : 29;
  for (int bit = low; bit <= high; ++bit) {
    if ((e & Bit(bit)) != 0) return true;
  }
  return false;
}

// 4.7, "Page-Fault Exceptions": the error code.
uint32_t ErrorCode(const Config& c, Access access, bool present, bool reserved, bool key) {
  uint32_t code = 0;
  if (present) code += 1;
  if (access.kind() == AccessKind::kWrite) code += 2;
  if (access.privilege() == Privilege::kUser) code += 4;
  if (reserved) code += 8;
  if (access.kind() == AccessKind::kFetch && (c.no_execute || c.smep)) code += 16;
  if (key) code += 32;
  return code;
}

Expected Oracle(const Config& c, uint32_t pkru, const Entries& entries, VirtAddr va, Access access) {
  Expected out;
  out.after = entries;
  bool user = true, writable = true, no_xd = true;
  for (int level = 3; level >= 0; --level) {
    const auto i = static_cast<size_t>(level);
    const uint64_t e = entries[i];
    out.level = level;
    if ((e & kP) == 0) {
      out.kind = TrapKind::kTranslation;
      out.code = ErrorCode(c, access, false, false, false);
      return out;
    }
    if (HasReserved(c, e, level)) {
      out.kind = TrapKind::kReservedBits;
      out.code = ErrorCode(c, access, true, true, false);
      return out;
    }
    user = user && (e & kUs) != 0;
    writable = writable && (e & kRw) != 0;
    no_xd = no_xd && (e & kXd) == 0;
    if (level > 0 && (e & kPs) == 0) {
      out.after[i] |= kA;
      continue;
    }
    const bool key = KeyForbids(c, pkru, e, access, user);
    if (!RightsAllow(c, access, user, writable, no_xd) || key) {
      out.kind = TrapKind::kPermission;
      out.code = ErrorCode(c, access, true, false, key);
      return out;
    }
    out.after[i] |= access.kind() == AccessKind::kWrite ? kA | kD : kA;
    const uint64_t size = level == 0 ? 0x1000 : level == 1 ? 0x20'0000 : 0x4000'0000;
    const uint64_t page = (e & 0x000f'ffff'ffff'f000) / size * size;
    out.phys = page + va.value % size;
    return out;
  }
  return out;
}

struct Setting {
  Config config;
  uint32_t pkru;
};

// All controls that matter to rights: WP, NXE, SMEP, SMAP, each with PKE off and on with the four PKRU values
// of key 1.
std::vector<Setting> AllSettings() {
  std::vector<Setting> out;
  for (uint64_t choice = 0; choice < 16; ++choice) {
    Bits b(choice);
    Config c;
    c.write_protect = b.Next();
    c.no_execute = b.Next();
    c.smep = b.Next();
    c.smap = b.Next();
    out.push_back({c, 0xffff'ffff});
    c.protection_keys = true;
    for (uint32_t pkru = 0; pkru < 4; ++pkru) out.push_back({c, pkru << 2});
  }
  return out;
}

constexpr VirtAddr kVa(0x7f12'3456'789a);

class X86Access : public testing::Test {
 protected:
  void Check(const Setting& s, const Entries& entries) {
    const Config& f = s.config;
    ++nr_met_;
    if (!(f.write_protect && f.no_execute && f.smep && f.smap) && nr_met_ % kRareStride != 0) return;
    Controls controls(s.config, machine_.mem().AddressMask());
    controls.SetPkru(s.pkru);
    ForEachAccess([&](Access access) {
      machine_.Matches(controls, entries, kVa, access, Oracle(s.config, s.pkru, entries, kVa, access));
    });
  }
  static constexpr uint64_t Table(int level) {
    return AccessMachine<Codec>::NextTable(level) | kP | kRw | kUs | kA;
  }

  AccessMachine<Codec> machine_;
  uint64_t nr_met_ = 0;
};

TEST_F(X86Access, EveryPteUnderEveryPmd) {
  for (const Setting& s : AllSettings()) {
    for (uint64_t pte = 0; pte < 256; ++pte) {
      for (uint64_t pmd = 0; pmd < 64; ++pmd) {
        Bits t(pte), d(pmd);
        Entries e = {kTestPage, AccessMachine<Codec>::NextTable(1), Table(2), Table(3)};
        e[0] |= t.Next(kP) | t.Next(kRw) | t.Next(kUs) | t.Next(kA) | t.Next(kD) | t.Next(kXd) |
                t.Next(kTooHigh) | t.Next(KeyBits(1));
        e[1] |= d.Next(kP) | d.Next(kRw) | d.Next(kUs) | d.Next(kA) | d.Next(kXd) | d.Next(kTooHigh);
        Check(s, e);
      }
    }
    if (HasFailure()) return;
  }
  EXPECT_EQ(nr_met_, 80u * 256 * 64);
}

TEST_F(X86Access, EveryLargePageUnderEveryPud) {
  for (const Setting& s : AllSettings()) {
    for (uint64_t pmd = 0; pmd < 1024; ++pmd) {
      for (uint64_t pud = 0; pud < 16; ++pud) {
        Bits d(pmd), u(pud);
        Entries e = {0, kTestPage | kPs, AccessMachine<Codec>::NextTable(2) | kP, Table(3)};
        e[1] |= d.Next(kP) | d.Next(kRw) | d.Next(kUs) | d.Next(kA) | d.Next(kD) | d.Next(kXd) |
                d.Next(kTooHigh) | d.Next(kLowReserved) | d.Next(kLargePat) | d.Next(KeyBits(1));
        e[2] |= u.Next(kRw) | u.Next(kUs) | u.Next(kA) | u.Next(kXd);
        Check(s, e);
      }
    }
    if (HasFailure()) return;
  }
}

TEST_F(X86Access, EveryGigabytePageUnderEveryPgd) {
  for (Setting s : AllSettings()) {
    for (uint64_t choice = 0; choice < 1u << 14; ++choice) {
      Bits b(choice);
      s.config.gigabyte_pages = b.Next();
      Entries e = {0, 0, 0x4000'0000 | kPs, AccessMachine<Codec>::NextTable(3)};
      e[2] |= b.Next(kP) | b.Next(kRw) | b.Next(kUs) | b.Next(kA) | b.Next(kD) | b.Next(kXd) |
              b.Next(Bit(29)) | b.Next(kLargePat);
      e[3] |= b.Next(kP) | b.Next(kRw) | b.Next(kUs) | b.Next(kXd) | b.Next(kPs);
      Check(s, e);
    }
    if (HasFailure()) return;
  }
}

TEST_F(X86Access, RightsOfAllFourLevelsAreTakenTogether) {
  for (const Setting& s : AllSettings()) {
    for (uint64_t choice = 0; choice < 4096; ++choice) {
      Bits b(choice);
      Entries e = {kTestPage | kP | kA, 0, 0, 0};
      for (int level = 1; level < 4; ++level)
        e[static_cast<size_t>(level)] = AccessMachine<Codec>::NextTable(level) | kP;
      for (uint64_t& entry : e) entry |= b.Next(kRw) | b.Next(kUs) | b.Next(kXd);
      Check(s, e);
    }
    if (HasFailure()) return;
  }
}

// Bits of the whole entry at random, those of the address aside, at all levels at once.
TEST_F(X86Access, AnyBitsAtAnyLevel) {
  const std::vector<Setting> settings = AllSettings();
  Random random(20240612);
  for (int i = 0; i < 300'000 && !HasFailure(); ++i) {
    Setting s = settings[random.Below(settings.size())];
    s.pkru = static_cast<uint32_t>(random.Next());
    s.config.gigabyte_pages = random.Percent(50);
    Entries e;
    for (int level = 0; level < 4; ++level) {
      const auto l = static_cast<size_t>(level);
      // Mostly set what lets a walk go on, or few would come to an end.
      e[l] = (random.Next() & 0xfff0'0000'0000'0fff) | (random.Percent(90) ? kP : 0);
      if (random.Percent(90)) e[l] |= kUs | kRw;
      if (random.Percent(70)) e[l] &= ~kXd;
      if (level == 3 || (level > 0 && random.Percent(80))) e[l] &= ~kPs;
      if (random.Percent(5)) e[l] |= Bit(static_cast<int>(random.Between(46, 51)));
      const bool leaf = level == 0 || (e[l] & kPs) != 0;
      e[l] |= !leaf ? AccessMachine<Codec>::NextTable(level) : level == 2 ? 0x4000'0000 : kTestPage;
    }
    Check(s, e);
  }
}

TEST_F(X86Access, AddressesThatAreNotCanonical) {
  const Controls controls({}, machine_.mem().AddressMask());
  const Entries none = {};
  for (int bit = 47; bit < 64; ++bit) {
    // All bits from 47 up are set but one, or clear but one: only bit 47 by itself ... 63 decides.
    for (const uint64_t va : {Bit(bit), ~Bit(bit) & (~uint64_t{0} << 47)}) {
      ForEachAccess([&](Access access) {
        Expected expected;
        expected.kind = TrapKind::kNonCanonical;
        expected.level = 3;
        machine_.Matches(controls, none, VirtAddr(va), access, expected);
      });
    }
  }
  for (const uint64_t va : {uint64_t{0}, Bit(47) - 1, ~uint64_t{0} << 47, ~uint64_t{0}}) {
    EXPECT_EQ(Walk<Codec>(machine_.mem(), machine_.Root(), VirtAddr(va), kUserRead, controls).kind(),
              TrapKind::kTranslation);
  }
  EXPECT_EQ(x86_64::VectorOf(TrapKind::kNonCanonical), 13);
  EXPECT_EQ(x86_64::VectorOf(TrapKind::kTranslation), 14);
}

// A short list by hand, so that the oracle is not believed alone: what a 64-bit kernel sees every day.
TEST_F(X86Access, EverydayErrorCodes) {
  const Controls controls({}, machine_.mem().AddressMask());
  const auto code = [&](uint64_t pte, Access access) {
    machine_.mem().TableAt(Pfn(4))[Codec::kGeometry.Index(kVa, 0)] = pte;
    for (int level = 1; level < 4; ++level) {
      machine_.mem().TableAt(Pfn(static_cast<uint64_t>(4 - level)))[Codec::kGeometry.Index(kVa, level)] =
          Table(level);
    }
    return Walk<Codec>(machine_.mem(), machine_.Root(), kVa, access, controls).trap().code();
  };
  EXPECT_EQ(code(0, kUserRead), 4u);
  EXPECT_EQ(code(0, kUserWrite), 6u);
  EXPECT_EQ(code(0, kUserFetch), 0x14u);
  EXPECT_EQ(code(kTestPage | kP | kUs | kXd, kUserFetch), 0x15u);
  EXPECT_EQ(code(kTestPage | kP | kUs, kUserWrite), 7u);
  EXPECT_EQ(code(kTestPage | kP | kRw, kUserRead), 5u);
  EXPECT_EQ(code(0, {AccessKind::kWrite, Privilege::kKernelOnUser}), 2u);
  EXPECT_EQ(code(kTestPage | kP | kUs, {AccessKind::kFetch, Privilege::kKernel}), 0x11u);
  EXPECT_EQ(code(kTestPage | kP | kUs | kTooHigh, kUserRead), 0xdu);
}

TEST_F(X86Access, AnEntryThatLeavesTheMachineIsABugOfTheKernelModel) {
  const Controls controls({}, machine_.mem().AddressMask());
  machine_.mem().TableAt(Pfn(1))[Codec::kGeometry.Index(kVa, 3)] = Bit(40) | kP | kUs | kRw;
  EXPECT_DEATH(Walk<Codec>(machine_.mem(), machine_.Root(), kVa, kUserRead, controls),
               "out of the machine's memory");
}

}  // namespace
}  // namespace mmsim
