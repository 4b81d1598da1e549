// SPDX-License-Identifier: Apache-2.0
// execve: the layout of programs, and the order of its errors.
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include <cstdio>
#include <fstream>
#include <sstream>

#include "tests/kernel/kernel_fixture.h"

namespace mmsim {
namespace {

using testing::HasSubstr;
using testing::Not;

class ExecTest : public KernelTest {};
MMSIM_FOR_BOTH_ARCHITECTURES(ExecTest);

TEST_P(ExecTest, StaticProgram) {
  ASSERT_NE(task, nullptr);
  const std::string maps = Maps();
  EXPECT_THAT(maps, HasSubstr("00400000-00401000 r-xp 00000000"));
  EXPECT_THAT(maps, HasSubstr("/victim\n"));
  EXPECT_THAT(maps, HasSubstr("[vdso]\n"));
  if (GetParam() == Arch::kX86_64) {
    EXPECT_THAT(
        maps,
        HasSubstr("7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0                          [stack]\n"));
    EXPECT_EQ(Call(Sys::k_brk, {0}), 0x401000);
  } else {
    EXPECT_THAT(
        maps,
        HasSubstr("fffffffdf000-1000000000000 rw-p 00000000 00:00 0                         [stack]\n"));
  }
  EXPECT_THAT(maps, Not(HasSubstr("vsyscall")));
  EXPECT_EQ(task->entry, 0x400000u);
  EXPECT_EQ(task->stack_pointer % 16, 0u);
}

TEST_P(ExecTest, DataIsZeroedBehindTheFileAndBssFollows) {
  AddFile("/data", ElfBuilder(GetParam(), ET_EXEC, 0x400000)
                           .Load(PF_R | PF_X, 0, 0x400000, 0x1000, 0x1000)
                           .Load(PF_R | PF_W, 0x1000, 0x401000, 0x800, 0x3000)
                           .Build() +
                       std::string(0x800, 'x'));
  task = Spawn("/data");
  ASSERT_NE(task, nullptr);
  EXPECT_THAT(Maps(), HasSubstr("00401000-00402000 rw-p 00001000"));
  EXPECT_THAT(Maps(), HasSubstr("00402000-00404000 rw-p 00000000 00:00 0"));
  EXPECT_EQ(LoadByte(*task, 0x401800), 0);  // 'x' in the file
  EXPECT_EQ(LoadByte(*task, 0x4017ff), 0);
  EXPECT_EQ(Call(Sys::k_brk, {0}), 0x404000);
}

TEST_P(ExecTest, ProgramWithInterpreterLiesAtTheDynamicBase) {
  AddFile("/ld.so", ElfBuilder(GetParam(), ET_DYN, 0x100).Load(PF_R | PF_X, 0, 0, 0x2000, 0x2000).Build());
  AddFile(
      "/pie",
      ElfBuilder(GetParam(), ET_DYN, 0x100).Interp("/ld.so").Load(PF_R | PF_X, 0, 0, 0x1000, 0x1000).Build());
  task = Spawn("/pie");
  ASSERT_NE(task, nullptr);
  const bool x86 = GetParam() == Arch::kX86_64;
  EXPECT_THAT(Maps(), HasSubstr(x86 ? "555555554000-555555555000 r-xp" : "aaaaaaaaa000-aaaaaaaab000 r-xp"));
  EXPECT_EQ(Call(Sys::k_brk, {0}), x86 ? 0x555555555000 : 0xaaaaaaaab000);
  EXPECT_THAT(Maps(), HasSubstr("/ld.so\n"));
}

TEST_P(ExecTest, LoaderByItselfHasItsHeapAtTheDynamicBase) {
  AddFile("/ld.so", ElfBuilder(GetParam(), ET_DYN, 0x100).Load(PF_R | PF_X, 0, 0, 0x2000, 0x2000).Build());
  task = Spawn("/ld.so");
  ASSERT_NE(task, nullptr);
  const bool x86 = GetParam() == Arch::kX86_64;
  EXPECT_EQ(Call(Sys::k_brk, {0}), x86 ? 0x555555555000 : 0xaaaaaaaab000);
}

TEST_P(ExecTest, ExecutableStack) {
  AddFile("/x", ElfBuilder(GetParam(), ET_EXEC, 0x400000)
                    .Load(PF_R | PF_X, 0, 0x400000, 0x1000, 0x1000)
                    .Stack(PF_R | PF_W | PF_X)
                    .Build());
  task = Spawn("/x");
  ASSERT_NE(task, nullptr);
  EXPECT_THAT(Maps(), HasSubstr("rwxp 00000000 00:00 0"));
}

TEST_P(ExecTest, ErrorsBeforeThePointOfNoReturnLeaveTheProgram) {
  AddFile("/text", "hello world, not a program at all");
  AddFile("/plain", "#!/victim\n", false);
  AddFile("/loop", "#!/loop\n");
  AddFile("/orphan",
          ElfBuilder(GetParam(), ET_DYN, 0).Interp("/none").Load(PF_R, 0, 0, 0x1000, 0x1000).Build());
  AddFile("/broken",
          ElfBuilder(GetParam(), ET_DYN, 0).Interp("/text").Load(PF_R, 0, 0, 0x1000, 0x1000).Build());
  const Arch other = GetParam() == Arch::kX86_64 ? Arch::kArm64 : Arch::kX86_64;
  AddFile("/foreign", ElfBuilder(other, ET_EXEC, 0).Load(PF_R, 0, 0x400000, 0x1000, 0x1000).Build());
  const std::string before = Maps();
  const auto exec = [this](std::string_view path) {
    return Call(Sys::k_execve, {1, 1, 1}, {{0, path}, {1, std::string_view("a\0", 2)}, {2, ""}});
  };
  EXPECT_EQ(exec("/nothing"), Err(Errno::kENOENT));
  EXPECT_EQ(exec(""), Err(Errno::kENOENT));
  EXPECT_EQ(exec("/plain"), Err(Errno::kEACCES));
  EXPECT_EQ(exec("/dev/null"), Err(Errno::kEACCES));
  EXPECT_EQ(exec("/text"), Err(Errno::kENOEXEC));
  EXPECT_EQ(exec("/foreign"), Err(Errno::kENOEXEC));
  EXPECT_EQ(exec("/orphan"), Err(Errno::kENOENT));
  EXPECT_EQ(exec("/loop"), Err(Errno::kELOOP));
  EXPECT_EQ(Maps(), before);
  EXPECT_TRUE(task->IsAlive());
}

TEST_P(ExecTest, AScriptRunsItsInterpreterWithItsArgument) {
  AddFile("/script", "#! /victim  one argument \nrest\n");
  EXPECT_EQ(Call(Sys::k_execve, {1, 1, 1}, {{0, "/script"}, {1, std::string_view("s\0t\0", 4)}, {2, ""}}), 0);
  EXPECT_THAT(Maps(), HasSubstr("/victim\n"));
  std::string arguments(task->mm->arg_end - task->mm->arg_start, '\0');
  kernel->Load(*task, task->mm->arg_start, {reinterpret_cast<uint8_t*>(arguments.data()), arguments.size()});
  EXPECT_EQ(arguments, std::string("/victim\0one argument\0/script\0t\0", 31));
  EXPECT_EQ(task->comm, "script");
}

TEST_P(ExecTest, ARunningProgramIsNotOpenedForWriting) {
  EXPECT_EQ(Call(Sys::k_openat, {static_cast<uint64_t>(-100), 1, 1}, {{1, "/victim"}}), Err(Errno::kETXTBSY));
  AddFile("/other",
          ElfBuilder(GetParam(), ET_EXEC, 0x400000).Load(PF_R | PF_X, 0, 0x400000, 0x1000, 0x1000).Build());
  const int64_t fd = Call(Sys::k_openat, {static_cast<uint64_t>(-100), 1, 2}, {{1, "/other"}});
  ASSERT_EQ(fd, 0);
  const auto exec = [this] { return Call(Sys::k_execve, {1, 0, 0}, {{0, "/other"}}); };
  EXPECT_EQ(exec(), Err(Errno::kETXTBSY));
  EXPECT_EQ(Call(Sys::k_close, {0}), 0);
  EXPECT_EQ(exec(), 0);
  EXPECT_EQ(Call(Sys::k_openat, {static_cast<uint64_t>(-100), 1, 1}, {{1, "/victim"}}), 0);
}

TEST_P(ExecTest, WhatCannotBeMappedKillsAfterThePointOfNoReturn) {
  AddFile("/overlap", ElfBuilder(GetParam(), ET_EXEC, 0x400000)
                          .Load(PF_R, 0, 0x400000, 0x1000, 0x1000)
                          .Load(PF_R, 0, uint64_t{1} << 50, 0x1000, 0x1000)
                          .Build());
  const SyscallResult result = CallWith(*task, Sys::k_execve, {1, 0, 0}, {{0, "/overlap"}});
  EXPECT_EQ(result.status, SyscallResult::Status::kNoReturn);
  EXPECT_FALSE(task->IsAlive());
  EXPECT_EQ(task->signal->group_exit_code, kSigSegv);
}

TEST_P(ExecTest, GivenByAListingTheAddressSpaceIsThatListing) {
  const std::string maps =
      "55d000000000-55d000001000 r-xp 00000000 08:01 12                         /bin/prog\n"
      "55d000001000-55d000003000 rw-p 00001000 08:01 12                         /bin/prog\n"
      "7ffe00000000-7ffe00021000 rw-p 00000000 00:00 0                          [stack]\n"
      "7ffe00030000-7ffe00032000 r-xp 00000000 00:00 0                          [vdso]\n";
  ASSERT_TRUE(kernel->ExecGivenMaps(*task, "/bin/prog", maps).ok());
  EXPECT_EQ(Maps(), maps);
  EXPECT_EQ(task->comm, "prog");
  EXPECT_EQ(Call(Sys::k_brk, {0}), 0x55d000003000);
}

TEST_P(ExecTest, MmapPageZero) {
  task->personality |= kMmapPageZero;
  EXPECT_EQ(Call(Sys::k_execve, {1, 0, 0}, {{0, "/victim"}}), 0);
  EXPECT_THAT(Maps(), HasSubstr("00000000-00001000 r-xp 00000000 00:00 0"));
  EXPECT_EQ(Call(Sys::k_munmap, {0, 0x1000}), Err(Errno::kEPERM));  // sealed
}

TEST_P(ExecTest, AThreadThatExecsBecomesTheLeader) {
  const uint64_t flags = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000;  // VM FS FILES SIGHAND THREAD
  const int64_t tid = Call(Sys::k_clone, {flags, 0, 0, 0, 0});
  ASSERT_GT(tid, 0);
  Task* thread = kernel->FindTask(static_cast<int>(tid));
  const int leader = task->pid;
  EXPECT_EQ(CallWith(*thread, Sys::k_execve, {1, 0, 0}, {{0, "/victim"}}).value, 0);
  EXPECT_EQ(thread->pid, leader);
  EXPECT_EQ(kernel->FindTask(leader), thread);
  EXPECT_EQ(kernel->FindTask(static_cast<int>(tid)), nullptr);
}

// The kernel that runs this test is a second opinion: without randomisation, the same file is laid out at the
// same addresses. Only on a kernel that there is a profile of.
TEST(ExecOnHost, TheLayoutOfARealProgramIsTheHosts) {
  utsname host{};
  ASSERT_EQ(uname(&host), 0);
  if (std::string(host.machine) != "x86_64" || !std::string(host.release).starts_with("6.18")) {
    RecordProperty("not_compared", host.release);
    return;
  }
  // The dynamic loader, asked for its version, maps nothing more before it says so; cat has mapped its
  // libraries. So the lines of the program itself, the vdso and the stack are compared, from cat's own
  // listing.
  FILE* pipe = popen("env -i setarch -R /usr/bin/cat /proc/self/maps", "r");
  ASSERT_NE(pipe, nullptr);
  std::string listing;
  for (int c; (c = fgetc(pipe)) != EOF;) listing.push_back(static_cast<char>(c));
  pclose(pipe);
  if (listing.empty()) {
    RecordProperty("not_compared", "setarch does not work here");
    return;
  }

  KernelOptions options;
  options.profile = "6.18";
  Kernel kernel(options);
  for (const std::string path : {"/usr/bin/cat", "/lib64/ld-linux-x86-64.so.2"}) {
    char real[4096];
    ASSERT_NE(realpath(path.c_str(), real), nullptr);
    std::stringstream contents;
    contents << std::ifstream(real, std::ios::binary).rdbuf();
    kernel.vfs().Provide(path, real, contents.str());
  }
  SpawnRequest request;
  request.path = "/usr/bin/cat";
  request.argv = {"/usr/bin/cat", "/proc/self/maps"};
  Result<Task*> task = kernel.Spawn(request);
  ASSERT_TRUE(task.ok());
  int compared = 0;
  for (const MapsLine& line : MapsLines(kernel, *(*task)->mm)) {
    // What the program changed later by mprotect (RELRO) is apart.
    if (line.perms[1] == 'w' && line.name != "[stack]") continue;
    const std::string range = fmt::format("{:x}-{:x} {}", line.start, line.end, line.perms);
    EXPECT_THAT(listing, HasSubstr(range));
    ++compared;
  }
  EXPECT_GT(compared, 8);
}

}  // namespace
}  // namespace mmsim
