// SPDX-License-Identifier: Apache-2.0
// `mmsim record DIR -- CMD...`: runs a real program under strace and keeps what `mmsim verify` needs. What a
// recording folder holds stands in sim/scenario/recording.h.
#pragma once

#include "CLI/CLI.hpp"

namespace mmsim::cli {

// Adds the subcommand to `app`; when it is the one that was asked for, it sets `exit_status`.
void AddRecordCommand(CLI::App& app, int& exit_status);

}  // namespace mmsim::cli
