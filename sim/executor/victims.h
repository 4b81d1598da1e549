// SPDX-License-Identifier: Apache-2.0
// The victims: processes under ptrace that run one stub at a time. Between steps every victim is stopped, but
// for one that stands still in a vfork, and everything that happened to any of them has been waited for.
#pragma once

#include "sys.h"
#include "uapi/observe.h"
#include "uapi/victim.h"

#define MAX_VICTIMS 256

enum victim_state {
  VICTIM_STOPPED,
  VICTIM_RUNNING,        // was set going, and will stop or end
  VICTIM_SUSPENDED,      // in a vfork whose child neither executed a program nor ended
  VICTIM_ZOMBIE_LEADER,  // called exit while other threads of its group live: not reported before they end
};

struct victim {
  uint32_t pid;
  uint32_t group;         // process id of the leader of its thread group
  uint32_t vfork_parent;  // process id of who waits in a vfork for this one; 0: nobody
  enum victim_state state;
  struct space* space;
  int interrupted;      // a SIGSTOP was sent because it took too long
  int stop_status;      // of wait4, of its last stop
  int executed;         // it executed a program since it was set going
  struct pt_regs regs;  // as of its last stop
};

struct victim* FindVictim(uint32_t pid);
// In the order in which they were made; NULL after the last.
struct victim* VictimAt(int index);
// Raised whenever a victim comes, goes, or changes its state or its space.
extern uint32_t victims_generation;

// The victims that ended since ForgetDead().
extern struct observe_died dead[MAX_VICTIMS];
extern int nr_dead;
void ForgetDead(void);

// A new victim; 0 or an enum observe_refusal.
int SpawnVictim(uint32_t pid, uint32_t flags);
// It and its whole thread group.
void KillVictim(struct victim* v);
void KillAllVictims(void);

// How a run of a stub ended.
struct run {
  enum observe_ending ending;
  int signo, signal_code;
  uint64_t fault_address;
  uint32_t wait_status;
  uint32_t made;
};
// Runs stub `stub` with v->regs (but for the program counter). ENDING_DONE: it reached its trap, or a program
// was executed; v->regs are the registers then.
struct run RunStub(struct victim* v, int stub);
// As RunStub, of the jump stub, and then of one instruction of where it jumps to.
struct run RunFetch(struct victim* v, uint64_t address);
// v calls exit, or every thread of its group ends: what must be waited for beside v itself.
void ExpectGroupToEnd(struct victim* v);
int HasThreads(const struct victim* v);
// Runs the call stub of a leader whose threads live on; it is not reported, and not waited for.
struct run RunLeaderExit(struct victim* v);
// Waits for what a signal to some victim may have done.
void SettleVictims(void);
