// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/reference.h"

#include "fmt/format.h"

namespace mmsim::cli {

void AddReferenceOptions(CLI::App& command, ReferenceChoice* choice) {
  command
      .add_option("--with", choice->with,
                  "packaged: Debian's 6.12; patched: the one with the shadowpt calls (tests/differential)")
      ->check(CLI::IsMember({"packaged", "patched"}))
      ->capture_default_str();
  command.add_flag("--debug", choice->variant.debug,
                   "with the patched kernel, built with lockdep, KASAN and other checks (much slower)");
  command.add_option("--mutant", choice->variant.mutant,
                     "with the patched kernel, broken on purpose: a file of tests/differential/mutants");
}

absl::StatusOr<scenario::Reference> Boot(Arch arch, const ReferenceChoice& choice) {
  if (!choice.patched()) {
    if (choice.variant.debug || !choice.variant.mutant.empty())
      return absl::InvalidArgumentError("--debug and --mutant say which patched kernel: add --with patched");
    return scenario::BootReference(arch);
  }
  const absl::StatusOr<std::string> image = guest::PatchedKernel(
      arch, choice.variant, [](std::string_view line) { fmt::print(stderr, "{}\n", line); });
  if (!image.ok()) return image.status();
  return scenario::BootReference(arch, *image);
}

uint32_t ObservedWith(const ReferenceChoice& choice) {
  const uint32_t observed = scenario::LockstepOptions().observe;
  return choice.patched() ? observed | OBSERVE_FAULTS : observed;
}

}  // namespace mmsim::cli
