// SPDX-License-Identifier: Apache-2.0
// What a shadow page table costs: a hook that nobody listens to, an update after a fault, and start over the
// full range of 2,048 pages. Ratios are to what the same run measures: a VMA lookup plus a walk for one page,
// and a memcpy of the entries plus a plain walk of the same tables for the full range.
#include <benchmark/benchmark.h>

#include <cstring>
#include <ostream>
#include <span>
#include <vector>

#include "bench/ratio_reporter.h"
#include "mmsim/simulator.h"
#include "sim/base/random.h"
#include "sim/kernel/kernel.h"
#include "sim/kernel/shadowpt.h"
#include "sim/mm/hooks.h"
#include "sim/mm/page_table.h"

namespace mmsim {
namespace {

constexpr uint64_t kPages = MAX_SPT_RANGE >> kPageShift, kBase = 0x10000000, kNrVmas = 256;
constexpr uint64_t kEntries = 0x60000000, kArgument = 0x70000000;

// A target with kPages pages, every other one touched, among kNrVmas other mappings; an inspector that has
// opened.
struct World {
  World() {
    Map(target, kBase, kPages, 3);
    for (uint64_t i = 0; i < kNrVmas; ++i) Map(target, 0x40000000 + i * 0x10000, 1, i % 2 == 0 ? 1 : 3);
    for (uint64_t i = 0; i < kPages; i += 2) machine.Store(target, kBase + i * kPageSize, "x");
    Map(inspector, kEntries, 12, 3);
    Map(inspector, kArgument, 1, 3);
    const user_shadow_pt dest{kBase, kBase + MAX_SPT_RANGE, reinterpret_cast<shadow_pte*>(kEntries)};
    machine.StoreValue(inspector, kArgument, dest);
    MMSIM_CHECK(machine.Syscall(inspector, "shadowpt_open", {static_cast<uint64_t>(target), kArgument}) == 0);
    Random random(1);
    // Of the touched ones: an insertion is told where one is.
    for (int i = 0; i < 4096; ++i)
      order.push_back(VirtAddr(kBase + random.Below(kPages / 2) * 2 * kPageSize));
  }
  void Map(int pid, uint64_t at, uint64_t pages, uint64_t prot) {
    machine.Syscall(pid, "mmap", {at, pages * kPageSize, prot, 0x32, ~uint64_t{0}, 0});
  }
  void Start() { MMSIM_CHECK(machine.Syscall(inspector, "shadowpt_start", {}) == 0); }
  Mm& mm() { return *machine.kernel().FindTask(target)->mm; }

  Simulator machine{Arch::kX86_64};
  int target = machine.Spawn(), inspector = machine.Spawn();
  std::vector<VirtAddr> order;
};

// The unit: the VMA of a page, and its entry. As in the other benchmark, each address depends on the last
// result, so that the host does not do one while it waits for another.
void LookupAndWalk(benchmark::State& state) {
  World w;
  Mm& mm = w.mm();
  uint64_t last = 0;
  for (auto _ : state) {
    for (const VirtAddr page : w.order) {
      const VirtAddr address = page + (last & 1);
      const Vma* vma = mm.vmas.Find(address);
      last = (vma->end.value + *FindEntry(mm, address, kLevelPte)) & 1 & vma->start.value;
    }
    benchmark::DoNotOptimize(last);
  }
  state.SetItemsProcessed(state.iterations() * 4096);
}

// A hook that is passed, of a process that nobody tracks: a load and a branch.
void UntrackedHook(benchmark::State& state) {
  World w;
  Mm& mm = w.mm();
  for (auto _ : state) {
    for (const VirtAddr address : w.order) {
      HookPage(HookPoint::kDoAnonymousPage, mm, address);
      benchmark::ClobberMemory();
    }
  }
  state.SetItemsProcessed(state.iterations() * 4096);
}

// The same, tracked: the entry is read and written. Allowed: 1.5.
void TrackedHook(benchmark::State& state) {
  World w;
  w.Start();
  Mm& mm = w.mm();
  const std::span<const shadow_pte> entries = w.machine.kernel().shadowpt().entries();
  uint64_t last = 0;
  for (auto _ : state) {
    for (const VirtAddr page : w.order) {
      const VirtAddr address = page + (last & 1);
      HookPage(HookPoint::kDoAnonymousPage, mm, address);
      last = entries[(address.value - kBase) >> kPageShift].vaddr & 1;
    }
    benchmark::DoNotOptimize(last);
  }
  state.SetItemsProcessed(state.iterations() * 4096);
}

// memcpy of the entries' 48 KiB, and each table entry of the range read: per page. Start is allowed 3 times
// that.
void MemcpyAndPlainWalk(benchmark::State& state) {
  World w;
  Mm& mm = w.mm();
  std::vector<shadow_pte> from(kPages), to(kPages);
  uint64_t sum = 0;
  for (auto _ : state) {
    std::memcpy(to.data(), from.data(), kPages * sizeof(shadow_pte));
    benchmark::DoNotOptimize(to.data());
    for (VirtAddr at(kBase); at < VirtAddr(kBase + MAX_SPT_RANGE);) {
      const VirtAddr end = LevelEnd(at, VirtAddr(kBase + MAX_SPT_RANGE), kLevelPmd);
      EntryPtr pte = FindEntry(mm, at, kLevelPte);
      for (; at < end; at += kPageSize, ++pte) {
        if (PtePresent(Arch::kX86_64, ReadEntry(pte))) sum += PtePfn(Arch::kX86_64, ReadEntry(pte)).value;
      }
    }
    benchmark::DoNotOptimize(sum);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kPages));
}

void StartOverTheFullRange(benchmark::State& state) {
  World w;
  for (auto _ : state) w.Start();
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kPages));
}

BENCHMARK(LookupAndWalk);
BENCHMARK(UntrackedHook);
BENCHMARK(TrackedHook);
BENCHMARK(MemcpyAndPlainWalk);
BENCHMARK(StartOverTheFullRange);

}  // namespace
}  // namespace mmsim

int main(int argc, char** argv) {
  return mmsim::RunBenchmarks(argc, argv, "times a VMA lookup and a walk");
}
