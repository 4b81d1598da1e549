// SPDX-License-Identifier: Apache-2.0
// What is carried out in a guest, and what comes back: the C++ face of include/uapi/observe.h. A Program is a
// scenario lowered to steps; an Outcome is what one step came to; a State is what every address space of the
// scenario looked like after it, in the kernel's raw values. Plain data: nothing here talks to a guest
// (guest.h does).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "uapi/observe.h"
#include "uapi/shadowpt.h"

namespace mmsim::guest {

// An argument of a call, or an address of an access.
struct Arg {
  uint16_t kind = OBSERVE_ARG_LITERAL;  // enum observe_arg_kind
  uint32_t ref = 0;
  uint64_t value = 0;
  std::string bytes;  // of an IN argument

  static Arg Literal(uint64_t value) { return {OBSERVE_ARG_LITERAL, 0, value, {}}; }
  // The result of the program's step `step` (an index into Program::steps), plus `offset`.
  static Arg Result(uint32_t step, uint64_t offset = 0) { return {OBSERVE_ARG_RESULT, step, offset, {}}; }
  // What the program's LOAD step `step` found, as a little-endian number, plus `offset`.
  static Arg Loaded(uint32_t step, uint64_t offset = 0) { return {OBSERVE_ARG_LOADED, step, offset, {}}; }
  // A pointer to these bytes in the victim's scratch area; add the terminating NUL of a path yourself.
  static Arg In(std::string bytes) { return {OBSERVE_ARG_IN, 0, 0, std::move(bytes)}; }
  // The same, and the bytes are in Outcome::out afterwards.
  static Arg InOut(std::string bytes) { return {OBSERVE_ARG_IN, OBSERVE_ARG_ALSO_OUT, 0, std::move(bytes)}; }
  // A pointer to `len_bytes` zero bytes in the scratch area; they are in Outcome::out afterwards.
  static Arg Out(uint64_t len_bytes) { return {OBSERVE_ARG_OUT, 0, len_bytes, {}}; }
  // A pointer into the buffer of another argument of the same step.
  static Arg Buffer(uint32_t arg, uint64_t offset = 0) { return {OBSERVE_ARG_BUFFER, arg, offset, {}}; }
};

// Eight bytes at `offset` of the buffer of IN argument `arg` that become `value` (a Literal, Result, Loaded
// or Buffer).
struct Patch {
  uint16_t arg = 0;
  uint64_t offset = 0;
  Arg value;
};

struct Step {
  observe_step_kind kind = OBSERVE_STEP_CALL;
  uint16_t flags = 0;
  uint32_t process = 0;
  uint32_t child = 0;  // the name of the process that a SPAWN, fork, vfork or clone makes
  uint32_t observe = OBSERVE_MAPS | OBSERVE_PAGES | OBSERVE_FRAMES;
  uint64_t number =
      0;  // CALL, OUTSIDE: the system call's number in the guest; LOAD, STORE, READ_FILE: length in bytes
  std::vector<Arg> args;
  std::vector<Patch> patches;
};

struct Program {
  std::string name;  // for messages
  std::vector<Step> steps;
};

// The observation of one address space. maps and smaps are the kernel's text.
struct Space {
  std::string maps;
  std::string smaps;                // as of the last step that asked for it
  std::vector<observe_page> pages;  // ascending by vaddr; every page whose pagemap word says something
};

// Everything that is known of the victims after a step. Valid while the callback that got it runs.
struct State {
  std::vector<observe_live> live;            // in the order in which they were made
  std::map<uint32_t, Space> spaces;          // by observe_live::space
  std::map<uint64_t, observe_frame> frames;  // by pfn: of each frame mapped in any space
  std::vector<shadow_pte> shadow;            // of the open shadow page table; empty: none is open
  // Which of the spaces (ascending) and whether the frames changed in this step.
  std::vector<uint32_t> changed_spaces;
  bool frames_changed = false;
  // Which boot of the guest this is. A scenario during which the guest went is carried out again in the next
  // one, where no frame, swap slot or inode has the number that it had.
  uint32_t boot = 0;
};

// What one step came to: observe_report and its chunks.
struct Outcome {
  uint32_t step = 0;  // index into Program::steps
  observe_ending ending = OBSERVE_ENDING_DONE;
  int64_t result = 0;
  uint32_t made = 0;
  int32_t signo = 0;
  int32_t signal_code = 0;
  uint64_t fault_address = 0;
  uint32_t wait_status = 0;
  std::map<uint32_t, std::string> out;  // by argument; LOAD and READ_FILE: 0
  std::vector<observe_fault> faults;
  std::vector<observe_died> died;
};

}  // namespace mmsim::guest
