// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

#include "absl/strings/numbers.h"

namespace mmsim::cli {
namespace {

size_t Known(size_t told, const char* variable, size_t otherwise) {
  if (told != 0) return told;
  const char* text = std::getenv(variable);
  uint32_t value = 0;
  const bool said = text != nullptr && absl::SimpleAtoi(text, &value) && value != 0;
  return said ? value : otherwise;
}

}  // namespace

bool StdoutIsTerminal() {
  return isatty(STDOUT_FILENO) != 0;
}
bool StderrIsTerminal() {
  return isatty(STDERR_FILENO) != 0;
}

Window WindowOf(int fd) {
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0) size = {};
  const Window usual;
  return {Known(size.ws_row, "LINES", usual.rows), Known(size.ws_col, "COLUMNS", usual.columns)};
}

}  // namespace mmsim::cli
