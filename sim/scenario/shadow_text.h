// SPDX-License-Identifier: Apache-2.0
// An entry of a shadow page table (include/uapi/shadowpt.h) in words: as expectations name them, as `mmsim
// run
// --observe shadow` prints them.
#pragma once

#include <string>

#include "absl/types/span.h"
#include "uapi/shadowpt.h"

namespace mmsim {
class Kernel;
}

namespace mmsim::scenario {

// "allocated anonymous mapped"; "none" when nothing of it holds.
std::string ShadowFlagsText(uint64_t state_flags);
// A line an entry, neighbours that say the same (pfns apart) joined: "7ffff7fc0000-7ffff7fc2000 allocated
// anonymous".
std::string ShadowText(absl::Span<const shadow_pte> entries);
// What is open in the kernel and, once it was started, what it shows; empty when nothing is open.
std::string ShadowStateText(Kernel& kernel);

}  // namespace mmsim::scenario
