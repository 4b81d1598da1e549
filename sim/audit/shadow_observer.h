// SPDX-License-Identifier: Apache-2.0
// Watches a shadow page table between the steps too: at each hook point and notifier call of the tracked
// address space, the entries are compared with what a reader may rely on at that moment
// (scenarios/shadowpt/SPEC.md).
//
// A walk of its own says what is true. An entry may differ from it only by being what it was before, and only
// as long as
//   - the page lies in a range whose invalidation has begun and not ended: a removal need not be shown yet;
//   - the mmap lock is held for writing: a change of mappings need not be shown before the hook that tells
//   it, nor
//     after the call.
// An entry that was changed to what the page is not (a remembered value, an update before the change) is
// wrong at once. Between steps everything is equal, and after stop nothing changes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/kernel/kernel.h"
#include "sim/mm/mmu_notifier.h"
#include "uapi/shadowpt.h"

namespace mmsim {

class ShadowObserver : public MmuNotifier {
 public:
  explicit ShadowObserver(Kernel& kernel);
  ~ShadowObserver() override;
  ShadowObserver(const ShadowObserver&) = delete;

  // After each step: all of it is compared, and whatever is tracked by then is followed.
  void AfterStep();
  // One sentence each, at most 20.
  const std::vector<std::string>& findings() const { return findings_; }
  uint64_t nr_observations() const { return nr_observations_; }

  void InvalidateRangeStart(const MmuNotifierRange& range) override;
  void InvalidateRangeEnd(const MmuNotifierRange& range) override;
  void Release(Mm& mm) override;

 private:
  void Attach(Mm* mm);
  void Detach();
  void OnHook(const HookEvent& event);
  // `must`: where the mappings have to be shown by now.
  void Observe(std::string_view where, VirtRange must);
  void ObserveEnd(std::string_view where);
  void CompareStopped();
  void Remember();
  void Complain(std::string_view where, size_t i, const shadow_pte& is, std::string_view why);
  bool IsBeingInvalidated(VirtAddr address) const;

  Kernel& kernel_;
  HookPlan plan_;
  Mm* mm_ = nullptr;  // watched; null: none
  bool released_ = false;
  bool was_tracking_ = false;
  std::vector<VirtRange> invalidations_;  // begun and not ended
  std::vector<shadow_pte> before_;        // as last seen
  std::vector<std::string> findings_;
  uint64_t nr_observations_ = 0;
};

}  // namespace mmsim
