// SPDX-License-Identifier: Apache-2.0
// What differs between the architectures in the kernel's interface to programs, and in what exec makes of
// them. One function a fact, a switch in each: this is not on the way of an access.
#pragma once

#include <cstdint>
#include <string_view>

#include "mmsim/types.h"

namespace mmsim::abi {

// The end of user addresses. Linux: arch/x86/include/asm/page_64_types.h TASK_SIZE_MAX,
// arch/arm64/include/asm/processor.h DEFAULT_MAP_WINDOW_64 (48 bits of address)
constexpr uint64_t TaskSize(Arch arch) {
  return arch == Arch::kX86_64 ? (uint64_t{1} << 47) - kPageSize : uint64_t{1} << 48;
}
// STACK_TOP, STACK_TOP_MAX of a 64-bit program.
constexpr uint64_t StackTop(Arch arch) {
  return TaskSize(arch);
}
// Where a position-independent program goes. Linux: arch/*/include/asm/elf.h ELF_ET_DYN_BASE
constexpr uint64_t ElfEtDynBase(Arch arch) {
  return arch == Arch::kX86_64 ? TaskSize(arch) / 3 * 2 : 2 * TaskSize(arch) / 3;
}
// e_machine: EM_X86_64, EM_AARCH64.
constexpr uint16_t ElfMachine(Arch arch) {
  return arch == Arch::kX86_64 ? 62 : 183;
}
// ELF_PLATFORM: a string on the stack.
constexpr std::string_view ElfPlatform(Arch arch) {
  return arch == Arch::kX86_64 ? "x86_64" : "aarch64";
}
// The order of clone's last two arguments (CONFIG_CLONE_BACKWARDS).
constexpr bool CloneTlsBeforeChildTid(Arch arch) {
  return arch == Arch::kArm64;
}
// O_DIRECTORY, O_NOFOLLOW, O_DIRECT, O_LARGEFILE (asm/fcntl.h of arm64 renumbers them).
constexpr uint32_t ODirectory(Arch arch) {
  return arch == Arch::kX86_64 ? 0200000 : 040000;
}
constexpr uint32_t OLargefile(Arch arch) {
  return arch == Arch::kX86_64 ? 0100000 : 0400000;
}
// The [vsyscall] page, which is no VMA (vsyscall=xonly; whether it is there, the profile says); 0: the
// architecture has none. Linux: arch/x86/entry/vsyscall/vsyscall_64.c
constexpr uint64_t VsyscallPage(Arch arch) {
  return arch == Arch::kX86_64 ? 0xffffffffff600000 : 0;
}
// How smaps calls VM_ARCH_1: VM_PAT, VM_ARM64_BTI.
constexpr const char* VmArch1Mnemonic(Arch arch) {
  return arch == Arch::kX86_64 ? "ar" : "bt";
}

}  // namespace mmsim::abi
