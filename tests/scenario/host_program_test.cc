// SPDX-License-Identifier: Apache-2.0
// An exec in a log without listings: the ELF files of this host say what the address space was.
#include "sim/scenario/host_program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iostream>

#include "fmt/format.h"
#include "sim/kernel/kernel.h"
#include "sim/kernel/procfs.h"
#include "sim/scenario/runner.h"

namespace mmsim::scenario {
namespace {

const std::string kShell = std::filesystem::canonical("/bin/sh").string();

std::string Script() {
  std::string path = testing::TempDir() + "/script";
  std::ofstream(path) << "#! /bin/sh -e\ntrue\n";
  return path;
}

TEST(HostProgram, AScriptItsShellAndTheLoader) {
  Kernel kernel(KernelOptions{});
  const std::string script = Script();
  ProvideHostProgram(kernel.vfs(), script);
  ProvideHostProgram(kernel.vfs(), "/no/such/program");
  EXPECT_EQ(kernel.vfs().Lookup("/no/such/program"), nullptr);
  EXPECT_THAT(kernel.vfs().Lookup(script)->backing, testing::StartsWith("#! /bin/sh"));
  const InodeRef shell = kernel.vfs().Lookup("/bin/sh");
  ASSERT_NE(shell, nullptr);
  EXPECT_THAT(shell->backing, testing::StartsWith("\x7f"
                                                  "ELF"));
  EXPECT_EQ(kernel.vfs().ShownPath("/bin/sh"), kShell);
}

TEST(HostProgram, AnExecIsLaidOutByIt) {
#ifndef __x86_64__
  std::cout << "not carried out: the log is of x86-64\n";
#else
  const auto scenario = Scenario::FromText(
      fmt::format("7 execve(\"{}\", [\"script\"], 0x7ffe /* 3 vars */) = 0\n7 getpid() = 7\n", Script()),
      "log");
  ASSERT_TRUE(scenario.ok());
  RunnerOptions options;
  options.kernel.open_world = true;
  Runner runner(**scenario, options);
  std::string maps;
  const absl::Status status = runner.RunAll([&](const Step&, const guest::Outcome&) {
    if (const Task* task = runner.kernel().FindTask(7)) maps = MapsText(runner.kernel(), *task);
  });
  ASSERT_TRUE(status.ok());
  EXPECT_THAT(runner.mismatches(), testing::IsEmpty());
  EXPECT_THAT(maps, testing::HasSubstr("r-xp"));
  EXPECT_THAT(maps, testing::HasSubstr(kShell + "\n"));
#endif
}

}  // namespace
}  // namespace mmsim::scenario
