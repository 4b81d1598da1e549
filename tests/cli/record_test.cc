// SPDX-License-Identifier: Apache-2.0
// `mmsim record` on real programs of this machine: what the folder holds afterwards, and what is refused.
#include "sim/cli/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "sim/scenario/recording.h"

namespace mmsim::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

// Runs the command in this process, as main does.
int Record(std::vector<std::string> words) {
  CLI::App app;
  int exit_status = -1;
  AddRecordCommand(app, exit_status);
  words.insert(words.begin(), "record");
  std::reverse(words.begin(), words.end());
  try {
    app.parse(words);
  } catch (const CLI::ParseError&) {
    return 2;
  }
  return exit_status;
}

std::set<std::string> FilesOf(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename().string());
  return names;
}

std::string Text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}

class RecordCommand : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(access("/usr/bin/strace", X_OK), 0) << "needs strace: apt-get install strace";
    std::string name = testing::TempDir() + "/recordXXXXXX";
    scratch_ = mkdtemp(name.data());
  }
  void TearDown() override {
    if (!scratch_.empty()) fs::remove_all(scratch_);
  }
  scenario::Recording Load(const std::string& folder) {
    absl::StatusOr<scenario::Recording> recording = scenario::LoadRecording(folder);
    EXPECT_TRUE(recording.ok()) << recording.status();
    return recording.ok() ? *std::move(recording) : scenario::Recording();
  }
  std::string scratch_;
};

TEST_F(RecordCommand, EachImageHasItsStartAndEachExitItsEnd) {
  // Three images of two processes: sh, which executes true in the end, and its child, which executes true
  // too.
  const std::string folder = scratch_ + "/new/r";
  ASSERT_EQ(Record({folder, "--hold", "1000", "--", "sh", "-c", "/bin/true; exec /bin/true one"}), 0);
  const scenario::Recording recording = Load(folder);
  EXPECT_TRUE(recording.has_env);
  EXPECT_EQ(recording.env.Number("page_size"), static_cast<uint64_t>(getpagesize()));
  EXPECT_EQ(recording.env.Number("personality").value_or(0) & 0x40000, 0x40000u);
  EXPECT_TRUE(recording.env.warnings.empty());
  ASSERT_EQ(recording.processes.size(), 2u);
  const auto& [shell, of_shell] = *recording.processes.begin();
  const auto& [child, of_child] = *std::next(recording.processes.begin());
  EXPECT_LT(shell, child);
  ASSERT_EQ(of_shell.starts.size(), 2u);
  ASSERT_EQ(of_child.starts.size(), 1u);
  ASSERT_TRUE(of_shell.end.has_value());
  ASSERT_TRUE(of_child.end.has_value());
  // Just after an exec there are the program, its interpreter and the stack; libc came later.
  EXPECT_THAT(of_shell.starts.at(1).text, Not(HasSubstr("/true")));
  EXPECT_THAT(of_shell.starts.at(1).text, Not(HasSubstr("libc.so")));
  EXPECT_THAT(of_shell.starts.at(2).text, HasSubstr("/true"));
  EXPECT_THAT(of_shell.starts.at(2).text, Not(HasSubstr("libc.so")));
  EXPECT_THAT(of_shell.end->text, HasSubstr("libc.so"));
  EXPECT_THAT(of_shell.end->text, HasSubstr("[stack]"));
  // No randomisation: the same program lies at the same place twice.
  EXPECT_EQ(of_shell.starts.at(2).lines[0].start, of_child.starts.at(1).lines[0].start);
  EXPECT_THAT(Text(folder + "/strace.log"), HasSubstr("exit_group(0)"));
}

TEST_F(RecordCommand, AProgramThatIsKilledHasNoEnd) {
  const std::string folder = scratch_ + "/r";
  ASSERT_EQ(Record({folder, "--gzip", "--", "sh", "-c", "kill -9 $$"}), 0);
  const std::set<std::string> files = FilesOf(folder);
  EXPECT_TRUE(files.contains("strace.log.gz"));
  EXPECT_FALSE(files.contains("strace.log"));
  const scenario::Recording recording = Load(folder);
  ASSERT_EQ(recording.processes.size(), 1u);
  EXPECT_EQ(recording.processes.begin()->second.starts.size(), 1u);
  EXPECT_FALSE(recording.processes.begin()->second.end.has_value());
}

TEST_F(RecordCommand, WhatCannotBeRecordedIsRefusedAndNothingIsMade) {
  EXPECT_EQ(Record({scratch_ + "/r", "--", "no-such-program-anywhere"}), 2);
  EXPECT_EQ(Record({scratch_ + "/r", "--", scratch_}), 2) << "a folder is no program";
  EXPECT_EQ(Record({scratch_ + "/r"}), 2);
  EXPECT_TRUE(FilesOf(scratch_).empty());
}

TEST_F(RecordCommand, AFolderWithSomethingInItIsLeftAlone) {
  std::ofstream(scratch_ + "/mine") << "text";
  EXPECT_EQ(Record({scratch_, "--", "true"}), 2);
  EXPECT_EQ(Record({scratch_ + "/mine", "--", "true"}), 2);
  EXPECT_EQ(FilesOf(scratch_), std::set<std::string>{"mine"});
  EXPECT_EQ(Text(scratch_ + "/mine"), "text");
}

TEST_F(RecordCommand, WithoutStraceItSaysSo) {
  const std::string path = getenv("PATH");
  setenv("PATH", scratch_.c_str(), 1);
  testing::internal::CaptureStderr();
  EXPECT_EQ(Record({scratch_ + "/r", "--", "/bin/true"}), 2);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "mmsim record: strace is not installed: apt-get install strace\n");
  setenv("PATH", path.c_str(), 1);
  EXPECT_TRUE(FilesOf(scratch_).empty());
}

}  // namespace
}  // namespace mmsim::cli
