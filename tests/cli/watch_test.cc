// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "sim/scenario/runner.h"

namespace mmsim::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ShadowWatch, AMapOfTheEntriesAndWhatChanged) {
  auto scenario = scenario::Scenario::Open(MMSIM_SOURCE_DIR "/scenarios/shadowpt/session.scn");
  ASSERT_TRUE(scenario.ok());
  scenario::Runner runner(**scenario, {});
  ShadowWatch watch(/*colour=*/false);
  std::vector<std::string> rows;
  std::string last, row;
  ASSERT_TRUE(runner
                  .RunAll([&](const scenario::Step& step, const guest::Outcome&) {
                    last = watch.Screen(runner.kernel(), step.Text());
                    const size_t at = last.find("000010000000 ");
                    if (at != std::string::npos) rows.push_back(last.substr(at + 13, 8));
                    if (step.Text().find("\"two\"") != std::string_view::npos) {
                      EXPECT_THAT(last, HasSubstr("1 changed\n  10000000: allocated anonymous mapped @ "));
                      row = ShadowWatch::Row(runner.kernel(), "10003fff");
                      EXPECT_EQ(ShadowWatch::Row(runner.kernel(), "all"), row);
                      EXPECT_THAT(ShadowWatch::Row(runner.kernel(), "10008000"),
                                  HasSubstr("expected an address in 10000000-10008000, or all"));
                    }
                  })
                  .ok());
  EXPECT_THAT(rows, ElementsAre("........", "........", "aaaa....", "Aaaa....", "AAaa....", "AAaa....",
                                "AAaa....", "..aa.AA.", "..aa.aA.", "..aa.aA.", ".....aA.", "........"));
  EXPECT_THAT(last, HasSubstr("no shadow page table is open"));
  EXPECT_EQ(ShadowWatch::Row(runner.kernel(), "all"), "no shadow page table is open\n");
  EXPECT_THAT(row, HasSubstr("  000010000000 A vaddr=0x10000000 pfn=0x"));
  EXPECT_THAT(
      row, HasSubstr("\n  000010002000 a vaddr=0x10002000 pfn=0x0 state_flags=0x3 (allocated anonymous)\n"));
  EXPECT_EQ(std::count(row.begin(), row.end(), '\n'), 8);
}

}  // namespace
}  // namespace mmsim::cli
