// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/shrink.h"

#include <gtest/gtest.h>

namespace mmsim::scenario {
namespace {

// Accepts what has all of the words, and counts how often it was asked.
StillDiffers HasAll(const std::vector<std::string>& words, int* asked) {
  return [words, asked](const std::vector<std::string>& texts) {
    std::vector<bool> answers;
    for (const std::string& text : texts) {
      ++*asked;
      bool all = true;
      for (const std::string& word : words) all &= text.find(word) != std::string::npos;
      answers.push_back(all);
    }
    return answers;
  };
}

TEST(Shrink, KeepsExactlyWhatIsNeeded) {
  std::string text = "# Generated.\n";
  for (int i = 0; i < 300; ++i) text += "100 brk(" + std::to_string(i) + ") = ?\n";
  int asked = 0;
  EXPECT_EQ(Shrink(text, HasAll({"brk(7)", "brk(155)", "brk(299)"}, &asked)),
            "100 brk(7) = ?\n100 brk(155) = ?\n100 brk(299) = ?\n");
  EXPECT_LT(asked, 400);
}

TEST(Shrink, ABlockIsOneLine) {
  int asked = 0;
  EXPECT_EQ(Shrink("100 brk(0) = ?\nexpect 100 maps {\n  1-2 r--p\n}\n", HasAll({"1-2"}, &asked)),
            "expect 100 maps {\n  1-2 r--p\n}\n");
}

TEST(Shrink, NothingToLeaveOut) {
  int asked = 0;
  EXPECT_EQ(Shrink("a\n", HasAll({"a"}, &asked)), "a\n");
}

}  // namespace
}  // namespace mmsim::scenario
