// SPDX-License-Identifier: Apache-2.0
// The shadow page table: what the system calls 462 to 466 keep between them, one a kernel. The rules are in
// scenarios/shadowpt/SPEC.md, the calls in shadowpt_{open,close,start,stop,page_contents}.cc.
//
// The entries lie in frames of the kernel's, which remap_pfn_range() has mapped into the inspector
// (shadowpt_map.cc). They change in Update() alone, which a hook plan of the target's address space calls
// (hooks.h): an event names a place, and the place is read again.
//
// Invariants: opener is set exactly while a table is open; mm is set exactly while tracking is on, and
// target_plan is attached to it; inspector_plan is attached to opener_mm. Address spaces are held by
// mm_count, so that nothing holds an exit up. Not modelled: the mutex and the spinlock (a call runs to its
// end), and with them the state of a table that is being opened.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "mmsim/types.h"
#include "sim/kernel/task.h"
#include "sim/mm/hooks.h"
#include "sim/mm/page_table.h"
#include "uapi/shadowpt.h"

namespace mmsim {

class Kernel;

// The ABI's longs are 64 bits on every machine that is simulated; they are taken to be the host's.
static_assert(sizeof(shadow_pte) == 24 && sizeof(user_shadow_pt) == 24);

class ShadowPt {
 public:
  explicit ShadowPt(Kernel& kernel);
  ~ShadowPt();
  ShadowPt(const ShadowPt&) = delete;

  bool IsOpen() const { return opener_ != nullptr; }
  bool IsTracking() const { return mm_ != nullptr; }
  // The thread group that opened, whatever thread of it.
  bool IsOpener(const Task& task) const { return IsOpen() && task.signal == opener_; }
  VirtRange range() const { return range_; }
  // The tracked address space; null while tracking is off.
  Mm* tracked() const { return mm_; }
  // As the kernel sees them. Empty when nothing is open.
  std::span<const shadow_pte> entries() const { return entries_; }
  // Where in the table the byte lies that is mapped at the address; nothing when that is no page of the
  // table.
  std::optional<uint64_t> OffsetOf(const Mm& mm, VirtAddr address) const;

  // A table for `range` of `target`, mapped at `at` in `task`. EINVAL, ENOMEM; then nothing is changed.
  Status Open(Task& task, Task& target, VirtRange range, VirtAddr at);
  void Close();
  // ESRCH: the target has exited.
  Status Start();
  void Stop();
  // The frame is mapped in the target's range as page_contents() demands.
  bool MapsFrame(Pfn pfn) const;

 private:
  // shadowpt_map.cc
  Status MapEntries(Mm& mm, VirtRange where);
  void UnmapEntries(Mm& mm);
  Vma& GiveBack(Vma& vma);
  bool MapsShadowPages(const Vma& vma) const;
  // shadowpt_update.cc
  void Update(VirtRange what);
  void UpdatePage(VirtAddr address);
  void UpdateRun(EntryPtr pmd, VirtRange run, uint64_t vma_flags);
  void ClearAll();
  void Track(Mm& mm);
  void Untrack();
  void OnTarget(const HookEvent& event);
  void OnInspector(const HookEvent& event);

  Kernel& kernel_;
  HookPlan target_plan_, inspector_plan_;
  std::shared_ptr<SignalStruct> opener_, target_;
  int opener_tgid_ = 0, target_tgid_ = 0;
  Mm* opener_mm_ = nullptr;
  Mm* mm_ = nullptr;
  VirtRange range_;
  Pfn first_page_;
  uint64_t nr_pages_ = 0;  // of the entries
  std::span<shadow_pte> entries_;
  // What open did to the flags of the inspector's VMA, and what it left of them.
  VmFlags taken_ = 0, added_ = 0, left_ = 0;
};

}  // namespace mmsim
