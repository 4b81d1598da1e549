// SPDX-License-Identifier: Apache-2.0
// Failure injection at named seams: the frame, table and VMA allocators ask here before they succeed. A
// scenario sets the countdown; in a guest, the kernel's own failslab and fail_page_alloc do the same.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace mmsim {

enum class Seam : uint8_t { kPage, kTable, kVma, kAnonVma, kVmaTree, kSwapSlot, kFile, kMm, kCount };

class FailureInjector {
 public:
  // The nth allocation from now at `seam` fails (1: the next), and with `times` the ones after it too; 0
  // turns it off.
  void FailAt(Seam seam, uint64_t nth, uint64_t times = 1) { state_[Index(seam)] = {nth, times}; }
  // True when the allocation that asks must fail.
  bool ShouldFail(Seam seam) {
    State& s = state_[Index(seam)];
    ++count_[Index(seam)];
    if (s.countdown == 0) return false;
    if (s.countdown > 1) {
      --s.countdown;
      return false;
    }
    if (--s.times == 0) s.countdown = 0;
    return true;
  }
  // How many allocations `seam` has seen, failed ones included: a sweep over "each place where it can fail"
  // ends there.
  uint64_t Count(Seam seam) const { return count_[Index(seam)]; }

 private:
  struct State {
    uint64_t countdown = 0, times = 0;
  };
  static constexpr size_t Index(Seam seam) { return static_cast<size_t>(seam); }
  std::array<State, static_cast<size_t>(Seam::kCount)> state_{};
  std::array<uint64_t, static_cast<size_t>(Seam::kCount)> count_{};
};

}  // namespace mmsim
