// SPDX-License-Identifier: Apache-2.0
// From a step's words to what a system call takes: numbers, bytes in the ABI's layout, and lengths of what
// comes back. Both executors take their calls in this form. What strace did not print (a pointer to a
// structure that it printed the inside of, the tail of a long string) is said to be unknown, never invented.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sim/mm/system.h"
#include "sim/scenario/step.h"

namespace mmsim::scenario {

enum class ArgKind : uint8_t {
  kValue,  // `value` is the register: a number, a flag word, a file descriptor, an address, NULL
  kIn,     // a pointer to `len` bytes at `offset` of LoweredCall::bytes: a structure, or a string, whose NUL
           // follows
  kOut,    // a pointer to `len` bytes that the call fills in; with `seen`, what it answered is at `offset`
  kInOut,  // both: `len` bytes at `offset` go in
  kStrings,  // an array of pointers to strings (argv): `value` strings, each with its NUL, from `offset` on
  kUnknown,  // the log does not say what it points to; `value` is the address, or 0
};

struct LoweredArg {
  ArgKind kind = ArgKind::kValue;
  bool truncated = false;  // strace cut the string or array (`"abc"...`)
  bool seen = false;       // kOut: the bytes are what the kernel answered
  uint32_t offset = 0, len = 0;
  uint64_t value = 0;
  std::string_view path;  // of a file descriptor: 3</lib/x.so>
};

struct LoweredCall {
  Sys sys = kSysByNumber;
  int number = -1;  // on the architecture asked for; -1 where it lacks the call
  absl::InlinedVector<LoweredArg, 6> args;
  absl::InlinedVector<char, 128> bytes;

  uint64_t Value(size_t i) const { return i < args.size() ? args[i].value : 0; }
  // Precondition: args[i] has bytes.
  std::string_view Bytes(size_t i) const { return {bytes.data() + args[i].offset, args[i].len}; }
};

// What the $names stand for, by name without the $. Process names and addresses share it.
using Names = absl::flat_hash_map<std::string, uint64_t>;

// Lowers a kCall; `call` is cleared first: keep one and pass it again, so that its buffers are reused. An
// unknown constant, a $name without a value, or a wrong number of arguments is an ErrorAt of the scenario; in
// a log of strace only for the calls that map memory: what is strange in another call is kUnknown. The
// arguments of clone come in the order of the architecture, whatever strace calls them.
absl::Status Lower(const Scenario& scenario, const Step& step, Arch arch, const Names& names,
                   LoweredCall* call);

// An array of pointers to `count` strings (each with its NUL in `strings`), its NULL, and the strings behind
// it, as it stands at `address`.
std::string PointersAndStrings(std::string_view strings, uint64_t count, uint64_t address);

struct LoweredAccess {
  AccessKind kind = AccessKind::kStore;
  uint64_t address = 0, len = 0;
  std::string bytes;          // store: what is stored; load: what is expected
  bool checks_bytes = false;  // a load with a string as its result
};
absl::Status LowerAccess(const Scenario& scenario, const Step& step, Arch arch, const Names& names,
                         LoweredAccess* access);

// The value of an expression: numbers, constants, $names, | << + - * and brackets.
absl::StatusOr<uint64_t> Eval(const Scenario& scenario, std::string_view expression, Arch arch,
                              const Names& names);
// The same in a maps line, where digits alone are hexadecimal.
absl::StatusOr<uint64_t> EvalMapsAddress(const Scenario& scenario, std::string_view expression, Arch arch,
                                         const Names& names);

// The value of `set transparent_hugepage`; nothing for another word.
std::optional<ThpMode> ThpModeOf(std::string_view word);
inline constexpr std::string_view kExpectedThpMode = "expected always, madvise or never";

struct LoweredSignal {
  std::string_view name;  // SIGSEGV
  std::string_view code;  // SEGV_MAPERR; empty when the line has none
  std::optional<uint64_t> address;
};
absl::StatusOr<LoweredSignal> LowerSignal(const Scenario& scenario, const Step& step, Arch arch,
                                          const Names& names);

// Lowers every step of a file written by hand, with any value for the names that it binds: what would be an
// error in the middle of a run is one before it. A log of strace passes; its lines are looked at when they
// run.
absl::Status Check(const Scenario& scenario, Arch arch);

}  // namespace mmsim::scenario
