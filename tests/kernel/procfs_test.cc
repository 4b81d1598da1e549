// SPDX-License-Identifier: Apache-2.0
// The texts of /proc: padding, names, escapes, and back.
#include "tests/kernel/kernel_fixture.h"

namespace mmsim {
namespace {

std::string Printed(const MapsLine& line) {
  std::string text;
  AppendMapsLine(line, &text);
  return text;
}

TEST(Maps, LinesGoThroughPrintingAndParsingUnchanged) {
  for (const char* text : {
           "555555554000-555555556000 r--p 00000000 fe:00 247134                     /usr/bin/cat\n",
           "7ffff7d50000-7ffff7d72000 rw-p 00000000 00:00 0 \n",
           "00400000-00401000 r-xp 00001000 08:11 12345678                           /a b (deleted)\n",
           "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n",
           "7f0000000000-7f0000001000 rw-s 123456789000 103:02 9                     /x\\012y\n",
       }) {
    MapsLine line;
    ASSERT_TRUE(ParseMapsLine(text, &line)) << text;
    EXPECT_EQ(Printed(line), text);
  }
}

TEST(Maps, WhatIsNoLine) {
  MapsLine line;
  for (const char* text :
       {"", "\n", "400000-", "401000-400000 r-xp 00000000 00:00 0", "400000-401000 rwyp 0 00:00 0",
        "400000-401000 r-xp", "400000-401000 r-xp 0 0000 0", "g-h r-xp 0 00:00 0 "}) {
    EXPECT_FALSE(ParseMapsLine(text, &line)) << text;
  }
}

class ProcTest : public KernelTest {};
MMSIM_FOR_BOTH_ARCHITECTURES(ProcTest);

TEST_P(ProcTest, SharedAnonymousMemoryIsADeletedDevZero) {
  ASSERT_GT(Call(Sys::k_mmap, {0, kPageSize, 3, 0x21, ~uint64_t{0}, 0}), 0);
  EXPECT_THAT(Maps(), testing::ContainsRegex("rw-s 00000000 00:01 [0-9]+ +/dev/zero \\(deleted\\)"));
}

TEST_P(ProcTest, TheHeapHasItsName) {
  const int64_t brk = Call(Sys::k_brk, {0});
  ASSERT_EQ(Call(Sys::k_brk, {static_cast<uint64_t>(brk) + 5000}), brk + 5000);
  EXPECT_THAT(Maps(),
              testing::HasSubstr(fmt::format("{:08x}-{:08x} rw-p 00000000 00:00 0 ", brk, brk + 0x2000)));
  EXPECT_THAT(Maps(), testing::HasSubstr(" [heap]\n"));
}

TEST_P(ProcTest, SmapsHasEveryFieldInTheKernelsOrder) {
  const std::string smaps = SmapsText(*kernel, *task);
  size_t at = 0;
  for (const char* field :
       {"Size:           ", "KernelPageSize: ", "MMUPageSize:    ", "Rss:            ", "Pss:            ",
        "Pss_Dirty:      ", "Shared_Clean:   ", "Shared_Dirty:   ", "Private_Clean:  ", "Private_Dirty:  ",
        "Referenced:     ", "Anonymous:      ", "KSM:            ", "LazyFree:       ", "AnonHugePages:  ",
        "ShmemPmdMapped: ", "FilePmdMapped:  ", "Shared_Hugetlb: ", "Private_Hugetlb:", "Swap:           ",
        "SwapPss:        ", "Locked:         ", "THPeligible:    ", "VmFlags: "}) {
    const size_t found = smaps.find(std::string("\n") + field, at);
    ASSERT_NE(found, std::string::npos) << field;
    at = found + 1;
  }
  EXPECT_THAT(smaps, testing::HasSubstr("Size:                132 kB\n"));
}

TEST_P(ProcTest, PagemapAndKpagecountTellOfSharing) {
  const uint64_t at = static_cast<uint64_t>(Call(Sys::k_mmap, {0, kPageSize, 3, 0x22, ~uint64_t{0}, 0}));
  EXPECT_EQ(Pagemap(*task, VirtAddr(at), 1)[0] >> 63, 0u);
  ASSERT_TRUE(Store(*task, at, 1).ok());
  const uint64_t entry = Pagemap(*task, VirtAddr(at), 1)[0];
  EXPECT_EQ(entry >> 63, 1u);
  const Pfn pfn(entry & ((uint64_t{1} << 55) - 1));
  EXPECT_EQ(KpageCount(*kernel, pfn), 1u);
  EXPECT_TRUE(KpageFlags(*kernel, pfn) >> 12 & 1);  // ANON
  ASSERT_GT(Call(Sys::k_clone, {17, 0, 0, 0, 0}), 0);
  EXPECT_EQ(KpageCount(*kernel, pfn), 2u);
}

}  // namespace
}  // namespace mmsim
