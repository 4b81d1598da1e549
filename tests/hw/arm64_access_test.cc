// SPDX-License-Identifier: Apache-2.0
// Every combination of descriptor bits, controls and kinds of access of AArch64 stage 1, against an oracle
// that is written from the tables of the Arm ARM (DDI 0487, chapter D8), bit by bit in its own words and
// numbers: nothing of sim/hw/arm64 is used to say what is expected.
#include <gtest/gtest.h>

#include <string_view>

#include "sim/base/random.h"
#include "tests/hw/access.h"

namespace mmsim {
namespace {

using arm64::Codec;
using arm64::Config;
using arm64::Controls;

constexpr uint64_t Bit(int n) {
  return uint64_t{1} << n;
}
constexpr uint64_t kV = Bit(0), kNotBlock = Bit(1), kAp1 = Bit(6), kAp2 = Bit(7), kAf = Bit(10),
                   kNg = Bit(11);
constexpr uint64_t kDbm = Bit(51), kContig = Bit(52), kPxn = Bit(53), kUxn = Bit(54);
constexpr uint64_t kPxnTable = Bit(59), kUxnTable = Bit(60), kApTable0 = Bit(61), kApTable1 = Bit(62);
constexpr uint64_t kTooHigh = Bit(45);  // above an IPS of 44 bits

// D8.4.1, data access permissions by AP[2:1]: "r", "rw" or "" at EL1, at EL0.
struct DataRights {
  std::string_view el1, el0;
};
constexpr DataRights kByAp[4] = {{"rw", ""}, {"rw", "rw"}, {"r", ""}, {"r", "r"}};

bool Has(std::string_view rights, char right) {
  return rights.find(right) != std::string_view::npos;
}

// What all the descriptors on the way say of rights.
struct Rights {
  bool ap1, ap2, uxn, pxn;
};

bool RightsAllow(const Config& c, Access access, Rights r) {
  const DataRights data = kByAp[(r.ap2 ? 2 : 0) + (r.ap1 ? 1 : 0)];
  const bool el0_reads = Has(data.el0, 'r'), el0_writes = Has(data.el0, 'w'), el1_writes = Has(data.el1, 'w');
  // D8.4.2: instruction fetches.
  const bool el0_executes = !r.uxn && !(c.write_implies_xn && el0_writes);
  const bool el1_executes = !r.pxn && !el0_writes && !(c.write_implies_xn && el1_writes);
  if (access.kind() == AccessKind::kFetch)
    return access.privilege() == Privilege::kUser ? el0_executes : el1_executes;
  const char right = access.kind() == AccessKind::kWrite ? 'w' : 'r';
  // EL0, and LDTR and STTR at EL1.
  if (access.privilege() != Privilege::kKernel) return Has(data.el0, right);
  // D8.4.1.3: PAN, and FEAT_PAN3's extension of it to what EL0 may execute.
  if (c.pan && (el0_reads || (c.epan && !r.uxn))) return false;
  return Has(data.el1, right);
}

uint32_t Syndrome(TrapKind kind, Access access, int arm_level) {
  const bool user = access.privilege() == Privilege::kUser;
  uint32_t esr = access.kind() == AccessKind::kFetch ? (user ? 0x8200'0000 : 0x8600'0000)
                                                     : (user ? 0x9200'0000 : 0x9600'0000);
  if (access.kind() == AccessKind::kWrite) esr += 0x40;
  switch (kind) {
    case TrapKind::kAddressSize:
      esr += 0b000000;
      break;
    case TrapKind::kTranslation:
      esr += 0b000100;
      break;
    case TrapKind::kAccessFlag:
      esr += 0b001000;
      break;
    case TrapKind::kPermission:
      esr += 0b001100;
      break;
    default:
      ADD_FAILURE() << "no such fault";
  }
  return esr + static_cast<uint32_t>(arm_level);
}

Expected Oracle(const Config& c, const Entries& entries, VirtAddr va, Access access) {
  Expected out;
  out.after = entries;
  Rights limit = {true, false, false,
                  false};  // what the tables leave: ap1 may be set, the others need not be
  const auto fault = [&](TrapKind kind) {
    out.kind = kind;
    out.code = Syndrome(kind, access, 3 - out.level);
    return out;
  };
  for (int level = 3; level >= 0; --level) {
    const auto i = static_cast<size_t>(level);
    const uint64_t d = entries[i];
    out.level = level;
    const bool is_table = level > 0 && (d & 3) == 3, is_page = level == 0 && (d & 3) == 3;
    const bool is_block = (level == 1 || level == 2) && (d & 3) == 1;
    if (!is_table && !is_page && !is_block) return fault(TrapKind::kTranslation);
    const uint64_t size = level == 0 || is_table ? 0x1000 : level == 1 ? 0x20'0000 : 0x4000'0000;
    const uint64_t address = (d & 0x0000'ffff'ffff'f000) / size * size;
    if (address >> c.phys_bits != 0) return fault(TrapKind::kAddressSize);
    if (is_table) {
      if (c.hierarchical_off) continue;
      limit.ap1 = limit.ap1 && (d & kApTable0) == 0;
      limit.ap2 = limit.ap2 || (d & kApTable1) != 0;
      limit.uxn = limit.uxn || (d & kUxnTable) != 0;
      limit.pxn = limit.pxn || (d & kPxnTable) != 0;
      continue;
    }
    if ((d & kAf) == 0 && !c.hardware_access_flag) return fault(TrapKind::kAccessFlag);
    // D8.5.2: a write finds a leaf with DBM writable, and makes it so; HD is of use only with HA.
    const bool made_writable = access.kind() == AccessKind::kWrite && (d & kDbm) != 0 && (d & kAp2) != 0 &&
                               c.hardware_access_flag && c.hardware_dirty;
    const Rights r = {limit.ap1 && (d & kAp1) != 0, limit.ap2 || ((d & kAp2) != 0 && !made_writable),
                      limit.uxn || (d & kUxn) != 0, limit.pxn || (d & kPxn) != 0};
    if (!RightsAllow(c, access, r)) return fault(TrapKind::kPermission);
    out.after[i] |= kAf;
    if (made_writable) out.after[i] &= ~kAp2;
    out.phys = address + va.value % size;
    return out;
  }
  return out;
}

// HA, HD, PAN, EPAN, WXN, HPD, each off and on; IPS of 44 bits, below what a descriptor can hold.
std::vector<Config> AllConfigs() {
  std::vector<Config> out;
  for (uint64_t choice = 0; choice < 64; ++choice) {
    Bits b(choice);
    Config c;
    c.hardware_access_flag = b.Next();
    c.hardware_dirty = b.Next();
    c.pan = b.Next();
    c.epan = b.Next();
    c.write_implies_xn = b.Next();
    c.hierarchical_off = b.Next();
    c.phys_bits = 44;
    out.push_back(c);
  }
  return out;
}

constexpr VirtAddr kVa(0x7f12'3456'7898);

class Arm64Access : public testing::Test {
 protected:
  void Check(const Config& c, const Entries& entries) {
    ++nr_met_;
    const bool everyday = c.pan && !c.epan && !c.write_implies_xn && !c.hierarchical_off;
    if (!everyday && nr_met_ % kRareStride != 0) return;
    const Controls controls(c, machine_.mem().AddressMask());
    ForEachAccess([&](Access access) {
      machine_.Matches(controls, entries, kVa, access, Oracle(c, entries, kVa, access));
    });
  }
  static constexpr uint64_t Table(int level) { return AccessMachine<Codec>::NextTable(level) | 3; }

  AccessMachine<Codec> machine_;
  uint64_t nr_met_ = 0;
};

TEST_F(Arm64Access, EveryPageUnderEveryTable) {
  for (const Config& c : AllConfigs()) {
    for (uint64_t pte = 0; pte < 512; ++pte) {
      for (uint64_t pmd = 0; pmd < 32; ++pmd) {
        Bits t(pte), d(pmd);
        Entries e = {kTestPage | kNg, AccessMachine<Codec>::NextTable(1) | kNotBlock, Table(2), Table(3)};
        e[0] |= t.Next(kV) | t.Next(kNotBlock) | t.Next(kAp1) | t.Next(kAp2) | t.Next(kUxn) | t.Next(kPxn) |
                t.Next(kAf) | t.Next(kDbm) | t.Next(kTooHigh);
        e[1] |= d.Next(kV) | d.Next(kApTable0) | d.Next(kApTable1) | d.Next(kUxnTable) | d.Next(kPxnTable);
        Check(c, e);
      }
    }
    if (HasFailure()) return;
  }
  EXPECT_EQ(nr_met_, 64u * 512 * 32);
}

// Blocks at every level, at level 0 too, where there are none.
TEST_F(Arm64Access, EveryBlockUnderEveryTable) {
  for (const Config& c : AllConfigs()) {
    for (int level = 1; level <= 3; ++level) {
      for (uint64_t choice = 0; choice < 1u << 13; ++choice) {
        Bits b(choice);
        const auto i = static_cast<size_t>(level);
        Entries e = {0, 0, 0, 0};
        for (int above = level + 1; above < 4; ++above) e[static_cast<size_t>(above)] = Table(above);
        e[i] = (level == 1 ? kTestPage : 0x4000'0000) | kContig;
        e[i] |= b.Next(kV) | b.Next(kAp1) | b.Next(kAp2) | b.Next(kUxn) | b.Next(kPxn) | b.Next(kAf) |
                b.Next(kDbm) | b.Next(kTooHigh) | b.Next(Bit(13));
        const uint64_t limits = b.Next(kApTable0) | b.Next(kApTable1) | b.Next(kUxnTable) | b.Next(kPxnTable);
        if (level < 3) e[i + 1] |= limits;
        Check(c, e);
      }
    }
    if (HasFailure()) return;
  }
}

TEST_F(Arm64Access, LimitsOfAllTablesAreTakenTogether) {
  for (const Config& c : AllConfigs()) {
    for (uint64_t choice = 0; choice < 4096; ++choice) {
      for (const uint64_t page : {kAp1 | kAf, kAp1 | kAp2 | kDbm, kAf | kPxn, kAp1 | kAp2 | kUxn | kAf}) {
        Bits b(choice);
        Entries e = {kTestPage | 3 | page, Table(1), Table(2), Table(3)};
        for (int level = 1; level < 4; ++level) {
          e[static_cast<size_t>(level)] |=
              b.Next(kApTable0) | b.Next(kApTable1) | b.Next(kUxnTable) | b.Next(kPxnTable);
        }
        Check(c, e);
      }
    }
    if (HasFailure()) return;
  }
}

// Bits of the whole descriptor at random, those of the address aside, at all levels at once.
TEST_F(Arm64Access, AnyBitsAtAnyLevel) {
  const std::vector<Config> configs = AllConfigs();
  Random random(20240612);
  for (int i = 0; i < 300'000 && !HasFailure(); ++i) {
    const Config& c = configs[random.Below(configs.size())];
    Entries e;
    for (int level = 0; level < 4; ++level) {
      const auto l = static_cast<size_t>(level);
      e[l] = random.Next() & 0xffff'0000'0000'0fff;
      if (random.Percent(90)) e[l] |= kV;
      if (level == 3 || level == 0 || random.Percent(80)) e[l] |= kNotBlock;
      if (random.Percent(80)) e[l] &= ~(kApTable0 | kApTable1 | kUxnTable);
      if (random.Percent(5)) e[l] |= Bit(static_cast<int>(random.Between(44, 47)));
      const bool leaf = level == 0 || (e[l] & kNotBlock) == 0;
      e[l] |= !leaf ? AccessMachine<Codec>::NextTable(level) : level == 2 ? 0x4000'0000 : kTestPage;
    }
    Check(c, e);
  }
}

// D8.2.1: which addresses are translated at all, with and without TCR_EL1.TBI0.
TEST_F(Arm64Access, AddressesOutsideTheLowerHalf) {
  const Entries e = {kTestPage | 3 | kAp1 | kAf, Table(1), Table(2), Table(3)};
  for (const bool top_byte_ignored : {false, true}) {
    Config c;
    c.top_byte_ignored = top_byte_ignored;
    const Controls controls(c, machine_.mem().AddressMask());
    for (int bit = 48; bit < 64; ++bit) {
      const VirtAddr va(kVa.value | Bit(bit));
      for (const Access access : {kUserRead, Access{AccessKind::kWrite, Privilege::kKernelOnUser}}) {
        const bool ignored = bit >= 56 && top_byte_ignored;
        Expected expected = Oracle(c, e, va, access);
        if (!ignored) {
          expected = {};
          expected.after = e;
          expected.kind = TrapKind::kTranslation;
          expected.level = 3;
          expected.code = Syndrome(TrapKind::kTranslation, access, 0);
        }
        machine_.Matches(controls, e, va, access, expected);
      }
    }
  }
}

TEST_F(Arm64Access, ABranchLosesTheTag) {
  const Controls controls({}, machine_.mem().AddressMask());
  const VirtAddr tagged(kVa.value | uint64_t{0xa5} << 56);
  EXPECT_EQ(Walk<Codec>(machine_.mem(), machine_.Root(), tagged, kUserFetch, controls).trap().address(), kVa);
  EXPECT_EQ(Walk<Codec>(machine_.mem(), machine_.Root(), tagged, kUserRead, controls).trap().address(),
            tagged);
}

TEST_F(Arm64Access, TheUpperHalfHasItsOwnRoot) {
  Config c;
  c.high_walks = true;
  c.high_root = machine_.Root().value;
  const Controls controls(c, machine_.mem().AddressMask());
  const Entries e = {kTestPage | 3 | kAf, Table(1), Table(2), Table(3)};
  const VirtAddr high(kVa.value | 0xffff'0000'0000'0000);
  const Access kernel_read{AccessKind::kRead, Privilege::kKernel};
  machine_.Matches(controls, e, high, kernel_read, Oracle(c, e, high, kernel_read));
  machine_.Matches(controls, e, high, kUserRead, Oracle(c, e, high, kUserRead));
  EXPECT_TRUE(Walk<Codec>(machine_.mem(), PhysAddr(0x9000), high, kernel_read, controls).ok());
  EXPECT_EQ(
      Walk<Codec>(machine_.mem(), PhysAddr(0x9000), VirtAddr(high.value & ~Bit(60)), kernel_read, controls)
          .kind(),
      TrapKind::kTranslation);
}

TEST_F(Arm64Access, TheProgramCounterIsAligned) {
  const Controls controls({}, machine_.mem().AddressMask());
  const Entries e = {kTestPage | 3 | kAp1 | kAf, Table(1), Table(2), Table(3)};
  for (uint64_t offset = 1; offset < 4; ++offset) {
    Expected expected;
    expected.kind = TrapKind::kAlignment;
    expected.level = 3;
    expected.code = 0x8a00'0000;
    expected.after = e;
    machine_.Matches(controls, e, kVa + offset, kUserFetch, expected);
    machine_.Matches(controls, e, kVa + offset, kUserRead, Oracle({}, e, kVa + offset, kUserRead));
  }
}

// A short list by hand, so that the oracle is not believed alone.
TEST_F(Arm64Access, EverydaySyndromes) {
  const Controls controls({}, machine_.mem().AddressMask());
  const auto esr = [&](uint64_t pte, Access access) {
    machine_.mem().TableAt(Pfn(4))[Codec::kGeometry.Index(kVa, 0)] = pte;
    for (int level = 1; level < 4; ++level) {
      machine_.mem().TableAt(Pfn(static_cast<uint64_t>(4 - level)))[Codec::kGeometry.Index(kVa, level)] =
          Table(level);
    }
    return Walk<Codec>(machine_.mem(), machine_.Root(), kVa, access, controls).trap().code();
  };
  EXPECT_EQ(esr(0, kUserRead), 0x9200'0007u);
  EXPECT_EQ(esr(0, kUserWrite), 0x9200'0047u);
  EXPECT_EQ(esr(0, kUserFetch), 0x8200'0007u);
  EXPECT_EQ(esr(kTestPage | 3 | kAf | kAp1 | kAp2, kUserWrite), 0x9200'004fu);
  EXPECT_EQ(esr(kTestPage | 3 | kAf | kAp1 | kUxn, kUserFetch), 0x8200'000fu);
  EXPECT_EQ(esr(kTestPage | 3 | kAf, kUserRead), 0x9200'000fu);
  EXPECT_EQ(esr(0, {AccessKind::kWrite, Privilege::kKernelOnUser}), 0x9600'0047u);
}

TEST_F(Arm64Access, ADescriptorThatLeavesTheMachineIsABugOfTheKernelModel) {
  const Controls controls({}, machine_.mem().AddressMask());
  machine_.mem().TableAt(Pfn(1))[Codec::kGeometry.Index(kVa, 3)] = Bit(40) | 3;
  EXPECT_DEATH(Walk<Codec>(machine_.mem(), machine_.Root(), kVa, kUserRead, controls),
               "out of the machine's memory");
}

}  // namespace
}  // namespace mmsim
