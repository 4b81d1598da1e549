// SPDX-License-Identifier: Apache-2.0
// System calls by one identity (Sys) on every architecture, with their names and numbers, all from
// syscalls.def.
#pragma once

#include <cstdint>
#include <string_view>

#include "mmsim/types.h"

namespace mmsim {

enum class Sys : uint16_t {
#define X(name, x86_64, arm64) k_##name,
#include "sim/kernel/syscalls.def"
#undef X
};

inline constexpr int kNrSys = 0
#define X(name, x86_64, arm64) +1
#include "sim/kernel/syscalls.def"
#undef X
    ;

struct SysEntry {
  std::string_view name;
  int16_t x86_64, arm64;  // -1: the architecture lacks it
};

inline constexpr SysEntry kSysTable[kNrSys] = {
#define X(name, x86_64, arm64) {#name, x86_64, arm64},
#include "sim/kernel/syscalls.def"
#undef X
};

constexpr std::string_view SysName(Sys s) {
  return kSysTable[static_cast<int>(s)].name;
}

// The number on `arch`; -1 where it lacks the call.
constexpr int SysNumber(Sys s, Arch arch) {
  const SysEntry& e = kSysTable[static_cast<int>(s)];
  return arch == Arch::kArm64 ? e.arm64 : e.x86_64;
}

}  // namespace mmsim
