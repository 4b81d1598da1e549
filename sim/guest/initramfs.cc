// SPDX-License-Identifier: Apache-2.0
#include "sim/guest/initramfs.h"

#include <fmt/format.h>

namespace mmsim::guest {
namespace {

void PadTo4(std::string& archive) {
  archive.append((4 - archive.size() % 4) % 4, '\0');
}

void Append(std::string& archive, const ArchiveEntry& e, uint32_t inode) {
  // Documentation/driver-api/early-userspace/buffer-format.rst: magic, then thirteen numbers of eight hex
  // digits.
  archive += fmt::format(
      "070701{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}", inode, e.mode,
      0, 0, 1, 0, e.data.size(), 0, 0, e.device_major, e.device_minor, e.name.size() + 1, 0);
  archive += e.name;
  archive += '\0';
  PadTo4(archive);
  archive += e.data;
  PadTo4(archive);
}

}  // namespace

std::string MakeArchive(const std::vector<ArchiveEntry>& entries) {
  std::string archive;
  uint32_t inode = 1;
  for (const ArchiveEntry& e : entries) Append(archive, e, inode++);
  Append(archive, {.name = "TRAILER!!!"}, 0);
  return archive;
}

std::string MakeInitramfs(std::string_view executor, std::string_view ram_disk_module) {
  constexpr uint32_t kFolder = 0040755, kFile = 0100755, kCharacterDevice = 0020600;
  std::vector<ArchiveEntry> entries{
      {.name = "dev", .mode = kFolder},
      {.name = "dev/console", .mode = kCharacterDevice, .device_major = 5, .device_minor = 1},
      {.name = "init", .mode = kFile, .data = executor},
  };
  if (!ram_disk_module.empty())
    entries.push_back({.name = "brd.ko.xz", .mode = kFile, .data = ram_disk_module});
  return MakeArchive(entries);
}

}  // namespace mmsim::guest
