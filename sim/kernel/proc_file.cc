// SPDX-License-Identifier: Apache-2.0
#include "sim/kernel/proc_file.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <string>
#include <utility>

#include "sim/kernel/call.h"
#include "sim/kernel/uaccess.h"
#include "sim/kernel/uapi.h"
#include "sim/mm/gup.h"
#include "sim/mm/task_mmu.h"

namespace mmsim {
namespace {

constexpr std::string_view kProc = "/proc/";

// A decimal number that is all of the text.
std::optional<int> WholeNumber(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The live address space with this id, or null.
Mm* FindSpace(Kernel& kernel, uint64_t id) {
  for (const auto& [pid, task] : kernel.tasks()) {
    if (task->mm != nullptr && task->mm->id == id) return task->mm;
  }
  return nullptr;
}

// The modes are 0200 and 0600, and the files belong to the process's user.
bool MayOpen(const Task& task, const Task& target, ProcFile::Kind kind, uint32_t open_flags) {
  if (task.cred.cap_sys_admin) return true;
  if (task.cred.uid != target.cred.uid || target.cred.cap_sys_admin) return false;
  return kind == ProcFile::Kind::kMem || (open_flags & kOAccmode) == kOWronly;
}

// Linux: fs/proc/task_mmu.c clear_refs_write()
int64_t ClearRefsWrite(Call& call, const ProcFile& file, uint64_t count) {
  constexpr uint64_t kProcNumbuf = 13;
  count = std::min(count, kProcNumbuf - 1);
  std::array<char, kProcNumbuf> buffer{};
  if (!call.CopyIn(1, buffer.data(), count)) return Call::Err(Errno::kEFAULT);
  std::string_view text(buffer.data());
  constexpr std::string_view kSpace = " \t\n\v\f\r";
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  text = text.substr(0, text.find_last_not_of(kSpace) + 1);
  const std::optional<int> type = WholeNumber(text);
  if (!type) return Call::Err(Errno::kEINVAL);
  const Task* task = call.kernel.FindTask(file.pid);
  if (task == nullptr) return Call::Err(Errno::kESRCH);
  // A process that has ended has no memory to look at, which is no error; the number is looked at first.
  if (task->mm == nullptr)
    return *type >= 1 && *type <= 5 ? static_cast<int64_t>(count) : Call::Err(Errno::kEINVAL);
  const Status status = ClearRefs(*task->mm, *type);
  return status.ok() ? static_cast<int64_t>(count) : status.AsReturn();
}

// Linux: fs/proc/base.c mem_rw()
int64_t MemTransfer(Call& call, const ProcFile& file, bool write, uint64_t* position, uint64_t count) {
  Mm* mm = FindSpace(call.kernel, file.space_id);
  if (mm == nullptr) return 0;
  const Current current = call.task.AsCurrent();
  std::array<uint8_t, kPageSize> page;
  uint64_t done = 0;
  while (done < count) {
    const std::span<uint8_t> part(page.data(), std::min(count - done, kPageSize));
    const VirtAddr user(call.U(1) + done);
    if (write && CopyFromUser(call.kernel, call.task, user, part) != part.size())
      return Call::Err(Errno::kEFAULT);
    const uint64_t n = AccessRemoteVm(*mm, VirtAddr(*position + done), page.data(), part.size(), write,
                                      /*force=*/true, &current);
    if (n == 0) {
      if (done == 0) return Call::Err(Errno::kEIO);
      break;
    }
    if (!write && CopyToUser(call.kernel, call.task, user, part.first(n)) != n)
      return Call::Err(Errno::kEFAULT);
    done += n;
  }
  *position += done;
  return static_cast<int64_t>(done);
}

}  // namespace

bool PtraceMayAccess(const Task& task, const Task& target) {
  if (task.tgid == target.tgid) return true;
  const Credentials &a = task.cred, &b = target.cred;
  return a.cap_sys_admin || (a.uid == b.uid && a.gid == b.gid && !b.cap_sys_admin);
}

std::optional<Result<FileRef>> OpenProcFile(Kernel& kernel, Task& task, std::string_view path,
                                            uint32_t open_flags) {
  if (!path.starts_with(kProc)) return std::nullopt;
  const std::string_view rest = path.substr(kProc.size());
  const size_t slash = rest.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view who = rest.substr(0, slash), name = rest.substr(slash + 1);
  if (name != "clear_refs" && name != "mem") return std::nullopt;
  const std::optional<int> pid = who == "self" ? task.tgid : WholeNumber(who);
  if (!pid) return std::nullopt;
  const Task* target = kernel.FindTask(*pid);
  if (target == nullptr) return Result<FileRef>(Errno::kENOENT);
  ProcFile about{name == "mem" ? ProcFile::Kind::kMem : ProcFile::Kind::kClearRefs, target->tgid};
  if (!MayOpen(task, *target, about.kind, open_flags)) return Result<FileRef>(Errno::kEACCES);
  if (about.kind == ProcFile::Kind::kMem) {
    if (target->mm == nullptr) return Result<FileRef>(Errno::kESRCH);
    if (!PtraceMayAccess(task, *target)) return Result<FileRef>(Errno::kEACCES);
    about.space_id = target->mm->id;
  }
  const InodeRef inode = NewInode(kernel.system(), InodeKind::kOther, 0);
  FileRef file = kernel.vfs().Open(
      inode, std::string(kProc) + std::to_string(about.pid) + "/" + std::string(name), open_flags);
  file->proc = std::make_shared<const ProcFile>(about);
  return Result<FileRef>(std::move(file));
}

int64_t ProcFileTransfer(Call& call, const ProcFile& file, bool write, uint64_t* position, uint64_t count) {
  if (file.kind == ProcFile::Kind::kMem) return MemTransfer(call, file, write, position, count);
  // There is nothing to read: vfs_read() without ->read.
  return write ? ClearRefsWrite(call, file, count) : Call::Err(Errno::kEINVAL);
}

}  // namespace mmsim
