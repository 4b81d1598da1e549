// SPDX-License-Identifier: Apache-2.0
// A guest as a witness of expectations: it tells what it has reported after the last step.
#pragma once

#include <string>

#include "sim/guest/program.h"
#include "sim/scenario/claims.h"
#include "sim/scenario/witness.h"

namespace mmsim::scenario {

class GuestWitness : public Witness {
 public:
  // `counters` is the text of the file that the expectation is about, /proc/PID/status or /proc/meminfo.
  GuestWitness(const guest::State& state, const StepRecord& record, bool tells_faults, std::string counters)
      : state_(state), record_(record), tells_faults_(tells_faults), counters_(std::move(counters)) {}

  absl::StatusOr<std::string> Maps(int pid) override;
  absl::StatusOr<std::string> Smaps(int pid) override;
  absl::StatusOr<std::string> Counters(int pid) override;
  absl::StatusOr<std::string> Meminfo() override;
  absl::StatusOr<uint64_t> PagemapEntry(int pid, uint64_t address) override;
  absl::StatusOr<uint64_t> PageCount(uint64_t pfn) override;
  absl::StatusOr<uint64_t> PageFlags(uint64_t pfn) override;
  absl::StatusOr<std::vector<WalkedEntry>> Walk(int pid, uint64_t address) override;
  absl::StatusOr<std::string> Bytes(int pid, uint64_t address, uint64_t len_bytes) override;
  absl::StatusOr<std::string> Load(int pid, uint64_t address, uint64_t len_bytes) override;
  absl::StatusOr<uint64_t> ZeroFrame() override;
  absl::StatusOr<LastSignal> Signal(int pid) override;
  absl::StatusOr<uint64_t> ErrorCode(int pid) override;

 private:
  absl::StatusOr<const guest::Space*> SpaceOf(int pid);
  absl::StatusOr<observe_frame> FrameOf(uint64_t pfn);

  const guest::State& state_;
  const StepRecord& record_;
  const bool tells_faults_;
  const std::string counters_;
};

}  // namespace mmsim::scenario
