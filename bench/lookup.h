// SPDX-License-Identifier: Apache-2.0
// The unit of most figures here: a dependent lookup of a random key in an absl::btree_map of 64,000 entries.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
#include <vector>

#include "absl/container/btree_map.h"
#include "sim/base/random.h"

namespace mmsim {

inline constexpr uint64_t kNrEntries = 64000;

inline void Lookup(benchmark::State& state) {
  absl::btree_map<uint64_t, uint64_t> map;
  Random random(1);
  std::vector<uint64_t> keys;
  map[~uint64_t{0}] = 0;  // so that every lookup finds something
  keys.reserve(kNrEntries);
  while (map.size() < kNrEntries) {
    const uint64_t key = random.Next();
    map[key] = map.size();
    keys.push_back(key);
  }
  std::vector<uint64_t> order;
  order.reserve(4096);
  for (int i = 0; i < 4096; ++i) order.push_back(keys[random.Below(keys.size())]);
  uint64_t last = 0;
  for (auto _ : state) {
    for (const uint64_t key : order) last = map.upper_bound(key + (last & 1))->second;
    benchmark::DoNotOptimize(last);
  }
  state.SetItemsProcessed(state.iterations() * 4096);
}

}  // namespace mmsim
