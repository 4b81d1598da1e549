// SPDX-License-Identifier: Apache-2.0
// Watches the processes that strace holds, and copies their /proc/PID/maps at the two moments that a
// recording needs: just after an exec, and at the final exit_group; asked for them, the pages too.
//
// strace holds a thread by not resuming it from a ptrace stop (`-e inject=...:delay_...`). A held thread
// shows its system call and arguments in /proc/PID/task/TID/syscall and state `t`, and it stays so: its count
// of context switches does not move. So each look at a process is: signature, maps, signature again; equal
// signatures mean that the maps belong to the moment that the signature tells.
//
// What is not caught: a process that dies of a signal or by another's exit has no end; an image that makes
// its first brk later than its first mmap is caught by its held execve alone, which strace does not hold for
// the very first program; calls of a 32-bit program are not told apart.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "sim/cli/record_faults.h"

namespace mmsim::cli {

class HeldProcesses {
 public:
  // `strace` is the tracer; files go to `folder`.
  HeldProcesses(pid_t strace, std::string folder, bool with_pages)
      : strace_(strace), folder_(std::move(folder)), with_pages_(with_pages) {}

  // One look at every process that strace traces. False when a file could not be written.
  bool Look();

  struct Seen {
    int execs = 0;         // images that were caught, the first one counted
    int starts = 0;        // start files written
    bool has_end = false;  // end file written
  };
  const std::map<pid_t, Seen>& seen() const { return seen_; }
  // Of the images whose starts were caught: the pages of the stack that exec had made.
  const ExecPages& exec_pages() const { return exec_pages_; }
  int nr_starts() const { return nr_starts_; }
  int nr_ends() const { return nr_ends_; }

 private:
  struct Tracked {
    bool is_first = false;       // the program that strace itself started
    bool start_written = false;  // of the current image
    uint64_t exec_switches = 0;  // Stop::switches of the last execve that was seen
  };
  void FindNew();
  bool LookAt(pid_t pid, Tracked* process);
  bool LookAtThread(pid_t pid, const std::string& task, Tracked* process);
  // Writes /proc/PID/maps to `name` if `signature` still holds afterwards. False when writing failed.
  bool Copy(pid_t pid, const std::string& task, const std::string& signature, const std::string& name,
            bool* copied);

  const pid_t strace_;
  const std::string folder_;
  const bool with_pages_;
  ExecPages exec_pages_;
  std::set<pid_t> foreign_;  // not traced by this strace
  std::map<pid_t, Tracked> tracked_;
  std::map<pid_t, Seen> seen_;
  int nr_starts_ = 0, nr_ends_ = 0;
};

}  // namespace mmsim::cli
