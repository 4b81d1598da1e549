// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/replay.h"

#include "fmt/format.h"
#include "sim/cli/report.h"

namespace mmsim::cli {

absl::StatusOr<scenario::RunnerOptions> OptionsFor(const scenario::Scenario& scenario, Arch arch,
                                                   const std::string& profile) {
  scenario::RunnerOptions options;
  options.kernel.arch = arch;
  options.kernel.open_world = scenario.is_log();
  const std::string_view name = profile.empty() ? scenario.profile() : std::string_view(profile);
  if (name.empty()) return options;
  const KernelProfile* known = FindProfile(name, arch);
  if (known == nullptr) {
    return absl::InvalidArgumentError(
        fmt::format("{}: there is no kernel profile named {}", scenario.file(), name));
  }
  options.kernel.profile = known->name;
  return options;
}

absl::StatusOr<std::unique_ptr<scenario::Scenario>> OpenFor(const std::string& file, Arch arch) {
  absl::StatusOr<std::unique_ptr<scenario::Scenario>> scenario = scenario::Scenario::Open(file);
  if (!scenario.ok()) return scenario.status();
  if (!(*scenario)->RunsOn(arch)) {
    return absl::InvalidArgumentError(
        fmt::format("{}: not for {}: {}", file, ArchName(arch), (*scenario)->arch_reason()));
  }
  if (const absl::Status s = scenario::Check(**scenario, arch); !s.ok()) return s;
  return scenario;
}

}  // namespace mmsim::cli
