// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/page.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <vector>

#include "sim/cli/terminal.h"

namespace mmsim::cli {
namespace {

TEST(Page, CountsTheRowsOfLinesThatWrap) {
  EXPECT_EQ(ColumnsOf("\x1b[1;32mab\x1b[0mc"), 3u);
  Page page(4, 3);
  EXPECT_TRUE(page.Add("12345"));
  EXPECT_EQ(page.left(), 1u);
  EXPECT_FALSE(page.Add("12345"));
  EXPECT_TRUE(page.Add("\x1b[31m1234\x1b[0m"));
  EXPECT_FALSE(page.Add(""));
  EXPECT_EQ(page.text(), "12345\n\x1b[31m1234\x1b[0m\n");
}

TEST(Page, SaysHowManyThingsAreLeftOut) {
  const std::vector<Told> lines = {{"one", 1}, {"two", 2}, {"three", 3}};
  Page all(80, 3), some(80, 2), none(80, 1);
  all.AddFitting(lines, all.left(), "more");
  EXPECT_EQ(all.text(), "one\ntwo\nthree\n");
  some.AddFitting(lines, some.left(), "more");
  EXPECT_EQ(some.text(), "one\n  ... 5 more\n");
  none.AddFitting(lines, none.left(), "more");
  EXPECT_EQ(none.text(), "  ... 6 more\n");
}

TEST(Terminal, WithoutOneTheEnvironmentSaysHowLargeTheWindowIs) {
  setenv("LINES", "30", 1);
  setenv("COLUMNS", "wide", 1);
  const Window window = WindowOf(-1);
  unsetenv("LINES");
  unsetenv("COLUMNS");
  EXPECT_EQ(window.rows, 30u);
  EXPECT_EQ(window.columns, 80u);
}

}  // namespace
}  // namespace mmsim::cli
