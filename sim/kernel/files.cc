// SPDX-License-Identifier: Apache-2.0
#include "sim/kernel/files.h"

#include <utility>

namespace mmsim {

FileRef FilesTable::Get(int64_t fd) const {
  return IsOpen(fd) ? entries_[static_cast<size_t>(fd)].file : nullptr;
}

// Linux: fs/file.c alloc_fd()
Result<int> FilesTable::Install(FileRef file, bool cloexec, uint64_t limit, uint64_t from) {
  uint64_t fd = from;
  while (fd < entries_.size() && entries_[fd].file != nullptr) ++fd;
  if (fd >= limit) return Errno::kEMFILE;
  InstallAt(static_cast<int>(fd), std::move(file), cloexec);
  return static_cast<int>(fd);
}

void FilesTable::InstallAt(int fd, FileRef file, bool cloexec) {
  const size_t i = static_cast<size_t>(fd);
  if (i >= entries_.size()) entries_.resize(i + 1);
  entries_[i] = {.file = std::move(file), .cloexec = cloexec, .cloexec_known = true, .seen = true};
}

Status FilesTable::Close(int64_t fd) {
  if (!IsOpen(fd)) return Errno::kEBADF;
  entries_[static_cast<size_t>(fd)] = FdEntry::Closed();
  return {};
}

void FilesTable::CloseOnExec() {
  for (FdEntry& entry : entries_) {
    if (entry.cloexec) entry = FdEntry::Closed();
  }
}

}  // namespace mmsim
