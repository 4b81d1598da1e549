// SPDX-License-Identifier: Apache-2.0
// The unit of figures about pages: four dependent loads that stay in the cache, the least that a walk could
// be.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "sim/base/random.h"

namespace mmsim {

// From a ring of one page, four times for each of 4,096 visits.
inline void FourLoads(benchmark::State& state) {
  std::vector<uint64_t> ring(512);
  Random random(1);
  for (uint64_t i = 0; i < ring.size(); ++i) ring[i] = i;
  for (uint64_t i = ring.size() - 1; i > 0; --i) std::swap(ring[i], ring[random.Below(i)]);
  uint64_t at = 0;
  for (auto _ : state) {
    for (int i = 0; i < 4096; ++i) {
      at = ring[at];
      at = ring[at];
      at = ring[at];
      at = ring[at];
    }
    benchmark::DoNotOptimize(at);
  }
  state.SetItemsProcessed(state.iterations() * 4096);
}

}  // namespace mmsim
