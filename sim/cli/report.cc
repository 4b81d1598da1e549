// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/report.h"

#include <algorithm>
#include <cstdio>

#include "fmt/format.h"

namespace mmsim::cli {

void PrintMismatch(const scenario::Mismatch& m, std::string_view what) {
  fmt::print(stderr, "{}:{}:{}: {}\n  {}\n  expected: {}\n  actual:   {}\n", m.where.file, m.where.line,
             m.where.column, what, m.line, m.expected, m.actual);
  if (m.hung_on_touch) {
    fmt::print(stderr, "  (this hung on what counts as touched: see sim/scenario/runner.h)\n");
  }
}

void PrintStepDifference(Arch arch, const scenario::StepDifference& d) {
  constexpr size_t kShown = 6;  // the others mostly follow from the first
  fmt::print("{}:{}:{}: {}: {}\n", d.where.file, d.where.line, d.where.column, ArchName(arch), d.line);
  for (size_t i = 0; i < std::min(kShown, d.differences.size()); ++i) {
    const scenario::Difference& one = d.differences[i];
    fmt::print("  {}{}{}\n    kernel: {}\n    model:  {}\n", one.subject, one.where.empty() ? "" : " ",
               one.where, one.there, one.here);
  }
  if (d.differences.size() > kShown) fmt::print("  and {} more\n", d.differences.size() - kShown);
}

void PrintError(const absl::Status& status) {
  const absl::string_view message = status.message();
  fmt::print(stderr, "{}\n", std::string_view(message.data(), message.size()));
}

}  // namespace mmsim::cli
