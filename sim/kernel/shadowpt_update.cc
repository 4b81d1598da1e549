// SPDX-License-Identifier: Apache-2.0
// The entries: read from the VMAs and the page tables, at the places that hooks name.
//
// An insertion is announced where it is stored, a removal by the notifier's end of its range, a change of
// VMAs where the tree was changed. On mapping, pfn is stored before the flags; on unmapping, the flags before
// pfn.
#include <algorithm>
#include <atomic>
#include <utility>

#include "sim/kernel/kernel.h"
#include "sim/kernel/shadowpt.h"

namespace mmsim {
namespace {

struct PageState {
  uint64_t pfn = 0, flags = 0;
};

// What a PTE says of its page: a swap entry is MAPPED, with no frame to name.
PageState OfPte(Arch arch, Pte pte) {
  if (PteNone(arch, pte)) return {};
  return {PtePresent(arch, pte) ? PtePfn(arch, pte).value : 0, SPTE_PTE_MAPPED};
}

// The same of one page under a PMD that is neither empty nor a table.
PageState OfHugePmd(Arch arch, Pte pmd, VirtAddr address) {
  if (!PmdPresent(arch, pmd)) return {0, SPTE_PTE_MAPPED};
  return {PmdPfn(arch, pmd).value + IndexAt(address, kLevelPte), SPTE_PTE_MAPPED};
}

uint64_t OfVma(const Vma* vma, VirtAddr address) {
  if (vma == nullptr || address < vma->start) return 0;
  return SPTE_VADDR_ALLOCATED | (vma->IsAnonymous() ? uint64_t{SPTE_VADDR_ANONYMOUS} : 0);
}

// How far what OfVma() says of an address goes; `vma` is the first that ends behind it.
VirtAddr StateEnd(const Vma* vma, VirtAddr address) {
  if (vma == nullptr) return VirtAddr(~uint64_t{0});
  return address < vma->start ? vma->start : vma->end;
}

void Set(shadow_pte& entry, VirtAddr address, PageState state) {
  entry.vaddr = address.value;
  if ((state.flags & SPTE_PTE_MAPPED) != 0) {
    entry.pfn = state.pfn;
    std::atomic_signal_fence(std::memory_order_release);
    entry.state_flags = state.flags;
  } else {
    entry.state_flags = state.flags;
    std::atomic_signal_fence(std::memory_order_release);
    entry.pfn = state.pfn;
  }
}

}  // namespace

ShadowPt::ShadowPt(Kernel& kernel) : kernel_(kernel) {
  const HookMask with = ~kernel.options().without_hooks;
  const HookMask inspector = HookBit(HookPoint::kExecMmap) | HookBit(HookPoint::kDoExit);
  target_plan_ = {kAllHooks & ~HookBit(HookPoint::kDoExit) & with,
                  [](void* self, const HookEvent& e) { static_cast<ShadowPt*>(self)->OnTarget(e); }, this};
  inspector_plan_ = {inspector & with,
                     [](void* self, const HookEvent& e) { static_cast<ShadowPt*>(self)->OnInspector(e); },
                     this};
}

ShadowPt::~ShadowPt() {
  if (IsOpen()) Close();
}

// One page, as most events are of.
inline void ShadowPt::UpdatePage(VirtAddr address) {
  const uint64_t index = (address - range_.start) >> kPageShift;
  if (index >= entries_.size()) return;  // also what lies before the range
  const Arch arch = mm_->system.arch;
  PageState state;
  if (const EntryPtr pte = FindEntry(*mm_, address, kLevelPte); pte != nullptr) {
    state = OfPte(arch, ReadEntry(pte));
  } else if (const EntryPtr pmd = FindEntry(*mm_, address, kLevelPmd); pmd != nullptr && *pmd != 0) {
    state = OfHugePmd(arch, ReadEntry(pmd), address);
  }
  state.flags |= OfVma(mm_->vmas.Find(address), address);
  Set(entries_[index], address, state);
}

void ShadowPt::Update(VirtRange what) {
  if (what.end - what.start == kPageSize) return UpdatePage(what.start);
  const VirtAddr end = std::min(what.end, range_.end);
  VirtAddr address = std::max(what.start, range_.start);
  if (address >= end) return;
  const Vma* vma = mm_->vmas.Find(address);
  while (address < end) {
    const VirtAddr stop = LevelEnd(address, end, kLevelPmd);
    const EntryPtr pmd = FindEntry(*mm_, address, kLevelPmd);
    while (address < stop) {
      if (vma != nullptr && address >= vma->end) vma = vma->Next();
      const VirtRange run{address, std::min(stop, StateEnd(vma, address))};
      UpdateRun(pmd, run, OfVma(vma, address));
      address = run.end;
    }
  }
}

// Pages of one PMD (null: there is no table for one) of which the VMAs say the same.
inline void ShadowPt::UpdateRun(EntryPtr pmd, VirtRange run, uint64_t vma_flags) {
  const System& system = mm_->system;
  const Arch arch = system.arch;
  shadow_pte* entry = &entries_[(run.start - range_.start) >> kPageShift];
  const bool empty = pmd == nullptr || *pmd == 0, table = !empty && PmdIsTable(system, pmd);
  EntryPtr pte = table ? Descend(system, pmd, run.start, kLevelPte) : nullptr;
  for (VirtAddr address = run.start; address < run.end; address += kPageSize, ++entry) {
    PageState state;
    if (table) {
      state = OfPte(arch, ReadEntry(pte++));
    } else if (!empty) {
      state = OfHugePmd(arch, ReadEntry(pmd), address);
    }
    state.flags |= vma_flags;
    Set(*entry, address, state);
  }
}

void ShadowPt::ClearAll() {
  for (size_t i = 0; i < entries_.size(); ++i) Set(entries_[i], range_.start + i * kPageSize, {});
}

void ShadowPt::Track(Mm& mm) {
  mm_ = &mm;
  AttachHooks(mm, target_plan_);
  Update(range_);
}

void ShadowPt::Untrack() {
  if (mm_ != nullptr) DetachHooks(*std::exchange(mm_, nullptr), target_plan_);
}

// What happens to the target's address space, whoever does it, and what happens to the target.
void ShadowPt::OnTarget(const HookEvent& event) {
  const bool its_own = event.tgid == target_tgid_;
  switch (event.point) {
    case HookPoint::kExecMmap:
      // Who shares the address space may leave it, and go on elsewhere, untracked.
      if (!its_own) return;
      Untrack();
      Track(*event.new_mm);
      return;
    case HookPoint::kExitMm:
      if (!its_own) return;
      Untrack();
      ClearAll();
      return;
    default:
      Update(event.range);
  }
}

// The inspector's address space goes, or the inspector itself: as close.
void ShadowPt::OnInspector(const HookEvent& event) {
  if (event.tgid == opener_tgid_) Close();
}

}  // namespace mmsim
