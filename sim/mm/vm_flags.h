// SPDX-License-Identifier: Apache-2.0
// The bits of vma->vm_flags (Linux: include/linux/mm.h), with the kernel's numbers.
#pragma once

#include <cstdint>

namespace mmsim {

using VmFlags = uint64_t;

inline constexpr VmFlags kVmRead = 0x1, kVmWrite = 0x2, kVmExec = 0x4, kVmShared = 0x8;
inline constexpr VmFlags kVmMayRead = 0x10, kVmMayWrite = 0x20, kVmMayExec = 0x40, kVmMayShare = 0x80;
inline constexpr VmFlags kVmGrowsDown = 0x100, kVmUffdMissing = 0x200, kVmPfnMap = 0x400, kVmUffdWp = 0x1000;
inline constexpr VmFlags kVmLocked = 0x2000, kVmIo = 0x4000, kVmSeqRead = 0x8000, kVmRandRead = 0x10000;
inline constexpr VmFlags kVmDontCopy = 0x20000, kVmDontExpand = 0x40000, kVmLockOnFault = 0x80000;
inline constexpr VmFlags kVmAccount = 0x100000, kVmNoReserve = 0x200000, kVmHugetlb = 0x400000,
                         kVmSync = 0x800000;
inline constexpr VmFlags kVmArch1 = 0x1000000;  // VM_PAT on x86-64, VM_ARM64_BTI on arm64
inline constexpr VmFlags kVmWipeOnFork = 0x2000000, kVmDontDump = 0x4000000, kVmSoftDirty = 0x8000000;
inline constexpr VmFlags kVmMixedMap = 0x10000000, kVmHugepage = 0x20000000, kVmNoHugepage = 0x40000000;
inline constexpr VmFlags kVmMergeable = 0x80000000;
inline constexpr int kVmPkeyShift = 32;
inline constexpr VmFlags kVmPkeyMask = VmFlags{0xf} << kVmPkeyShift;
inline constexpr VmFlags kVmDroppable = VmFlags{1} << 40;
inline constexpr VmFlags kVmSealed = VmFlags{1} << 63;

inline constexpr VmFlags kVmAccessFlags = kVmRead | kVmWrite | kVmExec;
inline constexpr VmFlags kVmSpecial = kVmIo | kVmDontExpand | kVmPfnMap | kVmMixedMap;
inline constexpr VmFlags kVmLockedMask = kVmLocked | kVmLockOnFault;
inline constexpr VmFlags kVmStack = kVmGrowsDown;
inline constexpr VmFlags kVmStackIncompleteSetup = kVmRandRead | kVmSeqRead;
// What distinguishes the file's dirty state alone: mprotect and the merge code ignore it (VM_SOFTDIRTY).
inline constexpr VmFlags kVmIgnoreMerge = kVmSoftDirty;

}  // namespace mmsim
