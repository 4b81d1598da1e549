// SPDX-License-Identifier: Apache-2.0
// Numbers as scenarios write them, evaluated: constants by symbols.def, $names by what they were bound to.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "sim/scenario/line.h"
#include "sim/scenario/lower.h"

namespace mmsim::scenario {

// The value of a constant on `arch`; nothing when no table has it, or that architecture lacks it.
std::optional<uint64_t> SymbolValue(std::string_view symbol, Arch arch);

// Evaluates an expression (expression.h). False: `error` says where and why. With error == nullptr it says
// nothing, and that is quick: most arguments of a log are no numbers.
bool Evaluate(std::string_view expression, Arch arch, const Names& names, uint64_t* value, LineError* error);

}  // namespace mmsim::scenario
