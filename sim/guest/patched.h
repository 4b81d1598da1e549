// SPDX-License-Identifier: Apache-2.0
// The kernel with the shadowpt calls, from tests/differential of the source tree: its build.sh makes it, or
// finds it in its cache.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "mmsim/types.h"

namespace mmsim::guest {

struct PatchedVariant {
  bool debug = false;  // with lockdep, KASAN and the other checks of config/debug.config
  std::string mutant;  // a file of mutants/: broken on purpose
};

// The image of the patched kernel; builds it when it is not there (minutes). What is missing on the machine
// is an error of one line that says what to install. `on_line`: what the build says of its progress.
absl::StatusOr<std::string> PatchedKernel(Arch arch, const PatchedVariant& variant,
                                          const std::function<void(std::string_view)>& on_line);
// The same, but not found instead of built.
absl::StatusOr<std::string> BuiltPatchedKernel(Arch arch);

}  // namespace mmsim::guest
