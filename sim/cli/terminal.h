// SPDX-License-Identifier: Apache-2.0
// What a terminal is asked: whether it is one, and how large its window is.
#pragma once

#include <cstddef>

namespace mmsim::cli {

// Whether what is written to standard output or error is read by a person at a terminal.
bool StdoutIsTerminal();
bool StderrIsTerminal();

struct Window {
  size_t rows = 24, columns = 80;
};

// Of the terminal behind `fd`, now; where it does not know, LINES and COLUMNS, then 24 and 80.
Window WindowOf(int fd);

}  // namespace mmsim::cli
