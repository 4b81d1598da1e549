// SPDX-License-Identifier: Apache-2.0
#include "sim/kernel/task.h"

namespace mmsim {

Current Task::AsCurrent() const {
  Current current;
  current.rlimits = &signal->rlimits;
  current.personality = personality;
  current.cap_ipc_lock = cred.cap_ipc_lock;
  current.cap_sys_admin = cred.cap_sys_admin;
  current.cap_sys_rawio = cred.cap_sys_rawio;
  current.cap_sys_resource = cred.cap_sys_resource;
  current.pkru = pkru;
  return current;
}

}  // namespace mmsim
