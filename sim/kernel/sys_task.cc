// SPDX-License-Identifier: Apache-2.0
// What a program says and asks of itself: ids, limits, personality, prctl; and kill. Linux: kernel/sys.c,
// kernel/signal.c, arch/x86/kernel/process_64.c Not modelled: signals other than SIGKILL and 0, prctl options
// that no memory manager sees.
#include <algorithm>

#include "sim/kernel/call.h"
#include "sim/mm/verbs.h"

namespace mmsim {
namespace {

constexpr uint64_t kNrOpen = 1024 * 1024;  // sysctl_nr_open

struct UserRlimit {
  uint64_t cur, max;
};

// Linux: kernel/sys.c do_prlimit()
Status DoPrlimit(const Task& by, Task& of, uint32_t resource, const UserRlimit* set, UserRlimit* old) {
  if (resource >= static_cast<uint32_t>(Rlimit::kCount)) return Errno::kEINVAL;
  const Rlimit r = static_cast<Rlimit>(resource);
  if (set != nullptr) {
    if (set->cur > set->max) return Errno::kEINVAL;
    if (r == Rlimit::kNofile && set->max > kNrOpen) return Errno::kEPERM;
  }
  RlimitPair& limit = of.signal->rlimits[r];
  if (set != nullptr && set->max > limit.max && !by.cred.cap_sys_resource) return Errno::kEPERM;
  if (old != nullptr) *old = {limit.cur, limit.max};
  if (set != nullptr) limit = {set->cur, set->max};
  return {};
}

// Linux: kernel/sys.c check_prlimit_permission()
bool MayPrlimit(const Task& by, const Task& of) {
  if (&by == &of) return true;
  const bool same = by.cred.uid == of.cred.uid && by.cred.gid == of.cred.gid;
  return same || by.cred.cap_sys_resource;
}

// SIGKILL ends the process; 0 asks whether it is there. Others depend on handlers.
int64_t KillTask(Call& call, Task* target, int signo) {
  constexpr int kNrSignals = 64;
  if (signo < 0 || signo > kNrSignals) return Call::Err(Errno::kEINVAL);
  if (target == nullptr) return Call::Err(Errno::kESRCH);
  if (call.task.cred.uid != 0 && call.task.cred.uid != target->cred.uid) return Call::Err(Errno::kEPERM);
  if (signo == 0) return 0;
  if (signo != kSigKill) return call.NotModelled();
  if (!target->IsAlive() && target->signal->live == 0) return 0;
  const bool self = target->signal == call.task.signal;
  call.kernel.Kill(*target, signo);
  return self ? call.NoReturn() : 0;
}

enum : uint64_t {
  kPrSetMmStartCode = 1,
  kPrSetMmEndCode,
  kPrSetMmStartData,
  kPrSetMmEndData,
  kPrSetMmStartStack,
  kPrSetMmStartBrk,
  kPrSetMmBrk,
  kPrSetMmArgStart,
  kPrSetMmArgEnd,
  kPrSetMmEnvStart,
  kPrSetMmEnvEnd,
  kPrSetMmAuxv,
  kPrSetMmExeFile,
  kPrSetMmMap,
  kPrSetMmMapSize
};

// The fields in question, in the order of the options.
struct MmMap {
  VirtAddr start_code, end_code, start_data, end_data, start_stack, start_brk, brk, arg_start, arg_end,
      env_start, env_end;
};

VirtAddr* FieldOf(MmMap& map, uint64_t option) {
  switch (option) {
    case kPrSetMmStartCode:
      return &map.start_code;
    case kPrSetMmEndCode:
      return &map.end_code;
    case kPrSetMmStartData:
      return &map.start_data;
    case kPrSetMmEndData:
      return &map.end_data;
    case kPrSetMmStartStack:
      return &map.start_stack;
    case kPrSetMmStartBrk:
      return &map.start_brk;
    case kPrSetMmBrk:
      return &map.brk;
    case kPrSetMmArgStart:
      return &map.arg_start;
    case kPrSetMmArgEnd:
      return &map.arg_end;
    case kPrSetMmEnvStart:
      return &map.env_start;
    case kPrSetMmEnvEnd:
      return &map.env_end;
    default:
      return nullptr;
  }
}

// Linux: kernel/sys.c validate_prctl_map_addr()
bool ValidMap(const Call& call, const MmMap& m) {
  const uint64_t min = call.kernel.sysctls().mmap_min_addr, max = call.task.mm->task_size;
  for (VirtAddr a : {m.start_code, m.end_code, m.start_data, m.end_data, m.start_stack, m.start_brk, m.brk,
                     m.arg_start, m.arg_end, m.env_start, m.env_end}) {
    if (a.value >= max || a.value < min) return false;
  }
  if (m.start_code >= m.end_code || m.start_data > m.end_data || m.start_brk > m.brk ||
      m.arg_start > m.arg_end || m.env_start > m.env_end) {
    return false;
  }
  const uint64_t limit = call.task.signal->rlimits.Cur(Rlimit::kData);
  return limit == kRlimInfinity || (m.brk - m.start_brk) + (m.end_data - m.start_data) <= limit;
}

// Linux: kernel/sys.c prctl_set_mm()
int64_t PrctlSetMm(Call& call) {
  const uint64_t option = static_cast<uint32_t>(call.U(1)), addr = call.U(2);
  if (call.U(4) != 0) return Call::Err(Errno::kEINVAL);
  if (call.U(3) != 0 && option != kPrSetMmAuxv && option != kPrSetMmMap && option != kPrSetMmMapSize) {
    return Call::Err(Errno::kEINVAL);
  }
  if (option == kPrSetMmMap || option == kPrSetMmMapSize) return call.NotModelled();
  if (!call.task.cred.cap_sys_resource) return Call::Err(Errno::kEPERM);
  if (option == kPrSetMmAuxv || option == kPrSetMmExeFile) return call.NotModelled();
  Mm& mm = call.mm();
  if (addr >= mm.task_size || addr < call.kernel.sysctls().mmap_min_addr) return Call::Err(Errno::kEINVAL);
  MmMap map{mm.start_code, mm.end_code,  mm.start_data, mm.end_data,  mm.start_stack, mm.start_brk,
            mm.brk,        mm.arg_start, mm.arg_end,    mm.env_start, mm.env_end};
  VirtAddr* field = FieldOf(map, option);
  if (field == nullptr) return Call::Err(Errno::kEINVAL);
  *field = VirtAddr(addr);
  if (!ValidMap(call, map)) return Call::Err(Errno::kEINVAL);
  const bool on_stack =
      option == kPrSetMmStartStack || (option >= kPrSetMmArgStart && option <= kPrSetMmEnvEnd);
  if (on_stack && mm.vmas.Find(VirtAddr(addr)) == nullptr) return Call::Err(Errno::kEFAULT);
  mm.start_code = map.start_code;
  mm.end_code = map.end_code;
  mm.start_data = map.start_data;
  mm.end_data = map.end_data;
  mm.start_stack = map.start_stack;
  mm.start_brk = map.start_brk;
  mm.brk = map.brk;
  mm.arg_start = map.arg_start;
  mm.arg_end = map.arg_end;
  mm.env_start = map.env_start;
  mm.env_end = map.env_end;
  return 0;
}

// Memory-deny-write-execute. Linux: kernel/sys.c get_current_mdwe()
constexpr uint64_t kMdweRefuseExecGain = 1, kMdweNoInherit = 2;
uint64_t CurrentMdwe(const Mm& mm) {
  return (mm.mdwe ? kMdweRefuseExecGain : 0) | (mm.mdwe_no_inherit ? kMdweNoInherit : 0);
}

// Linux: kernel/sys.c prctl_set_mdwe()
int64_t PrctlSetMdwe(Call& call) {
  const uint64_t bits = call.U(1);
  if (call.U(2) != 0 || call.U(3) != 0 || call.U(4) != 0) return Call::Err(Errno::kEINVAL);
  if (bits & ~(kMdweRefuseExecGain | kMdweNoInherit)) return Call::Err(Errno::kEINVAL);
  if (bits == kMdweNoInherit) return Call::Err(Errno::kEINVAL);
  Mm& mm = call.mm();
  const uint64_t current = CurrentMdwe(mm);
  if (current != 0 && current != bits) return Call::Err(Errno::kEPERM);  // not to be taken back
  if (bits & kMdweNoInherit) mm.mdwe_no_inherit = true;
  if (bits & kMdweRefuseExecGain) mm.mdwe = true;
  return 0;
}

}  // namespace

int64_t Do_getpid(Call& call) {
  return call.task.tgid;
}
int64_t Do_gettid(Call& call) {
  return call.task.pid;
}
int64_t Do_getppid(Call& call) {
  return call.task.parent == nullptr ? 1 : call.task.parent->tgid;
}

// Linux: kernel/sys.c SYSCALL_DEFINE4(prlimit64)
int64_t Do_prlimit64(Call& call) {
  UserRlimit set{}, old{};
  if (call.U(2) != 0 && !call.CopyIn(2, &set, sizeof(set))) return Call::Err(Errno::kEFAULT);
  Task* of = call.Int(0) == 0 ? &call.task : call.kernel.FindTask(call.Int(0));
  if (of == nullptr) return Call::Err(Errno::kESRCH);
  if (!MayPrlimit(call.task, *of)) return Call::Err(Errno::kEPERM);
  Status status = DoPrlimit(call.task, *of, call.Uint(1), call.U(2) != 0 ? &set : nullptr, &old);
  if (!status.ok()) return status.AsReturn();
  if (call.U(3) != 0 && !call.PutOut(3, old)) return Call::Err(Errno::kEFAULT);
  return 0;
}

int64_t Do_getrlimit(Call& call) {
  UserRlimit old{};
  Status status = DoPrlimit(call.task, call.task, call.Uint(0), nullptr, &old);
  if (!status.ok()) return status.AsReturn();
  return call.PutOut(1, old) ? 0 : Call::Err(Errno::kEFAULT);
}

int64_t Do_setrlimit(Call& call) {
  UserRlimit set{};
  if (!call.CopyIn(1, &set, sizeof(set))) return Call::Err(Errno::kEFAULT);
  return DoPrlimit(call.task, call.task, call.Uint(0), &set, nullptr).AsReturn();
}

// Linux: kernel/exec_domain.c SYSCALL_DEFINE1(personality)
int64_t Do_personality(Call& call) {
  const uint32_t old = call.task.personality;
  if (call.Uint(0) != 0xffffffff) call.task.personality = call.Uint(0);
  return old;
}

// Linux: kernel/sys.c SYSCALL_DEFINE5(prctl)
int64_t Do_prctl(Call& call) {
  enum : uint32_t {
    kSetName = 15,
    kGetName = 16,
    kSetMm = 35,
    kSetSubreaper = 36,
    kGetSubreaper = 37,
    kSetThpDisable = 41,
    kGetThpDisable = 42,
    kSetMdwe = 65,
    kGetMdwe = 66,
    kSetVma = 0x53564d41
  };
  constexpr size_t kCommLen = 16;
  Task& task = call.task;
  switch (call.Uint(0)) {
    case kSetName: {
      Result<std::string> name = call.CopyString(1, kCommLen);
      if (!name.ok() && name.error() == Errno::kEFAULT) return Call::Err(Errno::kEFAULT);
      if (name.ok()) task.comm = *name;
      return 0;
    }
    case kGetName: {
      char comm[kCommLen] = {};
      task.comm.copy(comm, kCommLen - 1);
      return call.CopyOut(1, comm, sizeof(comm)) ? 0 : Call::Err(Errno::kEFAULT);
    }
    case kSetMm:
      return PrctlSetMm(call);
    case kSetSubreaper:
      task.signal->is_child_subreaper = call.U(1) != 0;
      return 0;
    case kGetSubreaper: {
      const int32_t on = task.signal->is_child_subreaper ? 1 : 0;
      return call.PutOut(1, on) ? 0 : Call::Err(Errno::kEFAULT);
    }
    case kSetThpDisable:
      if (call.U(2) != 0 || call.U(3) != 0 || call.U(4) != 0) return Call::Err(Errno::kEINVAL);
      call.mm().thp_disabled = call.U(1) != 0;
      return 0;
    case kGetThpDisable:
      if (call.U(1) != 0 || call.U(2) != 0 || call.U(3) != 0 || call.U(4) != 0)
        return Call::Err(Errno::kEINVAL);
      return call.mm().thp_disabled ? 1 : 0;
    case kSetMdwe:
      return PrctlSetMdwe(call);
    case kGetMdwe:
      if (call.U(1) != 0 || call.U(2) != 0 || call.U(3) != 0 || call.U(4) != 0)
        return Call::Err(Errno::kEINVAL);
      return static_cast<int64_t>(CurrentMdwe(call.mm()));
    case kSetVma:
      return Call::Err(Errno::kEINVAL);  // no CONFIG_ANON_VMA_NAME
    default:
      return call.NotModelled();
  }
}

// Registers are not modelled: what is set is not kept. Linux: arch/x86/kernel/process_64.c do_arch_prctl_64()
int64_t Do_arch_prctl(Call& call) {
  constexpr uint32_t kSetGs = 0x1001, kSetFs = 0x1002, kGetFs = 0x1003, kGetGs = 0x1004, kMapVdso64 = 0x2003;
  switch (call.Uint(0)) {
    case kSetGs:
    case kSetFs:
      return call.U(1) >= call.mm().task_size ? Call::Err(Errno::kEPERM) : 0;
    case kGetFs:
    case kGetGs:
    case kMapVdso64:
      return call.NotModelled();
    default:
      return Call::Err(Errno::kEINVAL);
  }
}

int64_t Do_kill(Call& call) {
  const int pid = call.Int(0);
  if (pid <= 0) return call.NotModelled();  // process groups
  Task* target = call.kernel.FindTask(pid);
  return KillTask(call, target, call.Int(1));
}

int64_t Do_tkill(Call& call) {
  if (call.Int(0) <= 0) return Call::Err(Errno::kEINVAL);
  return KillTask(call, call.kernel.FindTask(call.Int(0)), call.Int(1));
}

int64_t Do_tgkill(Call& call) {
  if (call.Int(0) <= 0 || call.Int(1) <= 0) return Call::Err(Errno::kEINVAL);
  Task* target = call.kernel.FindTask(call.Int(1));
  if (target != nullptr && target->tgid != call.Int(0)) target = nullptr;
  return KillTask(call, target, call.Int(2));
}

}  // namespace mmsim
