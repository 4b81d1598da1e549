// SPDX-License-Identifier: Apache-2.0
// The architecture that the executor is compiled for.
#pragma once

#if defined(__x86_64__)
#include "x86_64.h"
#elif defined(__aarch64__)
#include "arm64.h"
#else
#error "the executor does not know this architecture"
#endif
