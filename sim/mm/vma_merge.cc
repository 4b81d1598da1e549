// SPDX-License-Identifier: Apache-2.0
// Merges of VMAs: when a new range or a changed one becomes part of its neighbours. Linux: mm/vma.c, its
// pictures:
// `*` is what changes, `-` a neighbour.
//
// Invariant: two VMAs become one only when flags (but for VM_SOFTDIRTY), file, offsets and anon_vmas agree;
// what is removed has no vm_ops->close.
#include <utility>

#include "sim/base/check.h"
#include "sim/mm/hooks.h"
#include "sim/mm/page_table.h"
#include "sim/mm/rmap.h"
#include "sim/mm/vma_ops.h"

namespace mmsim {

namespace {

// A list that has exactly one element. Linux: list_is_singular()
bool IsSingular(const Vma& vma) {
  const auto& chain = vma.anon_vma_chain;
  return !chain.empty() && std::next(chain.begin()) == chain.end();
}

// Linux: mm/vma.c is_mergeable_vma()
bool IsMergeableVma(const VmaMerge& vmg, const Vma& vma) {
  if (((vma.flags ^ vmg.flags) & ~vmg.mm.system.SoftDirtyFlag()) != 0) return false;
  return vma.file.get() == vmg.file;
}

// A VMA that fork gave more than one anon_vma does not take in one that has none: its pages would hang on a
// longer chain than they need. Linux: mm/vma.c is_mergeable_anon_vma()
bool IsMergeableAnonVma(const VmaMerge& vmg, const Vma& target) {
  if (vmg.anon_vma == target.anon_vma) return true;
  if (vmg.anon_vma != nullptr && target.anon_vma != nullptr) return false;
  if (target.anon_vma != nullptr) return IsSingular(target);
  // The target has no pages of its own. Before 6.16 its chain, which is empty, was asked to be singular.
  if (!vmg.mm.system.profile.merges_unfaulted) return false;
  const Vma* source = vmg.vma != nullptr ? vmg.vma : vmg.copied_from;
  return source == nullptr || IsSingular(*source);
}

// Linux: mm/vma.c can_vma_merge_before(), can_vma_merge_after(), can_vma_merge_left()
bool CanMergeLeft(const VmaMerge& vmg) {
  const Vma* prev = vmg.prev;
  return prev != nullptr && prev->end == vmg.start && IsMergeableVma(vmg, *prev) &&
         IsMergeableAnonVma(vmg, *prev) && prev->pgoff + prev->NrPages() == vmg.pgoff;
}

// With both neighbours willing, they must get along with each other as well. Linux: mm/vma.c
// can_vma_merge_right()
bool CanMergeRight(const VmaMerge& vmg, bool can_merge_left) {
  const Vma* next = vmg.next;
  if (next == nullptr || vmg.end != next->start || !IsMergeableVma(vmg, *next) ||
      !IsMergeableAnonVma(vmg, *next) || next->pgoff != vmg.pgoff + ((vmg.end - vmg.start) >> kPageShift)) {
    return false;
  }
  const AnonVma* left = can_merge_left ? vmg.prev->anon_vma : nullptr;
  return left == nullptr || next->anon_vma == nullptr || left == next->anon_vma;
}

// `dst` will hold pages of `src`. *dup is set when it got its anon_vma here. Linux: mm/vma.c dup_anon_vma()
Status DupAnonVma(Vma& dst, Vma& src, Vma** dup) {
  if (src.anon_vma == nullptr || dst.anon_vma != nullptr) return {};
  dst.anon_vma = src.anon_vma;
  Status status = AnonVmaClone(dst, src);
  if (status.ok()) *dup = &dst;
  return status;
}

// What a merge does to the tree. Linux: the parameters of commit_merge()
struct Commit {
  Vma* adjust = nullptr;  // a neighbour whose start moves
  int64_t adj_start = 0;  // by so many bytes
  Vma* remove = nullptr;
  Vma* remove2 = nullptr;
};

// Linux: mm/vma.c vma_complete(), the part for removed VMAs
void DropMerged(Mm& mm, Vma* vma) {
  if (vma == nullptr) return;
  if (vma->anon_vma != nullptr) UnlinkAnonVmas(*vma);  // anon_vma_merge()
  --mm.map_count;
  VmAreaFree(vma);
}

// Linux: mm/vma.c commit_merge()
Status CommitMerge(VmaMerge& vmg, const Commit& c) {
  Mm& mm = vmg.mm;
  if (mm.system.failures.ShouldFail(Seam::kVmaTree)) return Errno::kENOMEM;
  VmaAdjustTransHuge(*vmg.vma, vmg.start, vmg.end, c.adj_start);
  VmaEdit edit(mm);
  const VirtRange old = vmg.vma->Range();
  for (Vma* gone : {c.remove, c.remove2}) {
    if (gone == nullptr) continue;
    UnlinkFileVma(*gone);
    edit.Detach(*gone);
  }
  const auto move_adjusted_start = [&] {
    if (c.adj_start == 0) return;
    const int64_t pages = c.adj_start / static_cast<int64_t>(kPageSize);
    edit.SetRange(*c.adjust, c.adjust->start + static_cast<uint64_t>(c.adj_start), c.adjust->end,
                  c.adjust->pgoff + static_cast<uint64_t>(pages));
  };
  // Whoever shrinks goes first, so that no two overlap.
  if (c.adj_start > 0) move_adjusted_start();
  edit.SetRange(*vmg.vma, vmg.start, vmg.end, vmg.pgoff);
  if (c.adj_start < 0) move_adjusted_start();
  DropMerged(mm, c.remove);
  DropMerged(mm, c.remove2);
  // A merge of what is mapped already changes no page's mapping.
  if (vmg.expands) {
    Hook(HookPoint::kCommitMerge, mm, vmg.start < old.start ? vmg.start : old.end,
         vmg.end > old.end ? vmg.end : old.start);
  }
  return {};
}

}  // namespace

VmaMerge MergeOf(Vma& vma, Vma* prev, VirtAddr start, VirtAddr end) {
  return VmaMerge{.mm = *vma.mm,
                  .start = start,
                  .end = end,
                  .flags = vma.flags,
                  .pgoff = vma.PgoffOf(start),
                  .prev = prev,
                  .vma = &vma,
                  .file = vma.file.get(),
                  .anon_vma = vma.anon_vma};
}

namespace {

// The shape of a merge of an existing range, once it is known who takes part.
struct ExistingMerge {
  Vma& vma;
  Vma* prev;
  Vma* next;
  bool left, right, both;
  bool delete_vma, delete_next;
};

// Sets vmg.vma and its new bounds, and what is to be adjusted and removed.
Status PlanExistingMerge(VmaMerge& vmg, const ExistingMerge& m, Commit* c, Vma** anon_dup) {
  const VirtAddr start = vmg.start;
  if (m.delete_vma) c->remove = &m.vma;
  if (m.delete_next) c->remove2 = m.next;
  if (m.both) {
    //         |<----->|
    // |-------*********-------|
    //   prev     vma     next
    //  extend   delete  delete
    vmg.vma = m.prev;
    vmg.start = m.prev->start;
    vmg.end = m.next->end;
    vmg.pgoff = m.prev->pgoff;
    return DupAnonVma(*m.prev, m.next->anon_vma != nullptr ? *m.next : m.vma, anon_dup);
  }
  if (m.left) {
    //         |<----->| or
    //         |<--------->|
    // |-------*************
    //   prev       vma
    //  extend shrink/delete
    vmg.vma = m.prev;
    vmg.start = m.prev->start;
    vmg.pgoff = m.prev->pgoff;
    if (!m.delete_vma) {
      c->adjust = &m.vma;
      c->adj_start = static_cast<int64_t>(vmg.end - m.vma.start);
    }
    return DupAnonVma(*m.prev, m.vma, anon_dup);
  }
  //     |<----->| or
  // |<--------->|
  // *************-------|
  //      vma       next
  // shrink/delete extend
  if (m.delete_vma) {
    vmg.pgoff = m.next->pgoff - ((vmg.end - vmg.start) >> kPageShift);
    vmg.vma = m.next;
    vmg.end = m.next->end;
  } else {
    // The only case in which the merged VMA is not vmg.vma but next.
    vmg.start = m.vma.start;
    vmg.end = start;
    vmg.pgoff = m.vma.pgoff;
    c->adjust = m.next;
    c->adj_start = -static_cast<int64_t>(m.vma.end - start);
  }
  return DupAnonVma(*m.next, m.vma, anon_dup);
}

}  // namespace

// Linux: mm/vma.c vma_merge_existing_range()
Vma* VmaMergeExistingRange(VmaMerge& vmg) {
  Vma& vma = *vmg.vma;
  Vma* prev = vmg.prev;
  const bool left_side = vmg.start == vma.start, right_side = vmg.end == vma.end;
  MMSIM_CHECK(vmg.start < vmg.end && vmg.end <= vma.end && vmg.start >= vma.start);
  if ((vmg.flags & kVmSpecial) != 0 || (!left_side && !right_side)) return nullptr;
  const bool merge_left = left_side && CanMergeLeft(vmg);
  bool merge_right = false;
  if (right_side) {
    vmg.next = vma.Next();
    merge_right = CanMergeRight(vmg, merge_left);
  }
  if (!merge_left && !merge_right) return nullptr;
  const bool delete_vma = left_side && right_side;
  if (delete_vma && !CanMergeRemoveVma(vma)) return nullptr;
  bool both = merge_left && merge_right;
  bool delete_next = both;
  // Next cannot go: then prev and vma alone become one.
  if (delete_next && !CanMergeRemoveVma(*vmg.next)) delete_next = merge_right = both = false;

  Commit commit;
  Vma* anon_dup = nullptr;
  const ExistingMerge m{.vma = vma,
                        .prev = prev,
                        .next = vmg.next,
                        .left = merge_left,
                        .right = merge_right,
                        .both = both,
                        .delete_vma = delete_vma,
                        .delete_next = delete_next};
  Status status = PlanExistingMerge(vmg, m, &commit, &anon_dup);
  if (status.ok()) status = CommitMerge(vmg, commit);
  if (!status.ok()) {
    if (anon_dup != nullptr) UnlinkAnonVmas(*anon_dup);
    if (!vmg.give_up_on_oom) vmg.nomem = true;
    return nullptr;
  }
  return merge_left ? prev : m.next;
}

// Three situations: a willing neighbour on one side grows; on both sides, the left one grows and the right
// one goes; none. Linux: mm/vma.c vma_merge_new_range()
Vma* VmaMergeNewRange(VmaMerge& vmg) {
  Vma* prev = vmg.prev;
  Vma* next = vmg.next;
  const VirtAddr start = vmg.start, end = vmg.end;
  const uint64_t pgoff = vmg.pgoff;
  MMSIM_CHECK(vmg.vma == nullptr);
  if ((vmg.flags & kVmSpecial) != 0 || (prev == nullptr && next == nullptr)) return nullptr;
  const bool left = CanMergeLeft(vmg);
  const bool right = !vmg.just_expand && CanMergeRight(vmg, left);
  if (right) {
    vmg.end = next->end;
    vmg.vma = next;
    vmg.pgoff = next->pgoff - ((end - start) >> kPageShift);
  }
  if (left) {
    vmg.start = prev->start;
    vmg.vma = prev;
    vmg.pgoff = prev->pgoff;
    if (right && !CanMergeRemoveVma(*next)) vmg.end = end;
  }
  if (vmg.vma != nullptr && VmaExpand(vmg).ok()) return vmg.vma;
  // As it was, so that the caller may try again.
  if (!vmg.just_expand) {
    vmg.vma = nullptr;
    vmg.start = start;
    vmg.end = end;
    vmg.pgoff = pgoff;
  }
  return nullptr;
}

// Linux: mm/vma.c vma_expand()
Status VmaExpand(VmaMerge& vmg) {
  Vma& vma = *vmg.vma;
  Vma* next = vmg.next;
  Vma* anon_dup = nullptr;
  Commit commit;
  vmg.expands = true;
  if (next != nullptr && next != &vma && vmg.end == next->end) {
    commit.remove = next;
    Status status = DupAnonVma(vma, *next, &anon_dup);
    if (!status.ok()) return status;
  }
  if (vmg.copied_from != nullptr) {
    Status status = DupAnonVma(vma, *vmg.copied_from, &anon_dup);
    if (!status.ok()) return status;
  }
  Status status = CommitMerge(vmg, commit);
  if (!status.ok()) {
    if (anon_dup != nullptr) UnlinkAnonVmas(*anon_dup);
    if (!vmg.give_up_on_oom) vmg.nomem = true;
  }
  return status;
}

// Linux: mm/vma.c vma_shrink()
Status VmaShrink(Vma& vma, VirtAddr start, VirtAddr end, uint64_t pgoff) {
  Mm& mm = *vma.mm;
  if (mm.system.failures.ShouldFail(Seam::kVmaTree)) return Errno::kENOMEM;
  VmaAdjustTransHuge(vma, start, end, 0);
  const VirtRange old = vma.Range();
  VmaEdit(mm).SetRange(vma, start, end, pgoff);
  Hook(HookPoint::kVmaShrink, mm, old.start, old.end);
  return {};
}

// Linux: mm/vma.c vma_merge_extend()
Vma* VmaMergeExtend(Vma& vma, uint64_t delta_bytes) {
  VmaMerge vmg = MergeOf(vma, &vma, vma.end, vma.end + delta_bytes);
  vmg.next = vma.Next();
  vmg.vma = nullptr;
  return VmaMergeNewRange(vmg);
}

namespace {

// The same but for what mprotect may change. Linux: mm/vma.c anon_vma_compatible()
bool AnonVmaCompatible(const Vma& a, const Vma& b) {
  const VmFlags ignored = kVmAccessFlags | a.mm->system.SoftDirtyFlag();
  return a.end == b.start && a.file.get() == b.file.get() && ((a.flags ^ b.flags) & ~ignored) == 0 &&
         b.pgoff == a.pgoff + ((b.start - a.start) >> kPageShift);
}

// Linux: mm/vma.c reusable_anon_vma()
AnonVma* ReusableAnonVma(const Vma& old, const Vma& a, const Vma& b) {
  return AnonVmaCompatible(a, b) && old.anon_vma != nullptr && IsSingular(old) ? old.anon_vma : nullptr;
}

}  // namespace

// Neighbours that mprotect may join again later share an anon_vma from the start, if they can.
AnonVma* FindMergeableAnonVma(const Vma& vma) {
  const Vma* next = vma.Next();
  if (next != nullptr && next->start == vma.end) {
    if (AnonVma* anon_vma = ReusableAnonVma(*next, vma, *next)) return anon_vma;
  }
  const Vma* prev = vma.Prev();
  return prev != nullptr ? ReusableAnonVma(*prev, *prev, vma) : nullptr;
}

}  // namespace mmsim
