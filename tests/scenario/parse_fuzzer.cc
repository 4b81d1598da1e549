// SPDX-License-Identifier: Apache-2.0
// The entry of libFuzzer: -DMMSIM_FUZZ=ON with clang builds parse_fuzzer from it.
#include <cstddef>
#include <cstdint>

#include "tests/scenario/fuzz_one.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  mmsim::scenario::FuzzOne(std::string(reinterpret_cast<const char*>(data), size));
  if (testing::Test::HasFailure()) __builtin_trap();
  return 0;
}
