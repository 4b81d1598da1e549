// SPDX-License-Identifier: Apache-2.0
// What files hold: sizes, positions, reading and writing, as far as mappings of them show it. Linux:
// fs/open.c, fs/read_write.c Not modelled: pipes, sockets and devices other than /dev/zero and /dev/null
// (their reads and writes are "not modelled" beyond the pages that their buffers touch), O_DIRECT, limits of
// file sizes.
#include <algorithm>
#include <limits>
#include <vector>

#include "sim/kernel/call.h"
#include "sim/kernel/path.h"
#include "sim/kernel/proc_file.h"
#include "sim/kernel/uaccess.h"
#include "sim/kernel/uapi.h"

namespace mmsim {
namespace {

constexpr uint64_t kMaxRwCount = 0x7ffff000;  // MAX_RW_COUNT
constexpr uint64_t kChunk = 64 * 1024;
constexpr int64_t kMaxFileBytes = std::numeric_limits<int64_t>::max();

bool IsRegular(const Inode& inode) {
  return inode.kind == InodeKind::kDisk || inode.kind == InodeKind::kShmem;
}

// A transfer between a file and the caller's memory, a chunk at a time. Returns bytes, or a negative errno
// when none were done.
int64_t ReadFile(Call& call, Inode& inode, uint64_t position, uint64_t count) {
  std::vector<uint8_t> buffer(std::min(count, kChunk));
  uint64_t done = 0;
  while (done < count) {
    const uint64_t want = std::min(count - done, kChunk);
    int64_t got = static_cast<int64_t>(want);
    if (inode.kind == InodeKind::kDevZero) {
      std::fill_n(buffer.begin(), want, 0);
    } else {
      got = InodeRead(inode, position + done, {buffer.data(), want});
    }
    if (got <= 0) return done != 0 ? static_cast<int64_t>(done) : got;
    const uint64_t bytes = static_cast<uint64_t>(got);
    const uint64_t copied =
        CopyToUser(call.kernel, call.task, VirtAddr(call.U(1)) + done, {buffer.data(), bytes});
    done += call.args.lenient ? bytes : copied;
    if (copied != bytes && !call.args.lenient) break;
    if (bytes < want) return static_cast<int64_t>(done);
  }
  return done != 0 || count == 0 ? static_cast<int64_t>(done) : Call::Err(Errno::kEFAULT);
}

int64_t WriteFile(Call& call, Inode& inode, uint64_t position, uint64_t count) {
  std::vector<uint8_t> buffer(std::min(count, kChunk));
  const std::string_view known = call.args.payload[1];
  uint64_t done = 0;
  while (done < count) {
    const uint64_t want = std::min(count - done, kChunk);
    uint64_t copied = CopyFromUser(call.kernel, call.task, VirtAddr(call.U(1)) + done, {buffer.data(), want});
    if (call.args.lenient && copied != want) {
      std::fill(buffer.begin() + static_cast<ptrdiff_t>(copied),
                buffer.begin() + static_cast<ptrdiff_t>(want), 0);
      copied = want;
    }
    if (call.args.Known(1) && done < known.size()) {
      std::copy_n(known.begin() + static_cast<ptrdiff_t>(done), std::min(want, known.size() - done),
                  buffer.begin());
    }
    if (copied == 0) break;
    const int64_t put = InodeWrite(inode, position + done, {buffer.data(), copied});
    if (put < 0) return done != 0 ? static_cast<int64_t>(done) : put;
    done += static_cast<uint64_t>(put);
    if (static_cast<uint64_t>(put) < want) break;
  }
  return done != 0 || count == 0 ? static_cast<int64_t>(done) : Call::Err(Errno::kEFAULT);
}

// Linux: fs/read_write.c vfs_read(), vfs_write(): checks in their order. `at` is null for the file's own
// position.
int64_t Transfer(Call& call, bool write, const uint64_t* at) {
  FileRef file = call.File(0);
  if (file == nullptr) return Call::Err(Errno::kEBADF);
  if (!(file->mode & (write ? kFmodeWrite : kFmodeRead))) return Call::Err(Errno::kEBADF);
  const uint64_t address = call.U(1);
  uint64_t count = call.U(2);
  const uint64_t limit = call.mm().task_size;
  if (!call.args.lenient && (count > limit || address > limit - count)) return Call::Err(Errno::kEFAULT);
  Inode& inode = *file->inode;
  if (file->proc != nullptr) {
    uint64_t where = at != nullptr ? *at : file->position;
    const int64_t done = ProcFileTransfer(call, *file->proc, write, &where, std::min(count, kMaxRwCount));
    if (at == nullptr) file->position = where;
    return done;
  }
  if (inode.directory && !write) return Call::Err(Errno::kEISDIR);
  if (inode.kind == InodeKind::kOther) return call.NotModelled();
  // A recording does not say what its machine's files held, nor how long they were.
  if (!write && IsRegular(inode) && call.kernel.options().open_world) return call.NotModelled();
  if (static_cast<int64_t>(count) < 0) return Call::Err(Errno::kEINVAL);
  count = std::min(count, kMaxRwCount);
  if (inode.kind == InodeKind::kDevZero && write) return static_cast<int64_t>(count);
  uint64_t position = at != nullptr ? *at : file->position;
  if (write && at == nullptr && (file->flags & kOAppend)) position = inode.size_bytes;
  if (position + count < position || static_cast<int64_t>(position + count) < 0)
    return Call::Err(Errno::kEINVAL);
  const int64_t done =
      write ? WriteFile(call, inode, position, count) : ReadFile(call, inode, position, count);
  if (done > 0 && at == nullptr && IsRegular(inode)) file->position = position + static_cast<uint64_t>(done);
  return done;
}

int64_t TransferAt(Call& call, bool write) {
  const uint64_t at = call.U(3);
  if (static_cast<int64_t>(at) < 0) return Call::Err(Errno::kEINVAL);
  return Transfer(call, write, &at);
}

}  // namespace

int64_t Do_read(Call& call) {
  return Transfer(call, false, nullptr);
}
int64_t Do_write(Call& call) {
  return Transfer(call, true, nullptr);
}
int64_t Do_pread64(Call& call) {
  return TransferAt(call, false);
}
int64_t Do_pwrite64(Call& call) {
  return TransferAt(call, true);
}

// Linux: fs/read_write.c ksys_lseek(), generic_file_llseek_size()
int64_t Do_lseek(Call& call) {
  enum : uint32_t { kSet = 0, kCur = 1, kEnd = 2, kData = 3, kHole = 4 };
  FileRef file = call.File(0);
  if (file == nullptr) return Call::Err(Errno::kEBADF);
  Inode& inode = *file->inode;
  if (call.Uint(2) > kHole) return Call::Err(Errno::kEINVAL);
  if (inode.kind == InodeKind::kDevZero) return static_cast<int64_t>(file->position = 0);
  if (!IsRegular(inode) && file->proc == nullptr) return call.NotModelled();
  int64_t offset = static_cast<int64_t>(call.U(1));
  switch (call.Uint(2)) {
    case kSet:
      break;
    case kCur:
      offset = static_cast<int64_t>(file->position + call.U(1));
      break;
    case kEnd:
      if (call.kernel.options().open_world) return call.NotModelled();  // how long is it?
      offset = static_cast<int64_t>(inode.size_bytes + call.U(1));
      break;
    default:
      return call.NotModelled();
  }
  if (offset < 0) return Call::Err(Errno::kEINVAL);
  file->position = static_cast<uint64_t>(offset);
  return offset;
}

// Linux: fs/open.c do_sys_truncate(), vfs_truncate()
int64_t Do_truncate(Call& call) {
  if (static_cast<int64_t>(call.U(1)) < 0) return Call::Err(Errno::kEINVAL);
  Result<std::string> path = call.CopyString(0, kPathMax);
  if (!path.ok()) return Call::Err(path.error());
  if (path->empty()) return Call::Err(Errno::kENOENT);
  InodeRef inode = call.kernel.vfs().Lookup(AbsolutePath(*call.task.cwd, *path));
  if (inode == nullptr)
    return call.kernel.options().open_world ? call.NotModelled() : Call::Err(Errno::kENOENT);
  if (!IsRegular(*inode)) return Call::Err(Errno::kEINVAL);
  if (inode->writers < 0) return Call::Err(Errno::kETXTBSY);
  return InodeTruncate(*inode, call.U(1)).AsReturn();
}

// Linux: fs/open.c do_sys_ftruncate(), do_ftruncate()
int64_t Do_ftruncate(Call& call) {
  if (static_cast<int64_t>(call.U(1)) < 0) return Call::Err(Errno::kEINVAL);
  FileRef file = call.File(0);
  if (file == nullptr) return Call::Err(Errno::kEBADF);
  if (file->inode->hugetlb) return call.NotModelled();
  if (!IsRegular(*file->inode) || !(file->mode & kFmodeWrite)) return Call::Err(Errno::kEINVAL);
  return InodeTruncate(*file->inode, call.U(1)).AsReturn();
}

// Linux: fs/open.c vfs_fallocate()
int64_t Do_fallocate(Call& call) {
  enum : uint32_t { kKeepSize = 1, kPunchHole = 2, kCollapse = 8, kZero = 16, kInsert = 32, kUnshare = 64 };
  FileRef file = call.File(0);
  if (file == nullptr) return Call::Err(Errno::kEBADF);
  if (file->inode->hugetlb) return call.NotModelled();
  const uint32_t mode = call.Uint(1);
  const int64_t offset = static_cast<int64_t>(call.U(2)), len = static_cast<int64_t>(call.U(3));
  if (offset < 0 || len <= 0) return Call::Err(Errno::kEINVAL);
  constexpr uint32_t kModes = kPunchHole | kCollapse | kZero | kInsert | kUnshare;
  if (mode & ~(kModes | kKeepSize)) return Call::Err(Errno::kEOPNOTSUPP);
  const uint32_t what = mode & kModes;
  const bool needs_keep = what == kPunchHole, refuses_keep = what == kCollapse || what == kInsert;
  const bool known = what == 0 || what == kUnshare || what == kZero || needs_keep || refuses_keep;
  const bool keeps = (mode & kKeepSize) != 0;
  if (!known || (needs_keep && !keeps) || (refuses_keep && keeps)) return Call::Err(Errno::kEOPNOTSUPP);
  if (!(file->mode & kFmodeWrite)) return Call::Err(Errno::kEBADF);
  if (!IsRegular(*file->inode)) return Call::Err(Errno::kENODEV);
  if (len > kMaxFileBytes - offset) return Call::Err(Errno::kEFBIG);
  const uint64_t from = call.U(2), bytes = call.U(3);
  if (what == kPunchHole) return InodePunchHole(*file->inode, from, bytes).AsReturn();
  if (what == 0) return InodeAllocate(*file->inode, from, bytes, keeps).AsReturn();
  // shmem_fallocate() takes no other mode; disk file systems differ.
  return file->inode->kind == InodeKind::kShmem ? Call::Err(Errno::kEOPNOTSUPP) : call.NotModelled();
}

}  // namespace mmsim
