// SPDX-License-Identifier: Apache-2.0
// A progress bar on standard error while it is a terminal, and nothing when it is not.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "sim/cli/terminal.h"

namespace mmsim::cli {

class Progress {
 public:
  // `total` pieces of work; fewer than two show nothing.
  explicit Progress(size_t total) : total_(total), shown_(total > 1 && StderrIsTerminal()) {}
  ~Progress() { Clear(); }
  Progress(const Progress&) = delete;

  // The next piece begins.
  void Next(std::string_view what);
  // Takes the bar away, before something else is printed; the next piece brings it back.
  void Clear();

 private:
  const size_t total_;
  const bool shown_;
  size_t done_ = 0;
};

// "[######..............]  3/10 name", at most `columns` wide.
std::string ProgressLine(size_t done, size_t total, std::string_view what, size_t columns);

}  // namespace mmsim::cli
