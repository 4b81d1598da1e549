// SPDX-License-Identifier: Apache-2.0
// How a log goes on where nothing but its own lines says what the address space was.
#include "sim/scenario/runner.h"

#include <gtest/gtest.h>

#include "sim/kernel/procfs.h"

namespace mmsim::scenario {
namespace {

// The first recorded address fixes where mappings go, and what the model had chosen is not left behind.
TEST(Runner, AnAslrLogFixesItsOwnLayout) {
  auto scenario = Scenario::FromText(
      "7 mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f1234560000\n"
      "7 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f123455f000\n",
      "aslr");
  ASSERT_TRUE(scenario.ok()) << scenario.status();
  RunnerOptions options;
  options.kernel.open_world = true;
  Runner runner(**scenario, options);
  ASSERT_TRUE(runner.RunAll().ok());
  EXPECT_TRUE(runner.mismatches().empty());
  EXPECT_EQ(MapsText(runner.kernel(), *runner.kernel().FindTask(7)),
            "7f123455f000-7f1234560000 r--p 00000000 00:00 0 \n"
            "7f1234560000-7f1234562000 rw-p 00000000 00:00 0 \n");
}

// A second address that the model does not give is a mismatch, and the run goes on from the recorded one.
TEST(Runner, AMismatchIsReportedAndFollowed) {
  auto scenario = Scenario::FromText(
      "7 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f1234560000\n"
      "7 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f1200000000\n"
      "7 munmap(0x7f1200000000, 4096) = 0\n",
      "mismatch");
  ASSERT_TRUE(scenario.ok()) << scenario.status();
  RunnerOptions options;
  options.kernel.open_world = true;
  Runner runner(**scenario, options);
  ASSERT_TRUE(runner.RunAll().ok());
  ASSERT_EQ(runner.mismatches().size(), 1u);
  EXPECT_EQ(runner.mismatches()[0].where.line, 2u);
  EXPECT_EQ(MapsText(runner.kernel(), *runner.kernel().FindTask(7)),
            "7f1234560000-7f1234561000 r--p 00000000 00:00 0 \n");
}

size_t MismatchesOf(const std::string& log, RunnerOptions options = {}) {
  auto scenario = Scenario::FromText(log, "log");
  EXPECT_TRUE(scenario.ok()) << scenario.status();
  options.kernel.open_world = true;
  Runner runner(**scenario, options);
  EXPECT_TRUE(runner.RunAll().ok());
  return runner.mismatches().size();
}

// Number 3 is in use from before the log: nothing ever says otherwise, or it is used later.
TEST(Runner, ADescriptorFromBeforeTheLogIsPassedOver) {
  EXPECT_EQ(MismatchesOf("7 openat(AT_FDCWD</>, \"/a\", O_RDONLY) = 4</a>\n"), 0u);
  EXPECT_EQ(MismatchesOf("7 openat(AT_FDCWD</>, \"/a\", O_RDONLY) = 4</a>\n"
                         "7 close(3<socket:[1]>) = 0\n"
                         "7 dup(4</a>) = 3</a>\n"),
            0u);
}

TEST(Runner, ANumberThatIsFreeIsNotPassedOver) {
  EXPECT_EQ(MismatchesOf("7 openat(AT_FDCWD</>, \"/a\", O_RDONLY) = 4</a>\n"
                         "7 openat(AT_FDCWD</>, \"/b\", O_RDONLY) = 3</b>\n"),
            1u);
  EXPECT_EQ(MismatchesOf("7 openat(AT_FDCWD</>, \"/a\", O_RDONLY) = 3</a>\n"
                         "7 close(3</a>) = 0\n"
                         "7 openat(AT_FDCWD</>, \"/b\", O_RDONLY) = 4</b>\n"),
            1u);
}

// Files come and go by calls that the log does not have; what a call says of a path is believed.
TEST(Runner, PathsAreTheLogsToSay) {
  EXPECT_EQ(MismatchesOf("7 openat(AT_FDCWD</>, \"/l\", O_RDWR|O_CREAT|O_EXCL, 0600) = 3</l>\n"
                         "7 close(3</l>) = 0\n"
                         "7 openat(AT_FDCWD</>, \"/l\", O_RDWR|O_CREAT|O_EXCL, 0600) = 3</l>\n"
                         "7 openat(AT_FDCWD</>, \"/d\", O_RDONLY) = 4</d>\n"
                         "7 openat(AT_FDCWD</>, \"/d\", O_RDONLY|O_DIRECTORY) = 5</d>\n"
                         "7 openat(AT_FDCWD</>, \"/d\", O_RDONLY) = -1 ENOENT (No such file or directory)\n"),
            0u);
}

// Linux: arch/x86/include/asm/pkeys.h mm_pkey_alloc()
TEST(Runner, PkeyAllocOnAProcessorWithoutKeys) {
  const std::string none = "7 pkey_alloc(0, 0) = -1 ENOSPC (No space left on device)\n";
  RunnerOptions options;
  options.kernel.pkeys = false;
  EXPECT_EQ(MismatchesOf(none, options), 0u);
  options.kernel.profile = "6.18";
  EXPECT_EQ(MismatchesOf("7 pkey_alloc(0, 0) = -1 EINVAL (Invalid argument)\n" + none, options), 0u);
}

TEST(Runner, CallsByNumberAreCarriedOut) {
  EXPECT_EQ(
      MismatchesOf("7 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f1234560000\n"
                   "7 syscall_0x1ce(0x7f1234560000, 0x1000, 0, 0, 0, 0) = 0\n"
                   "7 mprotect(0x7f1234560000, 4096, PROT_NONE) = -1 EPERM (Operation not permitted)\n"),
      0u);
}

}  // namespace
}  // namespace mmsim::scenario
