// SPDX-License-Identifier: Apache-2.0
// The executor's program for each guest architecture, compiled at build time and carried inside this library,
// so that nothing has to be found at run time.
#pragma once

#include <string_view>

#include "mmsim/types.h"

namespace mmsim::guest {

// Empty when no compiler for the architecture was there at build time.
std::string_view EmbeddedExecutor(Arch arch);

}  // namespace mmsim::guest
