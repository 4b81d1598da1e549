// SPDX-License-Identifier: Apache-2.0
// What the memory manager asks of `current`: limits, personality, capabilities. sim/mm never sees a task;
// whoever calls a verb hands this over.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace mmsim {

inline constexpr uint64_t kRlimInfinity = ~uint64_t{0};

// Resource numbers (include/uapi/asm-generic/resource.h).
enum class Rlimit : uint8_t {
  kCpu,
  kFsize,
  kData,
  kStack,
  kCore,
  kRss,
  kNproc,
  kNofile,
  kMemlock,
  kAs,
  kLocks,
  kSigpending,
  kMsgqueue,
  kNice,
  kRtprio,
  kRttime,
  kCount
};

struct RlimitPair {
  uint64_t cur = kRlimInfinity, max = kRlimInfinity;
};

struct Rlimits {
  std::array<RlimitPair, static_cast<size_t>(Rlimit::kCount)> limit;
  uint64_t Cur(Rlimit r) const { return limit[static_cast<size_t>(r)].cur; }
  RlimitPair& operator[](Rlimit r) { return limit[static_cast<size_t>(r)]; }
};

// include/uapi/linux/personality.h
inline constexpr uint32_t kAddrNoRandomize = 0x0040000, kMmapPageZero = 0x0100000,
                          kAddrCompatLayout = 0x0200000, kReadImpliesExec = 0x0400000,
                          kAddrLimit32Bit = 0x0800000, kAddrLimit3Gb = 0x8000000;

struct Current {
  const Rlimits* rlimits;
  uint32_t personality = 0;
  bool cap_ipc_lock = true;   // CAP_IPC_LOCK: no RLIMIT_MEMLOCK
  bool cap_sys_admin = true;  // CAP_SYS_ADMIN: the overcommit reserve is smaller
  bool cap_sys_rawio = true;  // CAP_SYS_RAWIO: may map below mmap_min_addr
  bool cap_sys_resource = true;
  uint32_t pkru = 0x55555554;  // protection-key rights of the running thread (x86-64)
  // Where they are kept, for mmap and mprotect with PROT_EXEC alone, which take rights away; null: nowhere.
  uint32_t* thread_pkru = nullptr;
};

}  // namespace mmsim
