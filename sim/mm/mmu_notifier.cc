// SPDX-License-Identifier: Apache-2.0
#include "sim/mm/mmu_notifier.h"

#include <algorithm>

namespace mmsim {

Status MmuNotifierRegister(MmuNotifier& notifier, Mm& mm, bool signal_pending) {
  MMSIM_CHECK(mm.mm_users > 0);
  if (signal_pending) return Errno::kEINTR;
  mm.Grab();
  mm.notifiers.insert(mm.notifiers.begin(), &notifier);  // hlist_add_head_rcu()
  mm.hooks |= kHasNotifiers;
  return {};
}

void MmuNotifierUnregister(MmuNotifier& notifier, Mm& mm) {
  const auto it = std::find(mm.notifiers.begin(), mm.notifiers.end(), &notifier);
  if (it != mm.notifiers.end()) {
    mm.notifiers.erase(it);
    if (mm.notifiers.empty()) mm.hooks &= ~kHasNotifiers;
    notifier.Release(mm);
  }
  mm.Drop();
}

void MmuNotifierRelease(Mm& mm) {
  while (!mm.notifiers.empty()) {
    MmuNotifier* notifier = mm.notifiers.front();
    mm.notifiers.erase(mm.notifiers.begin());
    notifier->Release(mm);
  }
  mm.hooks &= ~kHasNotifiers;
}

void RunInvalidateRangeStart(const MmuNotifierRange& range) {
  const auto notifiers = range.mm.notifiers;
  for (MmuNotifier* notifier : notifiers) notifier->InvalidateRangeStart(range);
}

void RunInvalidateRangeEnd(const MmuNotifierRange& range) {
  Hook(HookPoint::kInvalidateRangeEnd, range.mm, range.start, range.end);
  const auto notifiers = range.mm.notifiers;
  for (MmuNotifier* notifier : notifiers) notifier->InvalidateRangeEnd(range);
}

}  // namespace mmsim
