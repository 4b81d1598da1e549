// SPDX-License-Identifier: Apache-2.0
// shadowpt_open(target, dest): the checks, in the order of the specification, and the truncated end.
#include "sim/kernel/call.h"
#include "sim/kernel/shadowpt.h"
#include "sim/kernel/uaccess.h"

namespace mmsim {
namespace {

// The range as it was passed, truncated; EINVAL.
Result<VirtRange> CheckedRange(const user_shadow_pt& dest, uint64_t limit) {
  const VirtAddr start(dest.start_vaddr), end(dest.end_vaddr);
  const VirtAddr entries(reinterpret_cast<uint64_t>(dest.entries));
  if (!start.IsPageAligned() || !end.IsPageAligned() || start >= end) return Errno::kEINVAL;
  if (entries.value == 0 || !entries.IsPageAligned() || start.value >= limit) return Errno::kEINVAL;
  const VirtRange range{start, end - start > MAX_SPT_RANGE ? start + MAX_SPT_RANGE : end};
  if (range.end.value > limit) return Errno::kEINVAL;
  return range;
}

// The leader of a process that lives in an address space, or null.
Task* FindTarget(Kernel& kernel, int pid) {
  Task* task = pid > 0 ? kernel.FindTask(pid) : nullptr;
  if (task == nullptr || !task->IsLeader() || task->signal->live == 0) return nullptr;
  return task;
}

}  // namespace

int64_t Do_shadowpt_open(Call& call) {
  if (!call.task.cred.cap_sys_admin) return Call::Err(Errno::kEPERM);
  if (call.U(1) == 0) return Call::Err(Errno::kEINVAL);
  user_shadow_pt dest;
  if (!call.CopyIn(1, &dest, sizeof(dest))) return Call::Err(Errno::kEFAULT);
  Result<VirtRange> range = CheckedRange(dest, call.mm().task_size);
  if (!range.ok()) return Call::Err(range.error());
  Task* target = FindTarget(call.kernel, call.Int(0));
  if (target == nullptr) return Call::Err(Errno::kEINVAL);
  ShadowPt& shadow = call.kernel.shadowpt();
  if (shadow.IsOpen()) return Call::Err(Errno::kEBUSY);
  const VirtAddr entries(reinterpret_cast<uint64_t>(dest.entries));
  if (const Status status = shadow.Open(call.task, *target, *range, entries); !status.ok()) {
    return status.AsReturn();
  }
  if (range->end.value == dest.end_vaddr) return 0;
  const uint64_t end = range->end.value;
  const VirtAddr at(call.U(1) + offsetof(user_shadow_pt, end_vaddr));
  const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(&end), sizeof(end));
  if (CopyToUser(call.kernel, call.task, at, bytes) == sizeof(end)) return 0;
  shadow.Close();
  return Call::Err(Errno::kEFAULT);
}

}  // namespace mmsim
