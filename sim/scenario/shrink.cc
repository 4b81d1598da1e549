// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/shrink.h"

#include <algorithm>
#include <string_view>

namespace mmsim::scenario {
namespace {

using Lines = std::vector<std::string_view>;

// The lines that do something; a block in braces is one.
Lines Split(std::string_view text) {
  Lines lines;
  while (!text.empty()) {
    size_t end = text.find('\n');
    const std::string_view first = text.substr(0, end);
    const bool opens = first.starts_with("expect") && first.find('{') != std::string_view::npos &&
                       first.find('}') == std::string_view::npos;
    if (opens) end = text.find('\n', std::min(text.find('}'), text.size()));
    const std::string_view line = text.substr(0, end);
    if (!line.empty() && !line.starts_with('#')) lines.push_back(line);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

std::string Join(const Lines& lines) {
  std::string text;
  for (const std::string_view line : lines) {
    text += line;
    text += '\n';
  }
  return text;
}

// Without the lines [at, at + count).
Lines Without(const Lines& lines, size_t at, size_t count) {
  Lines rest(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(at));
  rest.insert(rest.end(), lines.begin() + static_cast<std::ptrdiff_t>(std::min(at + count, lines.size())),
              lines.end());
  return rest;
}

// One pass with pieces of `size` lines: the first piece that can go, goes, and the pass goes on behind it.
bool CutPieces(Lines* lines, size_t size, const StillDiffers& still) {
  bool cut = false;
  // From the end: what stands last depends on the most.
  size_t end = lines->size();
  while (end > 0) {
    constexpr size_t kBatch = 8;
    std::vector<std::string> texts;
    std::vector<Lines> candidates;
    std::vector<size_t> starts;
    for (size_t at = end; at > 0 && candidates.size() < kBatch;) {
      at -= std::min(size, at);
      candidates.push_back(Without(*lines, at, std::min(size, end - at)));
      starts.push_back(at);
      texts.push_back(Join(candidates.back()));
    }
    const std::vector<bool> differs = still(texts);
    const size_t first =
        static_cast<size_t>(std::find(differs.begin(), differs.end(), true) - differs.begin());
    if (first < differs.size()) {
      *lines = std::move(candidates[first]);
      end = starts[first];
      cut = true;
    } else {
      end = starts.back();
    }
  }
  return cut;
}

}  // namespace

std::string Shrink(const std::string& text, const StillDiffers& still) {
  Lines lines = Split(text);
  for (size_t size = std::max<size_t>(lines.size() / 2, 1);;) {
    const bool cut = CutPieces(&lines, size, still);
    if (size == 1 && !cut) return Join(lines);
    size = std::max<size_t>(std::min(size, lines.size()) / 2, 1);
  }
}

}  // namespace mmsim::scenario
