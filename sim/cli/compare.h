// SPDX-License-Identifier: Apache-2.0
// mmsim compare: scenarios in the simulator and on a real kernel, step by step.
#pragma once

#include "CLI/CLI.hpp"

namespace mmsim::cli {

void AddCompareCommand(CLI::App& app, int& exit_status);

}  // namespace mmsim::cli
