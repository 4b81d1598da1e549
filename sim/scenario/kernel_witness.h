// SPDX-License-Identifier: Apache-2.0
// The simulated kernel as a witness of expectations: it is looked at as it is now.
#pragma once

#include "sim/kernel/kernel.h"
#include "sim/scenario/claims.h"
#include "sim/scenario/witness.h"

namespace mmsim::scenario {

class KernelWitness : public Witness {
 public:
  KernelWitness(Kernel& kernel, const StepRecord& record) : kernel_(kernel), record_(record) {}

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
  absl::StatusOr<Task*> Live(int pid);

  Kernel& kernel_;
  const StepRecord& record_;
};

// The entries that a walk to the address meets, from the root down.
std::vector<WalkedEntry> WalkEntries(const Mm& mm, VirtAddr address);

}  // namespace mmsim::scenario
