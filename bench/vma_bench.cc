// SPDX-License-Identifier: Apache-2.0
// An address space of 64,000 VMAs: finding the VMA of an address (at most 1.25 lookups), and a pair of mmap
// and munmap (at most 20).
#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "bench/lookup.h"
#include "bench/ratio_reporter.h"
#include "sim/kernel/kernel.h"
#include "sim/mm/mman.h"
#include "sim/mm/verbs.h"

namespace mmsim {
namespace {

using namespace mman;  // NOLINT(google-build-using-namespace): the calls' constants

constexpr uint64_t kBase = 0x100000000, kStride = 2 * kPageSize;

// A process with 64,000 mappings of a page, none of which touches the next.
class BigProcess {
 public:
  BigProcess() : kernel_({}) {
    kernel_.sysctls().max_map_count = 100000;
    SpawnRequest request;
    request.empty = true;
    task_ = *kernel_.Spawn(request);
    PickMmapLayout(*task_->mm, task_->AsCurrent());
    for (uint64_t i = 0; i < kNrEntries; ++i) Map(kBase + i * kStride, kProtRead | kProtWrite, kMapFixed);
  }
  int64_t Map(uint64_t address, uint64_t prot, uint64_t flags) {
    return SysMmap(*task_->mm, task_->AsCurrent(), address, kPageSize, prot,
                   kMapPrivate | kMapAnonymous | flags, nullptr, 0);
  }
  Mm& mm() { return *task_->mm; }

 private:
  Kernel kernel_;
  Task* task_ = nullptr;
};

void FindVma(benchmark::State& state) {
  BigProcess process;
  Random random(2);
  std::vector<VirtAddr> order;
  order.reserve(4096);
  for (int i = 0; i < 4096; ++i) order.emplace_back(kBase + random.Below(kNrEntries) * kStride);
  uint64_t last = 0;
  for (auto _ : state) {
    for (const VirtAddr address : order)
      last = reinterpret_cast<uint64_t>(process.mm().vmas.Find(address + (last & 1)));
    benchmark::DoNotOptimize(last);
  }
  state.SetItemsProcessed(state.iterations() * 4096);
}

// Each pair takes the place that the search for a gap finds.
void MmapMunmap(benchmark::State& state) {
  BigProcess process;
  for (auto _ : state) {
    const int64_t address = process.Map(0, kProtRead | kProtWrite, 0);
    SysMunmap(process.mm(), static_cast<uint64_t>(address), kPageSize);
  }
  state.SetItemsProcessed(state.iterations());
}

// The same among the 64,000: a hole between two of them.
void MmapMunmapInside(benchmark::State& state) {
  BigProcess process;
  Random random(3);
  for (auto _ : state) {
    const uint64_t address = kBase + random.Below(kNrEntries) * kStride + kPageSize;
    process.Map(address, kProtRead, kMapFixed);  // other rights: nothing merges
    SysMunmap(process.mm(), address, kPageSize);
  }
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK(Lookup);
BENCHMARK(FindVma);
BENCHMARK(MmapMunmap);
BENCHMARK(MmapMunmapInside);

}  // namespace
}  // namespace mmsim

int main(int argc, char** argv) {
  return mmsim::RunBenchmarks(argc, argv, "lookups");
}
