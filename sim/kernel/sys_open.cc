// SPDX-License-Identifier: Apache-2.0
// Descriptors: open, close, dup, fcntl, memfd_create. Linux: fs/open.c, fs/file.c, fs/fcntl.c, mm/memfd.c
// Not modelled: permissions, O_TMPFILE, huge-page memfds, locks, leases.
#include <algorithm>
#include <utility>

#include "sim/kernel/arch/abi.h"
#include "sim/kernel/call.h"
#include "sim/kernel/path.h"
#include "sim/kernel/proc_file.h"
#include "sim/kernel/uapi.h"

namespace mmsim {
namespace {

uint64_t NofileLimit(const Call& call) {
  return call.task.signal->rlimits.Cur(Rlimit::kNofile);
}

int64_t InstallResult(Call& call, FileRef file, bool cloexec, uint64_t from = 0) {
  Result<int> fd = call.task.files->Install(std::move(file), cloexec, NofileLimit(call), from);
  return fd.ok() ? *fd : Call::Err(fd.error());
}

// Linux: fs/open.c do_sys_openat2(), fs/namei.c do_open()
int64_t DoOpen(Call& call, int64_t dirfd, int path_index, uint32_t flags, uint32_t mode) {
  if ((flags & kOTmpfileBit) != 0) return call.NotModelled();
  const bool wants_directory = (flags & abi::ODirectory(call.kernel.arch())) != 0;
  // Linux: fs/open.c build_open_flags()
  if (wants_directory && (flags & kOCreat)) return Call::Err(Errno::kEINVAL);
  Result<std::string> path = PathArgument(call, dirfd, path_index);
  if (!path.ok()) return Call::Err(path.error());
  // The descriptor comes before the file.
  Result<int> fd = call.task.files->Install(nullptr, false, NofileLimit(call));
  if (!fd.ok()) return Call::Err(fd.error());
  const bool open_world = call.kernel.options().open_world;
  const auto proc = open_world ? std::nullopt : OpenProcFile(call.kernel, call.task, *path, flags);
  if (proc.has_value()) {
    if (!proc->ok()) return Call::Err(proc->error());
    call.task.files->InstallAt(*fd, **proc, (flags & kOCloexec) != 0);
    return *fd;
  }
  Vfs& vfs = call.kernel.vfs();
  InodeRef inode = vfs.Lookup(*path);
  if (inode == nullptr) {
    if (const Status parent = vfs.CheckParent(*path); !parent.ok()) return parent.AsReturn();
    if (!(flags & kOCreat)) return open_world ? call.NotModelled() : Call::Err(Errno::kENOENT);
    inode = vfs.Create(*path, (mode & 0111) != 0);
  } else if ((flags & (kOCreat | kOExcl)) == (kOCreat | kOExcl)) {
    return Call::Err(Errno::kEEXIST);
  }
  const uint32_t access = flags & kOAccmode;
  const bool writes = access == kOWronly || access == kORdwr;
  if (inode->directory && ((flags & (kOCreat | kOTrunc)) || writes)) return Call::Err(Errno::kEISDIR);
  if (wants_directory && !inode->directory) return Call::Err(Errno::kENOTDIR);
  if ((writes || (flags & kOTrunc)) && inode->writers < 0) return Call::Err(Errno::kETXTBSY);
  if ((flags & kOTrunc) && (inode->kind == InodeKind::kDisk || inode->kind == InodeKind::kShmem)) {
    Status status = InodeTruncate(*inode, 0);
    if (!status.ok()) return status.AsReturn();
  }
  flags |= abi::OLargefile(call.kernel.arch());
  call.task.files->InstallAt(*fd, vfs.Open(inode, vfs.ShownPath(*path), flags), (flags & kOCloexec) != 0);
  return *fd;
}

// Linux: fs/file.c ksys_dup3()
int64_t Dup3(Call& call, uint32_t oldfd, uint32_t newfd, uint32_t flags) {
  if (flags & ~kOCloexec) return Call::Err(Errno::kEINVAL);
  if (oldfd == newfd) return Call::Err(Errno::kEINVAL);
  if (newfd >= NofileLimit(call)) return Call::Err(Errno::kEBADF);
  FileRef file = call.task.files->Get(oldfd);
  if (file == nullptr) return Call::Err(Errno::kEBADF);
  call.task.files->InstallAt(static_cast<int>(newfd), file, (flags & kOCloexec) != 0);
  return newfd;
}

constexpr uint32_t kSealSeal = 1, kSealShrink = 2, kSealGrow = 4, kSealWrite = 8, kSealFutureWrite = 16,
                   kSealExec = 32;
constexpr uint32_t kAllSeals = 63;

// Only files of tmpfs have seals; those that nobody asked to be sealable have F_SEAL_SEAL. Linux: mm/memfd.c
// memfd_add_seals()
int64_t AddSeals(Call& call, File& file, uint32_t seals) {
  Inode& inode = *file.inode;
  if (!(file.mode & kFmodeWrite)) return Call::Err(Errno::kEPERM);
  if (seals & ~kAllSeals) return Call::Err(Errno::kEINVAL);
  if (inode.kind != InodeKind::kShmem) return Call::Err(Errno::kEINVAL);
  if (inode.seals & kSealSeal) return Call::Err(Errno::kEPERM);
  if ((seals & kSealExec) && call.kernel.vfs().IsExecutable(inode)) {
    seals |= kSealShrink | kSealGrow | kSealWrite | kSealFutureWrite;
  }
  if ((seals & kSealWrite) && !(inode.seals & kSealWrite)) {
    if (inode.i_mmap_writable > 0) return Call::Err(Errno::kEBUSY);  // mapping_deny_writable()
    --inode.i_mmap_writable;
  }
  inode.seals |= seals;
  return 0;
}

}  // namespace

int64_t Do_open(Call& call) {
  return DoOpen(call, kAtFdcwd, 0, call.Uint(1), call.Uint(2));
}
int64_t Do_openat(Call& call) {
  return DoOpen(call, call.Int(0), 1, call.Uint(2), call.Uint(3));
}
int64_t Do_creat(Call& call) {
  return DoOpen(call, kAtFdcwd, 0, kOCreat | kOWronly | kOTrunc, call.Uint(1));
}

int64_t Do_close(Call& call) {
  return call.task.files->Close(call.Int(0)).AsReturn();
}

// Linux: fs/open.c SYSCALL_DEFINE3(close_range)
int64_t Do_close_range(Call& call) {
  constexpr uint32_t kUnshare = 2, kCloexec = 4;
  const uint32_t first = call.Uint(0), last = call.Uint(1), flags = call.Uint(2);
  if (flags & ~(kUnshare | kCloexec)) return Call::Err(Errno::kEINVAL);
  if (first > last) return Call::Err(Errno::kEINVAL);
  Task& task = call.task;
  if ((flags & kUnshare) && task.files.use_count() > 1)
    task.files = std::make_shared<FilesTable>(*task.files);
  std::vector<FdEntry>& entries = task.files->entries();
  for (size_t fd = first; fd < entries.size() && fd <= last; ++fd) {
    if (flags & kCloexec) {
      entries[fd].cloexec = entries[fd].file != nullptr;
    } else {
      entries[fd] = FdEntry::Closed();
    }
  }
  return 0;
}

int64_t Do_dup(Call& call) {
  FileRef file = call.File(0);
  if (file == nullptr) return Call::Err(Errno::kEBADF);
  return InstallResult(call, std::move(file), false);
}

int64_t Do_dup2(Call& call) {
  if (call.Uint(0) == call.Uint(1)) return call.File(0) == nullptr ? Call::Err(Errno::kEBADF) : call.Uint(0);
  return Dup3(call, call.Uint(0), call.Uint(1), 0);
}

int64_t Do_dup3(Call& call) {
  return Dup3(call, call.Uint(0), call.Uint(1), call.Uint(2));
}

// Linux: fs/fcntl.c do_fcntl()
int64_t Do_fcntl(Call& call) {
  enum : uint32_t {
    kDupfd = 0,
    kGetfd = 1,
    kSetfd = 2,
    kGetfl = 3,
    kSetfl = 4,
    kDupfdCloexec = 1030,
    kAddSeals = 1033,
    kGetSeals = 1034
  };
  FileRef file = call.File(0);
  if (file == nullptr) return Call::Err(Errno::kEBADF);
  const uint64_t arg = call.U(2);
  FdEntry& entry = call.task.files->entries()[call.Uint(0)];
  const uint32_t cmd = call.Uint(1);
  if ((file->flags & kOPath) && cmd != kDupfd && cmd != kDupfdCloexec && cmd != kGetfd && cmd != kSetfd &&
      cmd != kGetfl) {
    return Call::Err(Errno::kEBADF);
  }
  switch (cmd) {
    case kDupfd:
    case kDupfdCloexec:
      if (static_cast<uint32_t>(arg) >= NofileLimit(call)) return Call::Err(Errno::kEINVAL);
      return InstallResult(call, std::move(file), cmd == kDupfdCloexec, static_cast<uint32_t>(arg));
    case kGetfd:
      return entry.cloexec ? 1 : 0;
    case kSetfd:
      entry.cloexec = (arg & 1) != 0;
      return 0;
    case kGetfl:
      return file->flags;
    case kSetfl: {
      const uint32_t settable = kOAppend | 04000 /* O_NONBLOCK */;
      file->flags = (file->flags & ~settable) | (static_cast<uint32_t>(arg) & settable);
      return 0;
    }
    case kAddSeals:
      return AddSeals(call, *file, static_cast<uint32_t>(arg));
    case kGetSeals:
      return file->inode->kind == InodeKind::kShmem ? file->inode->seals : Call::Err(Errno::kEINVAL);
    default:
      return call.NotModelled();
  }
}

// Linux: mm/memfd.c SYSCALL_DEFINE2(memfd_create)
int64_t Do_memfd_create(Call& call) {
  constexpr uint32_t kCloexec = 1, kAllowSealing = 2, kHugetlb = 4, kNoexecSeal = 8, kExec = 16;
  constexpr uint32_t kAllFlags = kCloexec | kAllowSealing | kHugetlb | kNoexecSeal | kExec;
  constexpr uint32_t kHugeBits = uint32_t{0x3f} << 26;
  constexpr uint64_t kNameMaxLen = 255 - 6;  // NAME_MAX less "memfd:"
  const uint32_t flags = call.Uint(1);
  if (flags & ~((flags & kHugetlb) ? kAllFlags | kHugeBits : kAllFlags)) return Call::Err(Errno::kEINVAL);
  if ((flags & kExec) && (flags & kNoexecSeal)) return Call::Err(Errno::kEINVAL);
  Result<std::string> name = call.CopyString(0, kNameMaxLen + 1);
  if (!name.ok()) return Call::Err(name.error() == Errno::kENAMETOOLONG ? Errno::kEINVAL : name.error());
  Vfs& vfs = call.kernel.vfs();
  InodeRef inode =
      (flags & kHugetlb) ? NewInode(call.kernel.system(), InodeKind::kOther, 0) : vfs.NewShmem(0);
  inode->hugetlb = (flags & kHugetlb) != 0;
  inode->noreserve = true;
  inode->seals = kSealSeal;
  if (flags & kNoexecSeal) {
    inode->seals = kSealExec;
    vfs.SetExecutable(*inode, false);
  } else if (flags & kAllowSealing) {
    inode->seals = 0;
  }
  FileRef file = vfs.Open(inode, "/memfd:" + *name, kORdwr | abi::OLargefile(call.kernel.arch()));
  file->deleted = true;
  return InstallResult(call, std::move(file), (flags & kCloexec) != 0);
}

}  // namespace mmsim
