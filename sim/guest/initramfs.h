// SPDX-License-Identifier: Apache-2.0
// The guest's first file system: the executor as /init and what the kernel wants to find, as a cpio archive
// ("newc").
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mmsim::guest {

struct ArchiveEntry {
  std::string name;  // without a leading slash
  uint32_t mode = 0;
  uint32_t device_major = 0, device_minor = 0;
  std::string_view data = {};
};

// The archive of these entries, in order.
std::string MakeArchive(const std::vector<ArchiveEntry>& entries);

// The archive with `executor` as /init and, when there is one, the RAM disk's module as /brd.ko.xz.
std::string MakeInitramfs(std::string_view executor, std::string_view ram_disk_module = {});

}  // namespace mmsim::guest
