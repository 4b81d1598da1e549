// SPDX-License-Identifier: Apache-2.0
// How the commands say what went wrong.
#pragma once

#include "absl/status/status.h"
#include "sim/scenario/lockstep.h"
#include "sim/scenario/runner.h"

namespace mmsim::cli {

inline constexpr int kExitOk = 0, kExitDiffers = 1, kExitCannot = 2;

// One mismatch, on standard error: FILE:LINE:COLUMN and what it is, the line, what was expected and what
// came.
void PrintMismatch(const scenario::Mismatch& mismatch, std::string_view what);
// Where a real kernel and the model differ, on standard output: FILE:LINE:COLUMN, the line, and both.
void PrintStepDifference(Arch arch, const scenario::StepDifference& difference);
// What is wrong with the input or the host, on standard error.
void PrintError(const absl::Status& status);

}  // namespace mmsim::cli
