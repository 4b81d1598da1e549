// SPDX-License-Identifier: Apache-2.0
// After every generated step each entry equals what a fresh walk says, and at every hook and notifier call
// inside it what a reader may rely on. A failure is shrunk to a scenario file that `mmsim run --audit` runs.
//   MMSIM_SHADOW_SEEDS, MMSIM_SHADOW_STEPS: more than the few of every day; MMSIM_SHADOW_FIRST: the first
//   seed; MMSIM_SHADOW_VALIDATE: the validator after so many steps, not after each
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "sim/scenario/shrink.h"
#include "tests/scenario/shadow_generate.h"
#include "tests/scenario/shadow_run.h"

namespace mmsim::scenario {
namespace {

using Lines = std::vector<std::string>;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
}

constexpr int kLinesBefore = 1;  // of the text

std::string Text(const Lines& lines) {
  std::string text = "# Shows: a generated sequence of steps that went wrong.\n";
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

Lines Generate(uint64_t seed, uint64_t nr_steps) {
  ShadowGenerator generator(seed);
  Lines lines = generator.Setup();
  while (lines.size() < nr_steps) lines.push_back(generator.Step());
  return lines;
}

ShadowRun RunText(const std::string& text, Arch arch, HookMask without_hooks, uint64_t validate_every) {
  auto scenario = Scenario::FromText(text, "generated");
  if (!scenario.ok()) {
    ShadowRun run;
    run.status = scenario.status();
    return run;
  }
  return RunShadow(**scenario, {.arch = arch,
                                .without_hooks = without_hooks,
                                .check_results = false,
                                .validate_every = validate_every});
}

// The shortest in which something is still found.
std::string Shrunk(const Lines& lines, Arch arch, HookMask without_hooks, uint64_t validate_every) {
  return Shrink(Text(lines), [&](const std::vector<std::string>& texts) {
    std::vector<bool> still;
    still.reserve(texts.size());
    for (const std::string& text : texts) {
      still.push_back(!RunText(text, arch, without_hooks, validate_every).findings.empty());
    }
    return still;
  });
}

class ShadowProperty : public testing::TestWithParam<Arch> {};

TEST_P(ShadowProperty, EntriesAreTrueAfterEveryStep) {
  const uint64_t seeds = FromEnvironment("MMSIM_SHADOW_SEEDS", 3);
  const uint64_t steps = FromEnvironment("MMSIM_SHADOW_STEPS", 600);
  const uint64_t first = FromEnvironment("MMSIM_SHADOW_FIRST", 1);
  const uint64_t validate_every = FromEnvironment("MMSIM_SHADOW_VALIDATE", 1);
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    const Lines lines = Generate(seed, steps);
    const ShadowRun run = RunText(Text(lines), GetParam(), 0, validate_every);
    ASSERT_TRUE(run.status.ok()) << "seed " << seed << ": " << run.status.message();
    EXPECT_GT(run.nr_observations, steps / 4);  // while somebody has started
    if (run.findings.empty()) continue;
    std::cerr << "seed " << seed << ": " << run.Text() << "\nshrinking what led to line " << run.first_finding
              << "\n";
    const Lines until(lines.begin(), lines.begin() + static_cast<int64_t>(run.first_finding) - kLinesBefore);
    const std::string shrunk = Shrunk(until, GetParam(), 0, validate_every);
    const std::string arch = GetParam() == Arch::kX86_64 ? "x86_64" : "arm64";
    const std::string file = fmt::format("{}/shadow_property_{}.scn", MMSIM_BINARY_DIR, arch);
    std::ofstream(file) << "# Shows: what went wrong in the generated steps of seed " << seed << ".\narch "
                        << arch << " \"found there\"\n"
                        << shrunk;
    FAIL() << "seed " << seed << ": " << run.Text() << "\nshrunk to " << file << ":\n" << shrunk;
  }
}

// The generator reaches it, the observer sees it, and what is left is short.
TEST_P(ShadowProperty, AForgottenHookIsFoundAndShrunk) {
  for (const HookPoint forgotten :
       {HookPoint::kMovePtes, HookPoint::kCommitMerge, HookPoint::kCollapseHugePage,
        HookPoint::kTryToMapUnusedToZeropage, HookPoint::kInvalidateRangeEnd, HookPoint::kDoBrkFlags,
        HookPoint::kInsertPfn, HookPoint::kMoveHugePmd}) {
    const HookMask without = HookBit(forgotten);
    Lines lines;
    for (uint64_t seed = 1; seed < 40 && lines.empty(); ++seed) {
      Lines tried = Generate(seed, 400);
      if (!RunText(Text(tried), GetParam(), without, /*validate_every=*/0).findings.empty())
        lines = std::move(tried);
    }
    ASSERT_FALSE(lines.empty()) << InfoOf(forgotten).function;
    const std::string shrunk = Shrunk(lines, GetParam(), without, /*validate_every=*/0);
    EXPECT_LE(std::count(shrunk.begin(), shrunk.end(), '\n'), 14) << InfoOf(forgotten).function << "\n"
                                                                  << shrunk;
    EXPECT_TRUE(RunText(shrunk, GetParam(), 0, /*validate_every=*/0).findings.empty()) << shrunk;
  }
}

TEST(ShadowGenerator, TheSameSeedGivesTheSameLines) {
  EXPECT_EQ(Generate(7, 200), Generate(7, 200));
  EXPECT_NE(Generate(7, 200), Generate(8, 200));
}

INSTANTIATE_TEST_SUITE_P(Both, ShadowProperty, testing::Values(Arch::kX86_64, Arch::kArm64),
                         [](const auto& param_info) {
                           return param_info.param == Arch::kX86_64 ? "x86_64" : "arm64";
                         });

}  // namespace
}  // namespace mmsim::scenario
