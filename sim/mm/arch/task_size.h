// SPDX-License-Identifier: Apache-2.0
// Where user addresses end. Linux: TASK_SIZE_MAX of arch/x86/include/asm/page_64.h (a page below the hole),
// TASK_SIZE_64 of arch/arm64/include/asm/processor.h; 48-bit addresses
#pragma once

#include <cstdint>

#include "mmsim/types.h"

namespace mmsim {

constexpr uint64_t ArchTaskSize(Arch arch) {
  return arch == Arch::kX86_64 ? (uint64_t{1} << 47) - kPageSize : uint64_t{1} << 48;
}

}  // namespace mmsim
