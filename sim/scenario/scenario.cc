// SPDX-License-Identifier: Apache-2.0
// A scenario's places: from a view back to file, line and column, and the error that shows them.
#include <algorithm>
#include <cstring>

#include "fmt/format.h"
#include "sim/scenario/step.h"

namespace mmsim::scenario {
namespace {

constexpr size_t kShownBytes = 100;  // of a line in an error, with the place somewhere in the middle

bool Within(std::string_view text, const char* at) {
  return std::less_equal<>()(text.data(), at) && std::less_equal<>()(at, text.data() + text.size());
}

// The piece of `line` around `column`, and the caret under it. One character a byte: what is no ASCII is
// shown as '?'.
std::string Excerpt(std::string_view line, size_t column) {
  size_t begin = 0;
  if (line.size() > kShownBytes && column > kShownBytes / 2) begin = column - kShownBytes / 2;
  const size_t end = std::min(line.size(), begin + kShownBytes);
  std::string shown(line.substr(begin, end - begin));
  for (char& c : shown) {
    if (c == '\t') c = ' ';
    if (c < ' ' || c > '~') c = '?';
  }
  const std::string_view before = begin > 0 ? "..." : "", after = end < line.size() ? "..." : "";
  return fmt::format("  {}{}{}\n  {:>{}}", before, shown, after, "^", before.size() + column - begin + 1);
}

}  // namespace

Scenario::~Scenario() {
  CloseSource(&source_);
}

const char* Scenario::InFile(const char* at) const {
  // A piece of a joined text may itself lie in an earlier one.
  for (size_t hops = 0; hops <= joined_.size() && !Within(text(), at); ++hops) {
    const auto it =
        std::find_if(joined_.begin(), joined_.end(), [&](const auto& j) { return Within(j->text, at); });
    if (it == joined_.end()) return text().data();
    const Joined& j = **it;
    const auto offset = static_cast<size_t>(at - j.text.data());
    at = offset < j.split ? j.first + offset : j.second + (offset - j.split);
  }
  return at;
}

Location Scenario::Locate(const char* at) const {
  at = InFile(at);
  const char* begin = text().data();
  const auto line = static_cast<uint32_t>(std::count(begin, at, '\n') + 1);
  const char* start = at;
  while (start != begin && start[-1] != '\n') --start;
  return {file_, line, static_cast<uint32_t>(at - start + 1)};
}

Location Scenario::LocateStep(const Step& step) const {
  const auto column = static_cast<uint32_t>(InFile(step.text) - LineAt(step.text).data() + 1);
  return {file_, step.first_line, column};
}

std::string_view Scenario::LineAt(const char* at) const {
  at = InFile(at);
  const char* start = at;
  while (start != text().data() && start[-1] != '\n') --start;
  // A line without end is not looked through.
  const size_t limit = std::min(kMaxLineBytes, static_cast<size_t>(text().data() + text().size() - at));
  const void* newline = std::memchr(at, '\n', limit);
  const char* end = newline == nullptr ? at + limit : static_cast<const char*>(newline);
  return {start, static_cast<size_t>(end - start)};
}

absl::Status Scenario::ErrorAt(const char* at, std::string_view message) const {
  const Location where = Locate(at);
  return absl::InvalidArgumentError(fmt::format("{}:{}:{}: {}\n{}", where.file, where.line, where.column,
                                                message, Excerpt(LineAt(at), where.column - 1)));
}

std::string_view Scenario::ResultToken(const Step& s) const {
  const std::string_view text = s.View(s.result_text);
  if (text.empty()) return text;
  if (text[0] != '"') {
    size_t end = text.find_first_of(" \t<(");
    return text.substr(0, end);
  }
  size_t end = 1;
  while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
  return text.substr(0, end + 1);
}

std::string_view Scenario::ResultPath(const Step& s) const {
  const std::string_view text = s.View(s.result_text);
  const size_t begin = text.find_first_not_of("-0123456789abcdefx");
  if (begin == std::string_view::npos || begin == 0 || text[begin] != '<') return {};
  size_t depth = 0;
  for (size_t i = begin; i < text.size(); ++i) {
    if (text[i] == '<') ++depth;
    if (text[i] == '>' && text[i - 1] != '-' && --depth == 0) return text.substr(begin + 1, i - begin - 1);
  }
  return {};
}

}  // namespace mmsim::scenario
