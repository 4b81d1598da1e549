// SPDX-License-Identifier: Apache-2.0
// What the self-test is written with: actors (processes and threads that carry out functions on demand), the
// truth about a process's pages from /proc, and tests that each run in a process of their own.
#ifndef MMSIM_TESTS_DIFFERENTIAL_PROGRAMS_LAB_H
#define MMSIM_TESTS_DIFFERENTIAL_PROGRAMS_LAB_H

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"

#define PAGE 4096ul
#define PMD_BYTES (512 * PAGE)
#define MAX_PAGES (MAX_SPT_RANGE / PAGE)

// ---- judging ----

// Ends the test's process, saying where and why.
void Fail(const char* file, int line, const char* format, ...)
    __attribute__((noreturn, format(printf, 3, 4)));

#define CHECK(condition)                                                    \
  do {                                                                      \
    if (!(condition)) Fail(__FILE__, __LINE__, "not true: %s", #condition); \
  } while (0)

#define CHECK_EQ(got, want)                                                                                  \
  do {                                                                                                       \
    long got_value = (long)(got), want_value = (long)(want);                                                 \
    if (got_value != want_value)                                                                             \
      Fail(__FILE__, __LINE__, "%s is %ld (0x%lx), not %ld (0x%lx)", #got, got_value, got_value, want_value, \
           want_value);                                                                                      \
  } while (0)

struct test {
  const char* name;
  void (*run)(void);
};

// Runs each test whose name contains `filter` in a process of its own. Returns how many failed. After each,
// the table must be free again.
int RunTests(const struct test* tests, const char* filter);

// ---- actors ----

struct mailbox {
  _Atomic uint32_t asked, answered;
  long (*function)(long, long, long, long);
  long args[4];
  long result;
};

struct actor {
  pid_t pid;
  int box_fd;  // the mailbox, for a program that the actor executes
  struct mailbox* box;
  void* stack;
};

struct actor ActorFork(void);
struct actor ActorThread(void);        // another thread of the caller's process
struct actor ActorClone(int flags);    // a process that the kernel makes with clone(flags | SIGCHLD)
struct actor ActorNew(void);           // a mailbox alone
void ActorServe(struct mailbox* box);  // what an actor does; returns never
// Carries `function` out in the actor. -ESRCH, and *died is set, when it ended before it answered.
long OnFull(struct actor* actor, bool* died, long (*function)(long, long, long, long), long a, long b, long c,
            long d);
void Ask(struct actor* actor, long (*function)(long, long, long, long), long a, long b, long c, long d);
bool Answered(struct actor* actor);
void ActorKill(struct actor* actor);  // SIGKILL, and reaps a process
int Reap(pid_t pid);                  // its wait status

#define On(actor, function, a, b, c, d) \
  OnFull(actor, NULL, function, (long)(a), (long)(b), (long)(c), (long)(d))

// The self-test's own program, started again by an actor: serves the mailbox behind file descriptor `fd`.
void ServeAfterExec(int fd) __attribute__((noreturn));

// ---- functions for actors ----
long DoTouch(long addr, long pages, long write, long unused);  // each page; write: 0 reads
long DoCall(long nr, long a, long b, long c);
long DoMmap(long addr, long pages, long prot,
            long flags);  // flags: MAP_ANONYMOUS|MAP_PRIVATE|MAP_FIXED added
long DoMmapFile(long addr, long pages, long flags, long fd);       // PROT_READ|PROT_WRITE, MAP_FIXED added
long DoMremap(long old, long old_pages, long new_pages, long to);  // to 0: stays, else moves there
long DoExec(long box_fd, long a, long b, long c);
long DoExit(long code, long a, long b, long c);
long DoForkActor(long box_fd, long flags, long a, long b);  // a child of the actor, with clone flags; its pid

// ---- the truth ----

void ReadMaps(pid_t pid, char* text, size_t size);
// What the entries must say, from /proc/PID/maps and pagemap. Pages of VM_PFNMAP mappings, which pagemap does
// not show, have state_flags ~0ul: not to be compared.
void Truth(pid_t pid, unsigned long start, unsigned long pages, struct shadow_pte* out);
// 0, or 1 and a description of the first difference. Compares again for a while before it says so when
// `patience`.
int Differs(pid_t pid, const struct shadow_pte* entries, unsigned long start, unsigned long pages,
            int patience, char* text, size_t size);
void CheckTruth(const char* file, int line, pid_t pid, const struct shadow_pte* entries, unsigned long start,
                unsigned long pages);
bool WriteFile(const char* path, const char* text);
size_t ReadAll(const char* path, char* text, size_t size);  // as a string; what is longer is cut
long ReadNumber(const char* path, const char* key);         // the number after `key` in a file
unsigned long FrameOf(pid_t pid, unsigned long addr);       // from pagemap; 0 when not present

// ---- a table, and the arena that tests track ----

struct table {
  struct shadow_pte* entries;
  unsigned long start, pages;
  pid_t target;
};

// Memory for `bytes` of entries, never touched, alone between two unmapped pages.
void* EntriesMemory(unsigned long bytes);
// Opens and starts; the open must succeed.
struct table Track(pid_t target, unsigned long start, unsigned long pages);
void Untrack(struct table* table);
#define CHECK_TRUE_TABLE(table) \
  CheckTruth(__FILE__, __LINE__, (table)->target, (table)->entries, (table)->start, (table)->pages)

// A range of MAX_SPT_RANGE bytes, aligned to 1 GiB, which nothing maps in this process or in its children.
#define ARENA 0x40000000000ul

#endif  // MMSIM_TESTS_DIFFERENTIAL_PROGRAMS_LAB_H
