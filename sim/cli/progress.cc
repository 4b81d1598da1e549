// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "fmt/format.h"

namespace mmsim::cli {
namespace {

constexpr size_t kBarColumns = 24;
constexpr const char* kEraseLine = "\r\x1b[K";

}  // namespace

std::string ProgressLine(size_t done, size_t total, std::string_view what, size_t columns) {
  const size_t full = total == 0 ? 0 : kBarColumns * std::min(done, total) / total;
  std::string line = fmt::format("[{:#<{}}{:.<{}}] {:>{}}/{} ", "", full, "", kBarColumns - full, done,
                                 fmt::formatted_size("{}", total), total);
  const size_t left = columns > line.size() ? columns - line.size() : 0;
  // The end of a path says more than its beginning.
  line += what.size() <= left ? what : what.substr(what.size() - left);
  return line.substr(0, columns);
}

void Progress::Next(std::string_view what) {
  if (shown_) {
    fmt::print(stderr, "{}{}", kEraseLine,
               ProgressLine(done_, total_, what, WindowOf(STDERR_FILENO).columns - 1));
    std::fflush(stderr);
  }
  ++done_;
}

void Progress::Clear() {
  if (!shown_) return;
  fmt::print(stderr, "{}", kEraseLine);
  std::fflush(stderr);
}

}  // namespace mmsim::cli
