// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/scenario_files.h"

#include <algorithm>
#include <filesystem>

#include "fmt/format.h"

namespace mmsim::cli {

namespace fs = std::filesystem;

absl::StatusOr<std::vector<std::string>> ExpandPaths(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      files.push_back(path);
      continue;
    }
    std::vector<std::string> found;
    for (auto it = fs::recursive_directory_iterator(path, error); !error && it != fs::end(it);
         it.increment(error)) {
      if (it->path().extension() == ".scn") found.push_back(it->path());
    }
    if (error) return absl::InvalidArgumentError(fmt::format("{}: {}", path, error.message()));
    if (found.empty()) return absl::InvalidArgumentError(fmt::format("{}: expected .scn files in it", path));
    std::sort(found.begin(), found.end());
    files.insert(files.end(), found.begin(), found.end());
  }
  return files;
}

absl::StatusOr<std::vector<std::unique_ptr<scenario::Scenario>>> OpenAll(
    const std::vector<std::string>& paths) {
  absl::StatusOr<std::vector<std::string>> files = ExpandPaths(paths);
  if (!files.ok()) return files.status();
  std::vector<std::unique_ptr<scenario::Scenario>> scenarios;
  for (const std::string& file : *files) {
    absl::StatusOr<std::unique_ptr<scenario::Scenario>> scenario = scenario::Scenario::Open(file);
    if (!scenario.ok()) return scenario.status();
    scenarios.push_back(*std::move(scenario));
  }
  return scenarios;
}

}  // namespace mmsim::cli
