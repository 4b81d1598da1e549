// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/differences.h"

#include "fmt/format.h"

namespace mmsim::scenario {
namespace {

constexpr std::string_view kHeading = "## ", kPattern = "Pattern: `", kShownBy = "Shown by: `";

std::string_view Trim(std::string_view s) {
  while (!s.empty() && (s.back() == ' ' || s.back() == '\r')) s.remove_suffix(1);
  while (!s.empty() && s.front() == ' ') s.remove_prefix(1);
  return s;
}

}  // namespace

absl::StatusOr<KnownDifferences> KnownDifferences::Parse(std::string_view text, std::string_view file) {
  KnownDifferences known;
  size_t line_no = 0, heading_no = 0;
  const auto error = [&](size_t line, std::string_view what) {
    return absl::InvalidArgumentError(fmt::format("{}:{}:1: {}", file, line, what));
  };
  const auto complete = [&] {
    return known.entries_.empty() ||
           (known.entries_.back().has_pattern && !known.entries_.back().reason.empty());
  };
  constexpr std::string_view kIncomplete = "a difference needs a line 'Pattern: `...`' and a reason";
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = Trim(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++line_no;
    if (line.starts_with(kHeading)) {
      if (!complete()) return error(heading_no, kIncomplete);
      heading_no = line_no;
      known.entries_.emplace_back();
      known.entries_.back().id = Trim(line.substr(kHeading.size()));
    } else if (known.entries_.empty()) {
      continue;  // what the page says before the first difference
    } else if (line.starts_with(kPattern)) {
      if (line.back() != '`' || line.size() == kPattern.size())
        return error(line_no, "expected '`' behind the pattern");
      const std::string_view pattern = line.substr(kPattern.size(), line.size() - kPattern.size() - 1);
      try {
        known.entries_.back().pattern = std::regex(pattern.begin(), pattern.end());
      } catch (const std::regex_error& e) {
        return error(line_no, fmt::format("the pattern is no regular expression: {}", e.what()));
      }
      known.entries_.back().has_pattern = true;
    } else if (line.starts_with(kShownBy)) {
      if (line.back() != '`' || line.size() == kShownBy.size())
        return error(line_no, "expected '`' behind the scenario");
      known.entries_.back().shown_by = line.substr(kShownBy.size(), line.size() - kShownBy.size() - 1);
      known.entries_.back().due = false;
    } else {
      known.entries_.back().reason += line;
    }
  }
  if (!complete()) return error(heading_no, kIncomplete);
  return known;
}

std::string_view KnownDifferences::Match(const Difference& difference) {
  const std::string text = difference.Text();
  for (Entry& entry : entries_) {
    if (!std::regex_match(text, entry.pattern)) continue;
    ++entry.matches;
    return entry.id;
  }
  return {};
}

void KnownDifferences::NoteCompared(std::string_view file) {
  for (Entry& entry : entries_) entry.due |= !entry.shown_by.empty() && file.ends_with(entry.shown_by);
}

std::vector<std::string> KnownDifferences::Unmatched() const {
  std::vector<std::string> ids;
  for (const Entry& entry : entries_) {
    if (entry.due && entry.matches == 0) ids.push_back(entry.id);
  }
  return ids;
}

void ComparisonCount::Add(const ComparisonCount& other) {
  if (differences == 0 && other.differences > 0) first_after = steps + other.first_after;
  steps += other.steps;
  differences += other.differences;
  deliberate += other.deliberate;
  unsteady += other.unsteady;
  for (const auto& [name, times] : other.skipped) skipped[name] += times;
}

std::string ComparisonCount::LastLines() const {
  std::string text;
  if (deliberate > 0) text = fmt::format("{} more differences are deliberate (differences.md)\n", deliberate);
  if (unsteady > 0) text += fmt::format("{} scenarios differed once, and not again\n", unsteady);
  if (!skipped.empty()) {
    text += "left out:";
    for (const auto& [name, times] : skipped) text += fmt::format(" {} {};", times, name);
    text.pop_back();
    text += '\n';
  }
  if (differences > 0) text += fmt::format("the first difference came after {} steps\n", first_after);
  return text + fmt::format("{} steps compared, {} differences\n", steps, differences);
}

int ComparisonCount::ExitStatus() const {
  return steps == 0 ? 2 : differences > 0 ? 1 : 0;
}

}  // namespace mmsim::scenario
