// SPDX-License-Identifier: Apache-2.0
// mmsim generate: prints a random scenario.
#pragma once

#include "CLI/CLI.hpp"

namespace mmsim::cli {

void AddGenerateCommand(CLI::App& app, int& exit_status);

}  // namespace mmsim::cli
