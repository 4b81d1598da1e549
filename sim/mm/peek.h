// SPDX-License-Identifier: Apache-2.0
// What memory would be read to hold, without being accessed: no fault, no access flag, no page comes or goes.
// The kernel has no such look; this is for observers.
#pragma once

#include <cstdint>
#include <span>

#include "sim/mm/mm.h"

namespace mmsim {

// Reads up to out.size() bytes, whatever the rights; returns how many there were before the first that
// nothing stands behind (no VMA, a page past the end of its file).
uint64_t PeekMemory(const Mm& mm, VirtAddr address, std::span<uint8_t> out);

}  // namespace mmsim
