// SPDX-License-Identifier: Apache-2.0
// What an expectation is held against: an executor's answers about its processes at one moment, in the
// kernel's own words. The simulated kernel answers by looking (kernel_witness.h), a guest by what it has
// reported.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace mmsim::scenario {

// An entry that a walk meets; of a level that it does not reach, an empty one.
struct WalkedEntry {
  int level = 0;  // of sim/hw/geometry.h
  uint64_t value = 0;
  std::vector<std::string_view> words, bits;  // sim/mm/entry_words.h
};

struct LastSignal {
  int signo = 0;  // 0: none
  int code = 0;
  uint64_t address = 0;
};

// Errors: NotFound, with what is not there (no such live process, no page fault yet): the expectation does
// not hold. Unimplemented: this executor cannot tell.
class Witness {
 public:
  virtual ~Witness() = default;
  // /proc/PID/maps, smaps and status (with map_count, total_vm ... in pages), and /proc/meminfo.
  virtual absl::StatusOr<std::string> Maps(int pid) = 0;
  virtual absl::StatusOr<std::string> Smaps(int pid) = 0;
  virtual absl::StatusOr<std::string> Counters(int pid) = 0;
  virtual absl::StatusOr<std::string> Meminfo() = 0;
  // The word of /proc/PID/pagemap; kpagecount and kpageflags of a frame.
  virtual absl::StatusOr<uint64_t> PagemapEntry(int pid, uint64_t address) = 0;
  virtual absl::StatusOr<uint64_t> PageCount(uint64_t pfn) = 0;
  virtual absl::StatusOr<uint64_t> PageFlags(uint64_t pfn) = 0;
  // From the root down.
  virtual absl::StatusOr<std::vector<WalkedEntry>> Walk(int pid, uint64_t address) = 0;
  // What memory holds, up to the first byte that cannot be read. Looking does not count as an access.
  virtual absl::StatusOr<std::string> Bytes(int pid, uint64_t address, uint64_t len_bytes) = 0;
  // What a load by the process itself finds there; NotFound, with the signal that it comes to.
  virtual absl::StatusOr<std::string> Load(int pid, uint64_t address, uint64_t len_bytes) = 0;
  virtual absl::StatusOr<uint64_t> ZeroFrame() = 0;
  // What the process's last call or access came to, and the error code of its last page fault.
  virtual absl::StatusOr<LastSignal> Signal(int pid) = 0;
  virtual absl::StatusOr<uint64_t> ErrorCode(int pid) = 0;
};

}  // namespace mmsim::scenario
