// SPDX-License-Identifier: Apache-2.0
#include "sim/kernel/signal.h"

#include <fmt/core.h>

namespace mmsim {
namespace {

// Index: the number, as on x86-64 and arm64.
constexpr std::string_view kSignalNames[] = {
    "",          "SIGHUP",  "SIGINT",    "SIGQUIT", "SIGILL",   "SIGTRAP", "SIGABRT", "SIGBUS",
    "SIGFPE",    "SIGKILL", "SIGUSR1",   "SIGSEGV", "SIGUSR2",  "SIGPIPE", "SIGALRM", "SIGTERM",
    "SIGSTKFLT", "SIGCHLD", "SIGCONT",   "SIGSTOP", "SIGTSTP",  "SIGTTIN", "SIGTTOU", "SIGURG",
    "SIGXCPU",   "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO",   "SIGPWR",  "SIGSYS"};
constexpr int kNrNamed = sizeof(kSignalNames) / sizeof(kSignalNames[0]);

struct CodeName {
  int signo, code;
  std::string_view name;
};
constexpr CodeName kCodeNames[] = {
    {kSigSegv, kSegvMaperr, "SEGV_MAPERR"}, {kSigSegv, kSegvAccerr, "SEGV_ACCERR"},
    {kSigSegv, kSegvBnderr, "SEGV_BNDERR"}, {kSigSegv, kSegvPkuerr, "SEGV_PKUERR"},
    {kSigBus, kBusAdraln, "BUS_ADRALN"},    {kSigBus, kBusAdrerr, "BUS_ADRERR"},
    {kSigBus, kBusObjerr, "BUS_OBJERR"},    {kSigBus, kBusMceerrAr, "BUS_MCEERR_AR"}};

}  // namespace

std::string SignalName(int signo) {
  if (signo > 0 && signo < kNrNamed) return std::string(kSignalNames[signo]);
  return fmt::format("SIG{}", signo);
}

int SignalNumber(std::string_view name) {
  for (int i = 1; i < kNrNamed; ++i) {
    if (kSignalNames[i] == name) return i;
  }
  return 0;
}

std::string SignalCodeName(int signo, int code) {
  if (code == kSiKernel) return "SI_KERNEL";
  if (code == 0) return "SI_USER";
  for (const CodeName& c : kCodeNames) {
    if (c.signo == signo && c.code == code) return std::string(c.name);
  }
  return fmt::format("{}", code);
}

}  // namespace mmsim
