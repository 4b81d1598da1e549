// SPDX-License-Identifier: Apache-2.0
#include "sim/guest/subprocess.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace mmsim::guest {

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
  if (this != &other) {
    Reset();
    fd_ = other.Release();
  }
  return *this;
}

int UniqueFd::Release() {
  const int fd = fd_;
  fd_ = -1;
  return fd;
}

void UniqueFd::Reset() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

absl::Status ErrnoStatus(const std::string& what) {
  return absl::ErrnoToStatus(errno, what);
}

std::string FindProgram(const std::string& program) {
  const char* path = std::getenv("PATH");
  for (absl::string_view folder : absl::StrSplit(path ? path : "/usr/bin:/bin:/usr/sbin:/sbin", ':')) {
    std::string candidate = absl::StrCat(folder.empty() ? "." : folder, "/", program);
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return "";
}

namespace {

// Runs in the child, between fork and exec: nothing but system calls.
[[noreturn]] void Become(char* const* argv, const ChildFiles& files, const char* folder, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);  // it ended before the line above
  const int null = open("/dev/null", O_RDWR);
  const int out = files.out >= 0 ? files.out : null;
  dup2(files.in >= 0 ? files.in : null, 0);
  dup2(out, 1);
  dup2(out, 2);
  for (int fd : files.inherited) fcntl(fd, F_SETFD, 0);
  if (*folder && chdir(folder) != 0) _exit(126);
  signal(SIGPIPE, SIG_DFL);
  execv(argv[0], argv);
  _exit(127);
}

}  // namespace

absl::StatusOr<pid_t> StartProgram(const std::vector<std::string>& argv, const ChildFiles& files,
                                   const std::string& folder) {
  const std::string program = FindProgram(argv[0]);
  if (program.empty()) return absl::NotFoundError(absl::StrCat(argv[0], " is not installed"));
  std::vector<char*> pointers{const_cast<char*>(program.c_str())};
  for (size_t i = 1; i < argv.size(); ++i) pointers.push_back(const_cast<char*>(argv[i].c_str()));
  pointers.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) Become(pointers.data(), files, folder.c_str(), parent);
  if (child < 0) return ErrnoStatus("fork");
  return child;
}

absl::StatusOr<ProgramResult> RunProgram(const std::vector<std::string>& argv, const std::string& folder) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus("pipe");
  UniqueFd reading(ends[0]), writing(ends[1]);
  absl::StatusOr<pid_t> child = StartProgram(argv, {.in = -1, .out = writing.get(), .inherited = {}}, folder);
  if (!child.ok()) return child.status();
  writing.Reset();
  ProgramResult result;
  char chunk[4096];
  for (;;) {
    const ssize_t n = read(reading.get(), chunk, sizeof(chunk));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    result.output.append(chunk, static_cast<size_t>(n));
  }
  int status = 0;
  while (waitpid(*child, &status, 0) < 0 && errno == EINTR) {
  }
  result.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace mmsim::guest
