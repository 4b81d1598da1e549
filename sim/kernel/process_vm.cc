// SPDX-License-Identifier: Apache-2.0
// process_vm_readv and process_vm_writev: copies between the caller's memory and another process's, whose
// pages are pinned meanwhile. Linux: mm/process_vm_access.c, lib/iov_iter.c
#include <algorithm>
#include <vector>

#include "sim/kernel/call.h"
#include "sim/kernel/proc_file.h"
#include "sim/kernel/uaccess.h"
#include "sim/mm/gup.h"

namespace mmsim {
namespace {

constexpr uint64_t kMaxIov = 1024;                        // UIO_MAXIOV
constexpr uint64_t kMaxRwCount = 0x7ffff000;              // MAX_RW_COUNT
constexpr uint64_t kMaxPagesPerLoop = 2 * kPageSize / 8;  // PVM_MAX_KMALLOC_PAGES

struct Iovec {
  uint64_t base, len;
};

// Linux: lib/iov_iter.c iovec_from_user(), copy_iovec_from_user()
Result<std::vector<Iovec>> IovecFromUser(Call& call, int vec, uint64_t count) {
  if (count > kMaxIov) return Errno::kEINVAL;
  std::vector<Iovec> iov(count);
  if (count != 0 && !call.CopyIn(vec, iov.data(), count * sizeof(Iovec))) return Errno::kEFAULT;
  for (const Iovec& v : iov) {
    if (static_cast<int64_t>(v.len) < 0) return Errno::kEINVAL;
  }
  return iov;
}

// The caller's side: a place that advances.
class LocalIter {
 public:
  explicit LocalIter(std::vector<Iovec> iov) : iov_(std::move(iov)) {
    for (Iovec& v : iov_) {
      v.len = std::min(v.len, kMaxRwCount - left_);
      left_ += v.len;
    }
  }
  uint64_t left() const { return left_; }

  // Copies at most `bytes` bytes from or to the frame; how many.
  uint64_t Copy(Call& call, PhysAddr frame, uint64_t bytes, bool to_frame) {
    uint64_t done = 0;
    while (done < bytes && left_ != 0) {
      const Iovec& v = iov_[at_];
      const uint64_t n = std::min(bytes - done, v.len - used_);
      const uint64_t copied = n == 0 ? 0 : CopyOne(call, VirtAddr(v.base + used_), frame + done, n, to_frame);
      done += copied;
      used_ += copied;
      left_ -= copied;
      if (copied < n) break;
      if (used_ == v.len) {
        ++at_;
        used_ = 0;
      }
    }
    return done;
  }

 private:
  static uint64_t CopyOne(Call& call, VirtAddr user, PhysAddr frame, uint64_t bytes, bool to_frame) {
    std::vector<uint8_t> buffer(bytes);
    PhysMem& phys = call.kernel.system().phys;
    if (to_frame) {
      const uint64_t n = CopyFromUser(call.kernel, call.task, user, buffer);
      phys.WriteBytes(frame, {buffer.data(), n});
      return n;
    }
    phys.ReadBytes(frame, buffer);
    return CopyToUser(call.kernel, call.task, user, buffer);
  }

  std::vector<Iovec> iov_;
  size_t at_ = 0;
  uint64_t used_ = 0, left_ = 0;
};

// Linux: mm/process_vm_access.c process_vm_rw_pages()
Status RwPages(Call& call, const std::vector<Pfn>& pages, uint64_t offset, uint64_t len, LocalIter& iter,
               bool write) {
  for (size_t i = 0; i < pages.size() && len != 0 && iter.left() != 0; ++i) {
    const uint64_t n = std::min(kPageSize - offset, len);
    const uint64_t copied = iter.Copy(call, pages[i].Base() + offset, n, write);
    len -= copied;
    if (copied < n && iter.left() != 0) return Errno::kEFAULT;
    offset = 0;
  }
  return {};
}

// Linux: mm/process_vm_access.c process_vm_rw_single_vec()
Status RwSingleVec(Call& call, Mm& mm, const Iovec& remote, LocalIter& iter, bool write) {
  if (remote.len == 0) return {};
  VirtAddr page = VirtAddr(remote.base).PageFloor();
  uint64_t offset = VirtAddr(remote.base).PageOffset(), len = remote.len;
  uint64_t nr_pages = (remote.base + len - 1) / kPageSize - remote.base / kPageSize + 1;
  const GupFlags flags = kFollPin | kFollTouch | kFollRemote | (write ? kFollWrite : 0);
  while (nr_pages != 0 && iter.left() != 0) {
    std::vector<Pfn> pages;
    const int64_t pinned = GetUserPages(mm, page, std::min(nr_pages, kMaxPagesPerLoop), flags, &pages);
    if (pinned <= 0) return Errno::kEFAULT;
    const uint64_t bytes = std::min(pages.size() * kPageSize - offset, len);
    const Status status = RwPages(call, pages, offset, bytes, iter, write);
    UnpinUserPages(call.kernel.system(), pages, write);
    if (!status.ok()) return status;
    len -= bytes;
    offset = 0;
    nr_pages -= pages.size();
    page += pages.size() * kPageSize;
  }
  return {};
}

// Linux: mm/process_vm_access.c process_vm_rw(), process_vm_rw_core()
int64_t ProcessVmRw(Call& call, bool write) {
  if (call.U(5) != 0) return Call::Err(Errno::kEINVAL);
  Result<std::vector<Iovec>> local = IovecFromUser(call, 1, call.U(2));
  if (!local.ok()) return Call::Err(local.error());
  for (const Iovec& v : *local) {
    if (v.base > call.mm().task_size || v.len > call.mm().task_size - v.base)
      return Call::Err(Errno::kEFAULT);
  }
  LocalIter iter(std::move(*local));
  if (iter.left() == 0) return 0;
  Result<std::vector<Iovec>> remote = IovecFromUser(call, 3, call.U(4));
  if (!remote.ok()) return Call::Err(remote.error());
  if (std::all_of(remote->begin(), remote->end(), [](const Iovec& v) { return v.len == 0; })) return 0;
  Task* target = call.kernel.FindTask(call.Int(0));
  if (target == nullptr || target->mm == nullptr) return Call::Err(Errno::kESRCH);
  if (target->mm != call.task.mm && !PtraceMayAccess(call.task, *target)) return Call::Err(Errno::kEPERM);
  const uint64_t total = iter.left();
  Status status;
  for (const Iovec& v : *remote) {
    if (iter.left() == 0 || !status.ok()) break;
    status = RwSingleVec(call, *target->mm, v, iter, write);
  }
  const uint64_t done = total - iter.left();
  return done != 0 ? static_cast<int64_t>(done) : status.AsReturn();
}

}  // namespace

int64_t Do_process_vm_readv(Call& call) {
  return ProcessVmRw(call, false);
}

int64_t Do_process_vm_writev(Call& call) {
  return ProcessVmRw(call, true);
}

}  // namespace mmsim
