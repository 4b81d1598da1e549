// SPDX-License-Identifier: Apache-2.0
// How a log goes on where nothing but its own lines says what the address space was.
#include "sim/scenario/runner.h"

#include <gtest/gtest.h>

#include "sim/kernel/procfs.h"

namespace mmsim::scenario {
namespace {

// The first recorded address fixes where mappings go, and what the model had chosen is not left behind.
TEST(Runner, AnAslrLogFixesItsOwnLayout) {
  auto scenario = Scenario::FromText(
      "7 mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f1234560000\n"
      "7 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f123455f000\n",
      "aslr");
  ASSERT_TRUE(scenario.ok()) << scenario.status();
  RunnerOptions options;
  options.kernel.open_world = true;
  Runner runner(**scenario, options);
  ASSERT_TRUE(runner.RunAll().ok());
  EXPECT_TRUE(runner.mismatches().empty());
  EXPECT_EQ(MapsText(runner.kernel(), *runner.kernel().FindTask(7)),
            "7f123455f000-7f1234560000 r--p 00000000 00:00 0 \n"
            "7f1234560000-7f1234562000 rw-p 00000000 00:00 0 \n");
}

// A second address that the model does not give is a mismatch, and the run goes on from the recorded one.
TEST(Runner, AMismatchIsReportedAndFollowed) {
  auto scenario = Scenario::FromText(
      "7 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f1234560000\n"
      "7 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f1200000000\n"
      "7 munmap(0x7f1200000000, 4096) = 0\n",
      "mismatch");
  ASSERT_TRUE(scenario.ok()) << scenario.status();
  RunnerOptions options;
  options.kernel.open_world = true;
  Runner runner(**scenario, options);
  ASSERT_TRUE(runner.RunAll().ok());
  ASSERT_EQ(runner.mismatches().size(), 1u);
  EXPECT_EQ(runner.mismatches()[0].where.line, 2u);
  EXPECT_EQ(MapsText(runner.kernel(), *runner.kernel().FindTask(7)),
            "7f1234560000-7f1234561000 r--p 00000000 00:00 0 \n");
}

}  // namespace
}  // namespace mmsim::scenario
