// SPDX-License-Identifier: Apache-2.0
// Descriptors and files, as far as mappings need them; errno by errno.
#include "sim/kernel/arch/abi.h"
#include "sim/kernel/uapi.h"
#include "tests/kernel/kernel_fixture.h"

namespace mmsim {
namespace {

constexpr uint64_t kCwd = static_cast<uint64_t>(-100);

class FilesTest : public KernelTest {
 protected:
  int64_t Open(std::string_view path, uint64_t flags, uint64_t mode = 0755) {
    return Call(Sys::k_openat, {kCwd, 1, flags, mode}, {{1, path}});
  }
  uint64_t Memfd(uint64_t flags = 0) {
    const int64_t fd = Call(Sys::k_memfd_create, {1, flags}, {{0, "m"}});
    EXPECT_GE(fd, 0);
    return static_cast<uint64_t>(fd);
  }
  int64_t MapFile(uint64_t fd, uint64_t prot, uint64_t flags, uint64_t offset = 0, uint64_t len = kPageSize) {
    return Call(Sys::k_mmap, {0, len, prot, flags, fd, offset});
  }
};
MMSIM_FOR_BOTH_ARCHITECTURES(FilesTest);

// Linux: fs/namei.c do_open(), may_open(), fs/open.c build_open_flags()
TEST_P(FilesTest, DirectoriesAreToldFromFiles) {
  const uint64_t directory = abi::ODirectory(GetParam());
  FileFacts facts;
  facts.kind = InodeKind::kOther;
  facts.directory = true;
  kernel->vfs().Add("/d", facts);
  EXPECT_EQ(Open("/dev/zero", directory), -20);           // ENOTDIR
  EXPECT_EQ(Open("/d", kOCreat | directory), -22);        // EINVAL
  EXPECT_EQ(Open("/d", kORdwr), -21);                     // EISDIR
  EXPECT_EQ(Open("/d", kOCreat), -21);                    // EISDIR
  EXPECT_EQ(Open("/d", kOCreat | kOExcl | kORdwr), -17);  // EEXIST
  const int64_t fd = Open("/d", directory);
  EXPECT_EQ(fd, 0);
  EXPECT_EQ(MapFile(0, 1, 2), -19);  // ENODEV
}

// Linux: fs/namei.c do_mkdirat(), do_rmdir(), do_unlinkat(), path_openat()
TEST_P(FilesTest, DirectoriesAreMadeAndRemoved) {
  constexpr uint64_t kRemove = 0x200;
  const auto at = [&](Sys nr, std::string_view path, uint64_t more) {
    return Call(nr, {kCwd, 1, more}, {{1, path}});
  };
  kernel->vfs().DeclareDirectory("/");
  EXPECT_EQ(Open("/d/f", kOCreat | kORdwr), Err(Errno::kENOENT));
  EXPECT_EQ(at(Sys::k_mkdirat, "/d/e", 0755), Err(Errno::kENOENT));
  EXPECT_EQ(at(Sys::k_mkdirat, "/d", 0755), 0);
  EXPECT_EQ(at(Sys::k_mkdirat, "/d", 0755), Err(Errno::kEEXIST));
  EXPECT_EQ(Open("/d/f", kOCreat | kORdwr), 0);
  EXPECT_EQ(at(Sys::k_mkdirat, "/d/f", 0755), Err(Errno::kEEXIST));
  EXPECT_EQ(at(Sys::k_mkdirat, "/d/f/g", 0755), Err(Errno::kENOTDIR));
  EXPECT_EQ(at(Sys::k_unlinkat, "/d", 0), Err(Errno::kEISDIR));
  EXPECT_EQ(at(Sys::k_unlinkat, "/d", kRemove), Err(Errno::kENOTEMPTY));
  EXPECT_EQ(at(Sys::k_unlinkat, "/d/f", kRemove), Err(Errno::kENOTDIR));
  EXPECT_EQ(at(Sys::k_unlinkat, "/d/f", 0), 0);
  EXPECT_EQ(at(Sys::k_unlinkat, "/d", kRemove), 0);
  EXPECT_EQ(at(Sys::k_unlinkat, "/d", kRemove), Err(Errno::kENOENT));
  EXPECT_EQ(Call(Sys::k_openat, {0, 1, 0, 0}, {{1, "x"}}), Err(Errno::kENOTDIR));
  EXPECT_EQ(Call(Sys::k_read, {static_cast<uint64_t>(Open("/", 0)), 0x400000, 1}), Err(Errno::kEISDIR));
}

TEST_P(FilesTest, TheLowestFreeDescriptorIsGiven) {
  EXPECT_EQ(Open("/dev/zero", 0), 0);
  EXPECT_EQ(Open("/dev/zero", 0), 1);
  EXPECT_EQ(Call(Sys::k_dup, {0}), 2);
  EXPECT_EQ(Call(Sys::k_close, {1}), 0);
  EXPECT_EQ(Call(Sys::k_close, {1}), Err(Errno::kEBADF));
  EXPECT_EQ(Call(Sys::k_dup3, {0, 7, 0}), 7);
  EXPECT_EQ(Call(Sys::k_dup3, {0, 0, 0}), Err(Errno::kEINVAL));
  EXPECT_EQ(Call(Sys::k_dup3, {0, 1, 1}), Err(Errno::kEINVAL));
  EXPECT_EQ(Call(Sys::k_dup3, {0, 5000, 0}), Err(Errno::kEBADF));
  EXPECT_EQ(Call(Sys::k_fcntl, {0, 0, 5}), 5);  // F_DUPFD
  EXPECT_EQ(Call(Sys::k_fcntl, {0, 0, 5}), 6);
  EXPECT_EQ(Call(Sys::k_fcntl, {99, 1}), Err(Errno::kEBADF));
  EXPECT_EQ(Call(Sys::k_close_range, {5, 100, 0}), 0);
  EXPECT_EQ(Call(Sys::k_fcntl, {7, 1}), Err(Errno::kEBADF));
  EXPECT_EQ(Call(Sys::k_close_range, {5, 4, 0}), Err(Errno::kEINVAL));
}

TEST_P(FilesTest, OpenSaysWhyNot) {
  EXPECT_EQ(Open("/none", 0), Err(Errno::kENOENT));
  EXPECT_EQ(Open("", 0), Err(Errno::kENOENT));
  EXPECT_EQ(Open(std::string(4096, 'x'), 0), Err(Errno::kENAMETOOLONG));
  EXPECT_EQ(Call(Sys::k_openat, {55, 1, 0}, {{1, "relative"}}), Err(Errno::kEBADF));
  EXPECT_EQ(Open("/victim", kOCreat | kOExcl), Err(Errno::kEEXIST));
  EXPECT_EQ(Open("/victim", abi::ODirectory(GetParam())), Err(Errno::kENOTDIR));
  task->signal->rlimits[Rlimit::kNofile].cur = 0;
  EXPECT_EQ(Open("/victim", 0), Err(Errno::kEMFILE));
}

TEST_P(FilesTest, WhatARecordingMayHaveHadIsNoEnoent) {
  Boot(true);
  EXPECT_EQ(CallWith(*task, Sys::k_openat, {kCwd, 1, 0}, {{1, "/etc/ld.so.cache"}}).status,
            SyscallResult::Status::kNotModelled);
  kernel->InstallFd(*task, 3, "/etc/ld.so.cache", 0);
  EXPECT_GT(MapFile(3, 1, 2, 0, 0x10000), 0);
  EXPECT_THAT(Maps(), testing::HasSubstr("/etc/ld.so.cache\n"));
}

TEST_P(FilesTest, WritesAndMappingsSeeEachOther) {
  const int64_t fd = Open("/dev/shm/f", kOCreat | kORdwr);
  ASSERT_GE(fd, 0);
  const uint64_t f = static_cast<uint64_t>(fd);
  EXPECT_EQ(Call(Sys::k_write, {f, 1, 5}, {{1, "hello"}}), 5);
  const int64_t at = MapFile(f, 3, 1);
  ASSERT_GT(at, 0);
  EXPECT_EQ(LoadByte(*task, static_cast<uint64_t>(at)), 'h');
  ASSERT_TRUE(Store(*task, static_cast<uint64_t>(at), 'J').ok());
  const int64_t buffer = Call(Sys::k_mmap, {0, kPageSize, 3, 0x22, ~uint64_t{0}, 0});
  EXPECT_EQ(Call(Sys::k_pread64, {f, static_cast<uint64_t>(buffer), 100, 0}), 5);
  EXPECT_EQ(LoadByte(*task, static_cast<uint64_t>(buffer)), 'J');
  EXPECT_EQ(Call(Sys::k_lseek, {f, 0, 2}), 5);
  EXPECT_EQ(Call(Sys::k_lseek, {f, ~uint64_t{0}, 0}), Err(Errno::kEINVAL));
  EXPECT_EQ(Call(Sys::k_read, {f, 0x10000, 1}), 0);  // at the end nothing is copied
  EXPECT_EQ(Call(Sys::k_pread64, {f, 0x10000, 1, 0}), Err(Errno::kEFAULT));
  EXPECT_EQ(Call(Sys::k_pread64, {f, 0x10000, 1, ~uint64_t{0}}), Err(Errno::kEINVAL));
}

TEST_P(FilesTest, MmapOfAFileChecksHowItIsOpen) {
  AddFile("/data", std::string(5000, 'd'));
  const uint64_t ro = static_cast<uint64_t>(Open("/data", kORdonly)),
                 wo = static_cast<uint64_t>(Open("/data", kOWronly));
  EXPECT_EQ(MapFile(99, 1, 2), Err(Errno::kEBADF));
  EXPECT_EQ(MapFile(ro, 1, 2, 1), Err(Errno::kEINVAL));
  EXPECT_EQ(MapFile(wo, 1, 2), Err(Errno::kEACCES));
  EXPECT_EQ(MapFile(ro, 3, 1), Err(Errno::kEACCES));
  EXPECT_GT(MapFile(ro, 3, 2), 0);
  EXPECT_GT(MapFile(ro, 1, 1), 0);
  EXPECT_EQ(MapFile(static_cast<uint64_t>(Open("/dev/null", kORdwr)), 1, 2), Err(Errno::kENODEV));
  EXPECT_EQ(MapFile(static_cast<uint64_t>(Open("/data", kOPath)), 1, 2), Err(Errno::kEBADF));
}

TEST_P(FilesTest, MemfdNamesAndFlags) {
  EXPECT_EQ(Call(Sys::k_memfd_create, {1, 32}, {{0, "m"}}), Err(Errno::kEINVAL));
  EXPECT_EQ(Call(Sys::k_memfd_create, {1, 24}, {{0, "m"}}), Err(Errno::kEINVAL));
  EXPECT_EQ(Call(Sys::k_memfd_create, {1, 0}, {{0, std::string(250, 'm')}}), Err(Errno::kEINVAL));
  EXPECT_EQ(Call(Sys::k_memfd_create, {1, 0}, {{0, std::string(249, 'm')}}), 0);
  EXPECT_EQ(Call(Sys::k_memfd_create, {0x10000, 0}), Err(Errno::kEFAULT));
  const uint64_t fd = Memfd();
  ASSERT_EQ(Call(Sys::k_ftruncate, {fd, kPageSize}), 0);
  ASSERT_GT(MapFile(fd, 3, 1), 0);
  EXPECT_THAT(Maps(), testing::ContainsRegex("rw-s 00000000 00:01 [0-9]+ +/memfd:m \\(deleted\\)"));
}

TEST_P(FilesTest, Seals) {
  EXPECT_EQ(Call(Sys::k_fcntl, {Memfd(), 1034}), 1);  // F_GET_SEALS: F_SEAL_SEAL
  const uint64_t fd = Memfd(2);                       // MFD_ALLOW_SEALING
  ASSERT_EQ(Call(Sys::k_ftruncate, {fd, 2 * kPageSize}), 0);
  EXPECT_EQ(Call(Sys::k_fcntl, {fd, 1033, 64}), Err(Errno::kEINVAL));
  EXPECT_EQ(Call(Sys::k_fcntl, {fd, 1033, 2}), 0);  // F_SEAL_SHRINK
  EXPECT_EQ(Call(Sys::k_ftruncate, {fd, kPageSize}), Err(Errno::kEPERM));
  const int64_t at = MapFile(fd, 3, 1);
  ASSERT_GT(at, 0);
  EXPECT_EQ(Call(Sys::k_fcntl, {fd, 1033, 8}),
            Err(Errno::kEBUSY));  // F_SEAL_WRITE while it is mapped writable
  ASSERT_EQ(Call(Sys::k_munmap, {static_cast<uint64_t>(at), kPageSize}), 0);
  EXPECT_EQ(Call(Sys::k_fcntl, {fd, 1033, 8 | 1}), 0);
  EXPECT_EQ(Call(Sys::k_fcntl, {fd, 1034}), 11);
  EXPECT_EQ(MapFile(fd, 3, 1), Err(Errno::kEPERM));
  EXPECT_EQ(Call(Sys::k_write, {fd, 1, 1}, {{1, "x"}}), Err(Errno::kEPERM));
  EXPECT_EQ(Call(Sys::k_fcntl, {fd, 1033, 4}), Err(Errno::kEPERM));
}

TEST_P(FilesTest, TruncationTakesPagesFromMappings) {
  const uint64_t fd = Memfd();
  ASSERT_EQ(Call(Sys::k_ftruncate, {fd, 2 * kPageSize}), 0);
  const uint64_t at = static_cast<uint64_t>(MapFile(fd, 3, 1, 0, 2 * kPageSize));
  ASSERT_TRUE(Store(*task, at + kPageSize, 1).ok());
  ASSERT_EQ(Call(Sys::k_ftruncate, {fd, kPageSize}), 0);
  EXPECT_EQ(Store(*task, at + kPageSize, 1).signal.signo, kSigBus);
  EXPECT_EQ(Call(Sys::k_ftruncate, {fd, ~uint64_t{0}}), Err(Errno::kEINVAL));
  EXPECT_EQ(Call(Sys::k_ftruncate, {99, 0}), Err(Errno::kEBADF));
}

TEST_P(FilesTest, Fallocate) {
  const uint64_t fd = Memfd();
  EXPECT_EQ(Call(Sys::k_fallocate, {fd, 0, 0, 0}), Err(Errno::kEINVAL));
  EXPECT_EQ(Call(Sys::k_fallocate, {fd, 2, 0, 4096}), Err(Errno::kEOPNOTSUPP));  // a hole needs KEEP_SIZE
  EXPECT_EQ(Call(Sys::k_fallocate, {fd, 16, 0, 4096}), Err(Errno::kEOPNOTSUPP));
  EXPECT_EQ(Call(Sys::k_fallocate, {99, 0, 0, 4096}), Err(Errno::kEBADF));
  EXPECT_EQ(Call(Sys::k_fallocate, {fd, 0, 0, 2 * kPageSize}), 0);
  const uint64_t at = static_cast<uint64_t>(MapFile(fd, 3, 1, 0, 2 * kPageSize));
  ASSERT_TRUE(Store(*task, at, 9).ok());
  EXPECT_EQ(Call(Sys::k_fallocate, {fd, 3, 0, kPageSize}), 0);
  EXPECT_EQ(LoadByte(*task, at), 0);
}

TEST_P(FilesTest, DeletedFilesSaySo) {
  const int64_t fd = Open("/dev/shm/gone", kOCreat | kORdwr);
  ASSERT_EQ(Call(Sys::k_ftruncate, {static_cast<uint64_t>(fd), kPageSize}), 0);
  ASSERT_GT(MapFile(static_cast<uint64_t>(fd), 1, 1), 0);
  EXPECT_THAT(Maps(), testing::HasSubstr("/dev/shm/gone\n"));
  EXPECT_EQ(Call(Sys::k_unlinkat, {kCwd, 1, 0}, {{1, "/dev/shm/gone"}}), 0);
  EXPECT_THAT(Maps(), testing::HasSubstr("/dev/shm/gone (deleted)\n"));
  EXPECT_EQ(Call(Sys::k_unlinkat, {kCwd, 1, 0}, {{1, "/dev/shm/gone"}}), Err(Errno::kENOENT));
}

}  // namespace
}  // namespace mmsim
