// SPDX-License-Identifier: Apache-2.0
// FrameContents against plain arrays of bytes: any sequence of operations leaves the same bytes, the same
// hashes and the same answers, whatever form they are held in; and what it costs is what its header promises.
#include "sim/hw/frame_contents.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <vector>

#include "sim/base/random.h"
#include "sim/hw/phys_mem.h"

namespace mmsim {
namespace {

using Frame = std::array<uint8_t, kPageSize>;

// A FrameContents and the arrays that it must equal; each operation is done to both.
class Pair {
 public:
  static constexpr uint64_t kFrames = 12;
  explicit Pair(uint64_t seed) : random_(seed), plain_(kFrames), other_plain_(kFrames) {}

  void Step() {
    const uint64_t f = random_.Below(kFrames), g = random_.Below(kFrames);
    switch (random_.Below(16)) {
      case 0:
        return Fill(f, Byte());
      case 1:
        return Fill(f, 0);
      case 2:
        return Copy(f, g);
      case 3:
        return Swap(f, g);
      case 4:
        return Write(f, 0, kPageSize);
      case 5:
        return Write(f, Offset(1024), random_.Between(1, 1024));
      case 6:
      case 7:
        return Write(f, Offset(64), random_.Between(1, 64));
      case 8:
        return WriteAligned(f);
      default:
        return Write(f, Offset(8), random_.Between(1, 8));
    }
  }

  void Compare() {
    for (uint64_t f = 0; f < kFrames; ++f) {
      Frame read;
      contents_.Read(f, 0, read);
      ASSERT_EQ(read, plain_[f]) << "frame " << f;
      std::array<uint8_t, 100> part;
      const uint32_t offset = Offset(part.size());
      contents_.Read(f, offset, part);
      ASSERT_TRUE(std::equal(part.begin(), part.end(), plain_[f].begin() + offset));
      const uint8_t byte = plain_[f][0];
      ASSERT_EQ(contents_.IsUniform(f, byte), std::count(plain_[f].begin(), plain_[f].end(), byte) == 4096);
      ASSERT_FALSE(contents_.IsUniform(f, static_cast<uint8_t>(byte + 1)));
      // A hash belongs to bytes, not to a form: it is that of the same bytes written at once to a fresh
      // frame.
      fresh_.Discard(0);
      fresh_.Write(0, 0, plain_[f]);
      ASSERT_EQ(contents_.Hash(f), fresh_.Hash(0)) << "frame " << f;
      for (uint64_t g = 0; g < kFrames; ++g) {
        ASSERT_EQ(contents_.Equal(f, g), plain_[f] == plain_[g]);
        ASSERT_EQ(contents_.Hash(f) == contents_.Hash(g), plain_[f] == plain_[g]);
      }
    }
  }
  void DiscardAll() {
    for (uint64_t f = 0; f < kFrames; ++f) {
      contents_.Discard(f);
      other_.Discard(f);
    }
  }
  uint64_t HostBytes() const { return contents_.HostBytes() + other_.HostBytes(); }

 private:
  // Few different bytes, so that frames become uniform and equal again.
  uint8_t Byte() { return static_cast<uint8_t>(random_.Percent(50) ? 0 : random_.Below(3) * 0x7f); }
  uint32_t Offset(uint64_t size) {
    const uint64_t most = kPageSize - size;
    return static_cast<uint32_t>(random_.Percent(20)   ? most
                                 : random_.Percent(50) ? random_.Below(std::min<uint64_t>(40, most + 1))
                                                       : random_.Below(most + 1));
  }
  void Fill(uint64_t f, uint8_t byte) {
    contents_.Fill(f, byte);
    plain_[f].fill(byte);
  }
  void Copy(uint64_t from, uint64_t to) {
    contents_.Copy(contents_, from, to);
    plain_[to] = plain_[from];
  }
  // Out to another store, as to swap, and another frame in.
  void Swap(uint64_t f, uint64_t slot) {
    if (random_.Percent(50)) {
      other_.Copy(contents_, f, slot);
      other_plain_[slot] = plain_[f];
    } else {
      contents_.Copy(other_, slot, f);
      plain_[f] = other_plain_[slot];
    }
  }
  void Write(uint64_t f, uint32_t offset, uint64_t size) {
    size = std::min<uint64_t>(size, kPageSize - offset);
    std::vector<uint8_t> bytes(size);
    const uint8_t same = Byte();
    const bool uniform = random_.Percent(40);
    for (uint8_t& b : bytes) b = uniform ? same : Byte();
    contents_.Write(f, offset, bytes);
    std::copy(bytes.begin(), bytes.end(), plain_[f].begin() + offset);
  }
  void WriteAligned(uint64_t f) { Write(f, static_cast<uint32_t>(random_.Below(512) * 8), 8); }

  Random random_;
  FrameContents contents_{kFrames}, other_{kFrames}, fresh_{1};
  std::vector<Frame> plain_, other_plain_;
};

TEST(FrameContents, AnySequenceOfOperationsLeavesTheBytesOfPlainArrays) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    Pair pair(seed);
    for (int step = 0; step < 400; ++step) {
      pair.Step();
      if (step % 20 != 0) continue;
      pair.Compare();
      ASSERT_FALSE(testing::Test::HasFatalFailure()) << "seed " << seed << " step " << step;
    }
    pair.DiscardAll();
    EXPECT_EQ(pair.HostBytes(), 2u * 16384) << "seed " << seed << ": a block is lost";
  }
}

TEST(FrameContents, AFrameThatNobodyWroteCostsNothing) {
  FrameContents contents(uint64_t{1} << 20);
  for (uint64_t f = 0; f < contents.nr_frames(); f += 1000) {
    EXPECT_TRUE(contents.IsUniform(f, 0));
    contents.Fill(f, 0);
    contents.Discard(f);
    contents.Copy(contents, f, contents.nr_frames() - 1 - f);
    const uint8_t zeros[64] = {};
    contents.Write(f, 100, zeros);
  }
  EXPECT_EQ(contents.HostBytes(), 0u);
}

TEST(FrameContents, ASmallStoreCostsAWordAndAPointerASmallBlock) {
  FrameContents contents(2048);
  const uint8_t few[5] = {1, 2, 3, 4, 5};
  for (uint64_t f = 0; f < 2048; ++f) contents.Write(f, static_cast<uint32_t>(f), few);
  EXPECT_EQ(contents.HostBytes(), 2048u * 8);
  const uint8_t pointer[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  for (uint64_t f = 0; f < 2048; ++f) contents.Write(f, 8, pointer);
  EXPECT_LE(contents.HostBytes(), 2048u * (8 + 16 + 24 + 40));  // the words of `few` remain beside it
  for (uint64_t f = 0; f < 2048; ++f) contents.Discard(f);
  EXPECT_EQ(contents.HostBytes(), 2048u * 8);
}

TEST(FrameContents, ADifferentByteAnywhereIsADifferentHash) {
  FrameContents contents(2);
  std::map<uint64_t, uint32_t> seen = {{contents.Hash(0), 0}};
  for (uint32_t at = 0; at < kPageSize; ++at) {
    for (const uint8_t byte : {uint8_t{1}, uint8_t{0x80}}) {
      contents.Discard(1);
      contents.Write(1, at, std::span(&byte, 1));
      EXPECT_TRUE(seen.emplace(contents.Hash(1), at).second) << at;
    }
  }
}

TEST(FrameContentsDeathTest, OutsideTheFrame) {
  FrameContents contents(1);
  uint8_t byte = 0;
  EXPECT_DEATH(contents.Read(1, 0, std::span(&byte, 1)), "CHECK failed");
  EXPECT_DEATH(contents.Read(0, kPageSize, std::span(&byte, 1)), "CHECK failed");
  EXPECT_DEATH(contents.Fill(1, 1), "CHECK failed");
}

TEST(PhysMem, BytesCrossFramesAndTablesAreTheSameMemory) {
  PhysMem mem(64);
  const uint8_t in[6] = {1, 2, 3, 4, 5, 6};
  mem.WriteBytes(PhysAddr(0x2ffd), in);
  uint8_t out[8];
  mem.ReadBytes(PhysAddr(0x2ffc), out);
  EXPECT_EQ(std::vector<uint8_t>(out, out + 8), (std::vector<uint8_t>{0, 1, 2, 3, 4, 5, 6, 0}));

  mem.MakeTable(Pfn(3));
  EXPECT_TRUE(mem.IsUniform(Pfn(3), 0)) << "a table begins with zeros";
  mem.TableAt(Pfn(3))[1] = 0x1122334455667788;
  mem.ReadBytes(PhysAddr(0x3008), out);
  EXPECT_EQ(out[0], 0x88);
  EXPECT_EQ(out[7], 0x11);
  mem.WriteBytes(PhysAddr(0x3010), in);
  EXPECT_EQ(mem.TableAt(PhysAddr(0x3000))[2], 0x060504030201u);
  EXPECT_EQ(mem.AddressOf(&mem.TableAt(Pfn(3))[2]), PhysAddr(0x3010));
  mem.CopyFrame(Pfn(3), Pfn(4));
  EXPECT_TRUE(mem.FramesEqual(Pfn(3), Pfn(4)));
  EXPECT_EQ(mem.HashFrame(Pfn(3)), mem.HashFrame(Pfn(4)));

  mem.Discard(Pfn(3));
  EXPECT_TRUE(mem.IsUniform(Pfn(3), 0));
  mem.MakeTable(Pfn(3));
  EXPECT_EQ(mem.TableAt(Pfn(3))[1], 0u) << "a recycled table begins with zeros";
}

TEST(PhysMem, FourTebibytesAreReservedAndTheLastFrameIsThere) {
  ASSERT_TRUE(PhysMem::CanReserve(PhysMem::kMaxFrames));
  PhysMem mem(PhysMem::kMaxFrames);
  const Pfn last(PhysMem::kMaxFrames - 1);
  mem.MakeTable(last);
  mem.TableAt(last)[511] = 7;
  uint8_t byte;
  mem.ReadBytes(last.Base() + 511 * 8, std::span(&byte, 1));
  EXPECT_EQ(byte, 7);
  EXPECT_FALSE(PhysMem::CanReserve(PhysMem::kMaxFrames + 1));
  EXPECT_FALSE(PhysMem::CanReserve(0));
}

// A limit of the host's, and no bug: 128 TiB of addresses are all that there are.
TEST(PhysMem, WhatTheHostDoesNotGrantIsSaid) {
  const auto take_all = [] {
    std::vector<std::unique_ptr<PhysMem>> taken;
    taken.reserve(33);
    for (int i = 0; i < 33; ++i) taken.push_back(std::make_unique<PhysMem>(PhysMem::kMaxFrames));
  };
  EXPECT_EXIT(take_all(), testing::ExitedWithCode(2),
              "mmsim: this host grants no address space for simulated memory");
}

TEST(PhysMem, ASizeThatIsNoPowerOfTwoIsRoundedUpForAddressesAlone) {
  PhysMem mem(1000);
  EXPECT_EQ(mem.nr_frames(), 1000u);
  EXPECT_EQ(mem.AddressMask(), 1024 * kPageSize - 1);
  EXPECT_EQ(mem.TableAt(Pfn(1023))[511], 0u);
  EXPECT_DEATH(mem.MakeTable(Pfn(1000)), "CHECK failed");
}

}  // namespace
}  // namespace mmsim
