// SPDX-License-Identifier: Apache-2.0
// Colours of a terminal, or none.
#pragma once

#include <string>
#include <string_view>

#include "fmt/format.h"

namespace mmsim::scenario {

class Ink {
 public:
  explicit Ink(bool colour) : colour_(colour) {}
  std::string Bold(std::string_view text) const { return In("1", text); }
  std::string Dim(std::string_view text) const { return In("2", text); }
  std::string Red(std::string_view text) const { return In("31", text); }
  std::string Green(std::string_view text) const { return In("32", text); }
  std::string Yellow(std::string_view text) const { return In("33", text); }
  std::string Blue(std::string_view text) const { return In("34", text); }
  std::string Magenta(std::string_view text) const { return In("35", text); }
  std::string Cyan(std::string_view text) const { return In("36", text); }

 private:
  std::string In(std::string_view code, std::string_view text) const {
    return colour_ && !text.empty() ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : std::string(text);
  }
  const bool colour_;
};

}  // namespace mmsim::scenario
