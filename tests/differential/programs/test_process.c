// SPDX-License-Identifier: Apache-2.0
// Processes that exec, exit and share: the target's and the inspector's.
#include <time.h>

#include "selftest.h"

static const unsigned long kText = 0x400000;

static long DoTrack(long target, long start, long pages, long entries) {
  struct user_shadow_pt range = {(unsigned long)start, (unsigned long)(start + pages * (long)PAGE),
                                 (struct shadow_pte*)entries};
  const long ret = ShadowptOpen(target, &range);
  return ret != 0 ? ret : ShadowptStart();
}

static void CheckFree(void) {
  struct table table = Track(getpid(), ARENA, 4);
  Untrack(&table);
}

// ---- the target ----

static void TargetExecs(void) {
  struct actor target = ActorFork();
  struct table table = Track(target.pid, kText, 2048);
  CHECK_TRUE_TABLE(&table);
  CHECK_EQ(On(&target, DoMmap, kText + 1024 * PAGE, 64, PROT_READ | PROT_WRITE, 0), kText + 1024 * PAGE);
  CHECK_EQ(On(&target, DoTouch, kText + 1024 * PAGE, 64, 1, 0), 0);
  CHECK_TRUE_TABLE(&table);
  for (int i = 0; i < 3; ++i) {
    CHECK_EQ(On(&target, DoExec, target.box_fd, 0, 0, 0), 0);
    CHECK_TRUE_TABLE(&table);  // the old image has gone, the new one is there, and is followed
    CHECK_EQ(table.entries[1024].state_flags & SPTE_PTE_MAPPED, 0);
    CHECK_EQ(table.entries[1].state_flags & SPTE_VADDR_ALLOCATED, SPTE_VADDR_ALLOCATED);
    CHECK_EQ(On(&target, DoMmap, kText + 1024 * PAGE, 64, PROT_READ | PROT_WRITE, 0), kText + 1024 * PAGE);
    CHECK_EQ(On(&target, DoTouch, kText + 1024 * PAGE, 64, 1, 0), 0);
    CHECK_TRUE_TABLE(&table);
  }
  // The new stack, which exec itself moves.
  Untrack(&table);
  static char maps[1 << 14];
  unsigned long from = 0, to = 0;
  ReadMaps(target.pid, maps, sizeof maps);
  for (char* at = strtok(maps, "\n"); at != NULL; at = strtok(NULL, "\n")) {
    if (strstr(at, "[stack]") != NULL) sscanf(at, "%lx-%lx", &from, &to);
  }
  table = Track(target.pid, to - 2048 * PAGE, 2048);
  for (int i = 0; i < 3; ++i) {
    CHECK_EQ(On(&target, DoExec, target.box_fd, 0, 0, 0), 0);
    CHECK_TRUE_TABLE(&table);
  }
}

static void TargetExecsFromAThread(void) {
  struct actor thread = ActorNew(), target = ActorFork();
  thread.pid =
      (pid_t)On(&target, DoForkActor, thread.box_fd,
                CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM, 0, 0);
  CHECK(thread.pid > 0);
  struct table table = Track(target.pid, kText, 1024);
  CHECK_TRUE_TABLE(&table);
  CHECK_EQ(On(&thread, DoMmap, kText + 512 * PAGE, 8, PROT_READ | PROT_WRITE, 0), kText + 512 * PAGE);
  CHECK_EQ(On(&thread, DoTouch, kText + 512 * PAGE, 8, 1, 0), 0);
  CHECK_TRUE_TABLE(&table);
  Ask(&thread, DoExec, thread.box_fd, 0, 0, 0);
  while (!Answered(&thread)) usleep(1000);
  thread.pid = target.pid;  // who executes is the leader from then on
  CHECK_TRUE_TABLE(&table);
  CHECK_EQ(table.entries[512].state_flags & SPTE_PTE_MAPPED, 0);
  CHECK_EQ(On(&thread, DoMmap, kText + 512 * PAGE, 8, PROT_READ | PROT_WRITE, 0), kText + 512 * PAGE);
  CHECK_TRUE_TABLE(&table);
  CHECK_EQ(ShadowptStart(), 0);
  CHECK_TRUE_TABLE(&table);
}

// Its old address space, which another process still has, is tracked no more.
static void TargetExecsWhileItShares(void) {
  struct actor child = ActorNew(), target = ActorFork();
  child.pid = (pid_t)On(&target, DoForkActor, child.box_fd, CLONE_VM, 0, 0);
  struct table table = Track(target.pid, ARENA, 64);
  CHECK_EQ(On(&child, DoMmap, ARENA, 16, PROT_READ | PROT_WRITE, 0), ARENA);
  CHECK_EQ(On(&child, DoTouch, ARENA, 16, 1, 0), 0);
  CHECK_TRUE_TABLE(&table);
  CHECK_EQ(On(&target, DoExec, target.box_fd, 0, 0, 0), 0);
  CHECK_TRUE_TABLE(&table);
  CHECK_EQ(table.entries[0].state_flags, 0);
  CHECK_EQ(On(&child, DoMmap, ARENA + 32 * PAGE, 16, PROT_READ | PROT_WRITE, 0), ARENA + 32 * PAGE);
  CHECK_EQ(On(&child, DoTouch, ARENA, 8, 1, 0), 0);
  CHECK_EQ(table.entries[0].state_flags, 0);
  CHECK_EQ(table.entries[32].state_flags, 0);
  CHECK_EQ(On(&target, DoMmap, ARENA + 8 * PAGE, 1, PROT_READ | PROT_WRITE, 0), ARENA + 8 * PAGE);
  CHECK_TRUE_TABLE(&table);
  kill(child.pid, SIGKILL);
  usleep(20000);
  CHECK_TRUE_TABLE(&table);
}

static long DoBlockAndRaise(long signal_number, long a, long b, long c) {
  (void)a, (void)b, (void)c;
  uint64_t mask = 1ul << (signal_number - 1);
  Call(SYS_rt_sigprocmask, SIG_BLOCK, &mask, NULL, 8);
  return Call(SYS_kill, Call(SYS_getpid), signal_number);
}

// A pending signal makes neither start nor a following exec fail.
static void PendingSignals(void) {
  struct actor target = ActorFork();
  CHECK_EQ(On(&target, DoBlockAndRaise, SIGUSR1, 0, 0, 0), 0);
  CHECK_EQ(DoBlockAndRaise(SIGUSR2, 0, 0, 0), 0);
  // Unblocked and pending, too: stopped by a handler that never runs while the calls are made.
  struct table table = Track(target.pid, kText, 512);
  for (int i = 0; i < 3; ++i) {
    CHECK_EQ(ShadowptStart(), 0);
    CHECK_EQ(On(&target, DoExec, target.box_fd, 0, 0, 0), 0);
    CHECK_TRUE_TABLE(&table);
  }
}

static long DoExecMany(long box_fd, long rounds, long a, long b) {
  (void)a, (void)b;
  char fd[16], left[16];
  snprintf(fd, sizeof fd, "%ld", box_fd);
  snprintf(left, sizeof left, "%ld", rounds);
  char* argv[] = {(char*)"selftest", (char*)"--serve", fd, left, NULL};
  char* envp[] = {NULL};
  return Call(SYS_execve, "/proc/self/exe", argv, envp);
}

static long Microseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

// start while the target is in the middle of its exec, at each sixteenth of it. Once an exec, for the next
// start would mend what this one missed.
static void StartRacesExec(void) {
  struct actor target = ActorFork();
  struct table table = Track(target.pid, kText, 1024);
  const long begin = Microseconds();
  CHECK_EQ(On(&target, DoExec, target.box_fd, 0, 0, 0), 0);
  const long exec_takes = Microseconds() - begin;
  printf("    an exec takes %ld us\n", exec_takes);
  for (int round = 0; round < 64; ++round) {
    if (round % 2 == 0) CHECK_EQ(ShadowptStop(), 0);
    Ask(&target, DoExecMany, target.box_fd, 1 + round % 3, 0, 0);
    for (const long at = Microseconds(); Microseconds() - at < exec_takes * (round % 16) / 16;) continue;
    CHECK_EQ(ShadowptStart(), 0);
    while (!Answered(&target)) usleep(100);
    CHECK_TRUE_TABLE(&table);
    CHECK_EQ(On(&target, DoMmap, kText + 600 * PAGE, 8, PROT_READ | PROT_WRITE, 0), kText + 600 * PAGE);
    CHECK_TRUE_TABLE(&table);
  }
  Untrack(&table);
  ActorKill(&target);
}

static void CheckGone(struct table* table) {
  for (unsigned long i = 0; i < table->pages; ++i) {
    CHECK_EQ(table->entries[i].vaddr, table->start + i * PAGE);
    CHECK_EQ(table->entries[i].pfn, 0);
    CHECK_EQ(table->entries[i].state_flags, 0);
  }
}

static void TargetExits(void) {
  for (int way = 0; way < 2; ++way) {
    struct actor target = ActorFork();
    struct table table = Track(target.pid, ARENA, 64);
    CHECK_EQ(On(&target, DoMmap, ARENA, 16, PROT_READ | PROT_WRITE, 0), ARENA);
    CHECK_EQ(On(&target, DoTouch, ARENA, 16, 1, 0), 0);
    CHECK_TRUE_TABLE(&table);
    if (way == 0) {
      Ask(&target, DoExit, 0, 0, 0, 0);
      Reap(target.pid);
    } else {
      ActorKill(&target);
    }
    CheckGone(&table);
    char byte[PAGE];
    CHECK_EQ(ShadowptPageContents(0, byte), -EINVAL);
    CHECK_EQ(ShadowptStop(), 0);
    CHECK_EQ(ShadowptStart(), -ESRCH);
    CheckGone(&table);
    CHECK_EQ(ShadowptStop(), 0);
    Untrack(&table);
  }
}

// The last thread counts, not the leader; and not who else has the address space.
static void TargetExitsPieceByPiece(void) {
  struct actor thread = ActorNew(), child = ActorNew(), target = ActorFork();
  thread.pid =
      (pid_t)On(&target, DoForkActor, thread.box_fd,
                CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM, 0, 0);
  child.pid = (pid_t)On(&target, DoForkActor, child.box_fd, CLONE_VM, 0, 0);
  struct table table = Track(target.pid, ARENA, 64);
  CHECK_EQ(On(&thread, DoMmap, ARENA, 16, PROT_READ | PROT_WRITE, 0), ARENA);
  Ask(&target, DoCall, SYS_exit, 0, 0, 0);  // the leader becomes a zombie
  usleep(50000);
  CHECK_EQ(table.entries[0].state_flags, SPTE_VADDR_ALLOCATED | SPTE_VADDR_ANONYMOUS);
  CHECK_EQ(On(&thread, DoTouch, ARENA, 16, 1, 0), 0);
  CHECK_EQ(table.entries[0].state_flags, SPTE_VADDR_ALLOCATED | SPTE_VADDR_ANONYMOUS | SPTE_PTE_MAPPED);
  CHECK_EQ(ShadowptStart(), 0);
  Untrack(&table);
  table = Track(target.pid, ARENA, 64);  // a live process
  CHECK_EQ(table.entries[0].state_flags, SPTE_VADDR_ALLOCATED | SPTE_VADDR_ANONYMOUS | SPTE_PTE_MAPPED);
  Ask(&thread, DoCall, SYS_exit, 0, 0, 0);
  Reap(target.pid);
  CheckGone(&table);
  CHECK_EQ(On(&child, DoTouch, ARENA, 16, 1, 0), 0);
  CHECK_EQ(On(&child, DoMmap, ARENA + 32 * PAGE, 4, PROT_READ | PROT_WRITE, 0), ARENA + 32 * PAGE);
  CheckGone(&table);
  CHECK_EQ(ShadowptStart(), -ESRCH);
  CheckGone(&table);
  kill(child.pid, SIGKILL);
}

// A vfork child of the target works on its address space, and leaves it by exec.
static void TargetVforks(void) {
  struct actor child = ActorNew(), target = ActorFork();
  struct table table = Track(target.pid, ARENA, 64);
  Ask(&target, DoForkActor, child.box_fd, CLONE_VM | CLONE_VFORK, 0, 0);
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task/%d/children", target.pid, target.pid);
  while ((child.pid = (pid_t)ReadNumber(path, "")) <= 0) usleep(1000);
  CHECK_EQ(On(&child, DoMmap, ARENA, 16, PROT_READ | PROT_WRITE, 0), ARENA);
  CHECK_EQ(On(&child, DoTouch, ARENA, 16, 1, 0), 0);
  CHECK_TRUE_TABLE(&table);
  CHECK_EQ(table.entries[15].state_flags & SPTE_PTE_MAPPED, SPTE_PTE_MAPPED);
  CHECK_EQ(On(&child, DoExec, child.box_fd, 0, 0, 0), 0);
  while (!Answered(&target)) usleep(1000);
  CHECK_TRUE_TABLE(&table);
  CHECK_EQ(On(&target, DoCall, SYS_munmap, ARENA, 4 * PAGE, 0), 0);
  CHECK_TRUE_TABLE(&table);
  kill(child.pid, SIGKILL);
}

// ---- the inspector ----

static void* SharedEntries(void) {
  return EntriesMemory(MAX_PAGES * sizeof(struct shadow_pte));
}

// Killed when it has got as far as each step of a session, which it walks through without being asked.
static _Atomic int* progress;
static long DoSession(long target, long entries, long last_step, long a) {
  (void)a;
  struct user_shadow_pt range = {ARENA, ARENA + MAX_SPT_RANGE, (struct shadow_pte*)entries};
  for (;;) {
    for (int step = 0; step < 8; ++step) {
      atomic_store(progress, step);
      switch (step) {
        case 0:
          (void)ShadowptOpen(target, &range);
          break;
        case 1:
        case 3:
          (void)ShadowptStart();
          break;
        case 2:
          (void)ShadowptStop();
          break;
        case 4:
          (void)ShadowptPageContents(1, (void*)(entries - 3 * (long)PAGE));
          break;
        case 5:
          Call(SYS_mremap, entries, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, ARENA + (2ul << 30));
          break;
        case 6:
          (void)ShadowptClose();
          break;
        case 7: {
          const long size = MAX_PAGES * sizeof(struct shadow_pte);
          Call(SYS_mmap, entries, size, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1,
               0);
          break;
        }
      }
      if (last_step == step) return 0;
    }
  }
}

static void InspectorIsKilledAtEveryStep(void) {
  progress = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  char* entries = SharedEntries();
  struct actor target = ActorFork();
  CHECK_EQ(On(&target, DoMmap, ARENA, 1024, PROT_READ | PROT_WRITE, 0), ARENA);
  CHECK_EQ(On(&target, DoTouch, ARENA, 700, 1, 0), 0);
  for (int step = 0; step < 8; ++step) {
    struct actor inspector = ActorFork();
    CHECK_EQ(On(&inspector, DoSession, target.pid, entries, step, 0), 0);
    ActorKill(&inspector);
    CheckFree();
  }
  // And at any moment of it.
  for (int i = 0; i < 150; ++i) {
    struct actor inspector = ActorFork();
    Ask(&inspector, DoSession, target.pid, (long)entries, -1, 0);
    while (atomic_load(progress) != i % 8 && !Answered(&inspector)) continue;
    for (volatile int spin = i * 131 % 5000; spin > 0; --spin) continue;
    ActorKill(&inspector);
    CheckFree();
  }
}

static void InspectorExits(void) {
  for (int way = 0; way < 3; ++way) {
    char* entries = SharedEntries();
    struct actor inspector = ActorFork();
    CHECK_EQ(On(&inspector, DoTrack, getpid(), ARENA, 64, entries), 0);
    struct user_shadow_pt range = {ARENA, ARENA + PAGE, EntriesMemory(PAGE)};
    CHECK_EQ(ShadowptOpen(getpid(), &range), -EBUSY);
    switch (way) {
      case 0:
        Ask(&inspector, DoExit, 3, 0, 0, 0);
        break;
      case 1:
        kill(inspector.pid, SIGTERM);
        break;
      default:
        kill(inspector.pid, SIGKILL);
        break;
    }
    Reap(inspector.pid);
    CheckFree();
  }
}

static void InspectorsLastThreadCounts(void) {
  char* entries = SharedEntries();
  struct actor thread = ActorNew(), inspector = ActorFork();
  thread.pid =
      (pid_t)On(&inspector, DoForkActor, thread.box_fd,
                CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM, 0, 0);
  CHECK_EQ(On(&inspector, DoTrack, getpid(), ARENA, 64, entries), 0);
  Ask(&inspector, DoCall, SYS_exit, 0, 0, 0);
  usleep(30000);
  CHECK_EQ(On(&thread, DoCall, NR_SHADOWPT_START, 0, 0, 0), 0);
  Ask(&thread, DoCall, SYS_exit, 0, 0, 0);
  Reap(inspector.pid);
  CheckFree();
}

static long DoExecNothing(long a, long b, long c, long d) {
  (void)a, (void)b, (void)c, (void)d;
  char* argv[] = {NULL};
  return Call(SYS_execve, "/nowhere", argv, argv);
}

static void InspectorExecs(void) {
  char* entries = SharedEntries();
  struct actor inspector = ActorFork();
  CHECK_EQ(On(&inspector, DoTrack, getpid(), ARENA, 64, entries), 0);
  CHECK_EQ(On(&inspector, DoExecNothing, 0, 0, 0, 0), -ENOENT);  // a failed exec closes nothing
  CHECK_EQ(On(&inspector, DoCall, NR_SHADOWPT_STOP, 0, 0, 0), 0);
  CHECK_EQ(On(&inspector, DoExec, inspector.box_fd, 0, 0, 0), 0);
  CHECK_EQ(On(&inspector, DoCall, NR_SHADOWPT_STOP, 0, 0, 0), -EINVAL);
  CheckFree();
}

// It dies or executes while another process has its address space: the mapping goes from there as well.
static void InspectorSharesItsAddressSpace(void) {
  for (int way = 0; way < 2; ++way) {
    char* entries = SharedEntries();
    struct actor child = ActorNew(), inspector = ActorFork();
    child.pid = (pid_t)On(&inspector, DoForkActor, child.box_fd, CLONE_VM, 0, 0);
    CHECK_EQ(On(&inspector, DoTrack, getpid(), ARENA, 512, entries), 0);
    CHECK_EQ(On(&child, DoTouch, entries, 3, 0, 0), 0);
    if (way == 0) {
      ActorKill(&inspector);
    } else {
      CHECK_EQ(On(&inspector, DoExec, inspector.box_fd, 0, 0, 0), 0);
    }
    CheckFree();
    CHECK_EQ(On(&child, DoTouch, entries, 12, 1, 0), 0);
    kill(child.pid, SIGKILL);
  }
}

// It waits for its vfork child, and is killed. The child's exit or exec closes nothing; the inspector's death
// does.
static void InspectorVforksAndIsKilled(void) {
  for (int way = 0; way < 2; ++way) {
    char* entries = SharedEntries();
    struct actor child = ActorNew(), inspector = ActorFork();
    CHECK_EQ(On(&inspector, DoTrack, getpid(), ARENA, 512, entries), 0);
    Ask(&inspector, DoForkActor, child.box_fd, CLONE_VM | CLONE_VFORK, 0, 0);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", inspector.pid, inspector.pid);
    while ((child.pid = (pid_t)ReadNumber(path, "")) <= 0) usleep(1000);
    CHECK_EQ(On(&child, DoCall, NR_SHADOWPT_CLOSE, 0, 0, 0), -EPERM);
    CHECK_EQ(On(&child, DoTouch, entries, 3, 0, 0), 0);
    if (way == 0) {
      ActorKill(&inspector);
      CheckFree();
      CHECK_EQ(On(&child, DoTouch, entries, 12, 1, 0), 0);
      CheckFree();
      kill(child.pid, SIGKILL);
    } else {
      CHECK_EQ(On(&child, DoExec, child.box_fd, 0, 0, 0), 0);
      while (!Answered(&inspector)) usleep(1000);
      CHECK_EQ(On(&inspector, DoCall, NR_SHADOWPT_START, 0, 0, 0), 0);
      kill(child.pid, SIGKILL);
      usleep(20000);
      CHECK_EQ(On(&inspector, DoCall, NR_SHADOWPT_CLOSE, 0, 0, 0), 0);
    }
  }
}

// One's own process as target, the shadow itself in the range.
static void OneselfAsTarget(void) {
  char* room =
      mmap((void*)ARENA, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct shadow_pte* entries = (struct shadow_pte*)(room + 8 * PAGE);
  struct user_shadow_pt range = {ARENA, ARENA + 64 * PAGE, entries};
  CHECK_EQ(ShadowptOpen(getpid(), &range), 0);
  CHECK_EQ(ShadowptStart(), 0);
  CHECK_EQ(entries[8].state_flags, SPTE_VADDR_ALLOCATED | SPTE_VADDR_ANONYMOUS | SPTE_PTE_MAPPED);
  CHECK(entries[8].pfn != 0);
  char page[PAGE];
  CHECK_EQ(ShadowptPageContents(entries[8].pfn, page), -EINVAL);
  room[20 * PAGE] = 1;
  CHECK_EQ(entries[20].state_flags, SPTE_VADDR_ALLOCATED | SPTE_VADDR_ANONYMOUS | SPTE_PTE_MAPPED);
  const unsigned long pfn = entries[8].pfn;
  // It moves its own entries within the range.
  struct shadow_pte* moved = mremap(entries, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, room + 40 * PAGE);
  CHECK_EQ(moved, room + 40 * PAGE);
  CHECK_EQ(moved[8].state_flags, 0);
  CHECK_EQ(moved[40].pfn, pfn);
  CHECK_EQ(munmap(room, 4 * PAGE), 0);
  CHECK_EQ(moved[0].state_flags, 0);
  CHECK_EQ(ShadowptClose(), 0);
  CHECK_EQ(((char*)moved)[0], 0);
}

static void InspectorIsItsOwnTargetAndExecs(void) {
  char* entries = SharedEntries();
  struct actor self = ActorFork();
  CHECK_EQ(On(&self, DoTrack, self.pid, kText, 512, entries), 0);
  CHECK_EQ(On(&self, DoExec, self.box_fd, 0, 0, 0), 0);
  CheckFree();
  CHECK_EQ(On(&self, DoTrack, self.pid, kText, 512, entries), -EINVAL);  // gone with the old image
  ActorKill(&self);
  CheckFree();
}

const struct test process_tests[] = {
    {"process/target executes", TargetExecs},
    {"process/target executes from a thread", TargetExecsFromAThread},
    {"process/target executes while it shares", TargetExecsWhileItShares},
    {"process/pending signals", PendingSignals},
    {"process/start races exec", StartRacesExec},
    {"process/target exits", TargetExits},
    {"process/target exits piece by piece", TargetExitsPieceByPiece},
    {"process/target vforks", TargetVforks},
    {"process/inspector is killed at every step", InspectorIsKilledAtEveryStep},
    {"process/inspector exits", InspectorExits},
    {"process/inspector's last thread", InspectorsLastThreadCounts},
    {"process/inspector executes", InspectorExecs},
    {"process/inspector shares its address space", InspectorSharesItsAddressSpace},
    {"process/inspector vforks and is killed", InspectorVforksAndIsKilled},
    {"process/oneself as target", OneselfAsTarget},
    {"process/oneself executes", InspectorIsItsOwnTargetAndExecs},
    {NULL, NULL},
};
