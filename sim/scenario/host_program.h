// SPDX-License-Identifier: Apache-2.0
// Programs of this host, for the replay of an exec that no listing tells about.
#pragma once

#include <string>

#include "sim/kernel/files.h"

namespace mmsim::scenario {

// The replay's file system learns what the program at an absolute path holds, and the interpreters that it
// asks for, if they are on this host. What is not there, or cannot be read, is left as it was.
void ProvideHostProgram(Vfs& vfs, const std::string& path);

}  // namespace mmsim::scenario
