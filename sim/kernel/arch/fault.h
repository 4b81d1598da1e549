// SPDX-License-Identifier: Apache-2.0
// The rung between a trap and the memory manager: is there a VMA, may it grow, is the access allowed, and if
// not, which signal with which code. One header an architecture, as the kernel has a file. Linux:
// arch/x86/mm/fault.c, arch/arm64/mm/fault.c
#pragma once

#include "sim/kernel/arch/arm64_fault.h"
#include "sim/kernel/arch/x86_64_fault.h"

namespace mmsim {

// `signal` is written if there is one, and left alone else. Precondition: !trapped.ok(); it trapped at
// `access`.
template <Arch kArch>
[[gnu::always_inline]] inline TrapVerdict HandleTrap(Task& task, WalkResult trapped, Access access,
                                                     SigInfo& signal) {
  return kArch == Arch::kX86_64 ? linux_x86_64::HandleTrap(task, trapped, access, signal)
                                : linux_arm64::HandleTrap(task, trapped, access, signal);
}

}  // namespace mmsim
