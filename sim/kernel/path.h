// SPDX-License-Identifier: Apache-2.0
// Paths as text: every directory that a path names is taken to exist.
#pragma once

#include <string>
#include <string_view>

namespace mmsim {

// `path` seen from the directory `base`, without ".", ".." and double slashes.
std::string AbsolutePath(std::string_view base, std::string_view path);
// What follows the last slash. Linux: kbasename()
std::string_view BaseName(std::string_view path);

}  // namespace mmsim
