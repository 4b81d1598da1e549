// SPDX-License-Identifier: Apache-2.0
#include "tests/mm/mm_fixture.h"

namespace mmsim {
namespace {

TEST_F(MmTest, TopDownBelowMmapBaseAndMerging) {
  const auto base = static_cast<int64_t>(mm->mmap_base.value);
  EXPECT_EQ(mm->mmap_base.value, 0x7ffff7fff000u);
  EXPECT_EQ(Mmap(0, 0x2000), base - 0x2000);
  EXPECT_EQ(Mmap(0, 0x1000), base - 0x3000);
  EXPECT_EQ(mm->map_count, 1);
  EXPECT_EQ(Mmap(0, 0x1000, kProtRead), base - 0x4000);
  EXPECT_EQ(mm->map_count, 2);
  EXPECT_EQ(Mprotect(static_cast<uint64_t>(base - 0x4000), 0x1000, kRw), 0);
  EXPECT_EQ(mm->map_count, 1);
  EXPECT_EQ(Munmap(static_cast<uint64_t>(base - 0x3000), 0x1000), 0);
  EXPECT_EQ(mm->map_count, 2);
}

}  // namespace
}  // namespace mmsim
