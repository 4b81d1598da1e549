// SPDX-License-Identifier: Apache-2.0
// `mmsim run --watch`: a shadow page table redrawn after each step. All entries as a map, one sign each;
// those that the step changed stand out, and are told in full below it, any row on demand.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/kernel/kernel.h"
#include "uapi/shadowpt.h"

namespace mmsim::cli {

class ShadowWatch {
 public:
  // `colour`: with the terminal's escape sequences.
  explicit ShadowWatch(bool colour) : colour_(colour) {}
  // The screen after a step, whose line is `step`; compared with the last one.
  std::string Screen(Kernel& kernel, std::string_view step);
  // The row of the map that `address` (hexadecimal) lies in, each entry in full; of "all", every row. What
  // was expected instead when it is neither.
  static std::string Row(Kernel& kernel, std::string_view address);

 private:
  std::string Sign(const shadow_pte& entry, bool changed) const;

  const bool colour_;
  std::vector<shadow_pte> before_;
};

}  // namespace mmsim::cli
