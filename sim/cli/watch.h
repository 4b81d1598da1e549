// SPDX-License-Identifier: Apache-2.0
// `mmsim run --watch`: a shadow page table redrawn after each step. All entries as a map that fits the
// window, one sign for one or more of them; those that the step changed stand out, and are told below it as
// far as there is room, any of them on demand.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/cli/terminal.h"
#include "sim/kernel/kernel.h"
#include "uapi/shadowpt.h"

namespace mmsim::cli {

// How the entries are laid out: so many signs a row, each for so many entries.
struct MapGrid {
  size_t signs = 64, entries_a_sign = 1;
  size_t Row() const { return signs * entries_a_sign; }
};

class ShadowWatch {
 public:
  // Without a window (a pipe) nothing is coloured, lines have no end, and changed entries have a ^ below.
  using MaybeWindow = std::optional<Window>;

  // `asks`: who sees the screen may ask for rows before the next step.
  explicit ShadowWatch(bool asks) : asks_(asks) {}
  // The screen after a step, whose line is `step`; compared with the last one. `findings` are the auditor's.
  std::string Screen(Kernel& kernel, std::string_view step, std::span<const std::string> findings,
                     const MaybeWindow& window);
  // The row of the last screen's map that `address` (hexadecimal) lies in, each entry in full; in a window
  // that is too small from the address on. Of "all", every row. What was expected instead when it is neither.
  std::string Row(Kernel& kernel, std::string_view address, const MaybeWindow& window) const;

 private:
  std::vector<std::string> MapRows(VirtRange range, std::span<const shadow_pte> entries, bool colour) const;

  const bool asks_;
  MapGrid grid_;
  std::vector<shadow_pte> before_;
};

}  // namespace mmsim::cli
