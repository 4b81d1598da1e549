// SPDX-License-Identifier: Apache-2.0
// What an address space may have: RLIMIT_AS, DATA and MEMLOCK, committed memory in its three modes, and the
// counters in pages. Linux: mm/mmap.c, mm/util.c
//
// Not modelled: the per-CPU slack of vm_committed_as, hugetlb's share of memory, cgroups.
#include <algorithm>

#include "sim/mm/swap.h"
#include "sim/mm/verbs.h"
#include "sim/mm/vma_ops.h"

namespace mmsim {

namespace {

constexpr int kOvercommitGuess = 0, kOvercommitAlways = 1;
constexpr unsigned kKbShift = kPageShift - 10;  // KiB to pages

// Linux: total_swap_pages, without the area's header
uint64_t TotalSwapPages(const System& system) {
  return system.swap != nullptr ? system.swap->nr_slots() - 1 : 0;
}

}  // namespace

// Linux: mm/mmap.c may_expand_vm()
bool MayExpandVm(const Mm& mm, const Current& current, VmFlags flags, uint64_t pages) {
  const Rlimits& limits = *current.rlimits;
  if (mm.total_vm + pages > limits.Cur(Rlimit::kAs) >> kPageShift) return false;
  if (!IsDataMapping(flags)) return true;
  const RlimitPair data = limits.limit[static_cast<size_t>(Rlimit::kData)];
  const uint64_t want = mm.data_vm + pages;
  if (want <= data.cur >> kPageShift) return true;
  // A soft limit of 0 is what valgrind sets; then the hard one counts.
  return data.cur == 0 && want <= data.max >> kPageShift;
}

// Linux: mm/mmap.c vm_stat_account()
void VmStatAccount(Mm& mm, VmFlags flags, int64_t nr_pages) {
  const uint64_t n = static_cast<uint64_t>(nr_pages);
  mm.total_vm += n;
  if (IsExecMapping(flags)) {
    mm.exec_vm += n;
  } else if (IsStackMapping(flags)) {
    mm.stack_vm += n;
  } else if (IsDataMapping(flags)) {
    mm.data_vm += n;
  }
}

// Linux: mm/mmap.c mlock_future_ok()
bool MlockFutureOk(const Mm& mm, const Current& current, VmFlags flags, uint64_t bytes) {
  if ((flags & kVmLocked) == 0 || current.cap_ipc_lock) return true;
  return (bytes >> kPageShift) + mm.locked_vm <= current.rlimits->Cur(Rlimit::kMemlock) >> kPageShift;
}

// Linux: mm/mlock.c can_do_mlock()
bool CanDoMlock(const Current& current) {
  return current.rlimits->Cur(Rlimit::kMemlock) != 0 || current.cap_ipc_lock;
}

// Linux: mm/util.c vm_commit_limit()
uint64_t VmCommitLimit(const System& system) {
  const Sysctls& s = system.sysctl;
  const uint64_t ram = s.overcommit_kbytes != 0 ? s.overcommit_kbytes >> kKbShift
                                                : system.total_ram_pages * s.overcommit_ratio / 100;
  return ram + TotalSwapPages(system);
}

void VmUnacctMemory(System& system, uint64_t pages) {
  system.vm_committed_as -= static_cast<int64_t>(pages);
}

// Linux: mm/util.c __vm_enough_memory()
Status VmEnoughMemory(Mm& mm, const Current& current, uint64_t pages) {
  System& system = mm.system;
  const Sysctls& s = system.sysctl;
  system.vm_committed_as += static_cast<int64_t>(pages);
  if (s.overcommit_memory == kOvercommitAlways) return {};
  bool enough;
  if (s.overcommit_memory == kOvercommitGuess) {
    enough = pages <= system.total_ram_pages + TotalSwapPages(system);
  } else {
    int64_t allowed = static_cast<int64_t>(VmCommitLimit(system));
    if (!current.cap_sys_admin) allowed -= static_cast<int64_t>(s.admin_reserve_kbytes >> kKbShift);
    const auto reserve = static_cast<int64_t>(s.user_reserve_kbytes >> kKbShift);
    allowed -= std::min(static_cast<int64_t>(mm.total_vm / 32), reserve);
    enough = std::max<int64_t>(system.vm_committed_as, 0) < allowed;
  }
  if (enough) return {};
  VmUnacctMemory(system, pages);
  return Errno::kENOMEM;
}

void UpdateHiwaterVm(Mm& mm) {
  mm.hiwater_vm = std::max(mm.hiwater_vm, mm.total_vm);
}

void UpdateHiwaterRss(Mm& mm) {
  const int64_t rss = mm.Rss(RssType::kFile) + mm.Rss(RssType::kAnon) + mm.Rss(RssType::kShmem);
  mm.hiwater_rss = std::max(mm.hiwater_rss, static_cast<uint64_t>(std::max<int64_t>(rss, 0)));
}

}  // namespace mmsim
