// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
  std::string last;
  ASSERT_TRUE(runner
                  .RunAll([&](const scenario::Step& step, const guest::Outcome&) {
                    last = watch.Screen(runner.kernel(), step.Text());
                    const size_t at = last.find("000010000000 ");
                    if (at != std::string::npos) rows.push_back(last.substr(at + 13, 8));
                    if (step.Text().find("\"two\"") != std::string_view::npos) {
                      EXPECT_THAT(last, HasSubstr("1 changed\n  10000000: allocated anonymous mapped @ "));
                    }
                  })
                  .ok());
  EXPECT_THAT(rows, ElementsAre("........", "........", "aaaa....", "Aaaa....", "AAaa....", "AAaa....",
                                "AAaa....", "..aa.AA.", "..aa.aA.", "..aa.aA.", ".....aA.", "........"));
  EXPECT_THAT(last, HasSubstr("no shadow page table is open"));
}

}  // namespace
}  // namespace mmsim::cli
