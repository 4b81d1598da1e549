// SPDX-License-Identifier: Apache-2.0
// Cuts a scenario down to the shortest that a test still accepts (Zeller's ddmin, over lines).
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace mmsim::scenario {

// Whether a scenario of these texts still does what it was kept for; a batch at once, for a guest runs many
// in one boot.
using StillDiffers = std::function<std::vector<bool>(const std::vector<std::string>& texts)>;

// The shortest text found, none of whose lines can be left out. Comments go first. `still` is asked about
// texts that may be no scenario at all: these do not.
std::string Shrink(const std::string& text, const StillDiffers& still);

}  // namespace mmsim::scenario
