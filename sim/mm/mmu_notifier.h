// SPDX-License-Identifier: Apache-2.0
// The mmu notifier: who keeps a second set of translations (a hypervisor, a device) is told before and after
// translations are taken away or lose rights. Linux: include/linux/mmu_notifier.h, mm/mmu_notifier.c
//
// It says nothing when an entry appears; of a move it names the old range alone, of a collapse it speaks
// while the PMD is empty; and once `release` was called, at the beginning of exit_mmap, it is silent.
// Invariant: each start has its end, with the same range and event.
// Not modelled: interval notifiers, invalidate_secondary_tlbs, clear_flush_young, refusals of a callback that
// may not block, SRCU (a notifier is gone when unregister returns).
#pragma once

#include <cstdint>

#include "mmsim/types.h"
#include "sim/base/errno.h"
#include "sim/mm/hooks.h"

namespace mmsim {

// Linux: include/linux/mmu_notifier.h enum mmu_notifier_event, those that the model comes to
enum class MmuNotifyEvent : uint8_t {
  kUnmap,           // munmap, mremap's old range
  kClear,           // MADV_DONTNEED, truncation, COW, splits, reclaim
  kProtectionVma,   // mprotect
  kProtectionPage,  // fork's write protection, write-back
  kSoftDirty,       // clear_refs
};

// Linux: struct mmu_notifier_range
struct MmuNotifierRange {
  Mm& mm;
  VirtAddr start, end;
  MmuNotifyEvent event;
};

// Linux: struct mmu_notifier with its struct mmu_notifier_ops
class MmuNotifier {
 public:
  virtual ~MmuNotifier() = default;
  virtual void InvalidateRangeStart(const MmuNotifierRange& /*range*/) {}
  virtual void InvalidateRangeEnd(const MmuNotifierRange& /*range*/) {}
  // The address space is about to go; nothing more is said of it.
  virtual void Release(Mm& /*mm*/) {}
};

// EINTR while a signal is pending: mm_take_all_locks() gives up then. Holds a reference of mm_count. Linux:
// mm/mmu_notifier.c mmu_notifier_register()
Status MmuNotifierRegister(MmuNotifier& notifier, Mm& mm, bool signal_pending);
// Calls Release, unless the address space has. Linux: mm/mmu_notifier.c mmu_notifier_unregister()
void MmuNotifierUnregister(MmuNotifier& notifier, Mm& mm);
// Linux: mm/mmu_notifier.c __mmu_notifier_release()
void MmuNotifierRelease(Mm& mm);

[[gnu::cold]] void RunInvalidateRangeStart(const MmuNotifierRange& range);
[[gnu::cold]] void RunInvalidateRangeEnd(const MmuNotifierRange& range);

inline void MmuNotifierInvalidateRangeStart(const MmuNotifierRange& range) {
  if ((range.mm.hooks & kHasNotifiers) != 0) [[unlikely]]
    RunInvalidateRangeStart(range);
}
// The one function that every end passes through: HookPoint::kInvalidateRangeEnd stands here.
inline void MmuNotifierInvalidateRangeEnd(const MmuNotifierRange& range) {
  if ((range.mm.hooks & (kHasNotifiers | HookBit(HookPoint::kInvalidateRangeEnd))) != 0) [[unlikely]]
    RunInvalidateRangeEnd(range);
}

// From start to end of one block.
class Invalidation {
 public:
  Invalidation(MmuNotifyEvent event, Mm& mm, VirtAddr start, VirtAddr end) : range_{mm, start, end, event} {
    MmuNotifierInvalidateRangeStart(range_);
  }
  ~Invalidation() { MmuNotifierInvalidateRangeEnd(range_); }
  Invalidation(const Invalidation&) = delete;

 private:
  MmuNotifierRange range_;
};

}  // namespace mmsim
