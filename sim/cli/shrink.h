// SPDX-License-Identifier: Apache-2.0
// mmsim shrink: the shortest scenario that still differs from the real kernel.
#pragma once

#include "CLI/CLI.hpp"

namespace mmsim::cli {

void AddShrinkCommand(CLI::App& app, int& exit_status);

}  // namespace mmsim::cli
