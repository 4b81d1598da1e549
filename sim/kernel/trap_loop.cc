// SPDX-License-Identifier: Apache-2.0
#include "sim/kernel/trap_loop.h"

#include <algorithm>

#include "sim/kernel/arch/abi.h"
#include "sim/kernel/arch/cpu.h"
#include "sim/kernel/arch/fault.h"
#include "sim/kernel/uaccess.h"
#include "sim/mm/arch/for_arch.h"

namespace mmsim {
namespace {

// How often the fault handler may say "out of memory" before the OOM killer has killed the program.
constexpr int kOomRetries = 16;
// A handled fault that comes back for ever is a bug of the simulator.
constexpr int kMaxRetries = 1000;

uint64_t BytesInPage(VirtAddr address, uint64_t len_bytes) {
  return std::min(len_bytes, kPageSize - address.PageOffset());
}

// access_ok(): the kernel does not even try what lies beyond the user's half.
bool AccessOk(const Task& task, VirtAddr address, uint64_t len_bytes) {
  const uint64_t limit = task.mm->task_size;
  return len_bytes <= limit && address.value <= limit - len_bytes;
}

[[gnu::noinline, gnu::cold]] void RecordInMoreRoom(Trap trap, Traps& traps) {
  traps.push_back(trap);
}
// What push_back() does when it is full is aside, so that the trap stays in registers.
[[gnu::always_inline]] inline void Record(Trap trap, Traps& traps) {
  if (traps.size() >= traps.capacity()) [[unlikely]]
    return RecordInMoreRoom(trap, traps);
  traps.push_back(trap);
}

// One trap of an access: it is handled, and the access tried again; what that comes to. In one function,
// which ends in the walk, for the short way (sim/mm/fault_plain.h) has no call to spare.
template <Arch kArch, Access kAccess>
[[gnu::noinline, gnu::flatten]] WalkResult FaultIn(TaskCpu& cpu, Task& task, VirtAddr address,
                                                   WalkResult trapped, AccessResult& result) {
  if (kAccess.IsUser()) Record(trapped.trap(), result.traps);
  const TrapVerdict verdict = HandleTrap<kArch>(task, trapped, kAccess, result.signal);
  if (verdict != TrapVerdict::kRetry) [[unlikely]] {
    cpu.SetVerdict(verdict);
    if (verdict != TrapVerdict::kOutOfMemory) return trapped;
  }
  return cpu.cpu().TranslateAgainOn<kArch, kAccess>(address);
}

// The same, of an access that trapped once already, as often as it takes.
template <Arch kArch, Access kAccess>
[[gnu::noinline]] WalkResult FaultInAgain(TaskCpu& cpu, Task& task, VirtAddr address, WalkResult trapped,
                                          AccessResult& result) {
  int oom = 0;
  for (int tries = 0; tries < kMaxRetries; ++tries) {
    // Linux: mm/oom_kill.c pagefault_out_of_memory(): the program tries again, until the OOM killer finds it.
    if (cpu.verdict() == TrapVerdict::kOutOfMemory && ++oom == kOomRetries) {
      result.signal = {.signo = kSigKill};
      cpu.SetVerdict(TrapVerdict::kSignal);
    }
    if (cpu.verdict() != TrapVerdict::kRetry && cpu.verdict() != TrapVerdict::kOutOfMemory) return trapped;
    cpu.SetVerdict(TrapVerdict::kRetry);
    trapped = FaultIn<kArch, kAccess>(cpu, task, address, trapped, result);
    if (trapped.ok()) return trapped;
  }
  MMSIM_CHECK(false && "a page fault that is handled and comes back");
  return trapped;
}

// Translates, faulting in as needed. A trap that is left is one that could not be handled: cpu.verdict() says
// what it came to, and into `result` goes what a program's access meets.
template <Arch kArch, Access kAccess>
[[gnu::always_inline]] inline WalkResult AccessPage(TaskCpu& cpu, Task& task, VirtAddr address,
                                                    AccessResult& result) {
  const WalkResult first = cpu.cpu().TranslateOn<kArch, kAccess>(address);
  if (first.ok()) [[likely]]
    return first;
  cpu.SetVerdict(TrapVerdict::kRetry);
  const WalkResult second = FaultIn<kArch, kAccess>(cpu, task, address, first, result);
  if (second.ok()) [[likely]]
    return second;
  return FaultInAgain<kArch, kAccess>(cpu, task, address, second, result);
}

// Runs `do_page(phys, offset, bytes)` page by page; returns how far it came.
template <Arch kArch, Access kAccess, typename DoPage>
[[gnu::always_inline]] inline uint64_t ForPages(Kernel& kernel, Task& task, VirtAddr address,
                                                uint64_t len_bytes, AccessResult& result, DoPage do_page) {
  TaskCpu& cpu = kernel.cpu();
  cpu.Enter(task);
  uint64_t done = 0;
  while (done < len_bytes) {
    const VirtAddr at = address + done;
    const WalkResult walk = AccessPage<kArch, kAccess>(cpu, task, at, result);
    const uint64_t bytes = BytesInPage(at, len_bytes - done);
    if (walk.ok()) [[likely]] {
      do_page(walk.phys(), done, bytes);
    } else if (cpu.verdict() != TrapVerdict::kEmulated) {
      break;
    }
    done += bytes;
  }
  return done;
}

// The same for the kernel's own access.
template <AccessKind kKind, typename DoPage>
uint64_t ForUserPages(Kernel& kernel, Task& task, VirtAddr address, uint64_t len_bytes, DoPage do_page) {
  if (task.mm == nullptr || !AccessOk(task, address, len_bytes)) return 0;
  AccessResult nobodys;
  return ForArch(kernel.arch(), [&](auto arch) {
    return ForPages<arch(), Access(kKind, Privilege::kKernelOnUser)>(kernel, task, address, len_bytes,
                                                                     nobodys, do_page);
  });
}

// The same for the program's accesses: what it could not reach is a signal.
template <AccessKind kKind, typename DoPage>
[[gnu::always_inline]] inline AccessResult ForProgramPages(Kernel& kernel, Task& task, VirtAddr address,
                                                           uint64_t len_bytes, DoPage do_page) {
  AccessResult result;
  ForArch(kernel.arch(), [&](auto arch) {
    result.done_bytes =
        ForPages<arch(), Access(kKind, Privilege::kUser)>(kernel, task, address, len_bytes, result, do_page);
  });
  return result;
}

}  // namespace

TaskCpu::TaskCpu(System& system) : cpu_(MakeCpu(system)), system_(system) {
  system.cpus.push_back(&cpu_);
}

TaskCpu::~TaskCpu() {
  std::erase(system_.cpus, &cpu_);
}

AccessResult Kernel::Load(Task& task, VirtAddr address, std::span<uint8_t> bytes) {
  return ForProgramPages<AccessKind::kRead>(*this, task, address, bytes.size(),
                                            [&](PhysAddr phys, uint64_t offset, uint64_t n) {
                                              system_->phys.ReadBytes(phys, bytes.subspan(offset, n));
                                            });
}

AccessResult Kernel::Store(Task& task, VirtAddr address, std::span<const uint8_t> bytes) {
  return ForProgramPages<AccessKind::kWrite>(*this, task, address, bytes.size(),
                                             [&](PhysAddr phys, uint64_t offset, uint64_t n) {
                                               system_->phys.WriteInFrame(phys, bytes.subspan(offset, n));
                                             });
}

AccessResult Kernel::Fetch(Task& task, VirtAddr address, uint64_t len_bytes) {
  return ForProgramPages<AccessKind::kFetch>(*this, task, address, len_bytes,
                                             [](PhysAddr, uint64_t, uint64_t) {});
}

uint64_t Kernel::Touch(Task& task, VirtAddr address, uint64_t len_bytes, bool write) {
  return TouchUser(*this, task, address, len_bytes, write);
}

uint64_t CopyFromUser(Kernel& kernel, Task& task, VirtAddr from, std::span<uint8_t> to) {
  PhysMem& phys = kernel.system().phys;
  return ForUserPages<AccessKind::kRead>(
      kernel, task, from, to.size(),
      [&](PhysAddr at, uint64_t offset, uint64_t n) { phys.ReadBytes(at, to.subspan(offset, n)); });
}

uint64_t CopyToUser(Kernel& kernel, Task& task, VirtAddr to, std::span<const uint8_t> from) {
  PhysMem& phys = kernel.system().phys;
  return ForUserPages<AccessKind::kWrite>(
      kernel, task, to, from.size(),
      [&](PhysAddr at, uint64_t offset, uint64_t n) { phys.WriteInFrame(at, from.subspan(offset, n)); });
}

uint64_t ClearUser(Kernel& kernel, Task& task, VirtAddr to, uint64_t len_bytes) {
  static constexpr uint8_t kZeros[kPageSize] = {};
  PhysMem& phys = kernel.system().phys;
  return ForUserPages<AccessKind::kWrite>(
      kernel, task, to, len_bytes,
      [&](PhysAddr at, uint64_t, uint64_t n) { phys.WriteInFrame(at, std::span<const uint8_t>(kZeros, n)); });
}

uint64_t TouchUser(Kernel& kernel, Task& task, VirtAddr address, uint64_t len_bytes, bool write) {
  const auto no_bytes = [](PhysAddr, uint64_t, uint64_t) {};
  return write ? ForUserPages<AccessKind::kWrite>(kernel, task, address, len_bytes, no_bytes)
               : ForUserPages<AccessKind::kRead>(kernel, task, address, len_bytes, no_bytes);
}

Result<std::string> StringFromUser(Kernel& kernel, Task& task, VirtAddr from, uint64_t max_bytes) {
  std::string text;
  uint8_t chunk[kPageSize];
  while (text.size() < max_bytes) {
    const VirtAddr at = from + text.size();
    const uint64_t want = BytesInPage(at, max_bytes - text.size());
    if (CopyFromUser(kernel, task, at, {chunk, want}) != want) return Errno::kEFAULT;
    const auto* end = std::find(chunk, chunk + want, 0);
    text.append(reinterpret_cast<const char*>(chunk), static_cast<size_t>(end - chunk));
    if (end != chunk + want) return text;
  }
  return Errno::kENAMETOOLONG;
}

}  // namespace mmsim
