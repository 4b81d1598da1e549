// SPDX-License-Identifier: Apache-2.0
#include "sim/mm/hooks.h"

#include <algorithm>

namespace mmsim {
namespace {

void Recompute(Mm& mm) {
  mm.hooks &= kHasNotifiers;
  for (const HookPlan* plan : mm.hook_plans) mm.hooks |= plan->mask & kAllHooks;
}

}  // namespace

std::optional<HookPoint> FindHookPoint(std::string_view function) {
  for (size_t i = 0; i < kNrHookPoints; ++i) {
    if (kHookPoints[i].function == function) return static_cast<HookPoint>(i);
  }
  return std::nullopt;
}

void AttachHooks(Mm& mm, const HookPlan& plan) {
  MMSIM_CHECK(std::find(mm.hook_plans.begin(), mm.hook_plans.end(), &plan) == mm.hook_plans.end());
  mm.Grab();
  mm.hook_plans.push_back(&plan);
  Recompute(mm);
}

void DetachHooks(Mm& mm, const HookPlan& plan) {
  const auto it = std::find(mm.hook_plans.begin(), mm.hook_plans.end(), &plan);
  if (it == mm.hook_plans.end()) return;
  mm.hook_plans.erase(it);
  Recompute(mm);
  mm.Drop();
}

void RunHooks(const HookEvent& event) {
  Mm& mm = event.mm;
  if (mm.hook_plans.size() == 1) {  // as mostly; its bit is the mask's
    const HookPlan& only = *mm.hook_plans.front();
    return only.on_event(only.context, event);
  }
  // A plan may detach itself, or one behind it, and with that drop the last reference.
  mm.Grab();
  for (size_t i = 0; i < mm.hook_plans.size();) {
    const HookPlan* plan = mm.hook_plans[i];
    if ((plan->mask & HookBit(event.point)) != 0) plan->on_event(plan->context, event);
    if (i < mm.hook_plans.size() && mm.hook_plans[i] == plan) ++i;
  }
  mm.mm_count > 1 ? static_cast<void>(--mm.mm_count) : mm.Drop();
}

}  // namespace mmsim
