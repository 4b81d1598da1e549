// SPDX-License-Identifier: Apache-2.0
// A loop over many entries asks once whose they are: within, the architecture is a constant, and of each
// function of pte.h one half remains.
#pragma once

#include <type_traits>

#include "mmsim/types.h"

namespace mmsim {

// function(std::integral_constant<Arch, ...>), and what it returns
template <typename Function>
decltype(auto) ForArch(Arch arch, Function&& function) {
  return arch == Arch::kX86_64 ? function(std::integral_constant<Arch, Arch::kX86_64>())
                               : function(std::integral_constant<Arch, Arch::kArm64>());
}

}  // namespace mmsim
