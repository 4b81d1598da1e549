// SPDX-License-Identifier: Apache-2.0
#include "sim/audit/shadow_observer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sim/kernel/shadowpt.h"
#include "sim/mm/page_table.h"

namespace mmsim {
namespace {

constexpr size_t kMaxFindings = 20;
constexpr uint64_t kVmaFlags = SPTE_VADDR_ALLOCATED | SPTE_VADDR_ANONYMOUS;

// What the tables and the VMAs say of one page, looked up from the root each time.
shadow_pte Truth(const Mm& mm, VirtAddr address) {
  const Arch arch = mm.system.arch;
  shadow_pte is{address.value, 0, 0};
  if (const Vma* vma = mm.vmas.Lookup(address); vma != nullptr) {
    is.state_flags |= SPTE_VADDR_ALLOCATED;
    if (vma->IsAnonymous()) is.state_flags |= SPTE_VADDR_ANONYMOUS;
  }
  if (const EntryPtr pte = FindEntry(mm, address, kLevelPte); pte != nullptr) {
    if (PteNone(arch, ReadEntry(pte))) return is;
    is.state_flags |= SPTE_PTE_MAPPED;
    if (PtePresent(arch, ReadEntry(pte))) is.pfn = PtePfn(arch, ReadEntry(pte)).value;
    return is;
  }
  const EntryPtr pmd = FindEntry(mm, address, kLevelPmd);
  if (pmd == nullptr || *pmd == 0) return is;
  is.state_flags |= SPTE_PTE_MAPPED;
  const uint64_t index = (address.value >> kPageShift) % kEntriesPerTable;
  if (PmdPresent(arch, ReadEntry(pmd))) is.pfn = PmdPfn(arch, ReadEntry(pmd)).value + index;
  return is;
}

bool Same(const shadow_pte& a, const shadow_pte& b) {
  return a.vaddr == b.vaddr && a.pfn == b.pfn && a.state_flags == b.state_flags;
}
bool SameMappings(const shadow_pte& a, const shadow_pte& b) {
  return ((a.state_flags ^ b.state_flags) & kVmaFlags) == 0;
}
bool SamePte(const shadow_pte& a, const shadow_pte& b) {
  return ((a.state_flags ^ b.state_flags) & SPTE_PTE_MAPPED) == 0 && a.pfn == b.pfn;
}

}  // namespace

ShadowObserver::ShadowObserver(Kernel& kernel) : kernel_(kernel) {
  // The end of an invalidation is heard as a notifier, after the hooks there.
  plan_ = {kAllHooks & ~HookBit(HookPoint::kInvalidateRangeEnd),
           [](void* self, const HookEvent& e) { static_cast<ShadowObserver*>(self)->OnHook(e); }, this};
}

ShadowObserver::~ShadowObserver() {
  Detach();
}

// Last in the order of plans: shadowpt has done its part when this one is called.
void ShadowObserver::Attach(Mm* mm) {
  Detach();
  if (mm == nullptr || mm->mm_users == 0) return;
  mm_ = mm;
  released_ = false;
  AttachHooks(*mm, plan_);
  const Status status = MmuNotifierRegister(*this, *mm, /*signal_pending=*/false);
  MMSIM_CHECK(status.ok());
}

void ShadowObserver::Detach() {
  if (mm_ == nullptr) return;
  Mm& mm = *std::exchange(mm_, nullptr);
  DetachHooks(mm, plan_);
  MmuNotifierUnregister(*this, mm);
  invalidations_.clear();
}

void ShadowObserver::Remember() {
  const std::span<const shadow_pte> entries = kernel_.shadowpt().entries();
  before_.assign(entries.begin(), entries.end());
}

void ShadowObserver::AfterStep() {
  const ShadowPt& shadow = kernel_.shadowpt();
  if (shadow.IsTracking()) {
    Remember();
    Attach(shadow.tracked());
    ObserveEnd("after the step");
  } else {
    Detach();
    CompareStopped();
    Remember();
  }
  was_tracking_ = shadow.IsTracking();
}

// After stop nothing changes, but that start finds the target gone.
void ShadowObserver::CompareStopped() {
  const std::span<const shadow_pte> entries = kernel_.shadowpt().entries();
  if (was_tracking_ || entries.size() != before_.size()) return;
  const bool cleared =
      std::all_of(entries.begin(), entries.end(), [](const shadow_pte& e) { return e.state_flags == 0; });
  for (size_t i = 0; i < entries.size() && !cleared; ++i) {
    if (!Same(entries[i], before_[i])) Complain("after the step", i, before_[i], "changed after stop");
  }
}

void ShadowObserver::InvalidateRangeStart(const MmuNotifierRange& range) {
  invalidations_.push_back({range.start, range.end});
  Observe("invalidate_range_start", {});
}

void ShadowObserver::InvalidateRangeEnd(const MmuNotifierRange& range) {
  const auto it =
      std::find(invalidations_.rbegin(), invalidations_.rend(), VirtRange{range.start, range.end});
  if (it != invalidations_.rend()) invalidations_.erase(std::next(it).base());
  Observe("invalidate_range_end", {});
}

void ShadowObserver::Release(Mm& /*mm*/) {
  released_ = true;
}

void ShadowObserver::OnHook(const HookEvent& event) {
  const ShadowPt& shadow = kernel_.shadowpt();
  if (event.point == HookPoint::kExecMmap && shadow.tracked() == event.new_mm) {
    Remember();
    Attach(event.new_mm);
  }
  Observe(InfoOf(event.point).function,
          InfoOf(event.point).kind == HookKind::kVma ? event.range : VirtRange{});
}

bool ShadowObserver::IsBeingInvalidated(VirtAddr address) const {
  return std::any_of(invalidations_.begin(), invalidations_.end(),
                     [&](const VirtRange& range) { return range.Contains(address); });
}

void ShadowObserver::Complain(std::string_view where, size_t i, const shadow_pte& is, std::string_view why) {
  if (findings_.size() >= kMaxFindings) return;
  const shadow_pte& shown = kernel_.shadowpt().entries()[i];
  findings_.push_back(
      fmt::format("{}: entry of {:x} shows pfn {:x} flags {}, the page has pfn {:x} flags {}: {}", where,
                  is.vaddr, shown.pfn, shown.state_flags, is.pfn, is.state_flags, why));
}

void ShadowObserver::Observe(std::string_view where, VirtRange must) {
  const ShadowPt& shadow = kernel_.shadowpt();
  if (mm_ == nullptr || shadow.tracked() != mm_ || released_) return;
  ++nr_observations_;
  const std::span<const shadow_pte> entries = shadow.entries();
  for (size_t i = 0; i < entries.size(); ++i) {
    const VirtAddr address = shadow.range().start + i * kPageSize;
    const shadow_pte is = Truth(*mm_, address);
    if (!Same(entries[i], is)) {
      if (!Same(entries[i], before_[i])) {
        Complain(where, i, is, "set to what the page is not");
      } else if (!SamePte(entries[i], is) && !IsBeingInvalidated(address)) {
        Complain(where, i, is, "the page table changed and the entry did not");
      } else if (!SameMappings(entries[i], is) && must.Contains(address)) {
        Complain(where, i, is, "the mapping changed and the entry did not");
      }
    }
    before_[i] = entries[i];
  }
}

void ShadowObserver::ObserveEnd(std::string_view where) {
  ++nr_observations_;
  const ShadowPt& shadow = kernel_.shadowpt();
  const std::span<const shadow_pte> entries = shadow.entries();
  for (size_t i = 0; i < entries.size(); ++i) {
    const shadow_pte is = Truth(*shadow.tracked(), shadow.range().start + i * kPageSize);
    if (!Same(entries[i], is)) Complain(where, i, is, "not true at the return to user mode");
  }
}

}  // namespace mmsim
