// SPDX-License-Identifier: Apache-2.0
// The numbers of the calls' arguments. Linux: include/uapi/asm-generic/mman-common.h,
// include/uapi/linux/mman.h, arch/*/include/uapi/asm/mman.h
#pragma once

#include <cstdint>

namespace mmsim::mman {

inline constexpr uint64_t kProtRead = 1, kProtWrite = 2, kProtExec = 4, kProtSem = 8;
inline constexpr uint64_t kProtGrowsDown = 0x01000000, kProtGrowsUp = 0x02000000;

inline constexpr uint64_t kMapShared = 1, kMapPrivate = 2, kMapSharedValidate = 3, kMapDroppable = 8,
                          kMapType = 0xf;
inline constexpr uint64_t kMapFixed = 0x10, kMapAnonymous = 0x20, kMapGrowsDown = 0x100,
                          kMapDenyWrite = 0x800, kMapExecutable = 0x1000, kMapLocked = 0x2000,
                          kMapNoReserve = 0x4000, kMapPopulate = 0x8000, kMapNonblock = 0x10000,
                          kMapStack = 0x20000, kMapHugetlb = 0x40000, kMapSync = 0x80000,
                          kMapFixedNoreplace = 0x100000, kMapHuge2Mb = uint64_t{21} << 26,
                          kMapHuge1Gb = uint64_t{30} << 26;

inline constexpr uint64_t kMremapMaymove = 1, kMremapFixed = 2, kMremapDontunmap = 4;
inline constexpr int kMsAsync = 1, kMsInvalidate = 2, kMsSync = 4;
inline constexpr int kMclCurrent = 1, kMclFuture = 2, kMclOnfault = 4;

inline constexpr int kMadvNormal = 0, kMadvRandom = 1, kMadvSequential = 2, kMadvWillneed = 3,
                     kMadvDontneed = 4, kMadvFree = 8, kMadvRemove = 9, kMadvDontfork = 10, kMadvDofork = 11,
                     kMadvMergeable = 12, kMadvUnmergeable = 13, kMadvHugepage = 14, kMadvNohugepage = 15,
                     kMadvDontdump = 16, kMadvDodump = 17, kMadvWipeonfork = 18, kMadvKeeponfork = 19,
                     kMadvCold = 20, kMadvPageout = 21, kMadvPopulateRead = 22, kMadvPopulateWrite = 23,
                     kMadvDontneedLocked = 24, kMadvCollapse = 25, kMadvHwpoison = 100,
                     kMadvSoftOffline = 101;

inline constexpr uint32_t kSealWrite = 8, kSealFutureWrite = 16;  // F_SEAL_*

}  // namespace mmsim::mman
