// SPDX-License-Identifier: Apache-2.0
// How QEMU is started for each guest architecture.
#pragma once

#include <string>
#include <vector>

#include "mmsim/types.h"

namespace mmsim::guest {

// QEMU's program, processor and machine, and what they want on the kernel's command line.
struct ArchCommand {
  std::string program;
  std::string package;  // that has the program
  std::vector<std::string> machine;
  std::string kernel_arguments;
};
ArchCommand CommandFor(Arch arch, bool accelerated);

// The architecture's name in packages, "amd64".
std::string DebianName(Arch arch);
// The packages of its cross compiler.
std::string CompilerPackages(Arch arch);
// Whether this program runs on it.
bool IsHost(Arch arch);

}  // namespace mmsim::guest
