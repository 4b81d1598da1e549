// SPDX-License-Identifier: Apache-2.0
// From an access to its signal: codes, addresses and the architectures' error codes.
#include "tests/kernel/kernel_fixture.h"

namespace mmsim {
namespace {

class FaultTest : public KernelTest {
 protected:
  uint64_t Map(uint64_t prot, uint64_t pages = 1) {
    const int64_t at = Call(Sys::k_mmap, {0, pages * kPageSize, prot, 0x22, ~uint64_t{0}, 0});
    EXPECT_GT(at, 0);
    return static_cast<uint64_t>(at);
  }
  AccessResult Load(uint64_t address) {
    uint8_t byte;
    return kernel->Load(*task, VirtAddr(address), {&byte, 1});
  }
  bool x86() const { return GetParam() == Arch::kX86_64; }
};
MMSIM_FOR_BOTH_ARCHITECTURES(FaultTest);

TEST_P(FaultTest, NothingMapped) {
  const AccessResult r = Load(0x10008);
  EXPECT_EQ(r.signal.signo, kSigSegv);
  EXPECT_EQ(r.signal.code, kSegvMaperr);
  EXPECT_EQ(r.signal.addr, 0x10008u);
  EXPECT_EQ(r.signal.error_code,
            x86() ? 4u : 0x92000004u);  // nothing was ever mapped below the root
}

TEST_P(FaultTest, ForbiddenAccesses) {
  const uint64_t none = Map(0), read = Map(1);
  EXPECT_EQ(Load(none).signal.code, kSegvAccerr);
  EXPECT_EQ(Store(*task, read, 1).signal.code, kSegvAccerr);
  EXPECT_TRUE(Load(read).ok());
  EXPECT_EQ(Store(*task, read, 1).signal.code, kSegvAccerr);
  EXPECT_EQ(kernel->Fetch(*task, VirtAddr(read), 4).signal.code, kSegvAccerr);
}

TEST_P(FaultTest, AFetchFromAnUnpopulatedDataPageFaultsTwiceOnX86) {
  const uint64_t at = Map(3);
  const AccessResult r = kernel->Fetch(*task, VirtAddr(at), 4);
  EXPECT_EQ(r.signal.code, kSegvAccerr);
  if (!x86()) return;
  ASSERT_EQ(r.traps.size(), 2u);
  EXPECT_EQ(r.traps[0].code(), 0x14u);
  EXPECT_EQ(r.traps[1].code(), 0x15u);
}

TEST_P(FaultTest, TheKernelsHalf) {
  const AccessResult r = Load(0xffff800000000000);
  EXPECT_EQ(r.signal.signo, kSigSegv);
  EXPECT_EQ(r.signal.code, kSegvMaperr);
  EXPECT_EQ(r.signal.addr, 0xffff800000000000u);
  EXPECT_EQ(r.signal.error_code, x86() ? 5u : 0x92000004u);  // what is there stays hidden
}

TEST_P(FaultTest, NoCanonicalAddress) {
  const AccessResult r = Load(0x0008000000000000);
  EXPECT_EQ(r.signal.signo, kSigSegv);
  EXPECT_EQ(r.signal.code, x86() ? kSiKernel : kSegvMaperr);
  EXPECT_EQ(r.signal.addr, x86() ? 0u : 0x0008000000000000u);
  EXPECT_EQ(r.signal.trapno, x86() ? 13 : 0);
}

TEST_P(FaultTest, BeyondTheEndOfAFile) {
  const int64_t fd = Call(Sys::k_memfd_create, {1, 0}, {{0, "m"}});
  ASSERT_GE(fd, 0);
  ASSERT_EQ(Call(Sys::k_ftruncate, {static_cast<uint64_t>(fd), 100}), 0);
  const uint64_t at =
      static_cast<uint64_t>(Call(Sys::k_mmap, {0, 2 * kPageSize, 3, 1, static_cast<uint64_t>(fd), 0}));
  EXPECT_TRUE(Store(*task, at + kPageSize - 1, 1).ok());
  const AccessResult r = Load(at + kPageSize + 5);
  EXPECT_EQ(r.signal.signo, kSigBus);
  EXPECT_EQ(r.signal.code, kBusAdrerr);
  EXPECT_EQ(r.signal.addr, at + kPageSize + 5);
}

TEST_P(FaultTest, AnAccessOverTwoPagesStopsAtTheSecond) {
  const uint64_t at = Map(3, 2);
  ASSERT_EQ(Call(Sys::k_munmap, {at + kPageSize, kPageSize}), 0);
  const uint8_t bytes[4] = {1, 2, 3, 4};
  const AccessResult r = kernel->Store(*task, VirtAddr(at + kPageSize - 2), bytes);
  EXPECT_EQ(r.done_bytes, 2u);
  EXPECT_EQ(r.signal.addr, at + kPageSize);
}

TEST_P(FaultTest, TheStackGrowsDownToItsLimit) {
  const uint64_t top = x86() ? 0x7ffffffff000 : 0x1000000000000;
  EXPECT_TRUE(Store(*task, top - 0x100000, 1).ok());
  EXPECT_THAT(Maps(), testing::HasSubstr(fmt::format("{:08x}-{:08x} rw-p", top - 0x100000, top)));
  EXPECT_EQ(Store(*task, top - (uint64_t{9} << 20), 1).signal.code, kSegvMaperr);
}

TEST_P(FaultTest, TheKernelsCopiesFailWithEfault) {
  const uint64_t read = Map(1);
  EXPECT_EQ(Call(Sys::k_getrlimit, {3, 0x10000}), Err(Errno::kEFAULT));
  EXPECT_EQ(Call(Sys::k_getrlimit, {3, read}), Err(Errno::kEFAULT));
  EXPECT_EQ(Call(Sys::k_getrlimit, {3, 0xffff800000000000}), Err(Errno::kEFAULT));
  EXPECT_EQ(Call(Sys::k_getrlimit, {3, Map(3)}), 0);
}

TEST_P(FaultTest, ProtectionKeys) {
  if (!x86()) {  // the processor of this profile has none
    EXPECT_EQ(Call(Sys::k_pkey_alloc, {0, 1}), Err(Errno::kENOSPC));
    return;
  }
  const int64_t key = Call(Sys::k_pkey_alloc, {0, 1});  // PKEY_DISABLE_ACCESS
  ASSERT_EQ(key, 1);
  const uint64_t at = Map(3);
  ASSERT_TRUE(Store(*task, at, 1).ok());
  ASSERT_EQ(Call(Sys::k_pkey_mprotect, {at, kPageSize, 3, static_cast<uint64_t>(key)}), 0);
  const AccessResult r = Load(at);
  EXPECT_EQ(r.signal.code, kSegvPkuerr);
  EXPECT_EQ(r.signal.pkey, 1);
  EXPECT_EQ(r.signal.error_code & 0x20, 0x20u);
  EXPECT_EQ(Call(Sys::k_pkey_free, {2}), Err(Errno::kEINVAL));
  EXPECT_EQ(Call(Sys::k_pkey_free, {1}), 0);
}

}  // namespace
}  // namespace mmsim
