// SPDX-License-Identifier: Apache-2.0
// What one comparison can demand of bits: of an entry (64), or of what a walk's entries come to (32).
#pragma once

namespace mmsim {

template <typename Bits>
struct Need {
  Bits mask = 0, value = 1;  // at first never met
  bool IsMetBy(Bits bits) const { return (bits & mask) == value; }
};

}  // namespace mmsim
