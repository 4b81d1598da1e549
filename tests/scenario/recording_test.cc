// SPDX-License-Identifier: Apache-2.0
// Recording folders: what is read of them, what is forgiven, what is an error.
#include "sim/scenario/recording.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace mmsim::scenario {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kMaps[] =
    "555555554000-555555558000 r--p 00000000 fe:00 12                         /usr/bin/a b\n"
    "7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0                          [stack]\n";

// A folder that lives as long as the test.
class Folder {
 public:
  Folder() {
    std::string name = testing::TempDir() + "/recordingXXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path_); }
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ + "/" + name) << text;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(Recording, FilesGoToTheirProcesses) {
  Folder folder;
  folder.Write("strace.log", "12 exit_group(0) = ?\n");
  folder.Write("start.12", kMaps);
  folder.Write("start.12.3", kMaps);
  folder.Write("end.13", kMaps);
  for (const char* other :
       {"start.x", "start.12.", "start.12.3.4", "end.13.2", "start", "end.", "end.0", "README"}) {
    folder.Write(other, "nothing of ours");
  }
  const absl::StatusOr<Recording> recording = LoadRecording(folder.path());
  ASSERT_TRUE(recording.ok()) << recording.status();
  EXPECT_EQ(recording->log, folder.path() + "/strace.log");
  EXPECT_FALSE(recording->has_env);
  ASSERT_EQ(recording->processes.size(), 2u);
  ASSERT_NE(recording->Start(12, 1), nullptr);
  ASSERT_NE(recording->Start(12, 3), nullptr);
  EXPECT_EQ(recording->Start(12, 2), nullptr);
  EXPECT_EQ(recording->End(12), nullptr);
  EXPECT_EQ(recording->Start(13, 1), nullptr);
  ASSERT_NE(recording->End(13), nullptr);
  EXPECT_EQ(recording->End(14), nullptr);
  const RecordedListing& listing = *recording->End(13);
  EXPECT_EQ(listing.text, kMaps);
  ASSERT_EQ(listing.lines.size(), 2u);
  EXPECT_EQ(listing.lines[0].start, 0x555555554000u);
  EXPECT_EQ(listing.lines[0].end, 0x555555558000u);
  EXPECT_STREQ(listing.lines[0].perms, "r--p");
  EXPECT_EQ(listing.lines[0].dev_major, 0xfeu);
  EXPECT_EQ(listing.lines[0].name, "/usr/bin/a b");
  EXPECT_EQ(listing.lines[1].name, "[stack]");
}

TEST(Recording, APlainLogIsPreferredToACompressedOne) {
  Folder folder;
  folder.Write("strace.log.gz", "");
  EXPECT_EQ(LoadRecording(folder.path())->log, folder.path() + "/strace.log.gz");
  folder.Write("strace.log", "");
  EXPECT_EQ(LoadRecording(folder.path())->log, folder.path() + "/strace.log");
}

TEST(Recording, AFolderWithoutALogIsNone) {
  Folder folder;
  folder.Write("end.12", kMaps);
  EXPECT_EQ(LoadRecording(folder.path()).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(LoadRecording(folder.path() + "/none").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(LoadRecording(folder.path() + "/end.12").status().code(), absl::StatusCode::kNotFound);
}

TEST(Recording, ABadListingIsNamedWithItsLine) {
  Folder folder;
  folder.Write("strace.log", "");
  folder.Write("end.12", std::string(kMaps) + "555-444 rw-p\n");
  const absl::Status status = LoadRecording(folder.path()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(folder.path() + "/end.12:3:1: expected"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("\n  555-444 rw-p\n  ^"));
}

TEST(RecordingEnv, AsRecordWritesIt) {
  const RecordedEnv env = ParseEnv(
      "architecture x86_64\nkernel 6.12.117+deb12-cloud-amd64\nkernel_version #1 SMP Debian\npage_size 4096\n"
      "personality 0x40000\nRLIMIT_STACK 8388608 unlimited\nRLIMIT_AS unlimited unlimited\novercommit_memory "
      "2\n"
      "max_map_count 65530\nthp madvise\nMemTotal 2022016 kB\ncpu_flags pku ospke\n"
      "address_sizes 40 bits physical, 48 bits virtual\nfilesystem fe:00 ext4\ncapabilities "
      "000001ffffffffff\n",
      "env");
  EXPECT_EQ(env.arch, Arch::kX86_64);
  EXPECT_EQ(env.kernel, "6.12.117+deb12-cloud-amd64");
  EXPECT_EQ(env.thp, "madvise");
  EXPECT_EQ(env.Limit("RLIMIT_STACK"), (RecordedLimit{8388608, RecordedLimit::kUnlimited}));
  EXPECT_EQ(env.Limit("RLIMIT_AS"), RecordedLimit{});
  EXPECT_EQ(env.Limit("RLIMIT_DATA"), std::nullopt);
  EXPECT_EQ(env.Number("page_size"), 4096u);
  EXPECT_EQ(env.Number("personality"), 0x40000u);
  EXPECT_EQ(env.Number("overcommit_memory"), 2u);
  EXPECT_EQ(env.Number("memtotal"), 2022016u);
  EXPECT_EQ(env.Number("virtual_bits"), 48u);
  EXPECT_EQ(env.Number("capabilities"), 0x1ffffffffffu);
  EXPECT_EQ(env.Number("overcommit_ratio"), std::nullopt);
  EXPECT_EQ(env.filesystems.at("fe:00"), "ext4");
  EXPECT_THAT(env.cpu_flags, ElementsAre("ospke", "pku"));
  EXPECT_THAT(env.warnings, IsEmpty());
}

TEST(RecordingEnv, AsAShellWritesIt) {
  const RecordedEnv env = ParseEnv(
      "Linux host 6.18.44 #1 SMP PREEMPT_DYNAMIC aarch64 GNU/Linux\n"
      "vm.overcommit_memory = 1\n"
      "/proc/sys/vm/max_map_count:1234\n"
      "mmap_min_addr=65536\n"
      "Max stack size            16777216             unlimited            bytes     \n"
      "max locked memory           (kbytes, -l) 64\n"
      "open files                          (-n) 1024\n"
      "personality=00040000\n"
      "THP: always [madvise] never\n"
      "something else that nobody knows\n"
      "\n# a comment\n",
      "env");
  EXPECT_EQ(env.arch, Arch::kArm64);
  EXPECT_EQ(env.kernel, "6.18.44");
  EXPECT_EQ(env.Number("overcommit_memory"), 1u);
  EXPECT_EQ(env.Number("max_map_count"), 1234u);
  EXPECT_EQ(env.Number("mmap_min_addr"), 65536u);
  EXPECT_EQ(env.Limit("RLIMIT_STACK"), (RecordedLimit{16777216, RecordedLimit::kUnlimited}));
  EXPECT_EQ(env.Limit("RLIMIT_MEMLOCK"), (RecordedLimit{65536, RecordedLimit::kUnlimited}));
  EXPECT_EQ(env.Limit("RLIMIT_NOFILE"), (RecordedLimit{1024, RecordedLimit::kUnlimited}));
  EXPECT_EQ(env.Number("personality"), 0x40000u);
  EXPECT_EQ(env.thp, "madvise");
  EXPECT_THAT(env.warnings, IsEmpty());
}

TEST(RecordingEnv, AValueThatIsNoneIsAWarning) {
  const RecordedEnv env =
      ParseEnv("kernel 6.12\nmax_map_count many\nRLIMIT_AS big\narchitecture m68k\n", "r/env");
  EXPECT_THAT(env.warnings, ElementsAre("r/env:2: max_map_count: no such value: many",
                                        "r/env:3: RLIMIT_AS: no such value: big big"));
  EXPECT_EQ(env.arch, std::nullopt);
  EXPECT_EQ(env.machine, "m68k");
}

// What is committed is well formed: every process of the folder is in its log's reach, and nothing is empty.
TEST(Recording, TheCommittedOnesCanBeRead) {
  int recordings = 0;
  for (const auto& entry : fs::directory_iterator(MMSIM_SOURCE_DIR "/scenarios/recorded")) {
    if (!entry.is_directory()) continue;
    const absl::StatusOr<Recording> recording = LoadRecording(entry.path().string());
    ASSERT_TRUE(recording.ok()) << recording.status();
    ++recordings;
    EXPECT_TRUE(recording->has_env) << entry.path();
    EXPECT_TRUE(recording->env.arch.has_value()) << entry.path();
    EXPECT_THAT(recording->env.warnings, IsEmpty());
    ASSERT_FALSE(recording->processes.empty()) << entry.path();
    for (const auto& [pid, process] : recording->processes) {
      for (const auto& [nth, listing] : process.starts) EXPECT_GT(listing.lines.size(), 3u) << listing.file;
      if (process.end) {
        EXPECT_GT(process.end->lines.size(), 3u) << process.end->file;
      }
    }
  }
  EXPECT_GE(recordings, 12);
}

}  // namespace
}  // namespace mmsim::scenario
