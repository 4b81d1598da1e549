// SPDX-License-Identifier: Apache-2.0
// Steps that the tests of the guest write often.
#pragma once

#include <string>
#include <utility>

#include "mmsim/types.h"
#include "sim/guest/program.h"

namespace mmsim::guest {

inline Step Access(observe_step_kind kind, uint32_t process, uint64_t number, std::vector<Arg> args) {
  return {.kind = kind, .process = process, .number = number, .args = std::move(args), .patches = {}};
}
inline Step Load(uint32_t process, Arg address, uint64_t len_bytes) {
  return Access(OBSERVE_STEP_LOAD, process, len_bytes, {std::move(address)});
}
inline Step Store(uint32_t process, Arg address, std::string bytes) {
  const uint64_t len_bytes = bytes.size();
  return Access(OBSERVE_STEP_STORE, process, len_bytes, {std::move(address), Arg::In(std::move(bytes))});
}
inline Step Fetch(uint32_t process, Arg address) {
  return Access(OBSERVE_STEP_FETCH, process, 0, {std::move(address)});
}
inline Step Spawn(uint32_t process) {
  return {.kind = OBSERVE_STEP_SPAWN, .child = process, .args = {}, .patches = {}};
}

// System calls by the numbers of one architecture.
class Calls {
 public:
  explicit Calls(Arch arch) : x86_(arch == Arch::kX86_64) {}

  Step Call(uint32_t process, uint64_t x86, uint64_t arm, std::vector<Arg> args) const {
    return Access(OBSERVE_STEP_CALL, process, x86_ ? x86 : arm, std::move(args));
  }
  Step Mmap(uint32_t process, uint64_t address, uint64_t len, uint64_t prot, uint64_t flags) const {
    return Call(process, 9, 222,
                {Arg::Literal(address), Arg::Literal(len), Arg::Literal(prot), Arg::Literal(flags),
                 Arg::Literal(~uint64_t{0}), Arg::Literal(0)});
  }
  Step Munmap(uint32_t process, Arg address, uint64_t len) const {
    return Call(process, 11, 215, {std::move(address), Arg::Literal(len)});
  }
  Step Mprotect(uint32_t process, Arg address, uint64_t len, uint64_t prot) const {
    return Call(process, 10, 226, {std::move(address), Arg::Literal(len), Arg::Literal(prot)});
  }
  // clone with `flags` and no stack of its own; `child` names the new process.
  Step Clone(uint32_t process, uint32_t child, uint64_t flags) const {
    Step step =
        Call(process, 56, 220, {Arg::Literal(flags), Arg::Literal(0), Arg::Literal(0), Arg::Literal(0)});
    step.child = child;
    return step;
  }
  Step Fork(uint32_t process, uint32_t child) const { return Clone(process, child, 17 /* SIGCHLD */); }
  Step Exit(uint32_t process, uint64_t status) const { return Call(process, 60, 93, {Arg::Literal(status)}); }
  Step ExitGroup(uint32_t process, uint64_t status) const {
    return Call(process, 231, 94, {Arg::Literal(status)});
  }
  Step Execve(uint32_t process, const std::string& path) const {
    Step step = Call(process, 59, 221,
                     {Arg::In(path + std::string(1, '\0')), Arg::In(std::string(16, '\0')), Arg::Literal(0)});
    step.patches.push_back({.arg = 1, .offset = 0, .value = Arg::Buffer(0)});
    return step;
  }

 private:
  bool x86_;
};

}  // namespace mmsim::guest
