// SPDX-License-Identifier: Apache-2.0
// File descriptors and paths: the table of open files of a process, and a small in-memory file system, as far
// as file mappings need one. Nothing here touches the host: "disk" files are known by what was declared
// (size, contents) or by what a log shows. Linux: fs/file.c, fs/open.c, fs/namei.c.
// Not modelled: what directories hold (where none was declared, every directory that a path names exists),
// permissions, mounts, hard links beside the count, symbolic links beside those that a scenario declares.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/errno.h"
#include "sim/mm/filemap.h"

namespace mmsim {

struct System;

// One open file descriptor.
struct FdEntry {
  FileRef file;  // null: closed
  bool cloexec = false;
  // Closed, and it was open once.
  static FdEntry Closed() {
    FdEntry entry;
    entry.seen = true;
    return entry;
  }
  // Of a replay, whose log did not show the descriptor made: false.
  bool cloexec_known = true;
  // The number was seen in use since the process began to be looked at; false: it may be in use.
  bool seen = false;
};

// The descriptors of a process; shared under CLONE_FILES. Linux: struct files_struct
class FilesTable {
 public:
  // The open file behind fd, or null (-EBADF).
  FileRef Get(int64_t fd) const;
  bool IsOpen(int64_t fd) const {
    return fd >= 0 && static_cast<uint64_t>(fd) < entries_.size() && entries_[static_cast<size_t>(fd)].file;
  }
  // The lowest free descriptor >= from and below `limit`, now holding `file`; EMFILE.
  Result<int> Install(FileRef file, bool cloexec, uint64_t limit, uint64_t from = 0);
  // Puts `file` at `fd`, closing what was there.
  void InstallAt(int fd, FileRef file, bool cloexec);
  Status Close(int64_t fd);
  void CloseOnExec();
  std::vector<FdEntry>& entries() { return entries_; }
  const std::vector<FdEntry>& entries() const { return entries_; }

 private:
  std::vector<FdEntry> entries_;
};

// What is known of a file that the file system has not seen yet.
struct FileFacts {
  InodeKind kind = InodeKind::kDisk;
  uint64_t size_bytes = 0;
  bool size_known = true;  // false: as long as anybody asks for
  std::string contents;    // may be shorter than the size: zeros follow
  uint32_t dev_major = 8, dev_minor = 1;
  uint64_t inode = 0;     // 0: numbered here
  std::string real_path;  // what /proc shows when the path leads there by symbolic links; "": the path itself
  bool executable = true;  // mode & 0111
  bool noexec = false;     // of a mount with noexec
  bool directory = false;
  bool aligns_huge = true;  // kDisk: see Inode::aligns_huge
};

class Vfs {
 public:
  explicit Vfs(System& system);
  // What lies below `prefix` ("/dev/shm") and has no facts of its own: its kind and device.
  void Mount(std::string_view prefix, const FileFacts& facts) { mounts_[std::string(prefix)] = facts; }

  // Declares a file, replacing what was known of the path (an inode in use lives on).
  InodeRef Add(std::string_view path, const FileFacts& facts);
  // An empty file of the kind that the path's mount has (O_CREAT).
  InodeRef Create(std::string_view path, bool executable);
  // A directory, whose inode comes to be when somebody looks for it. Once "/" is one, no other exists that
  // was not declared or made.
  void DeclareDirectory(std::string_view path) { directories_.insert(std::string(path)); }
  // ENOENT or ENOTDIR when the directory that the path is in is none.
  Status CheckParent(std::string_view path);
  // The inode of an absolute path; null: none.
  InodeRef Lookup(std::string_view path);
  // How /proc shows the file of this path: symbolic links resolved.
  std::string ShownPath(std::string_view path) const;
  // A replay: there is a file, or a directory, of this path as /proc and strace -y show it. What was not
  // known comes to be, of unknown size and the kind of its mount.
  void Believe(std::string_view shown_path, bool directory);
  // A replay: what the file holds. `path` leads to `real_path` by symbolic links, if they differ.
  void Provide(std::string_view path, std::string_view real_path, std::string contents);
  // A replay: the file is now seen under another path, in its mappings too.
  void Rename(File& file, std::string_view shown_path);
  // An empty directory. EEXIST, ENOENT, ENOTDIR.
  Status MakeDirectory(std::string_view path);
  // ENOENT, ENOTDIR, ENOTEMPTY.
  Status RemoveDirectory(std::string_view path);
  // Removes the name of a file. ENOENT, EISDIR. Open files and mappings show " (deleted)" from now on.
  Status Unlink(std::string_view path);
  // An inode of the kernel's own tmpfs, without a name (memfd, System V segments).
  InodeRef NewShmem(uint64_t size_bytes);
  // An open file on `inode`; `path` is what /proc shows. Counts as a writer when the flags say so.
  FileRef Open(const InodeRef& inode, std::string_view path, uint32_t open_flags);
  // The same for a path as /proc and strace -y show it, of a file that nobody declared: the kind is told by
  // the path.
  FileRef OpenSeen(std::string_view shown_path, uint32_t open_flags);
  bool IsExecutable(const Inode& inode) const { return !not_executable_.contains(inode.id); }
  void SetExecutable(const Inode& inode, bool on) {
    if (on) not_executable_.erase(inode.id);
    if (!on) not_executable_.insert(inode.id);
  }
  System& system() { return system_; }

 private:
  System& system_;
  absl::btree_map<std::string, InodeRef> names_;
  absl::btree_map<std::string, std::string> real_paths_;  // of paths that symbolic links are part of
  absl::btree_map<std::string, FileFacts> mounts_;
  absl::btree_set<std::string> directories_;  // declared
  absl::btree_set<uint64_t> not_executable_;  // inode numbers
  uint64_t next_inode_ = 1000;
};

}  // namespace mmsim
