// SPDX-License-Identifier: Apache-2.0
// When a logged call that overlapped others takes effect. strace writes a call's line where it began and
// `<... resumed>` where it returned; in between, the kernel may have carried it out at any moment. Here it
// takes effect when it returned; only where its recorded result cannot be had that way are calls that were in
// flight with it carried out first: those that would then give their own recorded results, or that free the
// place it was given.
#include "sim/mm/mman.h"
#include "sim/mm/verbs.h"
#include "sim/scenario/runner.h"

namespace mmsim::scenario {
namespace {

using mman::kMapAnonymous, mman::kMapFixed, mman::kMapFixedNoreplace;

bool FreesAddresses(Sys sys) {
  return sys == Sys::k_munmap || sys == Sys::k_mremap || sys == Sys::k_brk || sys == Sys::k_shmdt;
}

}  // namespace

// Carries out what returned before `line`, in the order of the returns.
absl::Status Runner::CompleteUpTo(uint32_t line, const AfterStep& after_step) {
  while (true) {
    auto next = in_flight_.end();
    for (auto it = in_flight_.begin(); it != in_flight_.end(); ++it) {
      if ((*it)->last_line < line && (next == in_flight_.end() || (*it)->last_line < (*next)->last_line))
        next = it;
    }
    if (next == in_flight_.end()) return absl::OkStatus();
    const Step* step = *next;
    in_flight_.erase(next);
    if (absl::Status s = Complete(*step, after_step); !s.ok()) return s;
  }
}

absl::Status Runner::Complete(const Step& step, const AfterStep& after_step) {
  if (!in_flight_.empty() && step.kind == StepKind::kCall && !WouldReproduce(step)) {
    if (absl::Status s = RunEarlier(step, after_step); !s.ok()) return s;
  }
  return RunNow(step, after_step);
}

// Carries out calls in flight as long as one helps `step` to its recorded result.
absl::Status Runner::RunEarlier(const Step& step, const AfterStep& after_step) {
  for (size_t i = 0; i < in_flight_.size() && !WouldReproduce(step);) {
    const Step* other = in_flight_[i];
    const bool helps = other->kind == StepKind::kCall &&
                       (FreesAddresses(other->sys) || (other->sys == Sys::k_mmap && WouldReproduce(*other)));
    if (!helps) {
      ++i;
      continue;
    }
    in_flight_.erase(in_flight_.begin() + static_cast<std::ptrdiff_t>(i));
    if (absl::Status s = RunNow(*other, after_step); !s.ok()) return s;
    i = 0;
  }
  return absl::OkStatus();
}

// Whether the model, as it is now, gives an mmap the address that was recorded. Other calls: always.
bool Runner::WouldReproduce(const Step& step) {
  if (step.sys != Sys::k_mmap || step.result != ResultKind::kValue || step.value < 0) return true;
  Task* task = TaskOf(step);
  if (task == nullptr || task->mm == nullptr) return true;
  if (!Lower(scenario_, step, kernel_->arch(), names_, &call_).ok()) return true;
  if (call_.Value(3) & (kMapFixed | kMapFixedNoreplace)) return true;
  FileRef file =
      (call_.Value(3) & kMapAnonymous) ? FileRef() : task->files->Get(static_cast<int32_t>(call_.Value(4)));
  const uint64_t len = (call_.Value(1) + kPageSize - 1) & kPageMask;
  uint64_t addr = call_.Value(0) & kPageMask;
  const int64_t found = GetUnmappedArea(*task->mm, task->AsCurrent(), file, addr, len,
                                        call_.Value(5) >> kPageShift, call_.Value(3), 0);
  return found == step.value;
}

}  // namespace mmsim::scenario
