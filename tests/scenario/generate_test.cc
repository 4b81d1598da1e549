// SPDX-License-Identifier: Apache-2.0
// Generated scenarios are scenarios, mean something, and leave the model sound after each step.
#include "sim/scenario/generate.h"

#include <gtest/gtest.h>

#include "sim/audit/validator.h"
#include "sim/mm/page_table.h"
#include "sim/scenario/observation.h"
#include "sim/scenario/program.h"
#include "sim/scenario/runner.h"
#include "uapi/observe.h"

namespace mmsim::scenario {
namespace {

class Generated : public ::testing::TestWithParam<std::tuple<About, Arch>> {};

TEST_P(Generated, MostCallsSucceedAndTheModelStaysSound) {
  const auto [about, arch] = GetParam();
  uint64_t calls = 0, succeeded = 0;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE(seed);
    auto scenario = Scenario::FromText(Generate({.seed = seed, .steps = 120, .about = about}), "generated");
    ASSERT_TRUE(scenario.ok()) << scenario.status();
    ASSERT_TRUE(MakeProgram(**scenario, {.arch = arch}).ok());
    RunnerOptions options;
    options.kernel.arch = arch;
    options.check_results = false;
    std::vector<std::string> findings;
    options.audit = [&findings](Kernel& kernel) {
      if (findings.empty()) findings = Validate(kernel.system());
    };
    Runner runner(**scenario, options);
    const absl::Status status = runner.RunAll([&](const Step& step, const guest::Outcome& outcome) {
      if (step.kind != StepKind::kCall) return;
      ++calls;
      succeeded += outcome.ending != OBSERVE_ENDING_DONE || outcome.result >= 0 || outcome.result < -4095;
    });
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(findings, std::vector<std::string>());
  }
  EXPECT_GT(calls, 500u);
  EXPECT_GE(succeeded * 2, calls) << succeeded << " of " << calls;
}

// Fork, zap and the plain faults go a shorter way where nobody listens to stores: it comes to the same.
TEST_P(Generated, WhoListensChangesNothing) {
  const auto [about, arch] = GetParam();
  for (uint64_t seed = 101; seed <= 106; ++seed) {
    SCOPED_TRACE(seed);
    auto scenario = Scenario::FromText(Generate({.seed = seed, .steps = 120, .about = about}), "generated");
    ASSERT_TRUE(scenario.ok()) << scenario.status();
    ASSERT_TRUE(MakeProgram(**scenario, {.arch = arch}).ok());
    std::vector<std::string> texts[2];
    for (const bool listened : {false, true}) {
      RunnerOptions options;
      options.kernel.arch = arch;
      options.check_results = false;
      Runner runner(**scenario, options);
      uint64_t stores = 0;
      if (listened) {
        runner.kernel().system().entry_sink = {
            [](void* count, const EntryStore&) { ++*static_cast<uint64_t*>(count); }, nullptr, &stores};
      }
      constexpr uint32_t kWhat = OBSERVE_SMAPS | OBSERVE_PAGES | OBSERVE_FRAMES;
      KernelObserver observer(runner.kernel(), kWhat);
      const absl::Status status = runner.RunAll([&](const Step&, const guest::Outcome&) {
        texts[listened].push_back(StateText(observer.Observe(), kWhat));
      });
      ASSERT_TRUE(status.ok()) << status;
      EXPECT_EQ(stores != 0, listened);
    }
    EXPECT_EQ(texts[0], texts[1]);
  }
}

INSTANTIATE_TEST_SUITE_P(All, Generated,
                         ::testing::Combine(::testing::Values(About::kAddressSpace, About::kPages,
                                                              About::kShadowpt),
                                            ::testing::Values(Arch::kX86_64, Arch::kArm64)));

TEST(Generate, TheSameForTheSameSeed) {
  const GenerateOptions options{.seed = 5, .steps = 50, .about = About::kPages};
  EXPECT_EQ(Generate(options), Generate(options));
  EXPECT_NE(Generate(options), Generate({.seed = 6, .steps = 50, .about = About::kPages}));
  EXPECT_TRUE(
      Generate(options).starts_with("# mmsim generate, version 4: --seed 5 --steps 50 --about pages\n"));
}

}  // namespace
}  // namespace mmsim::scenario
