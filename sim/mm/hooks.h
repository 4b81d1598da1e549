// SPDX-License-Identifier: Apache-2.0
// Hook points: the functions of the kernel in which a hook can stand that is to know what changes in an
// address space (hook_points.def), and plans, which say what is done at which of them. shadowpt is one plan;
// whoever wants to try another set of hooks brings their own.
//
// An event names a place and never a value: whoever listens reads the place again. The mask in the Mm is
// tested before anything else, so an address space that nobody listens to pays a load and a branch at each.
// Not modelled: the locks that hook_points.def names; nothing runs between a change and its hook.
#pragma once

#include <absl/container/inlined_vector.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "mmsim/types.h"
#include "sim/mm/mm.h"

namespace mmsim {

enum class HookPoint : uint8_t {
#define X(point, function, file, kind, change, locks, may_sleep) point,
#include "sim/mm/hook_points.def"
#undef X
  kCount
};
inline constexpr size_t kNrHookPoints = static_cast<size_t>(HookPoint::kCount);

enum class HookKind : uint8_t { kVma, kPte, kProcess };
enum class HookChange : uint8_t { kBefore, kAfter };

struct HookPointInfo {
  std::string_view function, file;
  HookKind kind;
  HookChange change;
  std::string_view locks;
  bool may_sleep;
};
inline constexpr HookPointInfo kHookPoints[kNrHookPoints] = {
#define X(point, function, file, kind, change, locks, may_sleep) \
  {function, file, HookKind::kind, HookChange::change, locks, may_sleep},
#include "sim/mm/hook_points.def"
#undef X
};
constexpr const HookPointInfo& InfoOf(HookPoint point) {
  return kHookPoints[static_cast<size_t>(point)];
}
std::optional<HookPoint> FindHookPoint(std::string_view function);

using HookMask = uint64_t;
constexpr HookMask HookBit(HookPoint point) {
  return HookMask{1} << static_cast<unsigned>(point);
}
inline constexpr HookMask kAllHooks = (HookMask{1} << kNrHookPoints) - 1;
// In Mm::hooks, beside the points: a notifier is registered (mmu_notifier.h). Low, so that one instruction
// tests any of them, or more together.
inline constexpr HookMask kHasNotifiers = HookMask{1} << kNrHookPoints;
static_assert(kNrHookPoints < 31);

struct HookEvent {
  HookPoint point;
  Mm& mm;
  VirtRange range;       // what changed; empty at a kProcess point
  int tgid = 0;          // kProcess: whose event it is. An address space may be several processes'
  Mm* new_mm = nullptr;  // kExecMmap: the address space that the process has now
};

// What is done at the points of `mask`. It stays its owner's, who detaches it before it goes.
struct HookPlan {
  HookMask mask = 0;
  void (*on_event)(void* context, const HookEvent& event) = nullptr;
  void* context = nullptr;
};

// The plans of an address space are called in the order in which they were attached. Each holds a reference
// of mm_count, so that it hears of the end of an address space that has ended.
void AttachHooks(Mm& mm, const HookPlan& plan);
// Nothing when it is not attached.
void DetachHooks(Mm& mm, const HookPlan& plan);
[[gnu::noinline]] void RunHooks(const HookEvent& event);

inline bool IsHooked(const Mm& mm, HookPoint point) {
  return (mm.hooks & HookBit(point)) != 0;
}
inline void Hook(HookPoint point, Mm& mm, VirtAddr start, VirtAddr end) {
  if (IsHooked(mm, point)) [[unlikely]]
    RunHooks({point, mm, {start, end}});
}
inline void HookProcess(HookPoint point, Mm& mm, int tgid, Mm* new_mm = nullptr) {
  if (IsHooked(mm, point)) [[unlikely]]
    RunHooks({point, mm, {}, tgid, new_mm});
}
inline void HookPage(HookPoint point, Mm& mm, VirtAddr address) {
  Hook(point, mm, address, address + kPageSize);
}

}  // namespace mmsim
