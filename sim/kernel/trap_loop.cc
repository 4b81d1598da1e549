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

// Where an access to bytes of one page ended.
enum class Reached : uint8_t { kNothing, kMemory, kEmulated /* it took effect without memory */ };
struct PageAccess {
  Reached reached = Reached::kNothing;
  PhysAddr phys;
};

template <Arch kArch>
[[gnu::always_inline]] inline void Record(WalkResult trapped, TrapRecords& traps) {
  const Trap trap = trapped.trap();
  traps.push_back({trap.address.value, trap.code, kArch == Arch::kX86_64 ? x86_64::VectorOf(trap.kind) : 0});
}

// The access trapped: handles it and tries again, as often as it takes. One function from the trap to the
// retry, for the short way has no call to spare.
template <Arch kArch, Access kAccess>
[[gnu::noinline, gnu::flatten]] PageAccess FaultIn(Cpu& cpu, Task& task, VirtAddr address, WalkResult walk,
                                                   AccessResult& result) {
  int oom = 0;
  for (int tries = 0; tries < kMaxRetries; ++tries) {
    if (kAccess.IsUser()) Record<kArch>(walk, result.traps);
    const TrapVerdict verdict = HandleTrap<kArch>(task, walk, kAccess, result.signal);
    if (verdict != TrapVerdict::kRetry) [[unlikely]] {
      if (verdict == TrapVerdict::kEmulated) return {Reached::kEmulated, {}};
      if (verdict != TrapVerdict::kOutOfMemory) return {};
      // Linux: mm/oom_kill.c pagefault_out_of_memory(): the program tries again, until the OOM killer finds
      // it.
      if (++oom == kOomRetries) {
        result.signal = {kSigKill, 0, 0, 0, 0, 0};
        return {};
      }
    }
    walk = cpu.TranslateAgainOn<kArch, kAccess>(address);
    if (walk.ok()) [[likely]]
      return {Reached::kMemory, walk.phys()};
  }
  MMSIM_CHECK(false && "a page fault that is handled and comes back");
  return {};
}

// Translates, faulting in as needed. Into `result` goes what a program's access meets: what the hardware
// reported, and the signal when it failed.
template <Arch kArch, Access kAccess>
[[gnu::always_inline]] inline PageAccess AccessPage(Kernel& kernel, Task& task, VirtAddr address,
                                                    AccessResult& result) {
  Cpu& cpu = kernel.cpu().Enter(task);
  const WalkResult walk = cpu.TranslateOn<kArch, kAccess>(address);
  if (walk.ok()) [[likely]]
    return {Reached::kMemory, walk.phys()};
  return FaultIn<kArch, kAccess>(cpu, task, address, walk, result);
}

// Runs `do_page(phys, offset, bytes)` page by page for the kernel's own access; returns how far it came.
template <AccessKind kKind, typename DoPage>
uint64_t ForUserPages(Kernel& kernel, Task& task, VirtAddr address, uint64_t len_bytes, DoPage do_page) {
  if (task.mm == nullptr || !AccessOk(task, address, len_bytes)) return 0;
  return ForArch(kernel.arch(), [&](auto arch) {
    uint64_t done = 0;
    AccessResult nobodys;
    while (done < len_bytes) {
      const VirtAddr at = address + done;
      const PageAccess page =
          AccessPage<arch(), Access(kKind, Privilege::kKernelOnUser)>(kernel, task, at, nobodys);
      if (page.reached == Reached::kNothing) break;
      const uint64_t bytes = BytesInPage(at, len_bytes - done);
      do_page(page.phys, done, bytes);
      done += bytes;
    }
    return done;
  });
}

// The same for the program's accesses: what it could not reach is a signal.
template <AccessKind kKind, typename DoPage>
AccessResult ForProgramPages(Kernel& kernel, Task& task, VirtAddr address, uint64_t len_bytes,
                             DoPage do_page) {
  AccessResult result;
  ForArch(kernel.arch(), [&](auto arch) {
    uint64_t done = 0;
    while (done < len_bytes) {
      const VirtAddr at = address + done;
      const PageAccess page = AccessPage<arch(), Access(kKind, Privilege::kUser)>(kernel, task, at, result);
      if (page.reached == Reached::kNothing) break;
      const uint64_t bytes = BytesInPage(at, len_bytes - done);
      if (page.reached == Reached::kMemory) do_page(page.phys, done, bytes);
      done += bytes;
    }
    result.done_bytes = done;
  });
  return result;
}

}  // namespace

TaskCpu::TaskCpu(System& system) : system_(system), cpu_(MakeCpu(system)) {
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
                                               system_->phys.WriteBytes(phys, bytes.subspan(offset, n));
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
      [&](PhysAddr at, uint64_t offset, uint64_t n) { phys.WriteBytes(at, from.subspan(offset, n)); });
}

uint64_t ClearUser(Kernel& kernel, Task& task, VirtAddr to, uint64_t len_bytes) {
  static constexpr uint8_t kZeros[kPageSize] = {};
  PhysMem& phys = kernel.system().phys;
  return ForUserPages<AccessKind::kWrite>(
      kernel, task, to, len_bytes,
      [&](PhysAddr at, uint64_t, uint64_t n) { phys.WriteBytes(at, std::span<const uint8_t>(kZeros, n)); });
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
