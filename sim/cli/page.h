// SPDX-License-Identifier: Apache-2.0
// Lines from the top of a window down; what does not fit any more is left out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace mmsim::cli {

// A line that stands for `count` things.
struct Told {
  std::string line;
  size_t count = 1;
};

// The columns that a line takes, the terminal's escape sequences left out.
size_t ColumnsOf(std::string_view line);

class Page {
 public:
  Page() = default;  // without an end
  Page(size_t columns, size_t rows) : columns_(columns), left_(rows) {}

  // False, and nothing is added, when the rows that are left are too few for it.
  bool Add(std::string_view line);
  // As many as `rows` hold; the last one then says how many things were not told, and `more`.
  void AddFitting(std::span<const Told> lines, size_t rows, std::string_view more);

  size_t left() const { return left_; }
  const std::string& text() const { return text_; }

 private:
  size_t RowsOf(std::string_view line) const;

  size_t columns_ = SIZE_MAX, left_ = SIZE_MAX;
  std::string text_;
};

}  // namespace mmsim::cli
