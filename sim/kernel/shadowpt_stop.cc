// SPDX-License-Identifier: Apache-2.0
// shadowpt_stop(): the entries stay as they are, whatever becomes of the target.
#include "sim/kernel/call.h"
#include "sim/kernel/shadowpt.h"

namespace mmsim {

void ShadowPt::Stop() {
  Untrack();
}

int64_t Do_shadowpt_stop(Call& call) {
  ShadowPt& shadow = call.kernel.shadowpt();
  if (!shadow.IsOpen()) return Call::Err(Errno::kEINVAL);
  if (!shadow.IsOpener(call.task)) return Call::Err(Errno::kEPERM);
  shadow.Stop();
  return 0;
}

}  // namespace mmsim
