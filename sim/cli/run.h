// SPDX-License-Identifier: Apache-2.0
// `mmsim run FILE...`: scenarios and strace logs, carried out on the simulated kernel or on a real one in
// QEMU.
#pragma once

#include "CLI/CLI.hpp"

namespace mmsim::cli {

// Adds the subcommand to `app`; when it is the one that was asked for, it sets `exit_status`.
void AddRunCommand(CLI::App& app, int& exit_status);

}  // namespace mmsim::cli
