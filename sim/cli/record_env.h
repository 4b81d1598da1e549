// SPDX-License-Identifier: Apache-2.0
// The `env` file of a recording: what of this host shapes an address space. Its form stands in
// sim/scenario/recording.h.
#pragma once

#include <string>

namespace mmsim::cli {

// The text of `env` for a program that this process starts without address-space randomisation.
std::string DescribeHost();

}  // namespace mmsim::cli
