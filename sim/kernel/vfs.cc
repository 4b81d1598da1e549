// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "sim/kernel/files.h"
#include "sim/kernel/mm_ref.h"
#include "sim/kernel/uapi.h"
#include "sim/mm/vma.h"

namespace mmsim {
namespace {

constexpr std::string_view kDeleted = " (deleted)";
constexpr uint64_t kUnknownSize = uint64_t{1} << 46;  // of a file that was only ever seen by its path
constexpr uint32_t kKernelTmpfsMinor = 1;             // the kernel's own tmpfs: memfd, /dev/zero, System V
constexpr uint32_t kDevtmpfsMinor = 5;

bool IsBelow(std::string_view path, std::string_view prefix) {
  return prefix == "/" || path == prefix || (path.starts_with(prefix) && path[prefix.size()] == '/');
}

}  // namespace

Vfs::Vfs(System& system) : system_(system) {
  Mount("/", FileFacts());
  FileFacts shm;
  shm.kind = InodeKind::kShmem;
  shm.dev_major = 0;
  shm.dev_minor = 24;
  Mount("/dev/shm", shm);
  FileFacts device;
  device.dev_major = 0;
  device.dev_minor = kDevtmpfsMinor;
  device.executable = false;
  device.kind = InodeKind::kDevZero;
  Add("/dev/zero", device);
  device.kind = InodeKind::kOther;
  Add("/dev/null", device);
}

InodeRef Vfs::Add(std::string_view path, const FileFacts& facts) {
  InodeRef inode = NewInode(system_, facts.kind, facts.size_known ? facts.size_bytes : kUnknownSize);
  if (!facts.contents.empty()) {
    inode->backing = facts.contents;
    inode->size_bytes = std::max<uint64_t>(inode->size_bytes, facts.contents.size());
  }
  inode->dev_major = facts.dev_major;
  inode->dev_minor = facts.dev_minor;
  inode->id = facts.inode != 0 ? facts.inode : next_inode_++;
  inode->noexec = facts.noexec;
  inode->directory = facts.directory;
  inode->aligns_huge = facts.aligns_huge;
  inode->noreserve = facts.kind == InodeKind::kShmem;  // tmpfs accounts a page at a time
  if (!facts.executable) not_executable_.insert(inode->id);
  names_[std::string(path)] = inode;
  if (!facts.real_path.empty() && facts.real_path != path) {
    names_[facts.real_path] = inode;
    real_paths_[std::string(path)] = facts.real_path;
  }
  return inode;
}

std::string Vfs::ShownPath(std::string_view path) const {
  auto it = real_paths_.find(std::string(path));
  return it == real_paths_.end() ? std::string(path) : it->second;
}

InodeRef Vfs::Create(std::string_view path, bool executable) {
  const FileFacts* mount = &mounts_.begin()->second;
  size_t longest = 0;
  for (const auto& [prefix, facts] : mounts_) {
    if (!IsBelow(path, prefix) || prefix.size() < longest) continue;
    mount = &facts;
    longest = prefix.size();
  }
  FileFacts facts = *mount;
  facts.executable = executable;
  return Add(path, facts);
}

Status Vfs::CheckParent(std::string_view path) {
  if (!directories_.contains("/") || path == "/") return {};
  const InodeRef parent = Lookup(path.substr(0, std::max<size_t>(path.rfind('/'), 1)));
  if (parent == nullptr) return Errno::kENOENT;
  return parent->directory ? Status() : Status(Errno::kENOTDIR);
}

InodeRef Vfs::Lookup(std::string_view path) {
  const std::string name(path);
  const auto it = names_.find(name);
  if (it != names_.end()) return it->second;
  if (!directories_.contains(name)) return nullptr;
  return Add(path, {.kind = InodeKind::kOther, .contents = {}, .real_path = {}, .directory = true});
}

void Vfs::Believe(std::string_view shown_path, bool directory) {
  const InodeRef inode = Lookup(shown_path);
  if (directory && (inode == nullptr || !inode->directory)) {
    FileFacts facts;
    facts.kind = InodeKind::kOther;
    facts.directory = true;
    Add(shown_path, facts);
  } else if (inode == nullptr) {
    Create(shown_path, true)->size_bytes = kUnknownSize;
  }
}

void Vfs::Provide(std::string_view path, std::string_view real_path, std::string contents) {
  Believe(real_path, false);
  const InodeRef inode = Lookup(real_path);
  if (inode->backing.empty()) inode->backing = std::move(contents);
  if (path == real_path) return;
  names_[std::string(path)] = inode;
  real_paths_[std::string(path)] = std::string(real_path);
}

void Vfs::Rename(File& file, std::string_view shown_path) {
  const auto old = names_.find(file.path);
  if (old != names_.end() && old->second == file.inode) old->second = nullptr;
  names_[std::string(shown_path)] = file.inode;
  for (Vma& vma : file.inode->i_mmap) {
    if (vma.file->path == file.path && vma.file.get() != &file) vma.file->path = std::string(shown_path);
  }
  file.path = std::string(shown_path);
}

Status Vfs::Unlink(std::string_view path) {
  auto it = names_.find(std::string(path));
  if (it == names_.end() || it->second == nullptr) return Errno::kENOENT;
  if (it->second->directory) return Errno::kEISDIR;
  --it->second->nlink;
  it->second = nullptr;
  return {};
}

Status Vfs::MakeDirectory(std::string_view path) {
  if (Lookup(path) != nullptr) return Errno::kEEXIST;
  if (const Status parent = CheckParent(path); !parent.ok()) return parent;
  Add(path, {.kind = InodeKind::kOther, .contents = {}, .real_path = {}, .directory = true});
  return {};
}

Status Vfs::RemoveDirectory(std::string_view path) {
  const auto it = names_.find(std::string(path));
  if (it == names_.end() || it->second == nullptr) return Errno::kENOENT;
  if (!it->second->directory) return Errno::kENOTDIR;
  const std::string below = std::string(path) + "/";
  for (auto entry = names_.lower_bound(below); entry != names_.end() && entry->first.starts_with(below);
       ++entry) {
    if (entry->second != nullptr) return Errno::kENOTEMPTY;
  }
  it->second = nullptr;
  return {};
}

InodeRef Vfs::NewShmem(uint64_t size_bytes) {
  InodeRef inode = NewInode(system_, InodeKind::kShmem, size_bytes);
  inode->dev_minor = kKernelTmpfsMinor;
  inode->id = next_inode_++;
  inode->nlink = 0;
  return inode;
}

FileRef Vfs::Open(const InodeRef& inode, std::string_view path, uint32_t open_flags) {
  FileRef file(new File);
  file->inode = inode;
  file->path = std::string(path);
  // Linux: fs/open.c do_dentry_open()
  file->flags = open_flags & ~(kOCreat | kOExcl | kONoctty | kOTrunc | kOCloexec);
  const uint32_t access = open_flags & kOAccmode;
  if (!(open_flags & kOPath)) {
    if (access != kOWronly) file->mode |= kFmodeRead;
    if (access == kOWronly || access == kORdwr) file->mode |= kFmodeWrite;
  }
  const bool regular = inode->kind == InodeKind::kDisk || inode->kind == InodeKind::kShmem;
  if ((file->mode & kFmodeWrite) && regular) {
    file->write_access = true;
    ++inode->writers;
  }
  return file;
}

FileRef Vfs::OpenSeen(std::string_view shown_path, uint32_t open_flags) {
  std::string_view path = shown_path;
  const bool deleted = path.ends_with(kDeleted);
  if (deleted) path.remove_suffix(kDeleted.size());
  InodeRef inode;
  if (path.starts_with("/memfd:") || path.starts_with("/SYSV") || (deleted && path == "/dev/zero")) {
    inode = NewShmem(kUnknownSize);
  } else if (!path.starts_with('/')) {  // pipe:[1], socket:[2], anon_inode:[eventfd]
    inode = NewInode(system_, InodeKind::kOther, 0);
  } else if (!deleted) {
    inode = Lookup(path);
  }
  if (inode == nullptr) {
    inode = Create(path, true);
    inode->size_bytes = kUnknownSize;
    if (deleted) {
      Status unlinked = Unlink(path);
      MMSIM_CHECK(unlinked.ok());
    }
  }
  if (inode->writers < 0) open_flags &= ~kOAccmode;  // a running program: nobody has it open for writing
  FileRef file = Open(inode, path, open_flags);
  file->deleted = deleted || path.starts_with("/memfd:") || path.starts_with("/SYSV");
  return file;
}

}  // namespace mmsim
