// SPDX-License-Identifier: Apache-2.0
// What the pointer arguments of system calls point to, as far as their insides matter to an address space,
// and how many arguments the calls have that map memory.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "absl/types/span.h"
#include "mmsim/types.h"
#include "sim/kernel/syscall.h"

namespace mmsim::scenario {

enum class Shape : uint8_t {
  kBySyntax,  // a number is a value, a string goes in, anything else is unknown
  kOutBytes,  // a buffer that is filled; the next argument is its length
  kRlimitIn,
  kRlimitOut,
  kCloneArgs,    // in; the next argument is its length
  kOpenHow,      // in
  kStrings,      // argv
  kIovecs,       // in
  kShadowTable,  // in, and end_vaddr may come back
  kOutInts,      // int[]
  kOutChars,     // unsigned char[], one a page: mincore
  kEnvironment,  // `0x7ffe... /* 41 vars */` or an array of strings
};

struct FieldLayout {
  std::string_view name;
  uint8_t offset, size;
};

inline constexpr FieldLayout kRlimitLayout[] = {{"rlim_cur", 0, 8}, {"rlim_max", 8, 8}};
inline constexpr FieldLayout kOpenHowLayout[] = {{"flags", 0, 8}, {"mode", 8, 8}, {"resolve", 16, 8}};
inline constexpr FieldLayout kIovecLayout[] = {{"iov_base", 0, 8}, {"iov_len", 8, 8}};
// include/uapi/shadowpt.h struct user_shadow_pt
inline constexpr FieldLayout kShadowTableLayout[] = {
    {"start_vaddr", 0, 8}, {"end_vaddr", 8, 8}, {"entries", 16, 8}};
// include/uapi/linux/sched.h struct clone_args
inline constexpr FieldLayout kCloneArgsLayout[] = {
    {"flags", 0, 8},        {"pidfd", 8, 8},         {"child_tid", 16, 8},  {"parent_tid", 24, 8},
    {"exit_signal", 32, 8}, {"stack", 40, 8},        {"stack_size", 48, 8}, {"tls", 56, 8},
    {"set_tid", 64, 8},     {"set_tid_size", 72, 8}, {"cgroup", 80, 8}};

struct CallShape {
  std::array<Shape, 6> args{};
  bool maps_memory = false;  // its constants are all known: an unknown one is an error even in a log
  int8_t min_args = -1, max_args = -1;
};

const CallShape& ShapeOf(Sys sys);

// fork, vfork, clone, clone3
constexpr bool MakesTask(Sys sys) {
  return sys == Sys::k_clone || sys == Sys::k_clone3 || sys == Sys::k_fork || sys == Sys::k_vfork;
}

// The position of an argument of clone by the name that strace gives it; -1 when it has none.
int CloneArgPosition(std::string_view name, Arch arch);

}  // namespace mmsim::scenario
