// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "sim/hw/cpu.h"

namespace mmsim {
namespace {

TEST(Cpu, X86FirstWriteSetsAccessedAndDirtyAndTells) {
  PhysMem mem(1024);
  for (uint64_t f : {1, 2, 3, 4}) mem.MakeTable(Pfn(f));
  const VirtAddr va(0x7fff'f7dc'0123);
  using namespace x86_64;
  const Geometry g = Codec::kGeometry;
  const uint64_t bits = kPresent | kWritable | kUser;
  mem.TableAt(Pfn(1))[g.Index(va, 3)] = 0x2000 | bits;
  mem.TableAt(Pfn(2))[g.Index(va, 2)] = 0x3000 | bits;
  mem.TableAt(Pfn(3))[g.Index(va, 1)] = 0x4000 | bits;
  mem.TableAt(Pfn(4))[g.Index(va, 0)] = 0x5000 | bits;
  Cpu cpu(mem, Arch::kX86_64);
  cpu.SetRoot(PhysAddr(0x1000), 1);
  int updates = 0;
  cpu.SetSink({[](void* n, const HardwareUpdate&) { ++*static_cast<int*>(n); }, &updates});
  const WalkResult r = cpu.Translate(va, kUserWrite);
  ASSERT_TRUE(r.ok());
  EXPECT_EQ(r.phys(), PhysAddr(0x5123));
  EXPECT_EQ(updates, 4);
  EXPECT_EQ(mem.TableAt(Pfn(4))[g.Index(va, 0)], 0x5000 | bits | kAccessed | kDirty);
  EXPECT_EQ(cpu.Translate(VirtAddr(0x1000), kUserRead).trap().code, kErrorUser);
}

}  // namespace
}  // namespace mmsim
