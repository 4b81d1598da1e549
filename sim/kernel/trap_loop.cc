// SPDX-License-Identifier: Apache-2.0
#include "sim/kernel/trap_loop.h"

#include <algorithm>

#include "sim/kernel/arch/abi.h"
#include "sim/kernel/arch/cpu.h"
#include "sim/kernel/arch/fault.h"
#include "sim/kernel/uaccess.h"

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
struct PageAccess {
  bool ok = false;
  bool emulated = false;  // it took effect without memory
  PhysAddr phys;
};

void Record(const Trap& trap, Arch arch, TrapRecords& traps) {
  traps.push_back({trap.address.value, trap.code, arch == Arch::kX86_64 ? x86_64::VectorOf(trap.kind) : 0});
}

// Translates, faulting in as needed. Into `result` goes what a program's access meets: what the hardware
// reported, and the signal when it failed.
PageAccess AccessPage(Kernel& kernel, Task& task, VirtAddr address, Access access, AccessResult& result) {
  Cpu& cpu = kernel.cpu().Enter(task);
  int oom = 0;
  for (int tries = 0; tries < kMaxRetries; ++tries) {
    const WalkResult walk = cpu.Translate(address, access);
    if (walk.ok()) return {true, false, walk.phys()};
    const Trap trap = walk.trap();
    if (access.IsUser()) Record(trap, kernel.arch(), result.traps);
    switch (HandleTrap(task, trap, result.signal)) {
      case TrapVerdict::kRetry:
        break;
      case TrapVerdict::kOutOfMemory:
        // Linux: mm/oom_kill.c pagefault_out_of_memory(): the program tries again, until the OOM killer finds
        // it.
        if (++oom < kOomRetries) break;
        result.signal = {kSigKill, 0, 0, 0, 0, 0};
        return {};
      case TrapVerdict::kSignal:
      case TrapVerdict::kFixup:
        return {};
      case TrapVerdict::kEmulated:
        return {true, true, {}};
    }
  }
  MMSIM_CHECK(false && "a page fault that is handled and comes back");
  return {};
}

// Runs `do_page(phys, offset, bytes)` page by page for the kernel's own access; returns how far it came.
template <typename DoPage>
uint64_t ForUserPages(Kernel& kernel, Task& task, VirtAddr address, uint64_t len_bytes, AccessKind kind,
                      DoPage do_page) {
  if (task.mm == nullptr || !AccessOk(task, address, len_bytes)) return 0;
  uint64_t done = 0;
  AccessResult nobodys;
  while (done < len_bytes) {
    const VirtAddr at = address + done;
    const PageAccess page = AccessPage(kernel, task, at, {kind, Privilege::kKernelOnUser}, nobodys);
    if (!page.ok) break;
    const uint64_t bytes = BytesInPage(at, len_bytes - done);
    do_page(page.phys, done, bytes);
    done += bytes;
  }
  return done;
}

// The same for the program's accesses: what it could not reach is a signal.
template <typename DoPage>
AccessResult ForProgramPages(Kernel& kernel, Task& task, VirtAddr address, uint64_t len_bytes,
                             AccessKind kind, DoPage do_page) {
  AccessResult result;
  while (result.done_bytes < len_bytes) {
    const VirtAddr at = address + result.done_bytes;
    const PageAccess page = AccessPage(kernel, task, at, {kind, Privilege::kUser}, result);
    if (!page.ok) break;
    const uint64_t bytes = BytesInPage(at, len_bytes - result.done_bytes);
    if (!page.emulated) do_page(page.phys, result.done_bytes, bytes);
    result.done_bytes += bytes;
  }
  return result;
}

}  // namespace

TaskCpu::TaskCpu(System& system) : system_(system), cpu_(MakeCpu(system)) {
  system.cpus.push_back(&cpu_);
}

TaskCpu::~TaskCpu() {
  std::erase(system_.cpus, &cpu_);
}

Cpu& TaskCpu::Enter(const Task& task) {
  cpu_.SetRoot(task.mm->pgd, task.mm->asid);
  cpu_.SetPkru(task.pkru);
  return cpu_;
}

AccessResult Kernel::Load(Task& task, VirtAddr address, std::span<uint8_t> bytes) {
  return ForProgramPages(*this, task, address, bytes.size(), AccessKind::kRead,
                         [&](PhysAddr phys, uint64_t offset, uint64_t n) {
                           system_->phys.ReadBytes(phys, bytes.subspan(offset, n));
                         });
}

AccessResult Kernel::Store(Task& task, VirtAddr address, std::span<const uint8_t> bytes) {
  return ForProgramPages(*this, task, address, bytes.size(), AccessKind::kWrite,
                         [&](PhysAddr phys, uint64_t offset, uint64_t n) {
                           system_->phys.WriteBytes(phys, bytes.subspan(offset, n));
                         });
}

AccessResult Kernel::Fetch(Task& task, VirtAddr address, uint64_t len_bytes) {
  return ForProgramPages(*this, task, address, len_bytes, AccessKind::kFetch,
                         [](PhysAddr, uint64_t, uint64_t) {});
}

uint64_t Kernel::Touch(Task& task, VirtAddr address, uint64_t len_bytes, bool write) {
  return TouchUser(*this, task, address, len_bytes, write);
}

uint64_t CopyFromUser(Kernel& kernel, Task& task, VirtAddr from, std::span<uint8_t> to) {
  PhysMem& phys = kernel.system().phys;
  return ForUserPages(
      kernel, task, from, to.size(), AccessKind::kRead,
      [&](PhysAddr at, uint64_t offset, uint64_t n) { phys.ReadBytes(at, to.subspan(offset, n)); });
}

uint64_t CopyToUser(Kernel& kernel, Task& task, VirtAddr to, std::span<const uint8_t> from) {
  PhysMem& phys = kernel.system().phys;
  return ForUserPages(
      kernel, task, to, from.size(), AccessKind::kWrite,
      [&](PhysAddr at, uint64_t offset, uint64_t n) { phys.WriteBytes(at, from.subspan(offset, n)); });
}

uint64_t ClearUser(Kernel& kernel, Task& task, VirtAddr to, uint64_t len_bytes) {
  static constexpr uint8_t kZeros[kPageSize] = {};
  PhysMem& phys = kernel.system().phys;
  return ForUserPages(
      kernel, task, to, len_bytes, AccessKind::kWrite,
      [&](PhysAddr at, uint64_t, uint64_t n) { phys.WriteBytes(at, std::span<const uint8_t>(kZeros, n)); });
}

uint64_t TouchUser(Kernel& kernel, Task& task, VirtAddr address, uint64_t len_bytes, bool write) {
  return ForUserPages(kernel, task, address, len_bytes, write ? AccessKind::kWrite : AccessKind::kRead,
                      [](PhysAddr, uint64_t, uint64_t) {});
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
