// SPDX-License-Identifier: Apache-2.0
// String literals as C and strace write them.
#pragma once

#include <string>
#include <string_view>

namespace mmsim::scenario {

// Appends what the inside of a literal stands for: \n \t \r \v \f \a \b \e \\ \" \', \ooo (up to three octal
// digits), \xhh. Any other escaped character stands for itself.
template <typename Bytes>
void AppendUnescaped(std::string_view inside, Bytes* out) {
  const auto digit = [](char c, int base) {
    const int d = c >= '0' && c <= '9'   ? c - '0'
                  : c >= 'a' && c <= 'f' ? c - 'a' + 10
                  : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                         : 99;
    return d < base ? d : -1;
  };
  for (size_t i = 0; i < inside.size(); ++i) {
    char c = inside[i];
    if (c == '\\' && i + 1 < inside.size()) {
      c = inside[++i];
      const size_t letter = std::string_view("ntrvfabe").find(c);
      if (letter != std::string_view::npos) {
        c = "\n\t\r\v\f\a\b\x1b"[letter];
      } else if (digit(c, 8) >= 0) {
        int value = 0;
        size_t n = 0;
        while (n < 3 && i + n < inside.size() && digit(inside[i + n], 8) >= 0)
          value = value * 8 + digit(inside[i + n++], 8);
        i += n - 1;
        c = static_cast<char>(value);
      } else if (c == 'x' && i + 1 < inside.size() && digit(inside[i + 1], 16) >= 0) {
        int value = 0;
        size_t n = 1;
        while (n <= 2 && i + n < inside.size() && digit(inside[i + n], 16) >= 0) {
          value = value * 16 + digit(inside[i + n++], 16);
        }
        i += n - 1;
        c = static_cast<char>(value);
      }
    }
    out->push_back(static_cast<typename Bytes::value_type>(c));
  }
}

}  // namespace mmsim::scenario
