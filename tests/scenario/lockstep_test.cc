// SPDX-License-Identifier: Apache-2.0
// Every hand-written scenario, and some generated ones, on the real kernel and in the model. Skipped where
// there is no guest to be had; one boot an architecture.
#include "sim/scenario/lockstep.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "sim/guest/patched.h"
#include "sim/scenario/generate.h"

namespace mmsim::scenario {
namespace {

namespace fs = std::filesystem;
using Scenarios = std::vector<std::unique_ptr<Scenario>>;

Scenarios HandWritten() {
  Scenarios all;
  for (const auto& entry : fs::recursive_directory_iterator(MMSIM_SOURCE_DIR "/scenarios")) {
    if (entry.path().extension() != ".scn") continue;
    auto scenario = Scenario::Open(entry.path());
    EXPECT_TRUE(scenario.ok()) << scenario.status();
    if (scenario.ok()) all.push_back(*std::move(scenario));
  }
  return all;
}

Scenarios FromSeeds() {
  Scenarios all;
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    for (const About about : {About::kAddressSpace, About::kPages}) {
      auto scenario = Scenario::FromText(Generate({.seed = seed, .steps = 60, .about = about}),
                                         "seed " + std::to_string(seed));
      EXPECT_TRUE(scenario.ok()) << scenario.status();
      if (scenario.ok()) all.push_back(*std::move(scenario));
    }
  }
  return all;
}

KnownDifferences Known() {
  std::ifstream in(MMSIM_SOURCE_DIR "/tests/differential/differences.md");
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  absl::StatusOr<KnownDifferences> known = KnownDifferences::Parse(text, "differences.md");
  EXPECT_TRUE(known.ok()) << known.status();
  return known.ok() ? *std::move(known) : KnownDifferences();
}

void ReportFailure(const StepDifference& d) {
  ADD_FAILURE() << d.where.file << ":" << d.where.line << ": " << d.line << "\n  " << d.differences[0].Text();
}

class LockstepTest : public ::testing::TestWithParam<Arch> {};

TEST_P(LockstepTest, KernelAndModelAgree) {
  auto guest = guest::Guest::Boot({.arch = GetParam(), .image = {}});
  if (!guest.ok()) {
    std::cout << "not compared: " << guest.status() << "\n";
    return;
  }
  const absl::StatusOr<GuestFacts> facts = AskFacts(**guest);
  ASSERT_TRUE(facts.ok()) << facts.status();
  Reference reference{*std::move(guest), *facts};
  LockstepOptions options;
  options.arch = GetParam();
  options.audit = true;
  KnownDifferences known = Known();
  options.known = &known;
  options.on_difference = ReportFailure;
  const Scenarios all[] = {HandWritten(), FromSeeds()};
  for (const Scenarios& scenarios : all) {
    const absl::StatusOr<ComparisonCount> count = Lockstep(reference, scenarios, options);
    ASSERT_TRUE(count.ok()) << count.status();
    EXPECT_GT(count->steps, 0u);
  }

  // A machine that is not the guest's is found out.
  Scenarios one;
  one.push_back(*Scenario::FromText(
      "pid 100\n100 mmap(NULL, 0x10000000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = ?\n",
      "small"));
  reference.facts.total_ram_bytes = 1 << 20;
  int found = 0;
  options.on_difference = [&found](const StepDifference& d) {
    found += d.differences[0].subject == "result";
  };
  const absl::StatusOr<ComparisonCount> count = Lockstep(reference, one, options);
  ASSERT_TRUE(count.ok()) << count.status();
  EXPECT_EQ(count->differences, 1u);
  EXPECT_EQ(count->ExitStatus(), 1);
  EXPECT_EQ(found, 1);
}

// With the shadow page table, and error codes. The kernel's build takes minutes, and is no part of this.
TEST_P(LockstepTest, PatchedKernelAndModelAgree) {
  const absl::StatusOr<std::string> image = guest::BuiltPatchedKernel(GetParam());
  if (!image.ok()) {
    std::cout << "not compared: " << image.status() << "\n";
    return;
  }
  absl::StatusOr<Reference> reference = BootReference(GetParam(), *image);
  if (!reference.ok()) {
    std::cout << "not compared: " << reference.status() << "\n";
    return;
  }
  LockstepOptions options;
  options.arch = GetParam();
  options.observe |= OBSERVE_FAULTS;
  KnownDifferences known = Known();
  options.known = &known;
  options.on_difference = ReportFailure;
  const absl::StatusOr<ComparisonCount> count = Lockstep(*reference, HandWritten(), options);
  ASSERT_TRUE(count.ok()) << count.status();
  EXPECT_GT(count->steps, 0u);
}

INSTANTIATE_TEST_SUITE_P(Both, LockstepTest, ::testing::Values(Arch::kX86_64, Arch::kArm64));

}  // namespace
}  // namespace mmsim::scenario
