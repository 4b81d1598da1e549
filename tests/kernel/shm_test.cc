// SPDX-License-Identifier: Apache-2.0
// System V shared memory: ids, keys, attachments, and the end of a segment.
#include "sim/kernel/shm.h"

#include "tests/kernel/kernel_fixture.h"

namespace mmsim {
namespace {

class ShmTest : public KernelTest {
 protected:
  int64_t Get(uint64_t key, uint64_t size, uint64_t flags = 01600) {
    return Call(Sys::k_shmget, {key, size, flags});
  }
  int64_t At(int64_t id, uint64_t addr = 0, uint64_t flags = 0) {
    return Call(Sys::k_shmat, {static_cast<uint64_t>(id), addr, flags});
  }
  uint64_t Attached(int64_t id) { return kernel->shm().Find(static_cast<int>(id))->segment.nattch; }
};
MMSIM_FOR_BOTH_ARCHITECTURES(ShmTest);

TEST_P(ShmTest, GetFindsWhatHasAKey) {
  EXPECT_EQ(Get(0x1234, 4096, 0), Err(Errno::kENOENT));
  EXPECT_EQ(Get(0x1234, 0), Err(Errno::kEINVAL));
  EXPECT_EQ(Get(0x1234, ~uint64_t{0}), Err(Errno::kEINVAL));
  EXPECT_EQ(Get(0x1234, 5000), 0);
  EXPECT_EQ(Get(0x1234, 5000), 0);
  EXPECT_EQ(Get(0x1234, 5001), Err(Errno::kEINVAL));
  EXPECT_EQ(Get(0x1234, 10, 03600), Err(Errno::kEEXIST));
  EXPECT_EQ(Get(0, 4096), 1);
  EXPECT_EQ(Get(0, 4096), 2);
}

TEST_P(ShmTest, AttachSharesAndShowsTheKey) {
  const int64_t id = Get(0x1234, 5000);
  const int64_t a = At(id), b = At(id);
  ASSERT_GT(a, 0);
  ASSERT_GT(b, 0);
  EXPECT_EQ(Attached(id), 2u);
  ASSERT_TRUE(Store(*task, static_cast<uint64_t>(a), 5).ok());
  EXPECT_EQ(LoadByte(*task, static_cast<uint64_t>(b)), 5);
  EXPECT_THAT(Maps(), testing::ContainsRegex("rw-s 00000000 00:01 0 +/SYSV00001234 \\(deleted\\)"));
}

TEST_P(ShmTest, AttachSaysWhyNot) {
  const int64_t id = Get(0, 2 * kPageSize);
  EXPECT_EQ(At(-1), Err(Errno::kEINVAL));
  EXPECT_EQ(At(77), Err(Errno::kEINVAL));
  EXPECT_EQ(At(id, 0x10000001), Err(Errno::kEINVAL));
  EXPECT_EQ(At(id, 0, 040000), Err(Errno::kEINVAL));  // SHM_REMAP without an address
  EXPECT_EQ(At(id, 0x10000001, 020000), 0x10000000);  // SHM_RND
  EXPECT_EQ(At(id, 0x10001000), Err(Errno::kEINVAL));
  EXPECT_EQ(At(id, 0x10001000, 040000), 0x10001000);
  EXPECT_EQ(Attached(id), 2u);
}

TEST_P(ShmTest, ReadOnlyIsReadOnly) {
  const int64_t at = At(Get(0, kPageSize), 0, 010000);
  EXPECT_EQ(Store(*task, static_cast<uint64_t>(at), 1).signal.code, kSegvAccerr);
  EXPECT_EQ(Call(Sys::k_mprotect, {static_cast<uint64_t>(at), kPageSize, 3}), Err(Errno::kEACCES));
}

TEST_P(ShmTest, DetachTakesEveryPiece) {
  const int64_t id = Get(0, 4 * kPageSize);
  const uint64_t at = static_cast<uint64_t>(At(id));
  ASSERT_EQ(Call(Sys::k_mprotect, {at + kPageSize, kPageSize, 1}), 0);
  EXPECT_EQ(Attached(id), 3u);
  EXPECT_EQ(Call(Sys::k_shmdt, {at + kPageSize}), Err(Errno::kEINVAL));
  EXPECT_EQ(Call(Sys::k_shmdt, {at + 1}), Err(Errno::kEINVAL));
  EXPECT_EQ(Call(Sys::k_shmdt, {at}), 0);
  EXPECT_EQ(Attached(id), 0u);
  EXPECT_THAT(Maps(), testing::Not(testing::HasSubstr("SYSV")));
}

TEST_P(ShmTest, RemovedWithItsLastAttachment) {
  const int64_t id = Get(0x77, kPageSize);
  const uint64_t at = static_cast<uint64_t>(At(id));
  const int64_t child = Call(Sys::k_clone, {17, 0, 0, 0, 0});
  EXPECT_EQ(Attached(id), 2u);
  EXPECT_EQ(Call(Sys::k_shmctl, {static_cast<uint64_t>(id), 0, 0}), 0);
  EXPECT_EQ(Get(0x77, kPageSize, 0), Err(Errno::kENOENT));
  EXPECT_EQ(Call(Sys::k_shmdt, {at}), 0);
  EXPECT_NE(kernel->shm().Find(static_cast<int>(id)), nullptr);
  kernel->Kill(*kernel->FindTask(static_cast<int>(child)), kSigKill);
  EXPECT_EQ(kernel->shm().Find(static_cast<int>(id)), nullptr);
  EXPECT_EQ(Call(Sys::k_shmctl, {static_cast<uint64_t>(id), 0, 0}), Err(Errno::kEINVAL));
}

}  // namespace
}  // namespace mmsim
