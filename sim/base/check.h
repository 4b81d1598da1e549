// SPDX-License-Identifier: Apache-2.0
// MMSIM_CHECK: the simulator's own invariants, always on. A failure is a bug of ours: it prints where, and
// the step and the seed that led there, and aborts.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace mmsim {

// What a failed check prints beside itself. Each thread runs one simulator at a time and keeps this up to
// date.
struct CheckContext {
  const char* scenario = nullptr;  // file name
  uint64_t step = 0;               // 1-based; 0 before the first
  uint64_t seed = 0;
};
inline thread_local CheckContext g_check_context;

[[noreturn]] inline void CheckFailed(const char* file, int line, const char* what) {
  const CheckContext& c = g_check_context;
  std::fprintf(stderr, "%s:%d: a bug of mmsim itself: CHECK failed: %s\n", file, line, what);
  std::fprintf(stderr, "  at step %llu of %s, seed %llu\n", static_cast<unsigned long long>(c.step),
               c.scenario ? c.scenario : "(no scenario)", static_cast<unsigned long long>(c.seed));
  std::abort();
}

}  // namespace mmsim

#define MMSIM_CHECK(condition) \
  (__builtin_expect(!!(condition), 1) ? void(0) : ::mmsim::CheckFailed(__FILE__, __LINE__, #condition))
