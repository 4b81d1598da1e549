// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/report.h"

#include <cstdio>

#include "fmt/format.h"

namespace mmsim::cli {

void PrintMismatch(const scenario::Mismatch& m) {
  fmt::print(stderr, "{}:{}:{}: the model differs\n  {}\n  expected: {}\n  actual:   {}\n", m.where.file,
             m.where.line, m.where.column, m.line, m.expected, m.actual);
  if (m.hung_on_touch) {
    fmt::print(stderr, "  (this hung on what counts as touched: see sim/scenario/runner.h)\n");
  }
}

void PrintError(const absl::Status& status) {
  const absl::string_view message = status.message();
  fmt::print(stderr, "{}\n", std::string_view(message.data(), message.size()));
}

}  // namespace mmsim::cli
