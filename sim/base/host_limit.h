// SPDX-License-Identifier: Apache-2.0
// A limit of the host that the simulator cannot go on under: no bug and no mistake of anybody's. It is said
// in one line, and the program ends with status 2.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace mmsim {

// `what` is a sentence about the host, with what can be done about it.
[[noreturn]] inline void HostLimit(const char* what) {
  std::fflush(stdout);
  std::fprintf(stderr, "mmsim: %s\n", what);
  std::_Exit(2);
}

}  // namespace mmsim
