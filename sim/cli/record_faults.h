// SPDX-License-Identifier: Apache-2.0
// Records the page faults of the programs that strace traces, from the kernel's tracepoints (tracefs): each
// with its place among the calls of strace's log. The file that comes of it is described in
// sim/scenario/recorded_faults.h.
//
// It makes an instance of tracing of its own under instances/ and removes it again; the machine's own tracing
// is left alone. Only root may do that, and only x86-64 has the tracepoints.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mmsim/types.h"

namespace mmsim::cli {

class FaultTrace {
 public:
  // From now on the children of this process are traced, and theirs. Null, and one line that says why, where
  // that is not to be had.
  static std::unique_ptr<FaultTrace> Start(std::string* why_not);
  ~FaultTrace();
  FaultTrace(const FaultTrace&) = delete;
  FaultTrace& operator=(const FaultTrace&) = delete;

  // Leaves out what strace itself does, and this process.
  void LeaveOut(pid_t strace);
  // Takes what has come since; often enough, or events are lost.
  void Drain();
  const std::string& text() const { return text_; }

 private:
  FaultTrace() = default;
  bool Set(const std::string& name, std::string_view value);
  bool Prepare();

  std::string folder_;
  int pipe_ = -1;
  std::string text_;
};

// By process and number of its exec (from 1): addresses of pages that the exec itself had made.
using ExecPages = std::map<std::pair<pid_t, int>, std::vector<uint64_t>>;

// The text of `faults`: the events of the trace, each behind as many calls of its thread as strace's log has
// before it. `lost`: the trace says that events were lost.
std::string FaultsText(std::string_view trace, std::string_view log, const ExecPages& exec_pages, Arch arch,
                       bool* lost);

// The text of `pagemap.PID`: the pages of the areas that `maps` lists, of a process that stands still.
std::string PagemapText(pid_t pid, std::string_view maps);
// Those of them that are there, of the areas with this name.
std::vector<uint64_t> PresentPages(pid_t pid, std::string_view maps, std::string_view name);

}  // namespace mmsim::cli
