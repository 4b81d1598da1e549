// SPDX-License-Identifier: Apache-2.0
// `mmsim verify DIR...`: recordings of real programs, replayed and compared with what the kernel's maps were.
#pragma once

#include "CLI/CLI.hpp"

namespace mmsim::cli {

// Adds the subcommand to `app`; when it is the one that was asked for, it sets `exit_status`.
void AddVerifyCommand(CLI::App& app, int& exit_status);

}  // namespace mmsim::cli
