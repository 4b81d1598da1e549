// SPDX-License-Identifier: Apache-2.0
// The public header alone, as somebody who embeds the simulator uses it; the first test is the README's
// example.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <span>

#include "mmsim/simulator.h"
#include "uapi/shadowpt.h"

namespace {

using testing::HasSubstr;

TEST(Embedder, TheExampleOfTheReadme) {
  mmsim::Simulator machine(mmsim::Arch::kX86_64);
  const int pid = machine.Spawn();
  const int64_t at = machine.Syscall(pid, "mmap", {0, 8192, 3, 0x22, ~uint64_t{0}, 0});
  ASSERT_GT(at, 0);
  const uint64_t address = static_cast<uint64_t>(at);
  const mmsim::AccessOutcome stored = machine.Store(pid, address, "hello");
  EXPECT_TRUE(stored.ok());
  EXPECT_EQ(stored.nr_faults, 1);
  std::string read;
  EXPECT_TRUE(machine.Load(pid, address, 5, &read).ok());
  EXPECT_EQ(read, "hello");
  EXPECT_THAT(machine.Maps(pid), HasSubstr("7ffff7ffd000-7ffff7fff000 rw-p 00000000 00:00 0"));
  const std::vector<uint64_t> pagemap = machine.Pagemap(pid, address, 2);
  EXPECT_TRUE(pagemap[0] >> 63);   // present
  EXPECT_FALSE(pagemap[1] >> 63);  // never touched

  EXPECT_EQ(machine.Syscall(pid, "mprotect", {address, 4096, 1}), 0);
  const mmsim::AccessOutcome refused = machine.Store(pid, address, "x");
  EXPECT_EQ(refused.signal.Name(), "SIGSEGV");
  EXPECT_EQ(refused.signal.CodeName(), "SEGV_ACCERR");
  EXPECT_EQ(refused.signal.address, address);
}

// The README's second example: an inspector sees what a target does.
TEST(Embedder, AnInspectorWatchesATarget) {
  mmsim::Simulator machine(mmsim::Arch::kX86_64);
  const int target = machine.Spawn(), inspector = machine.Spawn();
  const auto map = [&](int pid, uint64_t pages) {
    return static_cast<uint64_t>(machine.Syscall(pid, "mmap", {0, pages * 4096, 3, 0x22, ~uint64_t{0}, 0}));
  };
  const uint64_t watched = map(target, 4), entries = map(inspector, 1), argument = map(inspector, 1);
  const user_shadow_pt dest{watched, watched + 4 * 4096, reinterpret_cast<shadow_pte*>(entries)};
  machine.StoreValue(inspector, argument, dest);
  ASSERT_EQ(machine.Syscall(inspector, "shadowpt_open", {static_cast<uint64_t>(target), argument}), 0);
  ASSERT_EQ(machine.Syscall(inspector, "shadowpt_start", {}), 0);

  machine.Store(target, watched + 4096, "hello");
  std::array<shadow_pte, 4> table;
  machine.LoadSpan(inspector, entries, std::span(table));
  EXPECT_FALSE(is_pte_mapped(table[0].state_flags));
  EXPECT_TRUE(is_pte_mapped(table[1].state_flags) && is_vaddr_anonymous(table[1].state_flags));
  EXPECT_EQ(table[1].pfn, machine.Pagemap(target, watched + 4096, 1)[0] & ((uint64_t{1} << 55) - 1));

  machine.Syscall(target, "munmap", {watched, 2 * 4096});
  machine.LoadSpan(inspector, entries, std::span(table));
  EXPECT_FALSE(is_vaddr_allocated(table[1].state_flags));
  EXPECT_TRUE(is_vaddr_allocated(table[2].state_flags));
}

TEST(Embedder, TwoSimulatorsShareNothing) {
  mmsim::Simulator a(mmsim::Arch::kX86_64), b(mmsim::Arch::kArm64);
  const int in_a = a.Spawn(), in_b = b.Spawn();
  EXPECT_GT(a.Syscall(in_a, "mmap", {0, 4096, 3, 0x22, ~uint64_t{0}, 0}), 0);
  EXPECT_EQ(b.Maps(in_b), "");
  EXPECT_NE(a.Maps(in_a), "");
}

TEST(Embedder, WhatTheModelLacksIsNoErrnoInDisguise) {
  mmsim::Simulator machine(mmsim::Arch::kX86_64);
  const int pid = machine.Spawn();
  bool modelled = true;
  EXPECT_EQ(machine.Syscall(pid, "socket", {1, 1, 0}, &modelled), -38);
  EXPECT_FALSE(modelled);
  EXPECT_EQ(machine.Syscall(pid, "getpid", {}, &modelled), pid);
  EXPECT_TRUE(modelled);
  EXPECT_FALSE(mmsim::Simulator::IsSyscall("frobnicate"));
  EXPECT_EQ(machine.Spawn("/none"), -2);
  machine.Kill(pid, 9);
  EXPECT_FALSE(machine.Exists(pid));
}

}  // namespace
