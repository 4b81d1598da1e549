// SPDX-License-Identifier: Apache-2.0
// shadowpt_start(): every entry as the target's VMAs and page tables are now, and true from here on. Once
// more is from the beginning.
#include "sim/kernel/call.h"
#include "sim/kernel/shadowpt.h"

namespace mmsim {

Status ShadowPt::Start() {
  Untrack();
  for (const Task* thread : target_->threads) {
    if (!thread->IsAlive()) continue;  // the leader may be a zombie while another thread lives
    Track(*thread->mm);
    return {};
  }
  ClearAll();
  return Errno::kESRCH;
}

int64_t Do_shadowpt_start(Call& call) {
  ShadowPt& shadow = call.kernel.shadowpt();
  if (!shadow.IsOpen()) return Call::Err(Errno::kEINVAL);
  if (!shadow.IsOpener(call.task)) return Call::Err(Errno::kEPERM);
  return shadow.Start().AsReturn();
}

}  // namespace mmsim
