// SPDX-License-Identifier: Apache-2.0
// What an executor says of a step: guest::Outcome and guest::State (the data of include/uapi/observe.h),
// whichever kernel carried the step out. Here the simulated kernel is observed, and either is printed: as
// text in the kernel's own formats, or as JSON.
#pragma once

#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "nlohmann/json_fwd.hpp"
#include "sim/guest/program.h"
#include "sim/kernel/kernel.h"
#include "sim/scenario/step.h"

namespace mmsim::scenario {

// Observes a simulated kernel, again after each step. Address spaces are numbered from 1 in the order in
// which they were first seen, as a guest numbers them.
class KernelObserver {
 public:
  KernelObserver(Kernel& kernel, uint32_t what) : kernel_(kernel), what_(what) {}
  // What is: OBSERVE_*, smaps only if wanted. Valid until the next call.
  const guest::State& Observe(bool with_smaps = true);

 private:
  guest::Space ObserveSpace(const Task& task, bool smaps);

  Kernel& kernel_;
  const uint32_t what_;
  guest::State state_;
  absl::flat_hash_map<uint64_t, uint32_t> space_of_mm_;  // Mm::id -> number
};

// The parts of `state` that `what` (OBSERVE_*) names, a heading a process, each part in the kernel's own
// format; pages as "ADDRESS ENTRY [pfn N count C flags F]". Nothing when it names none.
std::string StateText(const guest::State& state, uint32_t what);
nlohmann::json StateJson(const guest::State& state, uint32_t what);
// A result as strace prints it: "-1 ENOMEM", "3", "0x7ffff7ff0000".
std::string ResultText(int64_t result);
// "= 0x7ffff7ff0000", "= -1 ENOMEM", "--- SIGSEGV {si_code=SEGV_MAPERR, si_addr=0x10} ---".
std::string OutcomeText(const guest::Outcome& outcome);

// The event as the file has it, without what it says of the result, and what it came to: "100 brk(NULL) =
// 0x401000".
std::string EventText(const Step& step, const guest::Outcome& outcome);

}  // namespace mmsim::scenario
