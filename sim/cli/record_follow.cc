// SPDX-License-Identifier: Apache-2.0
// See record_follow.h.
#include "sim/cli/record_follow.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <string_view>
#include <system_error>
#include <vector>

#include "fmt/format.h"
#include "sim/cli/text.h"

namespace mmsim::cli {
namespace {

// The whole of a file of /proc, which may grow while it is read; empty when it is gone.
std::string ReadProc(const std::string& path) {
  std::string text;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return text;
  char buffer[65536];
  for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<size_t>(n));
  close(fd);
  return text;
}

// The numeric names in a folder of /proc.
std::vector<pid_t> Numbers(const std::string& folder) {
  std::vector<pid_t> out;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    pid_t pid = 0;
    if (ParseDecimal(name, &pid)) out.push_back(pid);
  }
  return out;
}

// A thread in a ptrace stop: its system call and what tells that it has not run since.
struct Stop {
  int64_t number = -1;  // -1: not in a stop that matters
  bool args_are_zero = false;
  uint64_t switches = 0;  // how often the thread gave up the processor by itself: each stop counts one
  std::string signature;
};

// One that a program is held at, see StraceArgs() in record.cc.
bool IsHeldCall(int64_t number) {
  switch (number) {
    case SYS_brk:
    case SYS_execve:
    case SYS_execveat:
    case SYS_exit_group:
    case SYS_sched_getaffinity:
    case SYS_set_tid_address:
#ifdef SYS_arch_prctl
    case SYS_arch_prctl:
#endif
      return true;
    default:
      return false;
  }
}

Stop StopOf(const std::string& task) {
  Stop stop;
  const std::string call = ReadProc(task + "/syscall");
  std::string_view words = call;
  int64_t number;
  if (!ParseDecimal(TakePart(&words, ' '), &number) || !IsHeldCall(number)) return stop;
  const std::string status = ReadProc(task + "/status");
  if (!FieldOf(status, "State").starts_with("t")) return stop;
  stop.args_are_zero = words.starts_with("0x0 0x0 0x0 ");
  if (!ParseDecimal(FieldOf(status, "voluntary_ctxt_switches"), &stop.switches)) return stop;
  stop.number = number;
  stop.signature =
      fmt::format("{} {} {}", call, stop.switches, FieldOf(status, "nonvoluntary_ctxt_switches"));
  return stop;
}

bool WriteFile(const std::string& path, std::string_view text) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) return false;
  bool good = true;
  while (good && !text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    good = n > 0;
    if (good) text.remove_prefix(static_cast<size_t>(n));
  }
  return close(fd) == 0 && good;
}

}  // namespace

void HeldProcesses::FindNew() {
  std::set<pid_t> foreign;
  for (const pid_t pid : Numbers("/proc")) {
    if (tracked_.contains(pid)) continue;
    if (foreign_.contains(pid)) {
      foreign.insert(pid);
      continue;
    }
    const std::string proc = fmt::format("/proc/{}", pid);
    const std::string status = ReadProc(proc + "/status");
    pid_t tracer = 0, parent = 0;
    if (!ParseDecimal(FieldOf(status, "TracerPid"), &tracer) ||
        !ParseDecimal(FieldOf(status, "PPid"), &parent)) {
      continue;
    }
    // A tracee is traced from birth, but for the program that strace forks itself: of that one nothing is to
    // be seen before its exec, and it must not be taken for the children that strace forks to try ptrace out
    // (dead ones have no words).
    if (parent == strace_) {
      const std::string words = ReadProc(proc + "/cmdline");
      if (words.empty() || words == ReadProc(fmt::format("/proc/{}/cmdline", strace_))) continue;
    }
    if (tracer == strace_) {
      Tracked process;
      process.is_first = parent == strace_ && seen_.empty();
      seen_[pid].execs = process.is_first ? 1 : 0;
      tracked_.emplace(pid, process);
    } else if (pid != strace_ && parent != strace_) {
      foreign.insert(pid);
    }
  }
  foreign_ = std::move(foreign);
}

bool HeldProcesses::Copy(pid_t pid, const std::string& task, const std::string& signature,
                         const std::string& name, bool* copied) {
  const std::string maps = ReadProc(fmt::format("/proc/{}/maps", pid));
  const bool is_end = name.starts_with("end.");
  std::string pages;
  std::vector<uint64_t> made;
  if (with_pages_ && is_end) pages = PagemapText(pid, maps);
  if (with_pages_ && !is_end) made = PresentPages(pid, maps, "[stack]");
  *copied = !maps.empty() && StopOf(task).signature == signature;
  if (!*copied) return true;
  if (with_pages_ && is_end && !WriteFile(fmt::format("{}/pagemap.{}", folder_, pid), pages)) return false;
  if (with_pages_ && !is_end) exec_pages_[{pid, seen_[pid].execs}] = std::move(made);
  return WriteFile(folder_ + "/" + name, maps);
}

bool HeldProcesses::LookAtThread(pid_t pid, const std::string& task, Tracked* process) {
  const Stop stop = StopOf(task);
  if (stop.number < 0) return true;
  Seen& seen = seen_[pid];
  bool copied = false;
  if (stop.number == SYS_exit_group) {
    if (seen.has_end) return true;
    const bool good = Copy(pid, task, stop.signature, fmt::format("end.{}", pid), &copied);
    if (copied) seen.has_end = true, ++nr_ends_;
    return good;
  }
  if (stop.number == SYS_execve || stop.number == SYS_execveat) {
    // After a successful exec the registers are those of the new program: nothing in them. It stops twice, at
    // ptrace's exec event and at the end of the call; between two execs there are more stops than that.
    if (!stop.args_are_zero) return true;
    const bool is_new = process->exec_switches == 0 || stop.switches > process->exec_switches + 1;
    process->exec_switches = stop.switches;
    // The first program's own exec is counted already; it is stopped there for a moment.
    if (is_new && !(process->is_first && seen.starts == 0)) {
      ++seen.execs;
      process->start_written = false;
    }
  }
  // A forked child keeps its parent's image: its brk is no start.
  if (process->start_written || seen.execs == 0) return true;
  const std::string name =
      seen.execs == 1 ? fmt::format("start.{}", pid) : fmt::format("start.{}.{}", pid, seen.execs);
  const bool good = Copy(pid, task, stop.signature, name, &copied);
  if (copied) process->start_written = true, ++seen.starts, ++nr_starts_;
  return good;
}

bool HeldProcesses::LookAt(pid_t pid, Tracked* process) {
  const std::string tasks = fmt::format("/proc/{}/task", pid);
  for (const pid_t tid : Numbers(tasks)) {
    if (!LookAtThread(pid, fmt::format("{}/{}", tasks, tid), process)) return false;
  }
  return true;
}

bool HeldProcesses::Look() {
  FindNew();
  for (auto it = tracked_.begin(); it != tracked_.end();) {
    if (!LookAt(it->first, &it->second)) return false;
    const bool gone = access(fmt::format("/proc/{}", it->first).c_str(), F_OK) != 0;
    it = gone ? tracked_.erase(it) : std::next(it);
  }
  return true;
}

}  // namespace mmsim::cli
