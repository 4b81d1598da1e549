// SPDX-License-Identifier: Apache-2.0
// The processor and its TLB: what is kept, what invalidation drops, and that a stale entry shows. Each test
// runs on both architectures.
#include "sim/hw/cpu.h"

#include <gtest/gtest.h>

#include <set>

#include "sim/base/random.h"

namespace mmsim {
namespace {

// The few bits that these tests need, by architecture.
struct EntryBits {
  uint64_t table, readable, writable, large, global;
};
constexpr EntryBits kX86Bits = {.table = x86_64::kPresent | x86_64::kWritable | x86_64::kUser,
                                .readable = x86_64::kPresent | x86_64::kUser,
                                .writable = x86_64::kPresent | x86_64::kUser | x86_64::kWritable,
                                .large = x86_64::kLarge,
                                .global = x86_64::kGlobal};
constexpr uint64_t kArmPage = arm64::kTypePage | arm64::kAccessFlag | arm64::kApUser;
constexpr EntryBits kArmBits = {.table = arm64::kTypeTable,
                                .readable = kArmPage | arm64::kApReadOnly | arm64::kNotGlobal,
                                .writable = kArmPage | arm64::kNotGlobal,
                                .large = arm64::kType,         // cleared, not set
                                .global = arm64::kNotGlobal};  // likewise

class CpuTest : public testing::TestWithParam<Arch> {
 protected:
  CpuTest() : bits_(GetParam() == Arch::kX86_64 ? kX86Bits : kArmBits), cpu_(mem_, GetParam()) {
    for (uint64_t f = 1; f <= 4; ++f) mem_.MakeTable(Pfn(f));
    for (int level = 3; level > 0; --level) {
      Slot(kVa, level) = Pfn(static_cast<uint64_t>(5 - level)).Base().value | bits_.table;
    }
    cpu_.SetRoot(PhysAddr(kPageSize), 1);
  }
  bool IsX86() const { return GetParam() == Arch::kX86_64; }
  uint64_t& Slot(VirtAddr va, int level) {
    return mem_.TableAt(Pfn(static_cast<uint64_t>(4 - level)))[cpu_.geometry().Index(va, level)];
  }
  uint64_t Large(uint64_t bits) const { return IsX86() ? bits | bits_.large : bits & ~bits_.large; }
  uint64_t Global(uint64_t bits) const { return IsX86() ? bits | bits_.global : bits & ~bits_.global; }
  uint64_t NrTlbEntries() const {
    uint64_t n = 0;
    cpu_.tlb().ForEach([&](const Tlb::Entry&) { ++n; });
    return n;
  }

  static constexpr VirtAddr kVa{0x5555'5540'0000};  // 2 MiB aligned
  static constexpr uint64_t kFrame = 0x4020'0000;
  const EntryBits bits_;
  PhysMem mem_{uint64_t{1} << 20};
  Cpu cpu_;
};

TEST_P(CpuTest, AStaleEntryPermitsUntilItIsInvalidated) {
  Slot(kVa, 0) = kFrame | bits_.writable;
  EXPECT_EQ(cpu_.Translate(kVa + 5, kUserWrite).phys(), PhysAddr(kFrame + 5));
  Slot(kVa, 0) = 0;
  EXPECT_TRUE(cpu_.Translate(kVa, kUserWrite).ok()) << "the missed invalidation shows";
  EXPECT_EQ(cpu_.Look(kVa, kUserWrite).kind(), TrapKind::kTranslation);
  cpu_.InvalidatePage(kVa + 0xfff);
  EXPECT_EQ(cpu_.Translate(kVa, kUserWrite).kind(), TrapKind::kTranslation);

  cpu_.EnableTlb(false);
  Slot(kVa, 0) = kFrame | bits_.writable;
  EXPECT_TRUE(cpu_.Translate(kVa, kUserWrite).ok());
  Slot(kVa, 0) = 0;
  EXPECT_FALSE(cpu_.Translate(kVa, kUserWrite).ok());
  EXPECT_EQ(NrTlbEntries(), 0u);
}

TEST_P(CpuTest, AnEntryNeverPermitsTooLittle) {
  Slot(kVa, 0) = kFrame | bits_.readable;
  EXPECT_TRUE(cpu_.Translate(kVa, kUserRead).ok());
  EXPECT_EQ(cpu_.Translate(kVa, kUserWrite).kind(), TrapKind::kPermission);
  Slot(kVa, 0) = kFrame | bits_.writable;
  EXPECT_TRUE(cpu_.Translate(kVa, kUserWrite).ok()) << "rights that were added need no invalidation";
}

TEST_P(CpuTest, TheFirstWriteAfterAReadIsNotLostInTheTlb) {
  Slot(kVa, 0) = kFrame | bits_.writable;
  if (!IsX86()) Slot(kVa, 0) |= arm64::kApReadOnly | arm64::kDirtyModifier;
  EXPECT_TRUE(cpu_.Translate(kVa, kUserRead).ok());
  const uint64_t clean = Slot(kVa, 0);
  EXPECT_TRUE(cpu_.Translate(kVa, kUserWrite).ok());
  EXPECT_EQ(Slot(kVa, 0), IsX86() ? clean | x86_64::kDirty : clean & ~arm64::kApReadOnly);
  // Now the TLB knows that it is dirty: a mark that is cleared without an invalidation stays cleared.
  Slot(kVa, 0) = clean;
  EXPECT_TRUE(cpu_.Translate(kVa, kUserWrite).ok());
  EXPECT_EQ(Slot(kVa, 0), clean);
}

TEST_P(CpuTest, AddressSpacesAreToldApartAndGlobalPagesAreNot) {
  Slot(kVa, 0) = kFrame | bits_.readable;
  Slot(kVa + kPageSize, 0) = Global(kFrame | bits_.readable);
  EXPECT_TRUE(cpu_.Translate(kVa, kUserRead).ok());
  EXPECT_TRUE(cpu_.Translate(kVa + kPageSize, kUserRead).ok());
  Slot(kVa, 0) = Slot(kVa + kPageSize, 0) = 0;
  cpu_.SetRoot(PhysAddr(kPageSize), 2);
  EXPECT_FALSE(cpu_.Translate(kVa, kUserRead).ok());
  EXPECT_TRUE(cpu_.Translate(kVa + kPageSize, kUserRead).ok());
  cpu_.SetRoot(PhysAddr(kPageSize), 1);
  EXPECT_TRUE(cpu_.Translate(kVa, kUserRead).ok());
  cpu_.tlb().InvalidateAsid(1);
  EXPECT_FALSE(cpu_.Translate(kVa, kUserRead).ok());
  EXPECT_TRUE(cpu_.Translate(kVa + kPageSize, kUserRead).ok());
  cpu_.tlb().InvalidateAll();
  EXPECT_FALSE(cpu_.Translate(kVa + kPageSize, kUserRead).ok());
}

TEST_P(CpuTest, ALargePageIsOneEntryAndGoesAsAWhole) {
  Slot(kVa, 1) = Large(kFrame | bits_.writable);
  EXPECT_EQ(cpu_.Translate(kVa + 0x12'3456, kUserWrite).phys(), PhysAddr(kFrame + 0x12'3456));
  EXPECT_EQ(cpu_.Translate(kVa + 0x1f'ffff, kUserWrite).level(), 1);
  EXPECT_EQ(NrTlbEntries(), 1u);
  Slot(kVa, 1) = 0;
  EXPECT_EQ(cpu_.Translate(kVa, kUserRead).phys(), PhysAddr(kFrame));
  cpu_.InvalidatePage(kVa + 0x10'0000);
  EXPECT_FALSE(cpu_.Translate(kVa, kUserRead).ok());
}

TEST_P(CpuTest, AWalkBeginsAtTheTableOfTheLastOneUntilAnythingIsInvalidated) {
  const VirtAddr second = kVa + kPageSize, next = kVa + 2 * kPageSize, far = kVa + 7 * kPageSize;
  const uint64_t leaf = kFrame | bits_.writable | (IsX86() ? x86_64::kAccessed | x86_64::kDirty : 0);
  Slot(kVa, 0) = Slot(second, 0) = Slot(next, 0) = leaf;
  EXPECT_TRUE(cpu_.Translate(kVa, kUserWrite).ok()) << "sets the accessed flags of the tables";
  EXPECT_TRUE(cpu_.Translate(second, kUserWrite).ok());
  const uint64_t table = Slot(kVa, 1);
  Slot(kVa, 1) = 0;
  EXPECT_TRUE(cpu_.Translate(next, kUserWrite).ok()) << "the missed invalidation shows";
  EXPECT_EQ(cpu_.Look(next, kUserWrite).kind(), TrapKind::kTranslation);
  cpu_.SetRoot(PhysAddr(kPageSize), 2);
  EXPECT_FALSE(cpu_.Translate(next, kUserWrite).ok()) << "it is another address space's";
  cpu_.SetRoot(PhysAddr(kPageSize), 1);
  cpu_.InvalidatePage(far);
  EXPECT_TRUE(cpu_.Translate(next, kUserWrite).ok()) << "this page is held by itself";
  EXPECT_EQ(cpu_.Translate(far, kUserWrite).kind(), TrapKind::kTranslation);
  Slot(far, 0) = leaf;
  EXPECT_FALSE(cpu_.Translate(far, kUserWrite).ok()) << "the invalidation of a page drops the table too";
  Slot(kVa, 1) = table;
  EXPECT_TRUE(cpu_.Translate(far, kUserWrite).ok());
  // A large page beside it: the table is not kept while there is one.
  const VirtAddr large(kVa.value + 0x20'0000);
  Slot(large, 1) = Large(kFrame | bits_.writable);
  EXPECT_TRUE(cpu_.Translate(large, kUserWrite).ok());
  Slot(kVa, 1) = 0;
  EXPECT_FALSE(cpu_.Translate(kVa + 9 * kPageSize, kUserRead).ok());
}

TEST_P(CpuTest, ARangeDropsWhatItTouchesAndNothingElse) {
  for (const uint64_t nr_pages : {uint64_t{1}, uint64_t{7}, uint64_t{255}, uint64_t{256}, uint64_t{300}}) {
    for (uint64_t i = 0; i < 512; ++i) Slot(kVa + i * kPageSize, 0) = kFrame | bits_.readable;
    cpu_.tlb().InvalidateAll();
    for (uint64_t i = 100; i < 356; ++i) EXPECT_TRUE(cpu_.Translate(kVa + i * kPageSize, kUserRead).ok());
    EXPECT_EQ(NrTlbEntries(), 256u);
    const VirtRange range{kVa + 110 * kPageSize, kVa + (110 + nr_pages) * kPageSize};
    cpu_.InvalidateRange(range);
    std::set<uint64_t> left;
    cpu_.tlb().ForEach([&](const Tlb::Entry& e) { left.insert((e.page - kVa.value) >> kPageShift); });
    for (uint64_t i = 100; i < 356; ++i) {
      EXPECT_EQ(left.contains(i), !range.Contains(kVa + i * kPageSize)) << nr_pages << " pages, page " << i;
    }
  }
}

// With every change of an entry followed by the invalidation that is due, a TLB is invisible.
TEST_P(CpuTest, WithDueInvalidationsTheTlbIsInvisible) {
  Random random(7);
  Cpu reference(mem_, GetParam());
  reference.SetRoot(PhysAddr(kPageSize), 1);
  reference.EnableTlb(false);
  const VirtAddr second = kVa + cpu_.geometry().LevelSize(1);
  mem_.MakeTable(Pfn(5));
  const uint64_t small = Slot(kVa, 1);
  for (int step = 0; step < 100'000; ++step) {
    const VirtAddr va = (random.Percent(80) ? kVa : second) + random.Below(600) * kPageSize % 0x20'0000;
    switch (random.Below(4)) {
      case 0:
        if (va >= second) {
          Slot(second, 1) =
              random.Percent(30) ? 0 : Large(kFrame | (random.Percent(50) ? bits_.readable : bits_.writable));
          cpu_.InvalidatePage(va);
        } else {
          Slot(va, 0) = random.Percent(30) ? 0
                                           : (0x8000'0000 + random.Below(9) * kPageSize) |
                                                 (random.Percent(50) ? bits_.readable : bits_.writable);
          cpu_.InvalidatePage(va);
        }
        break;
      case 1: {
        Slot(kVa, 1) = random.Percent(10) ? 0 : small;
        cpu_.InvalidateRange({kVa, second});
        break;
      }
      default: {
        const Access access{static_cast<AccessKind>(random.Below(3)),
                            static_cast<Privilege>(random.Below(3))};
        const WalkResult with = cpu_.Translate(va, access);
        const WalkResult without = reference.Translate(va, access);
        ASSERT_EQ(with.ok(), without.ok()) << step;
        ASSERT_EQ(with.level(), without.level()) << step;
        if (with.ok()) {
          ASSERT_EQ(with.phys(), without.phys()) << step;
        } else {
          ASSERT_EQ(with.trap(), without.trap()) << step;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Both, CpuTest, testing::Values(Arch::kX86_64, Arch::kArm64),
                         [](const auto& p) { return p.param == Arch::kX86_64 ? "x86_64" : "arm64"; });

TEST(CpuX86, PkruNeedsNoInvalidation) {
  PhysMem mem(64);
  for (uint64_t f = 1; f <= 4; ++f) mem.MakeTable(Pfn(f));
  for (uint64_t f = 1; f <= 3; ++f) mem.TableAt(Pfn(f))[0] = Pfn(f + 1).Base().value | kX86Bits.table;
  mem.TableAt(Pfn(4))[0] = 0x9000 | kX86Bits.writable | uint64_t{3} << x86_64::kPkeyShift;
  x86_64::Config config;
  config.protection_keys = true;
  Cpu cpu(mem, config);
  cpu.SetRoot(PhysAddr(kPageSize), 0);
  EXPECT_TRUE(cpu.Translate(VirtAddr(0), kUserWrite).ok());
  cpu.SetPkru(2u << 6);
  EXPECT_EQ(cpu.Translate(VirtAddr(0), kUserWrite).trap().code(), 0x27u);
  EXPECT_TRUE(cpu.Translate(VirtAddr(0), kUserRead).ok());
  cpu.SetPkru(1u << 6);
  EXPECT_EQ(cpu.Translate(VirtAddr(0), kUserRead).trap().code(), 0x25u);
  cpu.Configure(x86_64::Config());
  EXPECT_TRUE(cpu.Translate(VirtAddr(0), kUserRead).ok());
}

TEST(CpuArm64, OnePageUnderAllItsTags) {
  PhysMem mem(64);
  for (uint64_t f = 1; f <= 4; ++f) mem.MakeTable(Pfn(f));
  for (uint64_t f = 1; f <= 3; ++f) mem.TableAt(Pfn(f))[0] = Pfn(f + 1).Base().value | kArmBits.table;
  mem.TableAt(Pfn(4))[0] = 0x9000 | kArmBits.writable;
  Cpu cpu(mem, Arch::kArm64);
  cpu.SetRoot(PhysAddr(kPageSize), 0);
  const VirtAddr tagged(uint64_t{0x42} << 56);
  EXPECT_EQ(cpu.Translate(tagged + 8, kUserWrite).phys(), PhysAddr(0x9008));
  EXPECT_EQ(cpu.Translate(VirtAddr(8), kUserWrite).phys(), PhysAddr(0x9008));
  mem.TableAt(Pfn(4))[0] = 0;
  cpu.InvalidatePage(VirtAddr(0));
  EXPECT_FALSE(cpu.Translate(VirtAddr(8), kUserWrite).ok());
  EXPECT_FALSE(cpu.Translate(tagged + 8, kUserWrite).ok());
  EXPECT_EQ(cpu.Translate(VirtAddr(2), kUserFetch).kind(), TrapKind::kAlignment);
}

}  // namespace
}  // namespace mmsim
