// SPDX-License-Identifier: Apache-2.0
#include "sim/guest/initramfs.h"

#include <gtest/gtest.h>

#include "sim/guest/subprocess.h"

namespace mmsim::guest {
namespace {

TEST(Initramfs, EntriesFollowTheNewcFormat) {
  const std::string archive = MakeArchive({{.name = "a", .mode = 0100644, .data = "12345"}});
  // The header of 110 bytes, the name and its NUL, padded to 4; the data, padded to 4; the trailer.
  ASSERT_GT(archive.size(), 112u + 8 + 110);
  EXPECT_EQ(archive.size() % 4, 0u);
  EXPECT_EQ(archive.substr(0, 6), "070701");
  EXPECT_EQ(archive.substr(14, 8), "000081a4");
  EXPECT_EQ(archive.substr(54, 8), "00000005");
  EXPECT_EQ(archive.substr(94, 8), "00000002");
  EXPECT_EQ(archive.substr(110, 2), std::string("a\0", 2));
  EXPECT_EQ(archive.substr(112, 8), std::string("12345\0\0\0", 8));
  EXPECT_EQ(archive.substr(120, 6), "070701");
  EXPECT_NE(archive.find("TRAILER!!!"), std::string::npos);
}

TEST(Subprocess, ArgumentsAreNoShellCommands) {
  absl::StatusOr<ProgramResult> result = RunProgram({"printf", "%s", "$HOME; `id` | cat"});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_status, 0);
  EXPECT_EQ(result->output, "$HOME; `id` | cat");
}

TEST(Subprocess, AProgramThatIsNowhereIsNamed) {
  absl::StatusOr<ProgramResult> result = RunProgram({"no-such-program-at-all"});
  ASSERT_TRUE(absl::IsNotFound(result.status()));
  EXPECT_EQ(result.status().message(), "no-such-program-at-all is not installed");
}

TEST(Subprocess, ExitStatusAndSignalAreTold) {
  EXPECT_EQ(RunProgram({"sh", "-c", "exit 7"})->exit_status, 7);
  EXPECT_EQ(RunProgram({"sh", "-c", "kill -9 $$"})->exit_status, 128 + 9);
}

}  // namespace
}  // namespace mmsim::guest
