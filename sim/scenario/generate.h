// SPDX-License-Identifier: Apache-2.0
// Random scenarios that mean something: most calls hit memory that is there, and at least half of them
// succeed. A scenario depends on its seed and kGeneratorVersion alone, never on what the model does.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace mmsim::scenario {

// Changes whenever the same seed gives another scenario.
inline constexpr int kGeneratorVersion = 4;

enum class About : uint8_t {
  kAddressSpace,  // calls that shape address spaces, and accesses
  kPages,         // accesses, forks, madvise, files, huge pages: what lies under the address spaces
  kShadowpt,      // the same, and inspectors that watch it
};

inline constexpr std::pair<std::string_view, About> kAbouts[] = {
    {"address-space", About::kAddressSpace}, {"pages", About::kPages}, {"shadowpt", About::kShadowpt}};

struct GenerateOptions {
  uint64_t seed = 1;
  uint64_t steps = 200;  // calls and accesses
  About about = About::kAddressSpace;
};

// The text of a scenario. Its first line names version, seed and options.
std::string Generate(const GenerateOptions& options);

}  // namespace mmsim::scenario
