// SPDX-License-Identifier: Apache-2.0
// System calls by name, their arguments and results. A replay of a log, where the contents behind pointers
// are shown decoded and memory itself is unknown, and a scenario written by hand share one path: a pointer
// argument may come with its payload, the bytes of the ABI's struct or string that it points to. Where it is
// missing, the kernel reads the simulated memory.
#pragma once

#include <absl/container/inlined_vector.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mmsim/types.h"
#include "sim/base/errno.h"

namespace mmsim {

// One system call; Sys::k_mmap for "mmap". The spelling is the kernel's, so that the table is the only list.
enum class Sys : uint16_t {
#define X(name, x86_64, arm64) k_##name,
#include "sim/kernel/syscalls.def"
#undef X
  kCount
};
inline constexpr int kNrSys = static_cast<int>(Sys::kCount);

struct SysEntry {
  std::string_view name;
  int16_t x86_64, arm64;  // -1: the architecture lacks it
};
inline constexpr SysEntry kSysTable[kNrSys] = {
#define X(name, x86_64, arm64) {#name, x86_64, arm64},
#include "sim/kernel/syscalls.def"
#undef X
};

constexpr std::string_view SysName(Sys nr) {
  return kSysTable[static_cast<size_t>(nr)].name;
}
// The number in `arch`'s table; -1 when that architecture lacks it.
constexpr int SysNumber(Sys nr, Arch arch) {
  const SysEntry& entry = kSysTable[static_cast<size_t>(nr)];
  return arch == Arch::kX86_64 ? entry.x86_64 : entry.arm64;
}
// The call of this name, or nothing.
std::optional<Sys> FindSys(std::string_view name);
// The call of this number in `arch`'s table, or nothing. Of two that claim a number it is the later one: 462
// is shadowpt_open, and mseal is reached by its name alone.
std::optional<Sys> FindSysByNumber(int number, Arch arch);

struct SyscallArgs {
  std::array<uint64_t, 6> value{};
  // What value[i] points to, as bytes; data() == nullptr: not known. A string comes without its NUL. argv and
  // envp of execve: the strings, each with its NUL, one after the other. Views must outlive the call alone.
  std::array<std::string_view, 6> payload{};
  // A replay: a pointer whose target the model cannot access is no EFAULT when its payload is known, and
  // output buffers that the model cannot access are ignored (the recorded process did have them).
  bool lenient = false;

  bool Known(int i) const { return payload[static_cast<size_t>(i)].data() != nullptr; }
};

// What a call wrote through its pointer argument `arg` (also stored into simulated memory, where it is
// mapped).
struct SyscallOutput {
  int arg = 0;
  std::string bytes;
};

struct SyscallResult {
  enum class Status : uint8_t {
    kReturned,     // `value` is what the kernel returns
    kNotModelled,  // the model lacks the call, or this form of it; nothing was changed
    kBlocked,      // the call sleeps: nothing was changed, ask again later (wait4 without a dead child, ...)
    kNoReturn,     // exit, exit_group, or an execve past its point of no return that failed: the task is dead
  };
  Status status = Status::kReturned;
  int64_t value = 0;
  absl::InlinedVector<SyscallOutput, 1> outputs;

  static SyscallResult Returned(int64_t v) { return {Status::kReturned, v, {}}; }
  static SyscallResult Error(Errno e) { return {Status::kReturned, -int64_t{static_cast<int32_t>(e)}, {}}; }
  static SyscallResult NotModelled() { return {Status::kNotModelled, -int64_t{38}, {}}; }
  static SyscallResult Blocked() { return {Status::kBlocked, 0, {}}; }
  static SyscallResult NoReturn() { return {Status::kNoReturn, 0, {}}; }
};

}  // namespace mmsim
