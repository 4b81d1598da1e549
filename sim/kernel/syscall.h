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
#include "sim/kernel/syscall_number.h"

namespace mmsim {

// The call of this name, or nothing.
std::optional<Sys> FindSys(std::string_view name);
// The call of this number in `arch`'s table, or nothing.
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
