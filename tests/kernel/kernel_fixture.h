// SPDX-License-Identifier: Apache-2.0
// A kernel with one process that runs a tiny static program, for both architectures.
#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>
#include <memory>
#include <string>

#include "sim/kernel/kernel.h"
#include "sim/kernel/procfs.h"
#include "sim/mm/hooks.h"
#include "tests/kernel/elf_builder.h"

namespace mmsim {

class KernelTest : public testing::TestWithParam<Arch> {
 protected:
  KernelTest() { Boot(false); }

  void Boot(bool open_world, HookMask without_hooks = 0) {
    KernelOptions options;
    options.arch = GetParam();
    options.open_world = open_world;
    options.without_hooks = without_hooks;
    kernel = std::make_unique<Kernel>(options);
    AddFile("/victim", ElfBuilder(GetParam(), ET_EXEC, 0x400000)
                           .Load(PF_R | PF_X, 0, 0x400000, 0x1000, 0x1000)
                           .Stack(PF_R | PF_W)
                           .Build());
    task = Spawn("/victim");
  }
  void AddFile(const std::string& path, const std::string& contents, bool executable = true) {
    FileFacts facts;
    facts.contents = contents;
    facts.size_bytes = contents.size();
    facts.executable = executable;
    kernel->vfs().Add(path, facts);
  }
  Task* Spawn(const std::string& path, int pid = 0) {
    SpawnRequest request;
    request.pid = pid;
    request.path = path;
    request.argv = {path};
    Result<Task*> spawned = kernel->Spawn(request);
    return spawned.ok() ? *spawned : nullptr;
  }
  SyscallResult CallWith(Task& who, Sys nr, std::initializer_list<uint64_t> values,
                         std::initializer_list<std::pair<int, std::string_view>> payloads = {}) {
    SyscallArgs args;
    size_t i = 0;
    for (uint64_t v : values) args.value[i++] = v;
    for (const auto& [index, bytes] : payloads) args.payload[static_cast<size_t>(index)] = bytes;
    args.lenient = payloads.size() != 0;
    return kernel->Syscall(who, nr, args);
  }
  int64_t Call(Sys nr, std::initializer_list<uint64_t> values,
               std::initializer_list<std::pair<int, std::string_view>> payloads = {}) {
    return CallWith(*task, nr, values, payloads).value;
  }
  static int64_t Err(Errno e) { return -int64_t{static_cast<int32_t>(e)}; }
  std::string Maps() { return MapsText(*kernel, *task); }
  // One byte.
  AccessResult Store(Task& who, uint64_t address, uint8_t byte) {
    return kernel->Store(who, VirtAddr(address), {&byte, 1});
  }
  uint8_t LoadByte(Task& who, uint64_t address) {
    uint8_t byte = 0xee;
    EXPECT_TRUE(kernel->Load(who, VirtAddr(address), {&byte, 1}).ok());
    return byte;
  }

  std::unique_ptr<Kernel> kernel;
  Task* task = nullptr;
};

inline std::string ArchOfTest(const testing::TestParamInfo<Arch>& info) {
  return std::string(ArchName(info.param));
}
#define MMSIM_FOR_BOTH_ARCHITECTURES(suite) \
  INSTANTIATE_TEST_SUITE_P(Both, suite, testing::Values(Arch::kX86_64, Arch::kArm64), ArchOfTest)

}  // namespace mmsim
