// SPDX-License-Identifier: Apache-2.0
// What one translation costs, as a ratio to four dependent loads that stay in the cache: the least that a
// four-level walk could be. Both go through the same number of random addresses, each address depending on
// the last result, so that neither the host's out-of-order execution nor its prefetchers hide a walk behind
// another.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench/four_loads.h"
#include "bench/ratio_reporter.h"
#include "sim/base/random.h"
#include "sim/hw/cpu.h"

namespace mmsim {
namespace {

constexpr uint64_t kNrPages = 512;  // mapped side by side: one table a level, all in the first-level cache
constexpr uint64_t kBase = 0x7fff'f7c0'0000;

struct X86 {
  using Codec = x86_64::Codec;
  static constexpr uint64_t kTable = x86_64::kPresent | x86_64::kWritable | x86_64::kUser | x86_64::kAccessed;
  static constexpr uint64_t kPage = kTable | x86_64::kDirty;
  static constexpr Arch kArch = Arch::kX86_64;
};
struct Arm {
  using Codec = arm64::Codec;
  static constexpr uint64_t kTable = arm64::kTypeTable | arm64::kTablePxn;
  static constexpr uint64_t kPage =
      arm64::kTypePage | arm64::kAccessFlag | arm64::kApUser | arm64::kNotGlobal;
  static constexpr Arch kArch = Arch::kArm64;
};

// A machine with kNrPages mapped at kBase, and the order in which they are visited.
template <class A>
struct World {
  World() {
    constexpr Geometry g = A::Codec::kGeometry;
    for (uint64_t f = 1; f <= 4; ++f) mem.MakeTable(Pfn(f));
    for (int level = 3; level > 0; --level) {
      const Pfn table(static_cast<uint64_t>(4 - level));
      mem.TableAt(table)[g.Index(VirtAddr(kBase), level)] = (table + 1).Base().value | A::kTable;
    }
    for (uint64_t i = 0; i < kNrPages; ++i) mem.TableAt(Pfn(4))[i] = Pfn(1024 + i).Base().value | A::kPage;
    Random random(1);
    for (uint64_t i = 0; i < 4096; ++i) order.push_back(VirtAddr(kBase + random.Below(kNrPages) * kPageSize));
  }
  PhysMem mem{uint64_t{1} << 18};
  Cpu cpu{mem, A::kArch};
  std::vector<VirtAddr> order;
};

template <class A, bool kTlb>
void Visit(benchmark::State& state) {
  World<A> w;
  w.cpu.SetRoot(PhysAddr(kPageSize), 1);
  w.cpu.EnableTlb(kTlb);
  uint64_t last = 0;
  for (auto _ : state) {
    for (const VirtAddr va : w.order) last = w.cpu.Translate(va + (last & 1), kUserWrite).phys().value & 1;
    benchmark::DoNotOptimize(last);
  }
  state.SetItemsProcessed(state.iterations() * 4096);
}

template <class A>
void WalkOnly(benchmark::State& state) {
  World<A> w;
  const typename A::Codec::Controls controls({}, w.mem.AddressMask());
  uint64_t last = 0;
  for (auto _ : state) {
    for (const VirtAddr va : w.order) {
      last = Walk<typename A::Codec>(w.mem, PhysAddr(kPageSize), va + (last & 1), kUserWrite, controls)
                 .phys()
                 .value &
             1;
    }
    benchmark::DoNotOptimize(last);
  }
  state.SetItemsProcessed(state.iterations() * 4096);
}

// A trap at the last level, as the first touch of a page is.
template <class A>
void Miss(benchmark::State& state) {
  World<A> w;
  for (uint64_t i = 0; i < kNrPages; ++i) w.mem.TableAt(Pfn(4))[i] = 0;
  w.cpu.SetRoot(PhysAddr(kPageSize), 1);
  uint64_t last = 0;
  for (auto _ : state) {
    for (const VirtAddr va : w.order) last = w.cpu.Translate(va + (last & 1), kUserWrite).trap().code() & 1;
    benchmark::DoNotOptimize(last);
  }
  state.SetItemsProcessed(state.iterations() * 4096);
}

BENCHMARK(FourLoads);
BENCHMARK(WalkOnly<X86>);
BENCHMARK(WalkOnly<Arm>);
BENCHMARK((Visit<X86, false>));
BENCHMARK((Visit<X86, true>));
BENCHMARK((Visit<Arm, true>));
BENCHMARK(Miss<X86>);
BENCHMARK(Miss<Arm>);

}  // namespace
}  // namespace mmsim

int main(int argc, char** argv) {
  return mmsim::RunBenchmarks(argc, argv, "times four dependent loads");
}
