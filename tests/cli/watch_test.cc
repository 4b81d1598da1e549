// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <regex>
#include <sstream>

#include "fmt/format.h"
#include "sim/cli/page.h"
#include "sim/kernel/shadowpt.h"
#include "sim/scenario/observation.h"
#include "sim/scenario/runner.h"

namespace mmsim::cli {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

using Screens = std::vector<std::string>;

// The screens of a scenario, each looked at while its step is the last one.
Screens ScreensOf(const std::string& name, const ShadowWatch::MaybeWindow& window,
                  const std::vector<std::string>& findings = {},
                  const std::function<void(ShadowWatch&, Kernel&)>& look = {}) {
  Screens screens;
  auto scenario = scenario::Scenario::Open(MMSIM_SOURCE_DIR "/scenarios/shadowpt/" + name);
  EXPECT_TRUE(scenario.ok());
  scenario::Runner runner(**scenario, {});
  ShadowWatch watch(/*asks=*/true);
  const absl::Status status = runner.RunAll([&](const scenario::Step& step, const guest::Outcome& outcome) {
    const std::string line = fmt::format("{}: {}", step.first_line, scenario::EventText(step, outcome));
    screens.push_back(watch.Screen(runner.kernel(), line, findings, window));
    if (look) look(watch, runner.kernel());
  });
  EXPECT_TRUE(status.ok());
  return screens;
}

std::string Plain(const std::string& text) {
  return std::regex_replace(text, std::regex("\x1b\\[[0-9;]*[A-Za-z]"), "");
}

// The screen of the step in that line of the file.
std::string ScreenAt(const Screens& screens, int line) {
  for (const std::string& screen : screens) {
    if (Plain(screen).starts_with(fmt::format("{}: ", line))) return screen;
  }
  return "";
}

std::vector<std::string> LinesOf(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// Rows of a terminal that wraps.
size_t RowsOf(const std::string& screen, size_t columns) {
  size_t rows = 0;
  for (const std::string& line : LinesOf(screen)) {
    rows += std::max<size_t>(
        1, (ColumnsOf(line.substr(line.rfind("\x1b[2J") == 0 ? 4 : 0)) + columns - 1) / columns);
  }
  return rows;
}

TEST(ShadowWatch, AMapOfTheEntriesAndWhatChanged) {
  std::vector<std::string> rows, all;
  const Screens screens =
      ScreensOf("session.scn", std::nullopt, {}, [&](const ShadowWatch& watch, Kernel& kernel) {
        all.push_back(watch.Row(kernel, "all", std::nullopt));
        if (all.size() != 10) return;
        EXPECT_EQ(watch.Row(kernel, "10003fff", std::nullopt), all.back());
        EXPECT_THAT(watch.Row(kernel, "10008000", std::nullopt),
                    HasSubstr("expected an address in 10000000-10008000, or all"));
      });
  for (const std::string& screen : screens) {
    const size_t at = screen.find("000010000000 ");
    if (at != std::string::npos) rows.push_back(screen.substr(at + 13, 8));
  }
  EXPECT_THAT(rows, ElementsAre("........", "........", "aaaa....", "Aaaa....", "AAaa....", "AAaa....",
                                "AAaa....", "..aa.AA.", "..aa.aA.", "..aa.aA.", ".....aA.", "........"));
  EXPECT_THAT(ScreenAt(screens, 12), HasSubstr("1 changed\n  10000000: allocated anonymous mapped @ "));
  EXPECT_THAT(screens.back(), HasSubstr("no shadow page table is open"));
  EXPECT_EQ(all.back(), "no shadow page table is open\n");
  const std::string& row = all[9];
  EXPECT_THAT(row, HasSubstr("  000010000000 A vaddr=0x10000000 pfn=0x"));
  EXPECT_THAT(
      row, HasSubstr("\n  000010002000 a vaddr=0x10002000 pfn=0x0 state_flags=0x3 (allocated anonymous)\n"));
  EXPECT_EQ(std::count(row.begin(), row.end(), '\n'), 8);
}

TEST(ShadowWatch, InAPipeAMarkIsBelowWhatChanged) {
  const Screens screens = ScreensOf("session.scn", std::nullopt);
  EXPECT_THAT(ScreenAt(screens, 13), HasSubstr("\n000010000000 ..aa.AA.\n"
                                               "             ^^   ^^\n. nothing"));
  EXPECT_THAT(ScreenAt(screens, 11), HasSubstr("\n000010000000 AAaa....\n. nothing"));
  for (const std::string& screen : screens) EXPECT_THAT(screen, Not(HasSubstr("\x1b")));
}

TEST(ShadowWatch, NeighboursThatChangedAlikeAreOneLine) {
  const Screens screens = ScreensOf("session.scn", std::nullopt);
  EXPECT_THAT(ScreenAt(screens, 7), HasSubstr("8 changed\n  10000000-10008000: address set\n"));
  EXPECT_THAT(ScreenAt(screens, 7), Not(HasSubstr("->")));
  EXPECT_THAT(ScreenAt(screens, 8),
              HasSubstr("4 changed\n  10000000-10004000: none -> allocated anonymous\n"));
  EXPECT_THAT(ScreenAt(ScreensOf("pte_huge.scn", std::nullopt), 9),
              HasSubstr("2048 changed\n  10000000-10400000: address set, none -> allocated anonymous\n"
                        "  10400000-10800000: address set\n"));
  EXPECT_THAT(ScreenAt(ScreensOf("pte_huge.scn", std::nullopt), 10),
              ContainsRegex("  10000000-10200000: allocated anonymous -> allocated anonymous mapped @ "
                            "0x[0-9a-f]+-0x[0-9a-f]+\n"));
}

// The last row is the cursor's.
TEST(ShadowWatch, AFullTableFitsTheWindow) {
  const std::vector<std::string> findings(5, std::string(170, 'x'));
  for (const Window window : {Window{24, 80}, Window{50, 200}, Window{25, 132}, Window{24, 40},
                              Window{10, 80}, Window{6, 80}, Window{3, 30}}) {
    SCOPED_TRACE(fmt::format("{} rows, {} columns", window.rows, window.columns));
    for (const bool audited : {false, true}) {
      for (const std::string& screen :
           ScreensOf("pte_huge.scn", window, audited ? findings : std::vector<std::string>())) {
        EXPECT_LT(RowsOf(screen, window.columns), window.rows) << screen;
        EXPECT_THAT(Plain(screen), ContainsRegex("^[0-9]+: "));
      }
    }
  }
}

TEST(ShadowWatch, TheMapIsAsFineAsTheWindowAllows) {
  const auto map_of = [](const Window& window) {
    const std::string screen = Plain(ScreenAt(ScreensOf("pte_huge.scn", window), 31));
    std::vector<std::string> map;
    for (const std::string& line : LinesOf(screen)) {
      if (line.starts_with("0000")) map.push_back(line.substr(13));
    }
    return std::pair(map, screen);
  };
  // Line 31 is the mprotect after the hole at 10001000, which two entries a sign hide behind its neighbour.
  const auto [coarse, screen] = map_of({24, 80});
  ASSERT_THAT(coarse, SizeIs(16));
  EXPECT_EQ(coarse[0], std::string(64, 'A'));
  EXPECT_EQ(coarse[15], std::string(64, '.'));
  EXPECT_THAT(screen, HasSubstr("10000000-10800000, tracking, 2 entries a sign\n"));
  const auto [fine, other_screen] = map_of({50, 80});
  ASSERT_THAT(fine, SizeIs(32));
  EXPECT_EQ(fine[0], "A." + std::string(62, 'A'));
  EXPECT_THAT(other_screen, HasSubstr("10000000-10800000, tracking\n"));
  EXPECT_THAT(map_of({24, 150}).first, AllOf(SizeIs(16), Each(SizeIs(128))));
}

TEST(ShadowWatch, DetailsThatDoNotFitAreCounted) {
  // A move of two pages: four lines, and room for two.
  const std::vector<std::string> lines =
      LinesOf(Plain(ScreenAt(ScreensOf("session.scn", Window{9, 80}), 13)));
  ASSERT_FALSE(lines.empty());
  EXPECT_EQ(lines.back(), "  ... 3 more, an address or all shows them");
}

TEST(ShadowWatch, TheLegendFitsAndHasTheColoursOfTheSigns) {
  const std::string screen = ScreenAt(ScreensOf("session.scn", Window{24, 80}), 9);
  EXPECT_THAT(screen, HasSubstr("\x1b[1;32mA\x1b[0m \x1b[1;36mF\x1b[0m mapped"));
  EXPECT_THAT(Plain(screen), HasSubstr("\n. nothing  a anonymous  f other  A F mapped  S mapped, no frame  "
                                       "M mapped alone\n"));
  EXPECT_THAT(screen, HasSubstr("\x1b[1;32m\x1b[7mA\x1b[0m"));  // what changed
}

TEST(ShadowWatch, FindingsAreBelowTheMap) {
  const std::vector<std::string> findings(20, "shadow: entry of 10000000 is wrong");
  const std::string in_pipe = ScreenAt(ScreensOf("session.scn", std::nullopt, findings), 9);
  EXPECT_THAT(in_pipe, HasSubstr("M mapped alone\nshadow: entry of 10000000 is wrong\n"));
  const std::string screen = ScreenAt(ScreensOf("pte_huge.scn", Window{24, 80}, findings), 10);
  EXPECT_THAT(Plain(screen), HasSubstr("M mapped alone\nshadow: entry of 10000000 is wrong\n"));
  EXPECT_THAT(Plain(screen), HasSubstr(" more findings, told at the end\n"));
  EXPECT_THAT(Plain(screen), HasSubstr("\n512 changed\n"));
  EXPECT_THAT(ScreensOf("session.scn", Window{24, 80}, findings)[0],
              HasSubstr("no shadow page table is open\n\x1b[31mshadow: "));
}

// What an address shows fits the window too, from the address on if the row of its map does not.
TEST(ShadowWatch, ARowThatIsTooLongBeginsAtTheAddress) {
  const Window window{24, 80};
  std::string row;
  ScreensOf("pte_huge.scn", window, {}, [&](const ShadowWatch& watch, Kernel& kernel) {
    if (kernel.shadowpt().IsTracking()) row = watch.Row(kernel, "10403abc", window);
  });
  EXPECT_THAT(row, StartsWith("  000010402000 . vaddr=0x10402000"));
  EXPECT_LE(RowsOf(row, window.columns), window.rows - 2);
}

}  // namespace
}  // namespace mmsim::cli
