// SPDX-License-Identifier: Apache-2.0
// What counts as a difference between two kernels, and what a kernel may choose for itself.
#include "sim/scenario/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/scenario/differences.h"

namespace mmsim::scenario {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr uint32_t kAll =
    OBSERVE_MAPS | OBSERVE_SMAPS | OBSERVE_PAGES | OBSERVE_FRAMES | OBSERVE_SHADOW | OBSERVE_FAULTS;
constexpr uint64_t kPresent = uint64_t{1} << 63, kSwap = uint64_t{1} << 62, kExclusive = uint64_t{1} << 56;

// One kernel's side of a scenario.
struct Side {
  guest::Outcome outcome;
  guest::State state;

  Side& Live(uint32_t process, uint32_t space) {
    state.live.push_back({process, space, process, 0});
    state.spaces[space];
    return *this;
  }
  Side& Page(uint32_t space, uint64_t vaddr, uint64_t pfn, uint64_t bits = kPresent) {
    state.spaces[space].pages.push_back({vaddr, bits | pfn});
    if (bits & kPresent) state.frames.emplace(pfn, observe_frame{pfn, 1, 0});
    return *this;
  }
  Side& Clear(uint32_t space) {
    state.spaces[space].pages.clear();
    state.frames.clear();
    return *this;
  }
};

class Compare : public testing::Test {
 protected:
  std::vector<std::string> Run(const Replaced& replaced = {}) {
    std::vector<std::string> texts;
    for (const Difference& d :
         comparer_.Compare({&there_.outcome, &there_.state}, {&here_.outcome, &here_.state}, replaced)) {
      texts.push_back(d.Text());
    }
    return texts;
  }
  Comparer comparer_{kAll};
  Side there_, here_;
};

TEST_F(Compare, Results) {
  there_.outcome.result = here_.outcome.result = 0x7000;
  EXPECT_THAT(Run(), IsEmpty());
  here_.outcome.result = -12;
  EXPECT_THAT(Run(), ElementsAre("result: = 0x7000 there, = -1 ENOMEM here"));
  // The id of a new process is the kernel's business; that there is one is not.
  there_.outcome.result = 411;
  here_.outcome.result = 101;
  there_.outcome.made = here_.outcome.made = 101;
  EXPECT_THAT(Run(), IsEmpty());
  here_.outcome.made = 0;
  EXPECT_THAT(Run(), testing::SizeIs(1));
}

TEST_F(Compare, SignalsAndDeaths) {
  there_.outcome.ending = OBSERVE_ENDING_SIGNAL;
  there_.outcome.signo = 11;
  there_.outcome.signal_code = 1;
  here_.outcome = there_.outcome;
  EXPECT_THAT(Run(), IsEmpty());
  here_.outcome.signal_code = 2;
  EXPECT_THAT(Run(), testing::SizeIs(1));
  here_.outcome = {};
  EXPECT_THAT(Run(), testing::SizeIs(1));
  there_.outcome = {};
  there_.outcome.died = {{100, 0x8b}};
  EXPECT_THAT(Run(), ElementsAre("died: 100 (0x8b) there, nobody here"));
}

TEST_F(Compare, WhatCallsWriteBack) {
  there_.outcome.out[2] = "abc";
  here_.outcome.out[2] = "abd";
  EXPECT_THAT(Run(), ElementsAre("out argument 2: byte 2 is 0x63 there, byte 2 is 0x64 here"));
}

TEST_F(Compare, ProcessesAndTheirSpaces) {
  there_.Live(100, 1).Live(101, 2);
  here_.Live(100, 5).Live(101, 6);
  EXPECT_THAT(Run(), IsEmpty());
  here_.state.live[1].space = 5;  // a thread where there is a process
  EXPECT_THAT(Run(), testing::SizeIs(1));
  here_.state.live.pop_back();
  EXPECT_THAT(Run(), ElementsAre("live 101: lives there, gone here"));
}

TEST_F(Compare, ASpaceMadeAnewByExec) {
  there_.Live(100, 1);
  here_.Live(100, 1);
  EXPECT_THAT(Run(), IsEmpty());
  there_.state.live[0].space = 2;
  there_.state.spaces[2];
  EXPECT_THAT(Run(), testing::SizeIs(1));  // here it is still the old one
}

TEST_F(Compare, MapsButForInodes) {
  there_.Live(100, 1);
  here_.Live(100, 1);
  there_.state.spaces[1].maps =
      "1000-2000 rw-p 00000000 00:00 0 \n3000-4000 r-xp 00000000 00:1a 77    /tmp/x\n";
  here_.state.spaces[1].maps =
      "1000-2000 rw-p 00000000 00:00 0 \n3000-4000 r-xp 00000000 08:01 1000    /tmp/x\n";
  EXPECT_THAT(Run(), IsEmpty());
  here_.state.spaces[1].maps =
      "1000-2000 rw-p 00000000 00:00 0 \n3000-4000 r-xp 00000000 08:01 1001    /tmp/x\n";
  EXPECT_THAT(Run(), testing::SizeIs(1));  // that inode was another file
  here_.state.spaces[1].maps = "1000-2000 rw-p 00000000 00:00 0 \n";
  EXPECT_THAT(Run(),
              ElementsAre("maps 100: `3000-4000 r-xp 00000000 00:1a 77    /tmp/x` there, no line here"));
  here_.state.spaces[1].maps =
      "1000-2000 r--p 00000000 00:00 0 \n3000-4000 r-xp 00000000 08:01 1000    /tmp/x\n";
  EXPECT_THAT(
      Run(),
      ElementsAre(
          "maps 100: `1000-2000 rw-p 00000000 00:00 0 ` there, `1000-2000 r--p 00000000 00:00 0 ` here"));
}

TEST_F(Compare, SmapsFieldsThatBothSidesKnow) {
  there_.Live(100, 1);
  here_.Live(100, 1);
  there_.state.spaces[1].smaps =
      "1000-2000 rw-p 00000000 00:00 0 \nRss:       4 kB\nSwap:     0 kB\nVmFlags: rd wr \n"
      "3000-4000 rw-p 00000000 00:00 0 \nRss:       0 kB\n";
  here_.state.spaces[1].smaps =
      "1000-2000 rw-p 00000000 00:00 0 \nRss:       4 kB\nVmFlags: rd wr \n"
      "3000-4000 rw-p 00000000 00:00 0 \nRss:       8 kB\n";
  EXPECT_THAT(Run(), ElementsAre("smaps 100:0x3000: Rss: 0 kB there, Rss: 8 kB here"));
}

TEST_F(Compare, PagesBitByBit) {
  there_.Live(100, 1).Page(1, 0x1000, 7, kPresent | kExclusive).Page(1, 0x3000, 8);
  here_.Live(100, 1).Page(1, 0x1000, 70).Page(1, 0x2000, 80);
  EXPECT_THAT(Run(), ElementsAre("page 100:0x1000: present exclusive there, present here",
                                 "page 100:0x2000: nothing there, present here",
                                 "page 100:0x3000: present there, nothing here"));
}

TEST_F(Compare, FramesAreRenamedOneToOne) {
  there_.Live(100, 1).Live(101, 2).Page(1, 0x1000, 7).Page(2, 0x1000, 7);
  here_.Live(100, 1).Live(101, 2).Page(1, 0x1000, 70).Page(2, 0x1000, 70);
  EXPECT_THAT(Run(), IsEmpty());
  here_.Clear(2).Page(2, 0x1000, 71);  // shared there, not here
  EXPECT_THAT(Run(),
              ElementsAre("sharing 101:0x1000: frame 0x7 there, frame 0x47, which is not that one here"));
}

TEST_F(Compare, SharedHereAndNotThere) {
  there_.Live(100, 1).Live(101, 2).Page(1, 0x1000, 7).Page(2, 0x1000, 8);
  here_.Live(100, 1).Live(101, 2).Page(1, 0x1000, 70).Page(2, 0x1000, 70);
  EXPECT_THAT(Run(), testing::SizeIs(1));
}

TEST_F(Compare, APageThatKeptItsFrameThereMustHaveKeptItHere) {
  there_.Live(100, 1).Page(1, 0x1000, 7);
  here_.Live(100, 1).Page(1, 0x1000, 70);
  EXPECT_THAT(Run(), IsEmpty());
  here_.Clear(1).Page(1, 0x1000, 71);
  EXPECT_THAT(Run(),
              ElementsAre("sharing 100:0x1000: frame 0x7 there, frame 0x47, which is not that one here"));
}

TEST_F(Compare, AndTheOtherWayRound) {
  there_.Live(100, 1).Page(1, 0x1000, 7);
  here_.Live(100, 1).Page(1, 0x1000, 70);
  EXPECT_THAT(Run(), IsEmpty());
  there_.Clear(1).Page(1, 0x1000, 8);  // copied there, reused here
  EXPECT_THAT(Run(),
              ElementsAre("sharing 100:0x1000: another frame than before there, the frame that it had here"));
}

TEST_F(Compare, AFrameNumberThatComesBackIsANewFrame) {
  there_.Live(100, 1).Page(1, 0x1000, 7);
  here_.Live(100, 1).Page(1, 0x1000, 70);
  EXPECT_THAT(Run(), IsEmpty());
  there_.Clear(1);
  here_.Clear(1);
  EXPECT_THAT(Run(), IsEmpty());
  there_.Page(1, 0x5000, 7);
  here_.Page(1, 0x5000, 99);
  EXPECT_THAT(Run(), IsEmpty());
}

TEST_F(Compare, WhatWasReplacedInPlaceWasNotKept) {
  there_.Live(100, 1).Page(1, 0x1000, 7);
  here_.Live(100, 1).Page(1, 0x1000, 70);
  EXPECT_THAT(Run(), IsEmpty());
  here_.Clear(1).Page(1, 0x1000, 71);  // the real kernel happened to hand out the same frame
  EXPECT_THAT(Run({100, 0x1000, 0x2000}), IsEmpty());
}

TEST_F(Compare, SwapOffsetsAreRenamed) {
  there_.Live(100, 1).Page(1, 0x1000, 5 << 5, kSwap).Page(1, 0x2000, 6 << 5, kSwap);
  here_.Live(100, 1).Page(1, 0x1000, 9 << 5, kSwap).Page(1, 0x2000, 8 << 5, kSwap);
  EXPECT_THAT(Run(), IsEmpty());
  here_.Clear(1).Page(1, 0x1000, 9 << 5, kSwap).Page(1, 0x2000, 9 << 5, kSwap);
  EXPECT_THAT(Run(), testing::SizeIs(1));
}

TEST_F(Compare, CountsAndFlagsOfFrames) {
  there_.Live(100, 1).Page(1, 0x1000, 7);
  here_.Live(100, 1).Page(1, 0x1000, 70);
  there_.state.frames[7] = {
      7, 2, (1 << 12) | (1 << 5) | (1 << 2)};  // ANON, and LRU and REFERENCED, which do not count
  here_.state.frames[70] = {70, 1, (1 << 12) | (1 << 11)};
  EXPECT_THAT(Run(), ElementsAre("count 100:0x1000: 2 there, 1 here",
                                 "frame 100:0x1000: ANON there, MMAP ANON here"));
}

TEST_F(Compare, NothingHasANameAtTheBeginning) {
  there_.Live(100, 1).Page(1, 0x1000, 7);
  here_.Live(100, 1).Page(1, 0x1000, 70);
  EXPECT_THAT(Run(), IsEmpty());
  comparer_.Begin();
  here_.Clear(1).Page(1, 0x1000, 71);
  EXPECT_THAT(Run(), IsEmpty());
}

TEST_F(Compare, AGuestThatWasBootedAnewHasOtherFrames) {
  there_.Live(101, 1).Page(1, 0x1000, 70);
  here_.Live(101, 1).Page(1, 0x1000, 500);
  EXPECT_THAT(Run(), IsEmpty());
  there_.Clear(1).Page(1, 0x1000, 71);
  ++there_.state.boot;
  EXPECT_THAT(Run(), IsEmpty());
  there_.Clear(1).Page(1, 0x1000, 72);
  EXPECT_THAT(Run(), testing::SizeIs(1));
}

TEST_F(Compare, AnEntryOfTheShadowTableNamesThePagesFrame) {
  constexpr uint64_t kFlags = SPTE_VADDR_ALLOCATED | SPTE_VADDR_ANONYMOUS | SPTE_PTE_MAPPED;
  there_.Live(100, 1).Page(1, 0x1000, 7).Page(1, 0x2000, 8).state.shadow = {{0x1000, 7, kFlags}};
  here_.Live(100, 1).Page(1, 0x1000, 70).Page(1, 0x2000, 80).state.shadow = {{0x1000, 70, kFlags}};
  EXPECT_THAT(Run(), IsEmpty());
  EXPECT_THAT(Run(), IsEmpty());  // the same frames, which have been compared
  // One that was not brought up to date: it names the other page's.
  here_.state.shadow[0].pfn = 80;
  EXPECT_THAT(Run(), ElementsAre("shadow entry 0: 0x1000 allocated anonymous mapped @ 0x7 there, "
                                 "0x1000 allocated anonymous mapped @ 0x50, which is not that frame here"));
  here_.state.shadow[0] = {0x1000, 0, SPTE_VADDR_ALLOCATED};
  EXPECT_THAT(Run(), ElementsAre("shadow entry 0: 0x1000 allocated anonymous mapped @ 0x7 there, "
                                 "0x1000 allocated @ 0x0 here"));
  here_.state.shadow.clear();
  EXPECT_THAT(Run(), ElementsAre("shadow: a table of 1 entries there, no table is open here"));
}

TEST_F(Compare, TheErrorCodesOfFaults) {
  there_.outcome.faults = {{0x1000, 0, 6, 1, 100}};
  here_.outcome.faults = {{0x1000, 0, 7, 1, 100}};
  EXPECT_THAT(Run(), ElementsAre("faults: 0x1000 error 0x6 there, 0x1000 error 0x7 here"));
}

TEST_F(Compare, AFloodOfDifferencesIsBounded) {
  there_.Live(100, 1);
  here_.Live(100, 1);
  for (uint64_t i = 0; i < 1000; ++i) there_.Page(1, i << 12, i + 1);
  EXPECT_THAT(Run(), testing::SizeIs(Comparer::kMaxDifferences));
}

TEST(KnownDifferences, ByPatternWithAReason) {
  auto known = KnownDifferences::Parse(
      "# Deliberate differences\nText.\n\n## idle-bit\nPattern: `frame .*: ANON there, ANON IDLE "
      "here`\n\nBecause.\n\n"
      "## never\nPattern: `x`\nReason.\n",
      "differences.md");
  ASSERT_TRUE(known.ok()) << known.status().message();
  EXPECT_EQ(known->size(), 2u);
  EXPECT_EQ(known->Match({"frame", "100:0x1000", "ANON", "ANON IDLE"}), "idle-bit");
  EXPECT_EQ(known->Match({"frame", "100:0x1000", "ANON", "THP"}), "");
  EXPECT_THAT(known->Unmatched(), ElementsAre("never"));
}

TEST(KnownDifferences, OneThatAScenarioShowsMustMatchWhenThatWasCompared) {
  auto known = KnownDifferences::Parse("## a\nPattern: `x`\nShown by: `regress/a.scn`\nReason.\n", "d.md");
  ASSERT_TRUE(known.ok()) << known.status().message();
  known->NoteCompared("/somewhere/scenarios/regress/b.scn");
  EXPECT_THAT(known->Unmatched(), IsEmpty());
  known->NoteCompared("/somewhere/scenarios/regress/a.scn");
  EXPECT_THAT(known->Unmatched(), ElementsAre("a"));
}

TEST(KnownDifferences, WhatIsMissing) {
  const auto message = [](std::string_view text) {
    return std::string(KnownDifferences::Parse(text, "d.md").status().message());
  };
  EXPECT_EQ(message("## a\nBecause.\n"), "d.md:1:1: a difference needs a line 'Pattern: `...`' and a reason");
  EXPECT_EQ(message("\n## a\nPattern: `x`\n## b\nPattern: `x`\ny\n"),
            "d.md:2:1: a difference needs a line 'Pattern: `...`' and a reason");
  EXPECT_EQ(message("## a\nPattern: `x\nwhy\n"), "d.md:2:1: expected '`' behind the pattern");
  EXPECT_THAT(message("## a\nPattern: `(`\nwhy\n"), testing::HasSubstr("no regular expression"));
}

TEST(ComparisonCount, TheLastLineAndTheExitStatus) {
  EXPECT_EQ((ComparisonCount{7, 0, 0, 0, 0, {{"bpf", 2}}}).LastLines(),
            "left out: 2 bpf\n7 steps compared, 0 differences\n");
  EXPECT_EQ((ComparisonCount{7, 0, 0, 0, 0, {}}).LastLines(), "7 steps compared, 0 differences\n");
  EXPECT_EQ((ComparisonCount{7, 0, 0, 3, 0, {}}).LastLines(),
            "3 scenarios differed once, and not again\n7 steps compared, 0 differences\n");
  EXPECT_EQ((ComparisonCount{7, 1, 2, 0, 0, {}}).LastLines(),
            "2 more differences are deliberate (differences.md)\nthe first difference came after 0 steps\n"
            "7 steps compared, 1 differences\n");
  EXPECT_EQ((ComparisonCount{7, 0, 2, 0, 0, {}}).ExitStatus(), 0);
  EXPECT_EQ((ComparisonCount{7, 1, 0, 0, 0, {}}).ExitStatus(), 1);
  EXPECT_EQ((ComparisonCount{0, 0, 0, 0, 0, {}}).ExitStatus(), 2);
  ComparisonCount total{7, 0, 0, 0, 0, {}};
  total.Add({5, 1, 0, 0, 3, {}});
  total.Add({5, 1, 0, 0, 2, {}});
  EXPECT_EQ(total.first_after, 10u);
}

}  // namespace
}  // namespace mmsim::scenario
