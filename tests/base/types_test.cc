// SPDX-License-Identifier: Apache-2.0
#include "mmsim/types.h"

#include <gtest/gtest.h>

#include "sim/base/errno.h"
#include "sim/base/random.h"

namespace mmsim {
namespace {

TEST(Address, PageCeilWrapsAtTheEndAsPageAlignDoes) {
  EXPECT_EQ(VirtAddr(0x1001).PageCeil(), VirtAddr(0x2000));
  EXPECT_EQ(VirtAddr(0x1000).PageCeil(), VirtAddr(0x1000));
  EXPECT_EQ(VirtAddr(~uint64_t{0}).PageCeil(), VirtAddr(0));
}

TEST(VirtRange, HalfOpen) {
  constexpr VirtRange r{VirtAddr(0x1000), VirtAddr(0x3000)};
  EXPECT_EQ(r.NrPages(), 2u);
  EXPECT_TRUE(r.Contains(VirtAddr(0x2fff)));
  EXPECT_FALSE(r.Contains(VirtAddr(0x3000)));
  EXPECT_FALSE(r.Overlaps({VirtAddr(0x3000), VirtAddr(0x4000)}));
}

TEST(Errno, NamesAndNumbersComeFromOneTable) {
  EXPECT_EQ(ErrnoName(Errno::kENOMEM), "ENOMEM");
  EXPECT_EQ(ErrnoNumber("ENOMEM"), 12);
  EXPECT_EQ(ErrnoNumber("ENOSUCH"), 0);
  EXPECT_EQ(Status(Errno::kEINVAL).AsReturn(), -22);
}

TEST(Random, SameSeedSameNumbers) {
  Random a(7), b(7);
  for (int i = 0; i < 100; ++i) {
    const uint64_t n = a.Between(3, 9);
    EXPECT_EQ(n, b.Between(3, 9));
    EXPECT_GE(n, 3u);
    EXPECT_LE(n, 9u);
  }
}

}  // namespace
}  // namespace mmsim
