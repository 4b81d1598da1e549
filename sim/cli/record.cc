// SPDX-License-Identifier: Apache-2.0
// The record command: finds strace and the program, runs the one under the other without address-space
// randomisation, lets HeldProcesses copy the maps, and writes `env`.
//
// It makes the folder DIR and files in it, and nothing else; what it did not make it neither changes nor
// removes. The program has the terminal: its input and output are those of the command. Exit status: 0 when
// every image has its start and every exit_group its end, 1 when something was missed, 2 when nothing could
// be recorded.
#include "sim/cli/record.h"

#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fmt/format.h"
#include "sim/cli/record_env.h"
#include "sim/cli/record_faults.h"
#include "sim/cli/record_follow.h"
#include "sim/cli/text.h"

namespace mmsim::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int kUsage = 2;

struct RecordOptions {
  std::string folder;
  std::vector<std::string> command;
  int hold_ms = 300;
  bool gzip = false, faults = false;
};

int Fail(const std::string& message) {
  fmt::print(stderr, "mmsim record: {}\n", message);
  return kUsage;
}

// The path of an executable as execvp finds it; empty when there is none.
std::string FindProgram(const std::string& name) {
  const auto runs = [](const std::string& path) {
    struct stat info;
    return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && access(path.c_str(), X_OK) == 0;
  };
  if (name.find('/') != std::string::npos) return runs(name) ? name : "";
  const char* path = std::getenv("PATH");
  for (std::string_view rest = path == nullptr ? "/bin:/usr/bin" : path; !rest.empty();) {
    const std::string_view folder = TakePart(&rest, ':');
    std::string candidate = fmt::format("{}/{}", folder.empty() ? "." : folder, name);
    if (runs(candidate)) return candidate;
  }
  return "";
}

// An ELF file without an interpreter: nothing promises that brk is among its first calls.
bool IsStatic(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  Elf64_Ehdr header;
  if (!in.read(reinterpret_cast<char*>(&header), sizeof header) ||
      std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_phentsize != sizeof(Elf64_Phdr)) {
    return false;
  }
  in.seekg(static_cast<std::streamoff>(header.e_phoff));
  for (int i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    if (!in.read(reinterpret_cast<char*>(&segment), sizeof segment)) return false;
    if (segment.p_type == PT_INTERP) return false;
  }
  return true;
}

// All calls but these, which shape no address space and are many. Leaving out, not choosing: strace shows a
// call that is newer than itself (`syscall_0x1ce(...)`) only where it was not asked for some.
constexpr std::string_view kTrace =
    "trace=!%network,%clock,futex,sched_yield,rt_sigaction,rt_sigprocmask,rt_sigreturn,sigaltstack,kill,"
    "tgkill,getpid,"
    "gettid,getppid,?getpgrp,getpgid,getsid,getuid,geteuid,getgid,getegid,getresuid,getresgid,getgroups,"
    "getrandom,uname,"
    "umask,set_robust_list,sysinfo,getrusage,times,nanosleep,clock_nanosleep,membarrier,?access,faccessat,"
    "faccessat2,"
    "?readlink,readlinkat";

std::vector<std::string> StraceArgs(const RecordOptions& options, const std::string& strace, bool is_static) {
  const int hold_us = options.hold_ms * 1000;
  std::vector<std::string> args = {
      strace, "-f", "-y", "-e",
      "trace=%memory,%process,%desc,%ipc,prctl,personality,prlimit64,setrlimit,pkey_alloc", "-e",
      fmt::format("inject=exit_group:delay_enter={}", 2 * hold_us),
      // The exec of the very first program is over before strace traces it; its first brk is held instead.
      "-e", fmt::format("inject=execve,execveat:delay_exit={}", hold_us), "-e",
      fmt::format("inject=brk:delay_enter={}:when=1", hold_us)};
  if (is_static) {
#ifdef __x86_64__
    constexpr std::string_view kFirstCalls = "arch_prctl,sched_getaffinity,set_tid_address";
#else
    constexpr std::string_view kFirstCalls = "sched_getaffinity,set_tid_address";
#endif
    args.insert(args.end(), {"-e", fmt::format("inject={}:delay_enter={}:when=1", kFirstCalls, hold_us)});
  }
  args.insert(args.end(), {"-o", options.folder + "/strace.log", "--"});
  args.insert(args.end(), options.command.begin(), options.command.end());
  return args;
}

// Starts strace, with randomisation off for itself and so for all that it starts. -1 when fork fails. From
// then on an interrupt from the keyboard is the program's alone; the recording ends when the program does.
pid_t Start(const std::vector<std::string>& args) {
  std::vector<char*> words;
  words.reserve(args.size() + 1);
  for (const std::string& arg : args) words.push_back(const_cast<char*>(arg.c_str()));
  words.push_back(nullptr);
  std::fflush(nullptr);
  const sighandler_t keyboard[2] = {signal(SIGINT, SIG_IGN), signal(SIGQUIT, SIG_IGN)};
  const pid_t pid = fork();
  if (pid != 0) return pid;
  signal(SIGINT, keyboard[0]);
  signal(SIGQUIT, keyboard[1]);
  const int old = personality(0xffffffff);
  personality(static_cast<unsigned long>(old) | ADDR_NO_RANDOMIZE);
  execv(words[0], words.data());
  _exit(127);
}

// A line that is rewritten in place; nothing unless standard error is a terminal.
class ProgressLine {
 public:
  void Show(const HeldProcesses& held) {
    if (!is_terminal_ || Clock::now() - last_ < std::chrono::milliseconds(250)) return;
    last_ = Clock::now();
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(last_ - first_).count();
    fmt::print(stderr, "\r\033[Krecording: {} s, {} processes, {} starts, {} ends", seconds,
               held.seen().size(), held.nr_starts(), held.nr_ends());
    shown_ = true;
  }
  ~ProgressLine() {
    if (shown_) fmt::print(stderr, "\r\033[K");
  }

 private:
  const bool is_terminal_ = isatty(STDERR_FILENO) == 1;
  const Clock::time_point first_ = Clock::now();
  Clock::time_point last_ = first_;
  bool shown_ = false;
};

struct Outcome {
  int status = 0;            // of strace, as waitpid gives it
  bool written = true;       // all files could be written
  double worst_wait_ms = 0;  // the longest time between two looks
};

// `faults` may be null.
Outcome Follow(pid_t strace, HeldProcesses* held, FaultTrace* faults) {
  constexpr timespec kPause = {0, 3'000'000};
  Outcome outcome;
  ProgressLine progress;
  for (Clock::time_point last = Clock::now();;) {
    const pid_t done = waitpid(strace, &outcome.status, WNOHANG);
    if (done == strace || (done < 0 && errno != EINTR)) return outcome;
    if (outcome.written) outcome.written = held->Look();
    if (faults != nullptr) faults->Drain();
    progress.Show(*held);
    nanosleep(&kPause, nullptr);
    const Clock::time_point now = Clock::now();
    outcome.worst_wait_ms =
        std::max(outcome.worst_wait_ms, std::chrono::duration<double, std::milli>(now - last).count());
    last = now;
  }
}

// What the log says happened, to be held against what was caught.
struct LogCounts {
  std::map<pid_t, int> execs, ends;
  uint64_t lines = 0;
};

LogCounts CountLog(const std::string& path) {
  LogCounts counts;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line); ++counts.lines) {
    const size_t space = line.find(' ');
    pid_t pid = 0;
    if (space == std::string::npos || !ParseDecimal(std::string_view(line).substr(0, space), &pid)) continue;
    std::string_view rest = Trim(std::string_view(line).substr(space));
    const bool is_exec = rest.starts_with("execve") || rest.starts_with("<... execve");
    if (is_exec && (rest.ends_with(" = 0") || rest.ends_with(" = 0 (DELAYED)"))) {
      ++counts.execs[pid];
    }
    // Any thread may call it; the process has one end.
    if (rest.starts_with("exit_group(")) ++counts.ends[pid];
  }
  return counts;
}

bool WriteText(const std::string& path, std::string_view text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  out.close();
  return out.good();
}

// Writes `faults`. False when that failed.
bool WriteFaults(const std::string& folder, FaultTrace& trace, const HeldProcesses& held) {
#ifdef __x86_64__
  constexpr Arch kHostArch = Arch::kX86_64;
#else
  constexpr Arch kHostArch = Arch::kArm64;
#endif
  trace.Drain();
  bool lost = false;
  const std::string text =
      FaultsText(trace.text(), ReadText(folder + "/strace.log"), held.exec_pages(), kHostArch, &lost);
  if (lost)
    fmt::print(stderr, "mmsim record: page faults were lost: there were more than the buffer holds\n");
  return WriteText(folder + "/faults", text);
}

// Replaces strace.log by strace.log.gz, the same bytes for the same text.
bool Compress(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  gzFile out = gzopen((path + ".gz").c_str(), "wb9e");
  if (!in || out == nullptr) return false;
  std::string buffer(1 << 16, '\0');
  bool good = true;
  while (good && in) {
    in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    const auto n = static_cast<unsigned>(in.gcount());
    good = n == 0 || gzwrite(out, buffer.data(), n) == static_cast<int>(n);
  }
  good = gzclose(out) == Z_OK && good;
  return good && unlink(path.c_str()) == 0;
}

// The maps that were seen of a process of which some were missed: of which exec they are is not known, and a
// program's ELF file tells more than the maps of another.
void RemoveStarts(const std::string& folder, int pid) {
  namespace fs = std::filesystem;
  const std::string name = fmt::format("start.{}", pid);
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string file = it->path().filename().string();
    if (file == name || file.starts_with(name + ".")) fs::remove(it->path(), error);
  }
}

// Prints what is missing, and takes away what is of no use without it; the number of lines printed.
int Complain(const HeldProcesses& held, const LogCounts& log, const RecordOptions& options,
             const Outcome& outcome) {
  int complaints = 0;
  const auto say = [&](const std::string& text) {
    fmt::print(stderr, "mmsim record: {}\n", text);
    ++complaints;
  };
  for (const auto& [pid, execs] : log.execs) {
    const auto seen = held.seen().find(pid);
    const int starts = seen == held.seen().end() ? 0 : seen->second.starts;
    if (starts == execs) continue;
    say(fmt::format("process {}: {} of {} start maps: left out, since nothing tells whose they are", pid,
                    starts, execs));
    RemoveStarts(options.folder, pid);
  }
  for (const auto& [pid, ends] : log.ends) {
    const auto seen = held.seen().find(pid);
    // A thread's exit_group counts for its process, whose number the log does not tell.
    if (seen != held.seen().end() && !seen->second.has_end) say(fmt::format("process {}: no end maps", pid));
  }
  if (outcome.worst_wait_ms > options.hold_ms) {
    say(fmt::format("this machine was busy for {:.0f} ms at a time: maps may be of a later moment",
                    outcome.worst_wait_ms));
  }
  if (complaints > 0) say(fmt::format("a longer hold helps, say --hold {}", 4 * options.hold_ms));
  return complaints;
}

std::string HowItEnded(int status) {
  if (WIFSIGNALED(status)) return fmt::format("was killed by signal {}", WTERMSIG(status));
  return fmt::format("exited with {}", WEXITSTATUS(status));
}

// Makes the folder, or takes an empty one. Empty when it can be used, else why not.
std::string PrepareFolder(std::string* folder) {
  std::error_code error;
  if (fs::exists(*folder, error)) {
    if (!fs::is_directory(*folder, error)) return fmt::format("{} exists and is no folder", *folder);
    if (!fs::is_empty(*folder, error) || error) {
      return fmt::format("{} exists and is not empty; name a new folder", *folder);
    }
  } else if (!fs::create_directories(*folder, error)) {
    return fmt::format("{} cannot be made: {}", *folder, error.message());
  }
  // The program may change its folder, strace does not; but keep one name for both.
  *folder = fs::absolute(*folder, error).string();
  return "";
}

int Record(RecordOptions options) {
  const std::string strace = FindProgram("strace");
  if (strace.empty()) return Fail("strace is not installed: apt-get install strace");
  const std::string program = FindProgram(options.command[0]);
  if (program.empty()) return Fail(fmt::format("no such program: {}", options.command[0]));
  const std::string shown = options.folder;
  const std::string why_not = PrepareFolder(&options.folder);
  if (!why_not.empty()) return Fail(why_not);
  const std::string log_path = options.folder + "/strace.log";
  if (!WriteText(options.folder + "/env", DescribeHost()))
    return Fail(fmt::format("cannot write to {}", shown));

  // Orphans of the program become children of this process, whose /proc it may then still read.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  std::string no_faults;
  const std::unique_ptr<FaultTrace> faults = options.faults ? FaultTrace::Start(&no_faults) : nullptr;
  if (!no_faults.empty()) fmt::print(stderr, "mmsim record: page faults are not recorded: {}\n", no_faults);
  const pid_t pid = Start(StraceArgs(options, strace, IsStatic(program)));
  if (pid < 0) return Fail("cannot fork");
  if (faults != nullptr) faults->LeaveOut(pid);
  HeldProcesses held(pid, options.folder, faults != nullptr);
  const Outcome outcome = Follow(pid, &held, faults.get());
  const LogCounts log = CountLog(log_path);
  if (log.lines == 0) return Fail("strace recorded nothing; is ptrace permitted here?");
  if (!outcome.written || (faults != nullptr && !WriteFaults(options.folder, *faults, held)))
    return Fail(fmt::format("cannot write to {}", shown));
  const int complaints = Complain(held, log, options, outcome);
  if (options.gzip && !Compress(log_path)) return Fail(fmt::format("cannot compress {}/strace.log", shown));
  fmt::print(stderr, "mmsim record: {}: {} processes, {} starts, {} ends, {} lines; {} {}\n", shown,
             held.seen().size(), held.nr_starts(), held.nr_ends(), log.lines, options.command[0],
             HowItEnded(outcome.status));
  return complaints == 0 ? 0 : 1;
}

}  // namespace

void AddRecordCommand(CLI::App& app, int& exit_status) {
  auto options = std::make_shared<RecordOptions>();
  CLI::App* record = app.add_subcommand(
      "record", "Run a program under strace and keep its log and the maps of its processes for verify");
  record->add_option("DIR", options->folder, "folder to make for the recording")->required();
  record->add_option("CMD", options->command, "program and its arguments, behind --")->required();
  record->add_option("--hold", options->hold_ms, "how long a process is held for its maps to be read, in ms")
      ->check(CLI::Range(10, 60'000))
      ->capture_default_str();
  record->add_flag(
      "--faults", options->faults,
      "record page faults and final pages too: root, and tracefs, which x86-64 alone has them in");
  record->add_flag("--gzip", options->gzip, "keep strace.log.gz in place of strace.log");
  record->footer("Example: mmsim record /tmp/sort -- sort /etc/services");
  record->callback([options, &exit_status] { exit_status = Record(*options); });
}

}  // namespace mmsim::cli
