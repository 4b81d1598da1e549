// SPDX-License-Identifier: Apache-2.0
// The bytes of a scenario file: mapped when it is a plain file, read when it is a pipe, inflated when it is
// gzip.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace mmsim::scenario {

struct Source {
  std::string_view text;
  std::string owned;        // `text`, unless it is mapped
  void* mapping = nullptr;  // `text`, when it is; text.size() bytes
};

// Errors name the file and what is wrong with it, in one line: NotFound, PermissionDenied, InvalidArgument.
absl::Status OpenSource(const std::string& path, Source* source);
void CloseSource(Source* source);

}  // namespace mmsim::scenario
