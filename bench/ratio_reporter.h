// SPDX-License-Identifier: Apache-2.0
// The usual table, and after each line its figure as a ratio to the first benchmark's, which is the unit.
#pragma once

#include <benchmark/benchmark.h>

#include <string>
#include <utility>
#include <vector>

namespace mmsim {

class RatioReporter : public benchmark::ConsoleReporter {
 public:
  // `unit`: what the first benchmark does once, in the plural.
  explicit RatioReporter(std::string unit) : unit_(std::move(unit)) {}
  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const Run& run : runs) {
      const double ns = 1e9 / run.counters.at("items_per_second").value;
      if (unit_ns_ == 0) unit_ns_ = ns;
      GetOutputStream() << "    " << ns << " ns each, " << ns / unit_ns_ << " " << unit_ << "\n";
    }
  }

 private:
  const std::string unit_;
  double unit_ns_ = 0;
};

// What main() does; `unit` as RatioReporter has it.
inline int RunBenchmarks(int argc, char** argv, std::string unit) {
  benchmark::Initialize(&argc, argv);
  RatioReporter reporter(std::move(unit));
  benchmark::RunSpecifiedBenchmarks(&reporter);
  return 0;
}

}  // namespace mmsim
