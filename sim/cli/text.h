// SPDX-License-Identifier: Apache-2.0
// Small text helpers over std::string_view (Debian's Abseil has a string_view of its own, which is another
// type), for files of /proc.
#pragma once

#include <charconv>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace mmsim::cli {

inline std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\r";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// Takes the part up to the next `separator` off the front of `text`, and the separator too.
inline std::string_view TakePart(std::string_view* text, char separator) {
  const size_t end = text->find(separator);
  const std::string_view part = text->substr(0, end);
  text->remove_prefix(end == std::string_view::npos ? text->size() : end + 1);
  return part;
}

// The value of the line `name:` in a file like /proc/PID/status; empty when there is none.
inline std::string_view FieldOf(std::string_view text, std::string_view name) {
  while (!text.empty()) {
    const std::string_view line = TakePart(&text, '\n');
    const size_t colon = line.find(':');
    if (colon != std::string_view::npos && Trim(line.substr(0, colon)) == name) {
      return Trim(line.substr(colon + 1));
    }
  }
  return {};
}

// False unless the whole of `text` is a decimal number.
template <typename Number>
bool ParseDecimal(std::string_view text, Number* number) {
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && rest == text.data() + text.size();
}

// A file's text; empty when it cannot be read.
inline std::string ReadText(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}

}  // namespace mmsim::cli
