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
#include "sim/scenario/step.h"

namespace mmsim::scenario {

enum class ArgKind : uint8_t {
  kValue,  // `value` is the register: a number, a flag word, a file descriptor, an address, NULL
  kIn,     // a pointer to `len` bytes that are at `offset` of LoweredCall::bytes (a structure, a string)
  kOut,  // a pointer to `len` bytes that the call fills in; `offset` has what strace saw there, if `seen` is
         // set
  kInOut,    // both: bytes at `offset` go in and come back
  kStrings,  // an array of strings (argv): `value` strings, each NUL-terminated, one after the other at
             // `offset`
  kUnknown,  // the log does not say (`[...]`, `0x7ffe... /* 41 vars */` has its address in value)
};

struct LoweredArg {
  ArgKind kind = ArgKind::kValue;
  bool truncated = false;  // strace cut the string or array (`"abc"...`)
  bool seen = false;       // kOut: the bytes are what the kernel answered
  uint32_t offset = 0, len = 0;
  uint64_t value = 0;     // the register; for pointers, the address where it is known, else 0
  std::string_view path;  // of a file descriptor: 3</lib/x.so>
};

struct LoweredCall {
  Sys sys = kSysByNumber;
  int number = -1;  // on the architecture asked for; -1 where it lacks the call
  absl::InlinedVector<LoweredArg, 6> args;
  absl::InlinedVector<uint8_t, 64> bytes;

  uint64_t Value(size_t i) const { return i < args.size() ? args[i].value : 0; }
  // Precondition: args[i] has bytes.
  std::string_view Bytes(size_t i) const {
    return {reinterpret_cast<const char*>(bytes.data()) + args[i].offset, args[i].len};
  }
};

// What the $names stand for, by name without the $. Process names and addresses share it.
using Names = absl::flat_hash_map<std::string, uint64_t>;

// Lowers a kCall. An error (a word that no table has, a $name without a value) is an ErrorAt of the scenario.
// `call` is cleared first: keep one and pass it again, so that its buffers are reused.
// Arguments of calls that do not shape an address space are lowered as far as they are numbers; the rest is
// kUnknown.
absl::Status Lower(const Scenario& scenario, const Step& step, Arch arch, const Names& names,
                   LoweredCall* call);

// Lowers a kAccess: the address, and the bytes to store or the length to load.
struct LoweredAccess {
  AccessKind kind = AccessKind::kStore;
  uint64_t address = 0, len = 0;
  std::string bytes;          // store: what is stored; load: what is expected
  bool checks_bytes = false;  // load with a string as result
};
absl::Status LowerAccess(const Scenario& scenario, const Step& step, const Names& names,
                         LoweredAccess* access);

// The value of an expression: numbers, symbols of the table (PROT_READ), $names, | ^ & << + - * and
// parentheses.
absl::StatusOr<uint64_t> Eval(const Scenario& scenario, std::string_view expression, Arch arch,
                              const Names& names);

// A signal line: number, code and address.
struct LoweredSignal {
  int signo = 0;
  std::string_view code;  // SEGV_MAPERR; empty when the line has none
  std::optional<uint64_t> address;
  std::optional<uint64_t> error_code;  // error_code=0x15 (x86-64) or esr=...: only written by hand
};
absl::StatusOr<LoweredSignal> LowerSignal(const Scenario& scenario, const Step& step, const Names& names);

}  // namespace mmsim::scenario
