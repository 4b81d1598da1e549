// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/page.h"

#include <algorithm>

#include "fmt/format.h"

namespace mmsim::cli {

size_t ColumnsOf(std::string_view line) {
  size_t columns = 0;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\x1b') {
      i = std::min(line.find('m', i), line.size());
    } else {
      ++columns;
    }
  }
  return columns;
}

size_t Page::RowsOf(std::string_view line) const {
  const size_t columns = ColumnsOf(line);
  return columns <= columns_ ? 1 : (columns + columns_ - 1) / columns_;
}

bool Page::Add(std::string_view line) {
  const size_t rows = RowsOf(line);
  if (rows > left_) return false;
  left_ -= rows;
  text_ += line;
  text_ += '\n';
  return true;
}

void Page::AddFitting(std::span<const Told> lines, size_t rows, std::string_view more) {
  rows = std::min(rows, left_);
  size_t untold = 0;
  for (const Told& told : lines) untold += told.count;
  for (size_t i = 0; i < lines.size(); ++i) {
    const size_t needs = RowsOf(lines[i].line);
    const bool is_last = i + 1 == lines.size();
    if (needs + (is_last ? 0 : 1) > rows) {
      Add(fmt::format("  ... {} {}", untold, more));
      return;
    }
    rows -= needs;
    untold -= lines[i].count;
    Add(lines[i].line);
  }
}

}  // namespace mmsim::cli
