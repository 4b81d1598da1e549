// SPDX-License-Identifier: Apache-2.0
#include "sim/kernel/path.h"

#include <algorithm>
#include <vector>

namespace mmsim {

std::string AbsolutePath(std::string_view base, std::string_view path) {
  std::vector<std::string_view> parts;
  const auto add = [&parts](std::string_view text) {
    while (!text.empty()) {
      const size_t slash = std::min(text.find('/'), text.size());
      const std::string_view part = text.substr(0, slash);
      text.remove_prefix(std::min(slash + 1, text.size()));
      if (part.empty() || part == ".") continue;
      if (part != "..") {
        parts.push_back(part);
      } else if (!parts.empty()) {
        parts.pop_back();
      }
    }
  };
  if (!path.starts_with('/')) add(base);
  add(path);
  std::string absolute;
  for (std::string_view part : parts) absolute.append("/").append(part);
  return absolute.empty() ? "/" : absolute;
}

std::string_view BaseName(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

}  // namespace mmsim
