// SPDX-License-Identifier: Apache-2.0
// Every store to a table entry that concerns one page or one frame, the kernel's and the hardware's, and the
// decisions about it, while this lives.
#pragma once

#include <absl/container/flat_hash_set.h>

#include <map>
#include <vector>

#include "sim/kernel/kernel.h"
#include "sim/scenario/history.h"

namespace mmsim {
struct EntryDecision;
struct EntryStore;
struct HardwareUpdate;
}  // namespace mmsim

namespace mmsim::scenario {

// What is recorded: an address in some address spaces (by Mm::id), or a frame in all.
struct RecorderTarget {
  bool is_frame = false;
  Pfn frame;
  VirtAddr address;
  absl::flat_hash_set<uint64_t> spaces;
  std::map<uint64_t, int> pid_of_space;  // whose each address space is
};

class Recorder {
 public:
  Recorder(Kernel& kernel, const RecorderTarget& target);
  ~Recorder();
  Recorder(const Recorder&) = delete;

  // What was recorded since the last call.
  std::vector<HistoryEvent> Take();

 private:
  static void OnStore(void* self, const EntryStore& store);
  static void OnDecision(void* self, const EntryDecision& decision);
  static void OnHardware(void* self, const HardwareUpdate& update);
  void Store(const Mm& mm, VirtAddr address, int level, uint64_t before, uint64_t after,
             const char* function);
  bool Concerns(const Mm& mm, VirtAddr address, int level, uint64_t before, uint64_t after) const;
  bool MapsFrame(int level, uint64_t entry) const;
  int PidOf(const Mm& mm) const;

  Kernel& kernel_;
  System& system_;
  const RecorderTarget& target_;
  std::vector<HistoryEvent> events_;
};

}  // namespace mmsim::scenario
