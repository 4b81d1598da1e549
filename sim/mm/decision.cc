// SPDX-License-Identifier: Apache-2.0
#include "sim/mm/decision.h"

#include "sim/mm/folio.h"

namespace mmsim {

void ReportDecision(EntryDecision decision) {
  System& system = decision.mm->system;
  if (decision.page.value != 0) {
    decision.refcount = system.pages[system.pages.HeadOf(decision.page)].refcount;
    decision.mapcount = PageMapcount(system, decision.page);
  }
  const EntrySink& sink = system.entry_sink;
  sink.on_decision(sink.context, decision);
}

}  // namespace mmsim
