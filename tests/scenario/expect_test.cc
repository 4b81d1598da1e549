// SPDX-License-Identifier: Apache-2.0
// Expectations, form by form, and the page that explains them.
#include "sim/scenario/expect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "sim/scenario/lower.h"
#include "sim/scenario/step.h"

namespace mmsim::scenario {
namespace {

Expect Parse(const std::string& text) {
  auto scenario = Scenario::FromText(text + "\n", "t");
  EXPECT_TRUE(scenario.ok()) << scenario.status().message();
  if (!scenario.ok() || (*scenario)->steps().size() != 1) return {};
  // The views of an Expect live as long as the text.
  static std::vector<std::unique_ptr<Scenario>>* kept = new std::vector<std::unique_ptr<Scenario>>();
  kept->push_back(*std::move(scenario));
  return kept->back()->ExpectOf(kept->back()->steps()[0]);
}

TEST(Expect, MapsOverLines) {
  const Expect e = Parse(
      "expect 100 maps {   # all\n"
      "  00400000-00401000 r-xp 00000000 00:02 23   /victim\n"
      "\n"
      "  # the one that was split\n"
      "  $a-$a+0x1000 rw-p 00000000 00:00 0  # anonymous\n"
      "  $a+0x1000-$b r--s * * *  /dir/a b (deleted)\n"
      "  7000-8000 *\n"
      "  ...\n"
      "}");
  EXPECT_EQ(e.subject, Subject::kMaps);
  EXPECT_EQ(e.pid, 100);
  EXPECT_TRUE(e.others_allowed);
  EXPECT_TRUE(e.address.empty());
  ASSERT_EQ(e.lines.size(), 4u);
  EXPECT_EQ(e.lines[0].start, "00400000");
  EXPECT_EQ(e.lines[0].perms, "r-xp");
  EXPECT_EQ(e.lines[0].dev, "00:02");
  EXPECT_EQ(e.lines[0].inode, "23");
  EXPECT_EQ(e.lines[0].path, "/victim");
  EXPECT_EQ(e.lines[1].end, "$a+0x1000");
  EXPECT_TRUE(e.lines[1].compares_path);
  EXPECT_EQ(e.lines[1].path, "");
  EXPECT_EQ(e.lines[2].path, "/dir/a b (deleted)");
  EXPECT_EQ(e.lines[2].offset, "*");
  EXPECT_FALSE(e.lines[3].compares_path);
}

TEST(Expect, MapsOfARangeOnOneLine) {
  const Expect e =
      Parse("expect 100 maps $a-$a+0x3000 { $a-$a+0x1000 rw-p; $a+0x2000-$a+0x3000 rw-p 0 00:00 0 [heap] }");
  EXPECT_EQ(e.address, "$a");
  EXPECT_EQ(e.end, "$a+0x3000");
  EXPECT_FALSE(e.others_allowed);
  ASSERT_EQ(e.lines.size(), 2u);
  EXPECT_EQ(e.lines[1].path, "[heap]");
  EXPECT_EQ(Parse("expect 100 maps { }").lines.size(), 0u);
  // A '-' within an address: of the start when another follows, of the end always.
  const Expect minus = Parse("expect 100 maps $top-0x2000-$top-0x1000 { $top-0x2000-$top-0x1000 rw-p }");
  EXPECT_EQ(minus.address, "$top-0x2000");
  EXPECT_EQ(minus.end, "$top-0x1000");
  EXPECT_EQ(minus.lines[0].start, "$top-0x2000");
  EXPECT_EQ(minus.lines[0].end, "$top-0x1000");
  EXPECT_EQ(Parse("expect 100 maps $a-0x3000+0x10 { }").address, "$a");
}

TEST(Expect, EntriesOfAShadowPageTable) {
  const Expect e = Parse(
      "expect 100 shadow $e+24 {\n"
      "  $a: allocated anonymous mapped @ 101:$a   # its frame\n"
      "  $a+0x1000-$a+0x3000: none; 7000: allocated mapped @ none\n"
      "  $b: mapped @ zero; $c: mapped @ $f\n"
      "}");
  EXPECT_EQ(e.subject, Subject::kShadow);
  EXPECT_EQ(e.address, "$e+24");
  ASSERT_EQ(e.shadow.size(), 5u);
  EXPECT_EQ(e.shadow[0].start, "$a");
  EXPECT_EQ(e.shadow[0].end, "");
  EXPECT_THAT(e.shadow[0].words, testing::ElementsAre("allocated", "anonymous", "mapped"));
  EXPECT_EQ(e.shadow[0].pfn, ExpectShadowRow::Pfn::kFrame);
  EXPECT_EQ(e.shadow[0].frame.pid, 101);
  EXPECT_EQ(e.shadow[0].frame.address, "$a");
  EXPECT_EQ(e.shadow[1].end, "$a+0x3000");
  EXPECT_EQ(e.shadow[1].pfn, ExpectShadowRow::Pfn::kAny);
  EXPECT_EQ(e.shadow[2].pfn, ExpectShadowRow::Pfn::kNone);
  EXPECT_EQ(e.shadow[3].frame.kind, ExpectFrame::Kind::kZero);
  EXPECT_EQ(e.shadow[4].frame.name, "$f");
}

TEST(Expect, WhatIsWrongWithAnEntryOfAShadowPageTable) {
  const auto message = [](const std::string& text) {
    return std::string(Scenario::FromText(text + "\n", "t").status().message());
  };
  EXPECT_THAT(
      message("expect 100 shadow $e { $a: alocated }"),
      testing::HasSubstr("unknown word for an entry of a shadow page table 'alocated', did you mean"));
  EXPECT_THAT(message("expect 100 shadow $e { $a: mapped @ }"),
              testing::HasSubstr("t:1:37: expected none, PID:ADDRESS, zero or a $name"));
  EXPECT_THAT(message("expect 100 shadow $e { $a mapped }"), testing::HasSubstr("expected ':'"));
  EXPECT_THAT(message("expect 100 shadow $e { $a: mapped, $b: mapped }"),
              testing::HasSubstr("expected '@' and a frame, or the end of the entry"));
}

TEST(Expect, FieldsOfSmapsAndCounters) {
  const Expect e =
      Parse("expect 7 smaps 0x1000 {\n  Rss:   4 kB\n  VmFlags: rd wr mr\n  THPeligible:    0\n}");
  EXPECT_EQ(e.subject, Subject::kSmaps);
  ASSERT_EQ(e.fields.size(), 3u);
  EXPECT_EQ(e.fields[0].name, "Rss");
  EXPECT_EQ(e.fields[0].value, "4 kB");
  EXPECT_EQ(e.fields[1].value, "rd wr mr");
  EXPECT_EQ(e.fields[2].value, "0");
  const Expect one = Parse("expect 7 smaps $a { Rss: 4 kB Pss: 2 kB, VmFlags: rd wr }");
  ASSERT_EQ(one.fields.size(), 3u);
  EXPECT_EQ(one.fields[0].value, "4 kB");
  EXPECT_EQ(one.fields[2].value, "rd wr");
  EXPECT_EQ(Parse("expect 7 counters { map_count: 4 }").pid, 7);
  EXPECT_EQ(Parse("expect counters { Active(anon): 4 kB }").fields[0].name, "Active(anon)");
}

TEST(Expect, EntriesOfAWalk) {
  const Expect e = Parse("expect 7 pte 0x1000 {\n  pmd: table\n  pte: present !write dirty\n}");
  ASSERT_EQ(e.levels.size(), 2u);
  EXPECT_EQ(e.levels[0].level, "pmd");
  ASSERT_EQ(e.levels[1].flags.size(), 3u);
  EXPECT_FALSE(e.levels[1].flags[0].negated);
  EXPECT_TRUE(e.levels[1].flags[1].negated);
  EXPECT_EQ(e.levels[1].flags[1].name, "write");
  EXPECT_FALSE(e.levels[1].flags[2].negated);
  const Expect one = Parse("expect 7 pte $a { pud: none; pte: = P RW US A D, pmd: 0x67/0xfff }");
  ASSERT_EQ(one.levels.size(), 3u);
  EXPECT_TRUE(one.levels[1].exact);
  EXPECT_EQ(one.levels[1].flags.size(), 5u);
  EXPECT_EQ(one.levels[2].raw, 0x67u);
  EXPECT_EQ(one.levels[2].mask, 0xfffu);
}

TEST(Expect, BitsAndCounts) {
  const Expect e = Parse("expect 7 pagemap $a { present !file }");
  ASSERT_EQ(e.flags.size(), 2u);
  EXPECT_TRUE(e.flags[1].negated);
  EXPECT_EQ(Parse("expect 7 pageflags $a { ANON MMAP }").subject, Subject::kPageFlags);
  EXPECT_EQ(Parse("expect 7 pagecount $a+0x1000 2").number, 2u);
  EXPECT_EQ(Parse("expect 7 pagecount $a+0x1000 2").address, "$a+0x1000");
}

TEST(Expect, Frames) {
  const Expect e = Parse("expect frame 100:$a == 101:$a+0x1000");
  EXPECT_TRUE(e.equal);
  EXPECT_EQ(e.left.pid, 100);
  EXPECT_EQ(e.left.address, "$a");
  EXPECT_EQ(e.right.address, "$a+0x1000");
  EXPECT_FALSE(Parse("expect frame 100:0x1000 != zero").equal);
  EXPECT_EQ(Parse("expect frame 100:0x1000 != zero").right.kind, ExpectFrame::Kind::kZero);
  EXPECT_EQ(Parse("expect frame 100:0x1000 == $f").right.name, "$f");
}

TEST(Expect, BytesSignalsAndErrorCodes) {
  EXPECT_EQ(Parse("expect 7 bytes $a \"a\\0b\"").bytes, std::string("a\0b", 3));
  EXPECT_EQ(Parse("expect 7 signal none").signal, "none");
  const Expect e = Parse("expect 7 signal SIGSEGV {si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=$a}");
  EXPECT_EQ(e.signal, "SIGSEGV");
  EXPECT_EQ(e.signal_code, "SEGV_MAPERR");
  EXPECT_EQ(e.signal_address, "$a");
  EXPECT_EQ(Parse("expect 7 signal SIGBUS").signal_code, "");
  EXPECT_EQ(Parse("expect 7 error_code 0x15").number, 0x15u);
}

TEST(Expect, TheIntervalOfABlockIsItsLines) {
  auto s = Scenario::FromText("\nexpect 100 maps {\n}\n100 brk(NULL) = 0\n", "t");
  ASSERT_TRUE(s.ok());
  EXPECT_EQ((*s)->steps()[0].first_line, 2u);
  EXPECT_EQ((*s)->steps()[0].last_line, 3u);
  EXPECT_EQ((*s)->steps()[1].first_line, 4u);
}

// scenarios/README.md explains the language by an example. It has to be one.
TEST(Readme, ItsExampleIsAScenario) {
  std::ifstream file(MMSIM_SOURCE_DIR "/scenarios/README.md");
  std::stringstream text;
  text << file.rdbuf();
  const std::string page = text.str(), fence = "```scenario\n";
  const size_t begin = page.find(fence);
  ASSERT_NE(begin, std::string::npos);
  const size_t end = page.find("```", begin + fence.size());
  auto s = Scenario::FromText(page.substr(begin + fence.size(), end - begin - fence.size()), "README");
  ASSERT_TRUE(s.ok()) << s.status().message();
  EXPECT_GE((*s)->steps().size(), 20u);
  EXPECT_FALSE((*s)->is_log());
  EXPECT_EQ((*s)->header().substr(0, 8), "# Shows:");
  for (const Arch arch : {Arch::kX86_64, Arch::kArm64}) {
    const absl::Status status = Check(**s, arch);
    EXPECT_TRUE(status.ok()) << status.message();
  }
}

}  // namespace
}  // namespace mmsim::scenario
