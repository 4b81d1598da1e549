// SPDX-License-Identifier: Apache-2.0
// Numbers of the system-call ABI that sim/kernel reads, the same on both architectures unless a function of
// `arch` says otherwise (arch/abi.h). Linux: include/uapi.
#pragma once

#include <cstdint>

namespace mmsim {

// open flags (asm-generic/fcntl.h).
inline constexpr uint32_t kOAccmode = 03, kORdonly = 0, kOWronly = 01, kORdwr = 02, kOCreat = 0100,
                          kOExcl = 0200, kONoctty = 0400, kOTrunc = 01000, kOAppend = 02000,
                          kOCloexec = 02000000, kOPath = 010000000, kOTmpfileBit = 020000000;
inline constexpr int kAtFdcwd = -100, kAtSymlinkNofollow = 0x100, kAtRemovedir = 0x200, kAtEmptyPath = 0x1000;

// mmap (asm-generic/mman-common.h, mman.h).
inline constexpr uint64_t kProtRead = 1, kProtWrite = 2, kProtExec = 4, kProtSem = 8,
                          kProtGrowsdown = 0x01000000, kProtGrowsup = 0x02000000;
inline constexpr uint64_t kMapShared = 1, kMapPrivate = 2, kMapSharedValidate = 3, kMapFixed = 0x10,
                          kMapAnonymous = 0x20, kMapHugetlb = 0x40000, kMapFixedNoreplace = 0x100000;

// clone flags (linux/sched.h).
inline constexpr uint64_t kCsignal = 0xff, kCloneNewtime = 0x80, kCloneVm = 0x100, kCloneFs = 0x200,
                          kCloneFiles = 0x400, kCloneSighand = 0x800, kClonePidfd = 0x1000,
                          kClonePtrace = 0x2000, kCloneVfork = 0x4000, kCloneParent = 0x8000,
                          kCloneThread = 0x10000, kCloneNewns = 0x20000, kCloneSysvsem = 0x40000,
                          kCloneSettls = 0x80000, kCloneParentSettid = 0x100000,
                          kCloneChildCleartid = 0x200000, kCloneDetached = 0x400000,
                          kCloneUntraced = 0x800000, kCloneChildSettid = 0x1000000,
                          kCloneNewcgroup = 0x2000000, kCloneNewuts = 0x4000000, kCloneNewipc = 0x8000000,
                          kCloneNewuser = 0x10000000, kCloneNewpid = 0x20000000, kCloneNewnet = 0x40000000,
                          kCloneIo = 0x80000000, kCloneClearSighand = 0x100000000,
                          kCloneIntoCgroup = 0x200000000;

}  // namespace mmsim
