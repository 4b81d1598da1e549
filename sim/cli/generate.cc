// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/generate.h"

#include <map>
#include <memory>
#include <string>

#include "fmt/format.h"
#include "sim/cli/report.h"
#include "sim/scenario/generate.h"

namespace mmsim::cli {

void AddGenerateCommand(CLI::App& app, int& exit_status) {
  auto options = std::make_shared<scenario::GenerateOptions>();
  CLI::App* command = app.add_subcommand("generate", "prints a random scenario");
  command->footer("Example: mmsim generate --seed 7 --steps 200 --about pages > seven.scn");
  command->add_option("--seed", options->seed, "the same seed gives the same scenario")
      ->capture_default_str();
  command->add_option("--steps", options->steps, "how many calls and accesses")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  static const std::map<std::string, scenario::About> kAbout(std::begin(scenario::kAbouts),
                                                             std::end(scenario::kAbouts));
  command->add_option("--about", options->about, "address-space, pages or shadowpt")
      ->transform(CLI::CheckedTransformer(kAbout));
  command->callback([options, &exit_status] {
    fmt::print("{}", scenario::Generate(*options));
    exit_status = kExitOk;
  });
}

}  // namespace mmsim::cli
