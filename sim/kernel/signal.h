// SPDX-License-Identifier: Apache-2.0
// The little of signals that a memory manager shows: which one an access comes to, with its code and address,
// as strace and siginfo_t tell it. Handlers, masks and queues are not modelled: whoever drives the simulator
// decides whether the process dies of it (Kernel::Kill) or goes on, as a tracer that swallows the signal lets
// it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mmsim {

// Signal numbers, the same on both architectures (include/uapi/asm-generic/signal.h, arch/x86).
inline constexpr int kSigIll = 4, kSigTrap = 5, kSigAbrt = 6, kSigBus = 7, kSigKill = 9, kSigSegv = 11,
                     kSigPipe = 13, kSigTerm = 15, kSigChld = 17;

// si_code of SIGSEGV and SIGBUS (include/uapi/asm-generic/siginfo.h).
inline constexpr int kSegvMaperr = 1, kSegvAccerr = 2, kSegvBnderr = 3, kSegvPkuerr = 4;
inline constexpr int kBusAdraln = 1, kBusAdrerr = 2, kBusObjerr = 3, kBusMceerrAr = 4;
inline constexpr int kSiKernel = 0x80;

struct SigInfo {
  int signo = 0;  // 0: no signal
  int code = 0;
  uint64_t addr = 0;
  uint64_t error_code = 0;  // x86-64: of the signal frame; arm64: ESR of the signal frame
  int pkey = 0;             // si_pkey of SEGV_PKUERR
  int trapno = 0;           // x86-64: 14 page fault, 13 general protection
};

// "SIGSEGV" for 11; "SIG42" for a number without a name here.
std::string SignalName(int signo);
// The number of "SIGSEGV"; 0 for a name that there is none of.
int SignalNumber(std::string_view name);
// "SEGV_ACCERR"; the bare number for what has no name.
std::string SignalCodeName(int signo, int code);

}  // namespace mmsim
