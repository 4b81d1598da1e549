// SPDX-License-Identifier: Apache-2.0
// The processor of a machine, with the controls that its kernel switches on.
#pragma once

#include "sim/hw/cpu.h"
#include "sim/mm/system.h"

namespace mmsim {

inline Cpu MakeCpu(System& system) {
  if (system.arch == Arch::kX86_64) {
    x86_64::Config x86;
    x86.protection_keys = system.profile.pkeys;
    return Cpu(system.phys, x86);
  }
  arm64::Config config;
  config.hardware_access_flag = config.hardware_dirty = system.profile.hw_afdbm;
  return Cpu(system.phys, config);
}

}  // namespace mmsim
