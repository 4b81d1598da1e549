// SPDX-License-Identifier: Apache-2.0
// One line of a scenario, parsed by the grammar into the pieces that load.cc makes steps of. Exceptions of
// the parser library end here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/container/inlined_vector.h"
#include "sim/scenario/step.h"

namespace mmsim::scenario {

enum class LineKind : uint8_t {
  kNothing,   // strace: something
  kStep,      // `step` and `args` are complete, but for the lines and the pool
  kCallHead,  // the name and opening bracket of a call, and arguments as far as they go
  kResumed,   // <... name resumed>; `rest` is what follows
  kAttached,  // strace: Process N attached
  kExpect,    // expect ...: `rest` begins at the word expect
  kArch,      // arch `word` "`reason`"
  kProfile,   // profile `word`
};

// How a line names its process.
enum class PidForm : uint8_t { kNone, kPlain, kBracket };

struct ParsedLine {
  LineKind kind = LineKind::kNothing;
  PidForm pid_form = PidForm::kNone;
  bool by_hand = false;  // strace prints no such thing
  Step step;
  absl::InlinedVector<TextRef, 8> args;
  const char* rest = nullptr;
  int32_t attached = 0;
  std::string_view word, reason;

  // Inside the parser.
  const char* end = nullptr;
  const char* result_at = nullptr;
};

struct LineError {
  const char* at = nullptr;
  std::string message;
};

// What the text is: a whole line; a line without its `<unfinished ...>`; a last line without newline; an
// event without columns before it, joined of two lines; and the beginning of a call that never ended,
// likewise.
enum class LineForm : uint8_t { kWhole, kUnfinished, kHeld, kJoined, kJoinedPart };

// Parses [begin, end). False: `error` says where and why.
bool ParseLine(LineForm form, const char* begin, const char* end, ParsedLine* line, LineError* error);

// Sets an `expect` apart: [begin, end) is all of it, block included.
bool ParseExpect(const char* begin, const char* end, Expect* expect, LineError* error);

}  // namespace mmsim::scenario
