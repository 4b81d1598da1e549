// SPDX-License-Identifier: Apache-2.0
// `mmsim blame FILE ADDRESS|frame:N`: everything that ever happened to a page or a frame, and why.
#pragma once

#include "CLI/CLI.hpp"

namespace mmsim::cli {

// Adds the subcommand to `app`; when it is the one that was asked for, it sets `exit_status`.
void AddBlameCommand(CLI::App& app, int& exit_status);

}  // namespace mmsim::cli
