// SPDX-License-Identifier: Apache-2.0
// Descriptors and files in the replay of a log. A log does not see everything that changes them: there are
// descriptors from before it, calls that strace was not asked to show (sockets, rename, unlink), and other
// processes that make and remove files. What is believed without a mismatch, and what is not, stands in
// scenarios/README.md, "Logs of strace".
#include <algorithm>
#include <charconv>

#include "sim/kernel/path.h"
#include "sim/scenario/eval.h"
#include "sim/scenario/runner.h"

namespace mmsim::scenario {
namespace {

constexpr uint32_t kReadWrite = 2;                              // O_RDWR
constexpr uint64_t kGetDescriptorFlags = 1, kGetFileFlags = 3;  // F_GETFD, F_GETFL
constexpr uint64_t kDupfd = 0, kDupfdCloexec = 1030;            // F_DUPFD, F_DUPFD_CLOEXEC
constexpr int64_t kAtFdcwd = -100;
constexpr std::string_view kDeleted = " (deleted)";
// How far a log is searched for the next word about a descriptor, in steps.
constexpr size_t kLookAhead = 20000;

// "3</lib/x.so>", "AT_FDCWD</srv>": the number and the path. False: no such text.
bool ParseDescriptor(std::string_view text, int* fd, std::string_view* path) {
  const size_t open = text.find('<'), close = text.rfind('>');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return false;
  const std::string_view number = text.substr(0, open);
  if (number == "AT_FDCWD") {
    *fd = kAtFdcwd;
  } else {
    const auto [rest, error] = std::from_chars(number.data(), number.data() + number.size(), *fd);
    if (error != std::errc() || rest != number.data() + number.size()) return false;
  }
  *path = text.substr(open + 1, close - open - 1);
  return true;
}

// A failure that comes from what lies on the recorded machine's disks, and not from the arguments.
bool ComesFromThePath(int error) {
  switch (static_cast<Errno>(error)) {
    case Errno::kEMFILE:
    case Errno::kEBADF:
    case Errno::kEFAULT:
    case Errno::kEINVAL:
      return false;
    default:
      return true;
  }
}

bool MakesLowestDescriptor(const Step& step, const LoweredCall& call) {
  switch (step.sys) {
    case Sys::k_open:
    case Sys::k_openat:
    case Sys::k_creat:
    case Sys::k_dup:
    case Sys::k_memfd_create:
      return true;
    case Sys::k_fcntl:
      return call.Value(1) == kDupfd || call.Value(1) == kDupfdCloexec;
    default:
      return false;
  }
}

}  // namespace

// A descriptor whose making the log did not show: its flags are not known.
void Runner::InstallSeen(Task& task, int fd, std::string_view path) {
  kernel_->InstallFd(task, fd, path, kReadWrite)->flags_known = false;
  task.files->entries()[static_cast<size_t>(fd)].cloexec_known = false;
}

// strace -y shows the path of each descriptor: those that were never seen made are put in place.
void Runner::KnowDescriptor(Task& task, int fd, std::string_view path) {
  if (path.ends_with(kDeleted)) path.remove_suffix(kDeleted.size());
  if (fd == kAtFdcwd) {
    if (*task.cwd != path) *task.cwd = std::string(path);
    return;
  }
  // A number beyond the limit is none, however it came into the log.
  if (fd < 0 || static_cast<uint64_t>(fd) >= task.signal->rlimits.Cur(Rlimit::kNofile)) return;
  const FileRef file = task.files->Get(fd);
  if (file != nullptr && file->path == path) return;
  const bool made_by_log = file != nullptr && task.files->entries()[static_cast<size_t>(fd)].cloexec_known;
  if (made_by_log && file->path.starts_with('/') && path.starts_with('/')) {
    kernel_->vfs().Rename(*file, path);
  } else {
    InstallSeen(task, fd, path);
  }
}

void Runner::KnowDescriptors(Task& task, const LoweredCall& call) {
  for (const LoweredArg& arg : call.args) {
    if (arg.path.empty() || arg.kind != ArgKind::kValue) continue;
    KnowDescriptor(task, static_cast<int32_t>(arg.value), arg.path);
  }
}

// The same for a call that the model lacks, and what it made: `= 5<socket:[7]>`, `pipe2([3<...>, 4<...>])`.
void Runner::FollowDescriptorsOfText(Task& task, const Step& step) {
  int fd = 0;
  std::string_view path;
  const bool pair = step.sys == Sys::k_pipe || step.sys == Sys::k_pipe2 || step.sys == Sys::k_socketpair;
  for (int i = 0; i < step.nr_args; ++i) {
    std::string_view text = scenario_.Arg(step, i);
    if (ParseDescriptor(text, &fd, &path)) KnowDescriptor(task, fd, path);
    if (!pair || !text.starts_with('[') || !text.ends_with(']')) continue;
    text = text.substr(1, text.size() - 2);
    const size_t comma = text.find(", ");
    if (comma == std::string_view::npos) continue;
    for (const std::string_view one : {text.substr(0, comma), text.substr(comma + 2)}) {
      if (ParseDescriptor(one, &fd, &path)) KnowDescriptor(task, fd, path);
    }
  }
  if (step.result != ResultKind::kValue || step.value < 0) return;
  if (const std::string_view made = scenario_.ResultPath(step); !made.empty()) {
    KnowDescriptor(task, static_cast<int>(step.value), made);
  }
}

// Whether a path leads to a file, and to which, is the log's to say: a failure is believed, a success opens
// what strace shows behind the descriptor. True: the model can carry the call out, and has to come to the
// recorded result.
bool Runner::BelieveFile(const Task& task, const Step& step, LoweredCall* call) {
  if (step.result == ResultKind::kErrno) return !ComesFromThePath(step.error);
  if (step.result != ResultKind::kValue || step.value < 0) return false;
  const size_t path_arg = step.sys == Sys::k_openat ? 1 : 0;
  if (path_arg >= call->args.size() || call->args[path_arg].kind != ArgKind::kIn) return false;
  std::string shown(scenario_.ResultPath(step));
  // Without -y: where the path itself leads, if it is known from where.
  const bool relative_to_descriptor = path_arg == 1 && static_cast<int32_t>(call->Value(0)) != kAtFdcwd;
  if (shown.empty() && !call->args[path_arg].truncated) {
    const std::string given(call->Bytes(path_arg).substr(0, call->Bytes(path_arg).find('\0')));
    if (!relative_to_descriptor || given.starts_with('/')) shown = AbsolutePath(*task.cwd, given);
  }
  if (!shown.starts_with('/') || shown.ends_with(kDeleted)) return false;
  LoweredArg& arg = call->args[path_arg];
  arg.offset = static_cast<uint32_t>(call->bytes.size());
  arg.len = static_cast<uint32_t>(shown.size());
  call->bytes.insert(call->bytes.end(), shown.begin(), shown.end());
  call->bytes.push_back('\0');

  const uint64_t flags = step.sys == Sys::k_creat ? 0 : call->Value(path_arg + 1);
  const auto has = [&](std::string_view name) {
    const uint64_t bit = SymbolValue(name, kernel_->arch()).value_or(0);
    return bit != 0 && (flags & bit) == bit;
  };
  if (has("O_TMPFILE")) return false;
  Vfs& vfs = kernel_->vfs();
  const bool known = vfs.Lookup(shown) != nullptr;
  if (has("O_CREAT") && has("O_EXCL"))
    return !known || vfs.Unlink(shown).ok();  // renamed or removed meanwhile
  if (!known || has("O_DIRECTORY")) vfs.Believe(shown, has("O_DIRECTORY"));
  return true;
}

// Whether a number that is free in the model may have been in use when `step` passed it over: the next word
// of the log about it is a use, or there is none and there never was one.
bool Runner::MayBeOpen(const Task& task, const Step& step, int fd) {
  const absl::Span<const Step> steps = scenario_.steps();
  const size_t begin = static_cast<size_t>(&step - steps.data()) + 1;
  for (size_t i = begin; i < std::min(steps.size(), begin + kLookAhead); ++i) {
    const Step& later = steps[i];
    if (later.kind != StepKind::kCall) continue;
    const Task* other = TaskOf(later);
    if (other == nullptr || other->tgid != task.tgid) continue;
    for (int arg = 0; arg < later.nr_args; ++arg) {
      int number = -1;
      std::string_view path;
      if (ParseDescriptor(scenario_.Arg(later, arg), &number, &path) && number == fd) return true;
    }
    if (later.result == ResultKind::kValue && later.value == fd && !scenario_.ResultPath(later).empty())
      return false;
  }
  const std::vector<FdEntry>& entries = task.files->entries();
  return static_cast<size_t>(fd) >= entries.size() || !entries[static_cast<size_t>(fd)].seen;
}

// A new descriptor is about to get a number that the model would not give, because others are in use that the
// log did not show made, or because one is gone that exec closed unseen: no mismatch.
void Runner::LearnNumber(Task& task, const Step& step, const LoweredCall& call) {
  if (!MakesLowestDescriptor(step, call) || step.result != ResultKind::kValue || step.value < 0) return;
  if (static_cast<uint64_t>(step.value) >= task.signal->rlimits.Cur(Rlimit::kNofile)) return;
  FilesTable& files = *task.files;
  const int recorded = static_cast<int>(step.value);
  if (files.IsOpen(recorded)) {
    if (!files.entries()[static_cast<size_t>(recorded)].cloexec_known) (void)files.Close(recorded);
    return;
  }
  std::vector<int> passed_over;
  for (int fd = step.sys == Sys::k_fcntl ? static_cast<int32_t>(call.Value(2)) : 0; fd < recorded; ++fd) {
    if (files.IsOpen(fd)) continue;
    if (!MayBeOpen(task, step, fd)) return;
    passed_over.push_back(fd);
  }
  for (const int fd : passed_over) InstallSeen(task, fd, "unseen:[0]");
}

// What a recorded success did to the descriptors: a new one with the path that strace shows, a file's
// position.
void Runner::FollowDescriptors(Task& task, const Step& step, const LoweredCall& call,
                               const SyscallResult& result) {
  if (step.sys == Sys::k_read || step.sys == Sys::k_write || step.sys == Sys::k_lseek) {
    const FileRef file = task.files->Get(static_cast<int32_t>(call.Value(0)));
    if (file == nullptr) return;
    const uint64_t from = step.sys == Sys::k_lseek ? 0 : file->position;
    file->position = from + static_cast<uint64_t>(step.value);
    return;
  }
  if (scenario_.ResultPath(step).empty()) return;
  const bool returned = result.status == SyscallResult::Status::kReturned;
  if (returned && MakesLowestDescriptor(step, call) && result.value >= 0)
    (void)task.files->Close(result.value);
  if (!OpensFile(step.sys)) {
    InstallSeen(task, static_cast<int>(step.value), scenario_.ResultPath(step));
    return;
  }
  const uint64_t large = SymbolValue("O_LARGEFILE", kernel_->arch()).value_or(0);
  const uint64_t flags = call.Value(step.sys == Sys::k_open ? 1 : 2) | large;
  kernel_->InstallFd(task, static_cast<int>(step.value), scenario_.ResultPath(step),
                     static_cast<uint32_t>(flags));
}

// The first F_GETFD or F_GETFL of a descriptor that the log did not see made says what it is: no mismatch,
// but nothing that the model reproduced either.
bool Runner::LearnDescriptor(Task& task, const Step& step, const LoweredCall& call) {
  if (step.sys != Sys::k_fcntl || step.result != ResultKind::kValue) return false;
  const int fd = static_cast<int32_t>(call.Value(0));
  const FileRef file = task.files->Get(fd);
  if (file == nullptr) return false;
  FdEntry& entry = task.files->entries()[static_cast<size_t>(fd)];
  if (call.Value(1) == kGetDescriptorFlags && !entry.cloexec_known) {
    entry.cloexec_known = true;
    entry.cloexec = (step.value & 1) != 0;
  } else if (call.Value(1) == kGetFileFlags && !file->flags_known) {
    file->flags_known = true;
    file->flags = static_cast<uint32_t>(step.value);
  } else {
    return false;
  }
  ++skipped_["fcntl of a descriptor from before the log"];
  return true;
}

}  // namespace mmsim::scenario
