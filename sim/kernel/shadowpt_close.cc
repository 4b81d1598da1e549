// SPDX-License-Identifier: Apache-2.0
// shadowpt_close(): by the process that opened, whatever its rights are by now.
#include "sim/kernel/call.h"
#include "sim/kernel/shadowpt.h"

namespace mmsim {

int64_t Do_shadowpt_close(Call& call) {
  ShadowPt& shadow = call.kernel.shadowpt();
  if (!shadow.IsOpen()) return Call::Err(Errno::kEINVAL);
  if (!shadow.IsOpener(call.task)) return Call::Err(Errno::kEPERM);
  shadow.Close();
  return 0;
}

}  // namespace mmsim
