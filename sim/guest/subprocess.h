// SPDX-License-Identifier: Apache-2.0
// Other programs, started with an argument vector and never through a shell.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mmsim::guest {

// Closes itself.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept;
  ~UniqueFd() { Reset(); }
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int Release();
  void Reset();

 private:
  int fd_ = -1;
};

// What to give the child.
struct ChildFiles {
  int in = -1;                 // its 0; -1: /dev/null
  int out = -1;                // its 1 and 2
  std::vector<int> inherited;  // stay open under their own numbers
};

// Where `program` is in PATH; empty when it is nowhere.
std::string FindProgram(const std::string& program);

// Starts argv[0] (found in PATH). The child is killed when the thread that started it ends.
absl::StatusOr<pid_t> StartProgram(const std::vector<std::string>& argv, const ChildFiles& files,
                                   const std::string& folder = "");

struct ProgramResult {
  int exit_status = 0;  // 128 + signal when one ended it
  std::string output;   // both streams
};
// Runs it to its end.
absl::StatusOr<ProgramResult> RunProgram(const std::vector<std::string>& argv,
                                         const std::string& folder = "");

// "what: strerror(errno)"
absl::Status ErrnoStatus(const std::string& what);

}  // namespace mmsim::guest
