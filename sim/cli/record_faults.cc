// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/record_faults.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "fmt/format.h"
#include "sim/cli/text.h"
#include "sim/kernel/procfs.h"
#include "sim/kernel/syscall.h"
#include "sim/scenario/recorded_faults.h"

namespace mmsim::cli {
namespace {

constexpr const char* kTracefs[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};
constexpr const char* kEvents[] = {"raw_syscalls/sys_enter", "exceptions/page_fault_user",
                                   "exceptions/page_fault_kernel"};
constexpr std::string_view kBufferKb = "32768";

// Takes the number behind `before`, up to the first character that is no digit of `base`.
template <typename Number>
bool NumberBehind(std::string_view text, std::string_view before, int base, Number* value) {
  const size_t at = text.find(before);
  if (at == std::string_view::npos) return false;
  text.remove_prefix(at + before.size());
  return std::from_chars(text.data(), text.data() + text.size(), *value, base).ec == std::errc();
}

// One line of the trace: "COMM-PID [CPU] FLAGS TIME: EVENT: FIELDS".
struct Event {
  enum class Kind { kNone, kCall, kUserFault, kKernelFault } kind = Kind::kNone;
  pid_t thread = 0;
  int number = 0;                  // of a call
  uint64_t address = 0, code = 0;  // of a fault
};

Event ParseEvent(std::string_view line) {
  Event event;
  const size_t call = line.find(": sys_enter: NR "), fault = line.find(": page_fault_");
  const size_t cpu = line.rfind(" [", std::min(call, fault));
  if (cpu == std::string_view::npos) return event;
  const std::string_view who = Trim(line.substr(0, cpu));
  if (!ParseDecimal(who.substr(who.rfind('-') + 1), &event.thread)) return event;
  if (call != std::string_view::npos) {
    if (NumberBehind(line, ": sys_enter: NR ", 10, &event.number)) event.kind = Event::Kind::kCall;
  } else if (NumberBehind(line, "address=0x", 16, &event.address) &&
             NumberBehind(line, "error_code=0x", 16, &event.code)) {
    const bool user = line.find(": page_fault_user:") != std::string_view::npos;
    event.kind = user ? Event::Kind::kUserFault : Event::Kind::kKernelFault;
  }
  return event;
}

constexpr int kUnknownNumber = -1;

// A call as the log has it.
struct LoggedCall {
  int number = kUnknownNumber;
  bool executes = false;  // a new program, successfully
};

int NumberOf(std::string_view name, Arch arch) {
  int number = kUnknownNumber;
  if (NumberBehind(name, "syscall_0x", 16, &number)) return number;
  const std::optional<Sys> sys = FindSys(name);
  return sys ? SysNumber(*sys, arch) : kUnknownNumber;
}

// The calls of each thread in their order, by where each begins.
std::map<pid_t, std::vector<LoggedCall>> CallsOf(std::string_view log, Arch arch) {
  std::map<pid_t, std::vector<LoggedCall>> calls;
  while (!log.empty()) {
    std::string_view line = TakePart(&log, '\n');
    pid_t thread = 0;
    if (!ParseDecimal(TakePart(&line, ' '), &thread)) continue;
    line = Trim(line);
    std::vector<LoggedCall>& of_thread = calls[thread];
    const bool succeeded = line.ends_with(" = 0") || line.ends_with(" = 0 (DELAYED)");
    if (line.starts_with("<... execve") && succeeded && !of_thread.empty()) of_thread.back().executes = true;
    const size_t bracket = line.find('(');
    if (bracket == std::string_view::npos || line.starts_with("<...") || line.starts_with("---") ||
        line.starts_with("+++")) {
      continue;
    }
    const std::string_view name = line.substr(0, bracket);
    of_thread.push_back({NumberOf(name, arch), name.starts_with("execve") && succeeded});
  }
  return calls;
}

// How far the trace of a thread has come in its log.
struct Position {
  size_t calls = 0;      // logged ones that have begun
  bool in_call = false;  // the last call that began is one of them
  int execs = 0;
};

// A call of the trace; the log has some of them, in the same order.
void NoteCall(const Event& event, const std::vector<LoggedCall>& logged, Position* at) {
  // One without a number cannot be found in the trace.
  while (at->calls < logged.size() && logged[at->calls].number == kUnknownNumber) ++at->calls;
  at->in_call = at->calls < logged.size() && logged[at->calls].number == event.number;
  if (at->in_call) ++at->calls;
}

// Calls visit(address, pagemap entry) for the pages of the areas that `maps` lists.
template <typename Visit>
void ForEachPage(pid_t pid, std::string_view maps, Visit visit) {
  const int fd = open(fmt::format("/proc/{}/pagemap", pid).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  std::vector<uint64_t> entries(1 << 14);
  while (!maps.empty()) {
    MapsLine line;
    if (!ParseMapsLine(TakePart(&maps, '\n'), &line) || line.start >> 63 != 0) continue;
    for (uint64_t at = line.start; at < line.end;) {
      const size_t want = std::min<size_t>(entries.size(), (line.end - at) / kPageSize);
      const ssize_t got = pread(fd, entries.data(), want * 8, static_cast<off_t>(at / kPageSize * 8));
      if (got <= 0) break;
      for (size_t i = 0; i < static_cast<size_t>(got) / 8; ++i, at += kPageSize) visit(line, at, entries[i]);
    }
  }
  close(fd);
}

// Documentation/admin-guide/mm/pagemap.rst
std::string StateWords(uint64_t entry) {
  std::string words;
  for (const auto& [bit, word] :
       {std::pair{63, " present"}, {62, " swap"}, {61, " file"}, {56, " exclusive"}}) {
    if (entry >> bit & 1) words += word;
  }
  return words;
}

}  // namespace

bool FaultTrace::Set(const std::string& name, std::string_view value) {
  const int fd = open((folder_ + "/" + name).c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool good = write(fd, value.data(), value.size()) == static_cast<ssize_t>(value.size());
  return close(fd) == 0 && good;
}

bool FaultTrace::Prepare() {
  bool good = Set("buffer_size_kb", kBufferKb) && Set("trace_clock", "mono") &&
              Set("options/event-fork", "1") && Set("set_event_pid", fmt::format("{}", getpid()));
  for (const char* event : kEvents) {
    good = good && Set(fmt::format("events/{}/filter", event), fmt::format("common_pid != {}", getpid())) &&
           Set(fmt::format("events/{}/enable", event), "1");
  }
  pipe_ = open((folder_ + "/trace_pipe").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  return good && pipe_ >= 0;
}

std::unique_ptr<FaultTrace> FaultTrace::Start(std::string* why_not) {
  const auto root = std::find_if(std::begin(kTracefs), std::end(kTracefs), [](const char* folder) {
    return access(fmt::format("{}/instances", folder).c_str(), F_OK) == 0;
  });
  if (root == std::end(kTracefs)) {
    *why_not =
        geteuid() == 0 ? "there is no tracefs under /sys/kernel/tracing" : "only root can read tracefs";
    return nullptr;
  }
  if (access(fmt::format("{}/events/{}", *root, kEvents[1]).c_str(), F_OK) != 0) {
    *why_not = "this kernel has no tracepoints for page faults";
    return nullptr;
  }
  std::unique_ptr<FaultTrace> trace(new FaultTrace);
  const std::string folder = fmt::format("{}/instances/mmsim-{}", *root, getpid());
  if (mkdir(folder.c_str(), 0700) != 0) {
    *why_not = fmt::format("{}: {}", folder, std::strerror(errno));
    return nullptr;
  }
  trace->folder_ = folder;
  if (!trace->Prepare()) {
    *why_not = fmt::format("{}: the tracepoints of page faults cannot be switched on", folder);
    return nullptr;
  }
  return trace;
}

FaultTrace::~FaultTrace() {
  if (pipe_ >= 0) close(pipe_);
  if (!folder_.empty()) rmdir(folder_.c_str());  // ends the tracing
}

void FaultTrace::LeaveOut(pid_t strace) {
  for (const char* event : kEvents) {
    Set(fmt::format("events/{}/filter", event),
        fmt::format("common_pid != {} && common_pid != {}", getpid(), strace));
  }
}

void FaultTrace::Drain() {
  char buffer[65536];
  for (ssize_t n; (n = read(pipe_, buffer, sizeof buffer)) > 0;) text_.append(buffer, static_cast<size_t>(n));
}

std::string FaultsText(std::string_view trace, std::string_view log, const ExecPages& exec_pages, Arch arch,
                       bool* lost) {
  const auto calls = CallsOf(log, arch);
  std::map<pid_t, Position> positions;
  std::string text;
  *lost = false;
  while (!trace.empty()) {
    const std::string_view line = TakePart(&trace, '\n');
    *lost |= line.find("[LOST ") != std::string_view::npos;
    const Event event = ParseEvent(line);
    const auto logged = calls.find(event.thread);
    if (event.kind == Event::Kind::kNone || logged == calls.end()) continue;
    Position& at = positions[event.thread];
    if (event.kind == Event::Kind::kCall) {
      NoteCall(event, logged->second, &at);
      if (!at.in_call || !logged->second[at.calls - 1].executes) continue;
      const auto pages = exec_pages.find({event.thread, ++at.execs});
      if (pages == exec_pages.end()) continue;
      for (const uint64_t page : pages->second) {
        text += fmt::format("{} {} {:x} 6 in\n", event.thread, at.calls, page);
      }
    } else {
      if (event.kind == Event::Kind::kUserFault) at.in_call = false;
      text += fmt::format("{} {} {:x} {:x}{}\n", event.thread, at.calls, event.address, event.code,
                          at.in_call ? " in" : "");
    }
  }
  return text;
}

std::string PagemapText(pid_t pid, std::string_view maps) {
  std::string text, words;
  uint64_t start = 0, end = 0;
  const auto finish = [&] {
    if (!words.empty()) text += fmt::format("{:x}-{:x}{}\n", start, end, words);
  };
  ForEachPage(pid, maps, [&](const MapsLine& line, uint64_t at, uint64_t entry) {
    const bool special = line.name.starts_with("[v");  // the kernel's own pages
    const std::string state = special ? "" : StateWords(entry);
    if (at != end || state != words) {
      finish();
      start = at;
      words = state;
    }
    end = at + kPageSize;
  });
  finish();
  return text;
}

std::vector<uint64_t> PresentPages(pid_t pid, std::string_view maps, std::string_view name) {
  std::vector<uint64_t> pages;
  ForEachPage(pid, maps, [&](const MapsLine& line, uint64_t at, uint64_t entry) {
    if (line.name == name && entry >> 63 != 0) pages.push_back(at);
  });
  return pages;
}

}  // namespace mmsim::cli
