// SPDX-License-Identifier: Apache-2.0
// The page faults of a recording (`faults`, written by `mmsim record --faults`), and what they let be known
// at its ends (`pagemap.PID`).
//
// `faults` has a line a fault, in the order in which they were taken:
//   THREAD CALLS ADDRESS CODE [in]
// CALLS calls of the thread stand before the fault in strace.log; with `in`, it was taken by the last of
// them, in the kernel. ADDRESS and CODE are hexadecimal, CODE is the processor's. `pagemap.PID` has a line a
// run of pages that were there: START-END WORDS, the words being of present, swap, file and exclusive.
//
// Not known from them: pages that the kernel brought in without a fault on behalf of another process (strace
// reads the strings of calls that way, and makes pages that a fork shared the process's own).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "sim/kernel/kernel.h"

namespace mmsim::scenario {

struct RecordedFault {
  int thread = 0;
  uint64_t calls = 0;
  uint64_t address = 0, code = 0;
  bool in_call = false;
  bool operator==(const RecordedFault&) const = default;
};

// A run of pages in the same state: the bits of kPageStateWords that hold.
struct RecordedPages {
  uint64_t start = 0, end = 0;
  uint32_t state = 0;
};
inline constexpr uint32_t kPagePresent = 1, kPageSwap = 2, kPageFile = 4, kPageExclusive = 8;

// `file` is the name that errors print, "FILE:LINE:1: ...".
absl::StatusOr<std::vector<RecordedFault>> ParseFaults(std::string_view text, const std::string& file);
absl::StatusOr<std::vector<RecordedPages>> ParsePagemap(std::string_view text, const std::string& file);

// Gives a replay the faults in their place: before a call those that came before it, in the recorded order as
// far as the calls of other threads let them.
class FaultReplay {
 public:
  explicit FaultReplay(std::vector<RecordedFault> faults);
  // The thread is about to make its next call. `executes`: a new program.
  void BeforeCall(Kernel& kernel, int thread, bool executes);

 private:
  struct Thread {
    uint64_t begun = 0;          // calls
    bool busy = false;           // the last of them has not returned
    std::vector<size_t> faults;  // indices
    size_t next = 0;             // of `faults`
  };
  bool IsDue(Kernel& kernel, const RecordedFault& fault, int caller, bool executes) const;
  void Take(Kernel& kernel, size_t index);

  std::vector<RecordedFault> faults_;
  std::vector<bool> taken_;
  size_t next_ = 0;
  std::map<int, Thread> threads_;
  int busy_thread_ = 0;
};

// Where the anonymous memory of a replayed process first differs from what was recorded; empty: nowhere.
std::string DifferenceOfPages(const std::vector<RecordedPages>& recorded, const Task& task);

}  // namespace mmsim::scenario
