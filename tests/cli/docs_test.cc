// SPDX-License-Identifier: Apache-2.0
// The commands of the documentation, run: what stands below `$ ./dev mmsim ...` in an indented block of a
// README is what the command prints. A line `...` stands for any lines, `...` within a line for anything.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

constexpr std::string_view kIndent = "    ";
constexpr std::string_view kCommand = "    $ ./dev mmsim ";

struct Example {
  std::string arguments;  // of mmsim
  std::string printed;    // as the document has it
};

std::vector<Example> ExamplesOf(const std::filesystem::path& file) {
  std::vector<Example> examples;
  std::ifstream in(file);
  bool open = false;
  std::string empty_lines;  // within the block, if it goes on behind them
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(kCommand)) {
      examples.push_back({line.substr(kCommand.size()), ""});
      open = true;
      empty_lines.clear();
    } else if (open && line.empty()) {
      empty_lines += "\n";
    } else if (open && line.starts_with(kIndent) && !line.starts_with("    $ ")) {
      examples.back().printed += std::exchange(empty_lines, "") + line.substr(kIndent.size()) + "\n";
    } else {
      open = false;
    }
  }
  return examples;
}

// Trailing blanks of a line are not shown in a document.
std::string WithoutTrailingBlanks(const std::string& text) {
  return std::regex_replace(text, std::regex("[ \\t]+\\n"), "\n");
}

std::string PatternOf(const std::string& printed) {
  static const std::regex special(R"([.^$|()\[\]{}*+?\\])");
  std::string pattern = std::regex_replace(printed, special, R"(\$&)");
  pattern = std::regex_replace(pattern, std::regex(R"((^|\n)\\\.\\\.\\\.\n)"), "$1(?:[^\\n]*\\n)*");
  return std::regex_replace(pattern, std::regex(R"(\\\.\\\.\\\.)"), "[^\\n]*");
}

std::string Printed(const std::string& arguments) {
  const std::string command = "cd " MMSIM_SOURCE_DIR " && " MMSIM_BINARY_DIR "/mmsim " + arguments + " 2>&1";
  std::string text;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return text;
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof(buffer), pipe)) != 0;) text.append(buffer, n);
  EXPECT_EQ(WEXITSTATUS(pclose(pipe)), 0) << command;
  return text;
}

TEST(Docs, CommandsPrintWhatIsShown) {
  int nr_examples = 0;
  for (const char* file : {"README.md", "scenarios/README.md", "CONTRIBUTING.md", "tests/README.md"}) {
    for (const Example& example : ExamplesOf(std::filesystem::path(MMSIM_SOURCE_DIR) / file)) {
      SCOPED_TRACE(std::string(file) + ": mmsim " + example.arguments);
      ++nr_examples;
      const std::string printed = WithoutTrailingBlanks(Printed(example.arguments));
      EXPECT_TRUE(std::regex_match(printed, std::regex(PatternOf(example.printed)))) << printed;
    }
  }
  EXPECT_GE(nr_examples, 4);
}

}  // namespace
