// SPDX-License-Identifier: Apache-2.0
// Text cut into pieces: into lines, and the inside of a {structure} or an [array] of strace at its own
// commas.
#pragma once

#include <string_view>

#include "absl/container/inlined_vector.h"

namespace mmsim::scenario {

struct Element {
  std::string_view key;    // empty when it has none
  std::string_view value;  // without surrounding spaces
};
using ElementList = absl::InlinedVector<Element, 12>;

// `inside`: without the outer brackets. False when it is malformed.
bool SplitElements(std::string_view inside, ElementList* elements);

// Takes the first line off the text, and its newline.
inline std::string_view TakeLine(std::string_view* text) {
  const size_t end = text->find('\n');
  const std::string_view line = text->substr(0, end);
  text->remove_prefix(end == std::string_view::npos ? text->size() : end + 1);
  return line;
}

// "abc", "abc"... -> abc. False when it is no string literal. `truncated` tells the dots.
bool StripQuotes(std::string_view text, std::string_view* inside, bool* truncated);

}  // namespace mmsim::scenario
