// SPDX-License-Identifier: Apache-2.0
// The page-table walker: one template over a codec (x86_64/pte.h, arm64/pte.h), which has the geometry. From
// the root down it reads an entry, asks the codec what it is, adds up the rights, and at the leaf decides; on
// the way it makes the stores that hardware makes (accessed flags, dirty state), all of them in
// HardwareStore. It never looks at a VMA.
//
// The order in which hardware makes its stores when the access then traps is left open by both manuals. Here,
// as on the emulated processors that the model is compared with: x86 sets A in each table entry that it
// follows, and A and D of the leaf only if the access is allowed; arm64 stores to the leaf alone, and only if
// the access is allowed.
//
// Invariant: with no trap, the result's attributes are those of the entries after the stores, or say of a
// right that there is none; whoever keeps them walks again before it believes that. Not modelled: walks that
// other processors' stores overtake (a walk is atomic here).
#pragma once

#include <cstdint>

#include "sim/hw/arm64/pte.h"
#include "sim/hw/geometry.h"
#include "sim/hw/phys_mem.h"
#include "sim/hw/trap.h"
#include "sim/hw/x86_64/pte.h"

namespace mmsim {

// Whether a walk makes hardware's stores, or only tells what would happen (a debugger's look).
enum class WalkMode { kUpdate, kLook };

// What stays the same through a walk.
template <class Codec>
struct WalkContext {
  PhysMem& mem;
  const typename Codec::Controls& controls;
  VirtAddr va;
  Access access;
  const HardwareSink* sink;
};

// The one place where hardware writes an entry.
template <class Codec>
[[gnu::noinline]] void HardwareStore(const WalkContext<Codec>& w, uint64_t* slot, uint64_t after, int level) {
  const uint64_t before = *slot;
  *slot = after;
  if (w.sink != nullptr && w.sink->on_update != nullptr) {
    w.sink->on_update(w.sink->context, HardwareUpdate{w.mem.AddressOf(slot), before, after, w.va, level});
  }
}

template <class Codec>
[[gnu::noinline, gnu::cold]] WalkResult WalkFault(const typename Codec::Controls& c, TrapKind kind,
                                                  VirtAddr va, int level, Access access,
                                                  uint32_t attributes) {
  return WalkResult::Fault(kind, Codec::ReportedAddress(c, va, access), level,
                           Codec::FaultCode(c, kind, level, access, attributes), access);
}

template <class Codec, WalkMode kMode, int kLevel>
[[gnu::always_inline]] inline WalkResult FinishLeaf(const WalkContext<Codec>& w, uint64_t rights,
                                                    uint64_t* slot, uint64_t entry) {
  const uint64_t touched = Codec::TouchLeaf(w.controls, entry, w.access);
  const uint32_t attributes = Codec::Attributes(w.controls, rights, touched);
  if (!Codec::Allows(w.controls, attributes, w.access)) [[unlikely]] {
    return WalkFault<Codec>(w.controls, TrapKind::kPermission, w.va, kLevel, w.access, attributes);
  }
  if (kMode == WalkMode::kUpdate && touched != entry) [[unlikely]] {
    HardwareStore<Codec>(w, slot, touched, kLevel);
  }
  constexpr uint64_t kOffsetMask = Codec::kGeometry.LevelSize(kLevel) - 1;
  const uint64_t base = Codec::AddressOf(entry) & ~kOffsetMask;
  return WalkResult::Translation(PhysAddr(base | (w.va.value & kOffsetMask)), kLevel, attributes);
}

template <class Codec, WalkMode kMode, int kLevel>
[[gnu::always_inline]] inline WalkResult WalkLevel(const WalkContext<Codec>& w, uint64_t rights,
                                                   uint64_t table) {
  uint64_t* slot = w.mem.TableAt(PhysAddr(table)) + Codec::kGeometry.Index(w.va, kLevel);
  const uint64_t entry = *slot;
  bool is_leaf;
  const TrapKind kind = Codec::template Classify<kLevel>(w.controls, entry, is_leaf);
  if (kind != TrapKind::kNone) return WalkFault<Codec>(w.controls, kind, w.va, kLevel, w.access, 0);
  if constexpr (Codec::kGeometry.MayBeLeaf(kLevel)) {
    if (is_leaf) return FinishLeaf<Codec, kMode, kLevel>(w, rights, slot, entry);
  }
  if constexpr (kLevel > 0) {
    const uint64_t touched = Codec::TouchTable(w.controls, entry);
    if (kMode == WalkMode::kUpdate && touched != entry) HardwareStore<Codec>(w, slot, touched, kLevel);
    return WalkLevel<Codec, kMode, kLevel - 1>(w, Codec::Descend(rights, entry), Codec::AddressOf(entry));
  } else {
    __builtin_unreachable();  // whatever is valid at level 0 is a leaf
  }
}

// The walk as the manuals tell it, step by step.
template <class Codec, WalkMode kMode>
[[gnu::noinline]] WalkResult WalkStepByStep(PhysMem& mem, PhysAddr root, VirtAddr va, Access access,
                                            const typename Codec::Controls& controls,
                                            const HardwareSink* sink) {
  constexpr int kRoot = Codec::kGeometry.RootLevel();
  const TrapKind kind = Codec::CheckAddress(controls, va, access);
  if (kind != TrapKind::kNone) return WalkFault<Codec>(controls, kind, va, kRoot, access, 0);
  const WalkContext<Codec> context{mem, controls, va, access, sink};
  return WalkLevel<Codec, kMode, kRoot>(context, Codec::kRootRights, Codec::Root(controls, root, va));
}

// What nearly every walk comes to is found in one comparison a level: tables that take no right away
// (PlainTable), and a 4 KiB leaf that serves the access as it is (Codec::IsServingLeaf), or is not there, or
// forbids the access (Codec::IsRefusingLeaf). All else begins anew, step by step, and comes to the same.

// The entries of the last table on the way to `va`; null: one above is not plain. Precondition:
// IsPlainAddress; the root is a table's address and nothing else.
template <class Codec>
[[gnu::always_inline]] inline const uint64_t* PlainTable(const PhysMem& mem, PhysAddr root, VirtAddr va,
                                                         const typename Codec::Controls& controls) {
  static_assert(Codec::kGeometry.levels == 4);
  const auto entry_at = [&](uint64_t table, int level) {
    return mem.TableAt(PhysAddr(table))[Codec::kGeometry.Index(va, level)];
  };
  uint64_t entry = entry_at(root.value, 3);
  if (!Codec::IsPlainTable(controls, entry)) [[unlikely]]
    return nullptr;
  entry = entry_at(Codec::AddressOf(entry), 2);
  if (!Codec::IsPlainTable(controls, entry)) [[unlikely]]
    return nullptr;
  entry = entry_at(Codec::AddressOf(entry), 1);
  if (!Codec::IsPlainTable(controls, entry)) [[unlikely]]
    return nullptr;
  return mem.TableAt(PhysAddr(Codec::AddressOf(entry)));
}

// The results of the three.
template <class Codec>
WalkResult PlainTranslation(const typename Codec::Controls& controls, VirtAddr va, uint64_t leaf) {
  const PhysAddr at(Codec::AddressOf(leaf) | va.PageOffset());
  return WalkResult::Translation(at, 0, Codec::PlainAttributes(controls, leaf));
}
template <class Codec>
WalkResult PlainAbsence(const typename Codec::Controls& controls, VirtAddr va, Access access) {
  return WalkResult::Fault(TrapKind::kTranslation, va, 0, Codec::AbsentCode(controls, access), access);
}
template <class Codec>
[[gnu::always_inline]] inline WalkResult PlainRefusal(const typename Codec::Controls& controls, VirtAddr va,
                                                      uint64_t leaf, Access access) {
  const uint32_t code = Codec::RefusedCode(controls, leaf, access);
  return WalkResult::Fault(TrapKind::kPermission, va, 0, code, access);
}

// Translates `va` through the tables below `root` (CR3; TTBR0_EL1), or traps.
template <class Codec, WalkMode kMode = WalkMode::kUpdate>
WalkResult Walk(PhysMem& mem, PhysAddr root, VirtAddr va, Access access,
                const typename Codec::Controls& controls, const HardwareSink* sink = nullptr) {
  if (Codec::IsPlainAddress(va, access)) [[likely]] {
    if (const uint64_t* table = PlainTable<Codec>(mem, root, va, controls)) [[likely]] {
      const uint64_t leaf = table[Codec::kGeometry.Index(va, 0)];
      if (Codec::IsServingLeaf(controls, leaf, access)) [[likely]]
        return PlainTranslation<Codec>(controls, va, leaf);
      if (!Codec::IsValid(leaf)) return PlainAbsence<Codec>(controls, va, access);
      if (Codec::IsRefusingLeaf(controls, leaf, access))
        return PlainRefusal<Codec>(controls, va, leaf, access);
    }
  }
  return WalkStepByStep<Codec, kMode>(mem, root, va, access, controls, sink);
}

}  // namespace mmsim
