// SPDX-License-Identifier: Apache-2.0
// `mmsim show FILE`: a picture of one process's VMAs and page tables, at any moment of a scenario.
#pragma once

#include "CLI/CLI.hpp"

namespace mmsim::cli {

// Adds the subcommand to `app`; when it is the one that was asked for, it sets `exit_status`.
void AddShowCommand(CLI::App& app, int& exit_status);

}  // namespace mmsim::cli
