// SPDX-License-Identifier: Apache-2.0
// What a file says, held against a real kernel: what is so passes, what is not is reported with its line.
#include "sim/scenario/run_on_guest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>

#include "fmt/format.h"

namespace mmsim::scenario {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// "LINE: ACTUAL" of each mismatch, or the error.
std::vector<std::string> RunText(guest::Guest& guest, const std::string& text, uint64_t* untold = nullptr) {
  const auto scenario = Scenario::FromText(text, "t");
  if (!scenario.ok()) return {std::string(scenario.status().message())};
  const absl::StatusOr<GuestRunResult> result = RunOnGuest(guest, **scenario, {});
  if (!result.ok()) return {std::string(result.status().message())};
  if (untold != nullptr) *untold = result->untold;
  std::vector<std::string> found;
  for (const Mismatch& m : result->mismatches) found.push_back(fmt::format("{}: {}", m.where.line, m.actual));
  return found;
}

constexpr const char* kMap =
    "100 mmap(NULL, 0x2000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = $a\n"
    "100 store($a, \"before\") = 6\n"
    "100 fork() = 101\n";

TEST(RunOnGuest, ChecksWhatTheFileSays) {
  const absl::StatusOr<std::unique_ptr<guest::Guest>> booted = guest::Guest::Boot({.image = {}});
  if (!booted.ok()) {
    std::cout << "not carried out: " << booted.status() << "\n";
    return;
  }
  guest::Guest& guest = **booted;
  uint64_t untold = 0;
  EXPECT_THAT(
      RunText(guest,
              std::string(kMap) + "expect frame 100:$a == 101:$a\n"
                                  "101 store($a, \"after!\") = 6\n"
                                  "expect frame 100:$a != 101:$a\n"
                                  "expect 101 pagemap $a { present exclusive }\n"
                                  "expect 101 pagecount $a 1\n"
                                  "expect 101 pageflags $a { ANON SWAPBACKED !ZERO_PAGE }\n"
                                  "expect 101 smaps $a { Rss: 4 kB }\n"
                                  "expect 101 maps $a-$a+0x2000 { $a-$a+0x2000 rw-p }\n"
                                  "expect 100 counters { map_count: 5  RssAnon: 12 kB  stack_vm: 33 }\n"
                                  "100 load(0x10, 1) = ?\n"
                                  "100 --- SIGSEGV {si_code=SEGV_MAPERR, si_addr=0x10} ---\n"
                                  "expect 100 error_code 0x4\n"
                                  "101 exit_group(3) = ?\n"
                                  "101 +++ exited with 3 +++\n"
                                  "expect 100 bytes $a \"nonsense\"\n",
              &untold),
      IsEmpty());
  EXPECT_EQ(untold, 1u) << "bytes are not told, and not claimed to be checked";
  EXPECT_THAT(RunText(guest, std::string(kMap) + "expect frame 100:$a != 101:$a\n"), testing::SizeIs(1));
  EXPECT_THAT(RunText(guest, std::string(kMap) + "100 munmap($a+1, 0x1000) = 0\n"),
              ElementsAre("4: = -1 EINVAL"));
  EXPECT_THAT(RunText(guest, std::string(kMap) + "101 load($a, 6) = \"after!\"\n"),
              ElementsAre("4: \"before\""));
  EXPECT_THAT(RunText(guest, std::string(kMap) + "101 +++ exited with 0 +++\n"),
              ElementsAre("4: the process lives"));
  EXPECT_THAT(RunText(guest, std::string(kMap) + "100 load(0x10, 1) = ?\n"),
              ElementsAre("4: --- SIGSEGV {si_code=SEGV_MAPERR, si_addr=0x10} ---"));
  EXPECT_THAT(RunText(guest, std::string(kMap) + "expect 100 counters { map_count: 6 }\n"),
              ElementsAre("4: 5"));
  // A line before the first process, and a call that is given a name behind it.
  EXPECT_THAT(RunText(guest, std::string("set max_map_count 1000\n") + kMap +
                                 "expect 100 maps $a-$a+0x2000 { $a-$a+0x2000 rw-p }\n"),
              IsEmpty());
}

}  // namespace
}  // namespace mmsim::scenario
