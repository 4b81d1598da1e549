// SPDX-License-Identifier: Apache-2.0
// Names in directories: how a path is found, mkdir, rmdir, unlink. Linux: fs/namei.c
// Not modelled: permissions, links, renames, reading directories.
#include "sim/kernel/call.h"
#include "sim/kernel/path.h"
#include "sim/kernel/uapi.h"

namespace mmsim {
namespace {

// Linux: fs/namei.c do_mkdirat()
int64_t Mkdir(Call& call, int64_t dirfd, int path_index) {
  const Result<std::string> path = PathArgument(call, dirfd, path_index);
  if (!path.ok()) return Call::Err(path.error());
  if (call.kernel.options().open_world) return call.NotModelled();
  return call.kernel.vfs().MakeDirectory(*path).AsReturn();
}

// Linux: fs/namei.c do_unlinkat(), do_rmdir()
int64_t Remove(Call& call, int64_t dirfd, int path_index, bool directory) {
  const Result<std::string> path = PathArgument(call, dirfd, path_index);
  if (!path.ok()) return Call::Err(path.error());
  Vfs& vfs = call.kernel.vfs();
  if (call.kernel.options().open_world && (directory || vfs.Lookup(*path) == nullptr))
    return call.NotModelled();
  return (directory ? vfs.RemoveDirectory(*path) : vfs.Unlink(*path)).AsReturn();
}

}  // namespace

Result<std::string> PathArgument(Call& call, int64_t dirfd, int index) {
  Result<std::string> path = call.CopyString(index, kPathMax);
  if (!path.ok()) return path;
  if (path->empty()) return Errno::kENOENT;
  if (path->starts_with('/')) return AbsolutePath("/", *path);
  if (dirfd == kAtFdcwd) return AbsolutePath(*call.task.cwd, *path);
  FileRef dir = call.task.files->Get(dirfd);
  if (dir == nullptr) return Errno::kEBADF;
  if (!dir->inode->directory && !call.kernel.options().open_world) return Errno::kENOTDIR;
  return AbsolutePath(dir->path, *path);
}

int64_t Do_mkdir(Call& call) {
  return Mkdir(call, kAtFdcwd, 0);
}
int64_t Do_mkdirat(Call& call) {
  return Mkdir(call, call.Int(0), 1);
}
int64_t Do_rmdir(Call& call) {
  return Remove(call, kAtFdcwd, 0, true);
}
int64_t Do_unlink(Call& call) {
  return Remove(call, kAtFdcwd, 0, false);
}
int64_t Do_unlinkat(Call& call) {
  if (call.Uint(2) & ~static_cast<uint32_t>(kAtRemovedir)) return Call::Err(Errno::kEINVAL);
  return Remove(call, call.Int(0), 1, (call.Uint(2) & kAtRemovedir) != 0);
}

}  // namespace mmsim
