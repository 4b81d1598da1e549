// SPDX-License-Identifier: Apache-2.0
// See victims.h. One wait4(-1) loop sees every stop and every end; Handle*() turn each into a change of
// state.
#include "victims.h"

#include <linux/elf.h>
#include <linux/ptrace.h>
#include <linux/sched.h>

#include "files.h"
#include "spaces.h"

#define WAIT_ALL 0x40000000
#define WAIT_NOHANG 1
#define TICK_MS 250
#define TICKS_TO_BLOCK 4
#define SIGNALS_ALL 8  // bytes of a signal set
// SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS, SIGSTOP; the others (SIGCHLD above all) would only get in
// the way.
#define SIGNALS_LET_THROUGH (1ul << 3 | 1ul << 4 | 1ul << 6 | 1ul << 7 | 1ul << 10 | 1ul << 30 | 1ul << 18)

struct observe_died dead[MAX_VICTIMS];
int nr_dead;
uint32_t victims_generation = 1;

static struct victim victims[MAX_VICTIMS];
static int nr_victims, nr_running;
static uint32_t early[MAX_VICTIMS];  // children that stopped before their parent's event was seen
static int nr_early;
static uint32_t made;  // by the step that runs
static uint32_t
    executed_as;  // the leader whose process id the stepped thread took when it executed a program
static volatile int ticks;

static long Ptrace(long request, uint32_t pid, unsigned long addr, unsigned long data) {
  return CALL4(__NR_ptrace, request, pid, addr, data);
}

struct victim* FindVictim(uint32_t pid) {
  for (int i = 0; i < nr_victims; ++i)
    if (victims[i].pid == pid) return &victims[i];
  return 0;
}

struct victim* VictimAt(int index) {
  return index < nr_victims ? &victims[index] : 0;
}

static void SetState(struct victim* v, enum victim_state state) {
  nr_running += (state == VICTIM_RUNNING) - (v->state == VICTIM_RUNNING);
  if (state != v->state && (state == VICTIM_SUSPENDED || v->state == VICTIM_SUSPENDED)) ++victims_generation;
  v->state = state;
}

static struct victim* AddVictim(uint32_t pid, uint32_t group, struct space* space) {
  if (nr_victims == MAX_VICTIMS) Die("too many victims:", nr_victims);
  struct victim* v = &victims[nr_victims++];
  *v = (struct victim){.pid = pid, .group = group, .state = VICTIM_STOPPED, .space = space};
  ++victims_generation;
  return v;
}

// The thread `pid` is gone, and waits for no child's end any more; who has that id later is somebody else.
static void ForgetWaiter(uint32_t pid) {
  for (int i = 0; i < nr_victims; ++i)
    if (victims[i].vfork_parent == pid) victims[i].vfork_parent = 0;
}

// Keeps the order of the others; pointers to later victims become stale.
static void RemoveVictim(struct victim* v) {
  SetState(v, VICTIM_STOPPED);
  ForgetWaiter(v->pid);
  LeaveSpace(v->space, v->pid);
  const int index = (int)(v - victims);
  for (int i = index; i + 1 < nr_victims; ++i) victims[i] = victims[i + 1];
  --nr_victims;
  ++victims_generation;
}

// Whoever stood still in a vfork for `pid` goes on.
static void EndVfork(struct victim* v) {
  struct victim* parent = v->vfork_parent ? FindVictim(v->vfork_parent) : 0;
  if (parent && parent->state == VICTIM_SUSPENDED) SetState(parent, VICTIM_RUNNING);
  v->vfork_parent = 0;
}

static void HandleEnd(struct victim* v, int status) {
  EndVfork(v);
  // The end of a leader that called exit long ago was reported then.
  if (v->state != VICTIM_ZOMBIE_LEADER && nr_dead < MAX_VICTIMS)
    dead[nr_dead++] = (struct observe_died){v->pid, (uint32_t)status};
  RemoveVictim(v);
}

static void Resume(struct victim* v, long request) {
  const long error = Ptrace(request, v->pid, 0, 0);
  if (error < 0) Say("a victim could not be set going:", error);
}

static void WaitForFirstStop(uint32_t pid) {
  for (int i = 0; i < nr_early; ++i) {
    if (early[i] != pid) continue;
    early[i] = early[--nr_early];
    return;
  }
  int status;
  while (CALL4(__NR_wait4, pid, &status, WAIT_ALL, 0) == -ERR_INTR) continue;
}

static void HandleFork(struct victim* v, int event) {
  unsigned long child_pid = 0;
  Ptrace(PTRACE_GETEVENTMSG, v->pid, 0, (unsigned long)&child_pid);
  const uint32_t pid = (uint32_t)child_pid;
  WaitForFirstStop(pid);
  const int same_vm = CALL5(__NR_kcmp, v->pid, pid, 1 /* KCMP_VM */, 0, 0) == 0;
  const int same_group = CALL3(__NR_tgkill, v->group, pid, 0) == 0;
  struct space* space = v->space;
  if (same_vm)
    JoinSpace(space);
  else
    space = NewSpace();
  struct victim* child = AddVictim(pid, same_group ? v->group : pid, space);
  made = pid;
  if (event == PTRACE_EVENT_VFORK) {
    child->vfork_parent = v->pid;
    SetState(v, VICTIM_SUSPENDED);
  }
  Resume(v, PTRACE_CONT);
}

// v->pid is what the kernel reports: the leader's, whichever thread executed the program.
static void HandleExec(struct victim* v) {
  unsigned long former = 0;
  Ptrace(PTRACE_GETEVENTMSG, v->pid, 0, (unsigned long)&former);
  if ((uint32_t)former != v->pid) {
    struct victim* caller = FindVictim((uint32_t)former);
    if (caller) {
      EndVfork(v);  // the leader that had the process id until now has ended
      ForgetWaiter(v->pid);
      v->vfork_parent = caller->vfork_parent;
      RemoveVictim(caller);
      v = FindVictim(v->pid);
    }
    SetState(v, VICTIM_RUNNING);
    executed_as = v->pid;
  }
  LeaveSpace(v->space, v->pid);
  v->space = NewSpace();
  v->executed = 1;
  ++victims_generation;
  EndVfork(v);
  // It stops on its way to the program's first instruction, whatever the program is.
  CALL3(__NR_tgkill, v->group, v->pid, 19 /* SIGSTOP */);
  Resume(v, PTRACE_CONT);
}

static void HandleWait(uint32_t pid, int status) {
  struct victim* v = FindVictim(pid);
  const int stopped = (status & 0xff) == 0x7f;
  if (!v) {
    if (stopped && nr_early < MAX_VICTIMS) early[nr_early++] = pid;
    return;  // or an orphan of a victim that was waited for as a victim already
  }
  if (!stopped) {
    HandleEnd(v, status);
    return;
  }
  const int event = status >> 16, signo = status >> 8 & 0xff;
  if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE) {
    HandleFork(v, event);
  } else if (event == PTRACE_EVENT_EXEC) {
    HandleExec(v);
  } else if (signo == 19 && !v->executed && v->interrupted == 2) {
    v->interrupted = 0;  // the SIGSTOP of an interruption that came too late
    Resume(v, PTRACE_CONT);
  } else {
    if (v->interrupted == 1 && signo != 19) v->interrupted = 2;
    v->stop_status = status;
    SetState(v, VICTIM_STOPPED);
  }
}

static void InterruptRunning(void) {
  for (int i = 0; i < nr_victims; ++i) {
    struct victim* v = &victims[i];
    if (v->state != VICTIM_RUNNING || v->interrupted) continue;
    v->interrupted = 1;
    CALL3(__NR_tgkill, v->group, v->pid, 19);
  }
}

// Until nobody runs.
static void WaitForAll(void) {
  ticks = 0;
  while (nr_running > 0) {
    int status;
    const long pid = CALL4(__NR_wait4, -1, &status, WAIT_ALL, 0);
    if (pid > 0) {
      HandleWait((uint32_t)pid, status);
    } else if (pid == -ERR_INTR) {
      if (ticks >= TICKS_TO_BLOCK) InterruptRunning();
    } else {
      Die("waiting for the victims failed:", pid);
    }
  }
}

// As /proc/PID/stat says it, 't' for one that stands in a stop.
static char StateInProc(uint32_t pid) {
  struct text t;
  char line[96];
  const long n = ReadWholeFile(ProcPath(&t, pid, "stat"), line, sizeof(line));
  for (long i = 0; i + 2 < n; ++i)
    if (line[i] == ')') return line[i + 2];
  return 'X';
}

void SettleVictims(void) {
  for (int i = 0; i < nr_victims; ++i) {
    struct victim* v = &victims[i];
    if (v->state != VICTIM_STOPPED && v->state != VICTIM_SUSPENDED) continue;
    const char state = StateInProc(v->pid);
    if (state != 't' && !(v->state == VICTIM_SUSPENDED && state == 'D')) SetState(v, VICTIM_RUNNING);
  }
  WaitForAll();
}

void ForgetDead(void) {
  nr_dead = 0;
}

/* ---- spawning ---- */

static void CountTick(int signo) {
  (void)signo;
  ++ticks;
}

// Once: a tick interrupts wait4, so that a call that blocks is noticed.
static void StartTicks(void) {
  static int started;
  if (started) return;
  started = 1;
  struct {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
  } action = {CountTick, ARCH_SA_RESTORER, SignalReturn, 0};
  struct {
    long sec, usec;
  } interval[2] = {{0, TICK_MS * 1000}, {0, TICK_MS * 1000}};
  CALL4(__NR_rt_sigaction, 14 /* SIGALRM */, &action, 0, 8);
  CALL3(__NR_setitimer, 0, interval, 0);
}

// Runs in the child, in the executor's memory, while the executor waits.
static void BecomeVictim(void* flags) {
  const uint64_t mask = ~SIGNALS_LET_THROUGH;
  static const char* const argv[] = {"/victim", 0};
  static const char* const envp[] = {0};
  CALL4(__NR_rt_sigprocmask, 2 /* SIG_SETMASK */, &mask, 0, SIGNALS_ALL);
  CALL1(__NR_chdir, "/tmp");
  if (!((uintptr_t)flags & OBSERVE_SPAWN_PRIVILEGED)) {
    CALL2(__NR_setgroups, 0, 0);
    CALL3(__NR_setresgid, 1000, 1000, 1000);
    CALL3(__NR_setresuid, 1000, 1000, 1000);
  }
  CALL1(__NR_personality, 0x0040000 /* ADDR_NO_RANDOMIZE */);
  Ptrace(PTRACE_TRACEME, 0, 0, 0);
  CALL3(__NR_execve, argv[0], argv, envp);
  CALL1(__NR_exit_group, 127);
}

int SpawnVictim(uint32_t pid, uint32_t flags) {
  static char stack[4096] __attribute__((aligned(16)));
  StartTicks();
  if (nr_victims == MAX_VICTIMS) return OBSERVE_REFUSED_LIMIT;
  int32_t set_tid = (int32_t)pid;
  struct clone_args args = {
      .flags = CLONE_VM | CLONE_VFORK,
      .exit_signal = 17,  // SIGCHLD
      .stack = (uintptr_t)stack,
      .stack_size = sizeof(stack),
      .set_tid = (uintptr_t)&set_tid,
      .set_tid_size = pid != 0,
  };
  const long child = CloneChild(&args, sizeof(args), BecomeVictim, (void*)(uintptr_t)flags);
  if (child < 0) return child == -ERR_EXIST ? OBSERVE_REFUSED_EXISTS : OBSERVE_REFUSED_INTERNAL;
  int status = 0;
  while (CALL4(__NR_wait4, child, &status, WAIT_ALL, 0) == -ERR_INTR) continue;
  if ((status & 0xff) != 0x7f) {
    Say("a victim ended before it executed its program:", status);
    return OBSERVE_REFUSED_INTERNAL;
  }
  Ptrace(PTRACE_SETOPTIONS, (uint32_t)child, 0,
         PTRACE_O_EXITKILL | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
             PTRACE_O_TRACEEXEC);
  struct victim* v = AddVictim((uint32_t)child, (uint32_t)child, NewSpace());
  v->stop_status = status;
  return 0;
}

void ExpectGroupToEnd(struct victim* v) {
  for (int i = 0; i < nr_victims; ++i)
    if (victims[i].group == v->group && victims[i].state != VICTIM_ZOMBIE_LEADER)
      SetState(&victims[i], VICTIM_RUNNING);
}

int HasThreads(const struct victim* v) {
  for (int i = 0; i < nr_victims; ++i)
    if (victims[i].group == v->group && victims[i].pid != v->pid) return 1;
  return 0;
}

void KillVictim(struct victim* v) {
  ExpectGroupToEnd(v);
  CALL2(__NR_kill, v->group, 9);
  WaitForAll();
}

void KillAllVictims(void) {
  CALL2(__NR_kill, -1, 9);
  int status;
  long pid;
  do pid = CALL4(__NR_wait4, -1, &status, WAIT_ALL, 0);
  while (pid > 0 || pid == -ERR_INTR);
  while (nr_victims > 0) RemoveVictim(&victims[nr_victims - 1]);
  nr_running = nr_early = 0;
  ForgetDead();
}

/* ---- running ---- */

static int GetRegs(struct victim* v) {
  struct {
    void* base;
    size_t length;
  } io = {&v->regs, sizeof(v->regs)};
  return Ptrace(PTRACE_GETREGSET, v->pid, NT_PRSTATUS, (unsigned long)&io) >= 0;
}

// `step`: one instruction.
static void Run(struct victim* v, uint64_t pc, int step) {
  SetPc(&v->regs, pc);
  SetStep(&v->regs, step);
  struct {
    void* base;
    size_t length;
  } io = {&v->regs, sizeof(v->regs)};
  const long error = Ptrace(PTRACE_SETREGSET, v->pid, NT_PRSTATUS, (unsigned long)&io);
  if (error < 0) Say("setting a victim's registers failed:", error);
  v->executed = 0;
  if (v->interrupted != 2) v->interrupted = 0;
  made = executed_as = 0;
  SetState(v, VICTIM_RUNNING);
  Resume(v, step ? ARCH_STEP_REQUEST : PTRACE_CONT);
}

// What the stop of the victim `pid` after Run() means. `trap`: where its stub's trap is.
static struct run Explain(uint32_t pid, uint64_t trap) {
  struct run run = {.ending = OBSERVE_ENDING_DONE, .made = made};
  struct victim* v = FindVictim(pid);
  if (!v) {
    run.ending = OBSERVE_ENDING_DIED;
    for (int i = 0; i < nr_dead; ++i)
      if (dead[i].process == pid) run.wait_status = dead[i].wait_status;
    return run;
  }
  if (v->state == VICTIM_SUSPENDED) {
    run.ending = OBSERVE_ENDING_SUSPENDED;
    return run;
  }
  GetRegs(v);
  const int signo = v->stop_status >> 8 & 0xff;
  if (v->executed || (signo == 5 && RegPc(&v->regs) == PcAfterTrap(trap))) return run;
  if (signo == 19 && v->interrupted) {
    v->interrupted = 0;
    run.ending = OBSERVE_ENDING_BLOCKED;
    return run;
  }
  struct {  // siginfo_t, whose si_addr is a macro that would rename ours
    int32_t signo, error, code, padding;
    uint64_t address;
    uint8_t rest[104];
  } info = {0};
  Ptrace(PTRACE_GETSIGINFO, pid, 0, (unsigned long)&info);
  run.ending = OBSERVE_ENDING_SIGNAL;
  run.signo = signo;
  run.signal_code = info.code;
  run.fault_address = info.address;
  return run;
}

struct run RunStub(struct victim* v, int stub) {
  const uint32_t pid = v->pid;
  Run(v, VICTIM_STUB(stub), 0);
  WaitForAll();
  // A thread that executed a program goes on under its leader's process id.
  return Explain(executed_as ? executed_as : pid, VICTIM_STUB(stub) + kStubLength[stub]);
}

struct run RunLeaderExit(struct victim* v) {
  const uint32_t status = 0;
  Run(v, VICTIM_STUB(VICTIM_CALL), 0);
  SetState(v, VICTIM_ZOMBIE_LEADER);
  EndVfork(v);
  ++victims_generation;
  for (int i = 0; i < 1000 && StateInProc(v->pid) != 'Z'; ++i) SleepMs(1);
  if (nr_dead < MAX_VICTIMS) dead[nr_dead++] = (struct observe_died){v->pid, status};
  return (struct run){.ending = OBSERVE_ENDING_DIED, .wait_status = status};
}

struct run RunFetch(struct victim* v, uint64_t address) {
  const uint32_t pid = v->pid;
  // A victim that a fork made and that has not run yet would take no step: the trap flag is without effect
  // there.
  RunStub(v, VICTIM_ENTRY);
  SetAccess(&v->regs, address, 0);
  Run(v, VICTIM_STUB(VICTIM_JUMP), 1);
  WaitForAll();
  struct run run = Explain(pid, 0);
  if (run.ending != OBSERVE_ENDING_SIGNAL || run.signo != 5 || RegPc(&v->regs) != address) return run;
  SetNowhere(&v->regs);
  Run(v, address, 1);
  WaitForAll();
  run = Explain(pid, 0);
  // The signal is the fetch's when it names the instruction; anything else is the instruction's own doing.
  if (run.ending == OBSERVE_ENDING_SIGNAL && (run.signo == 11 || run.signo == 7) &&
      run.fault_address >= address && run.fault_address - address < 16)
    return run;
  if (run.ending == OBSERVE_ENDING_SIGNAL) run = (struct run){.ending = OBSERVE_ENDING_DONE};
  return run;
}
