// SPDX-License-Identifier: Apache-2.0
// Everything at once, for a bounded time: targets of several threads that map, fault, fork and exec on all
// CPUs, openers that are killed in the middle of a session, memory pressure, khugepaged, KSM, compaction,
// migration between nodes, swapoff. Every now and then this program watches a target itself, stops it, and
// compares the entries with what /proc says. usage: stress [SECONDS [SEED]]
#include <sys/swap.h>
#include <time.h>

#include "selftest.h"

#define TARGETS 2
#define OPENERS 3
#define WATCHED 1536

struct shared {
  _Atomic int stop, pause;
  _Atomic long operations, execs, sessions, reads;
};

static struct shared* shared;
static int shared_fd, file_fd, zero_fd;

struct random {
  unsigned long state;
};

static unsigned long Next(struct random* random) {
  random->state = random->state * 6364136223846793005ul + 1442695040888963407ul;
  return random->state >> 33;
}

static unsigned long Below(struct random* random, unsigned long limit) {
  return Next(random) % limit;
}

// ---- a target ----

static void Advise(struct random* random, unsigned long addr, unsigned long size) {
  static const int kinds[] = {MADV_DONTNEED,       MADV_FREE,       MADV_PAGEOUT,  MADV_COLD,
                              MADV_HUGEPAGE,       MADV_NOHUGEPAGE, MADV_COLLAPSE, MADV_MERGEABLE,
                              MADV_POPULATE_WRITE, MADV_DONTNEED};
  Call(SYS_madvise, addr, size, kinds[Below(random, sizeof kinds / sizeof kinds[0])]);
}

static void MapSomething(struct random* random, unsigned long addr, unsigned long size) {
  switch (Below(random, 6)) {
    case 0:
      Call(SYS_mmap, addr, size, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_SHARED, file_fd, 0);
      break;
    case 1:
      Call(SYS_mmap, addr, size, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE, file_fd, 0);
      break;
    case 2:
      Call(SYS_mmap, addr & ~(PMD_BYTES - 1), PMD_BYTES, PROT_READ | PROT_WRITE,
           MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      break;
    default:
      Call(SYS_mmap, addr, size, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      break;
  }
}

// Touches memory through the kernel's copies, which fault as a user's access does but say -EFAULT where that
// would end the process.
static void Access(struct random* random, unsigned long addr, unsigned long size) {
  if (Below(random, 3) == 0) {
    for (unsigned long at = addr; at < addr + size; at += PAGE) Call(SYS_pwrite64, file_fd, at, 1, 5 * PAGE);
  } else {
    Call(SYS_read, zero_fd, addr, size);
  }
}

static void ForkAndTouch(struct random* random, unsigned long addr, unsigned long size) {
  const long pid = Call(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  if (pid == 0) {
    Access(random, addr, size);
    Call(SYS_exit_group, 0);
  }
  Access(random, addr, size);
  if (pid > 0) Call(SYS_wait4, pid, NULL, 0, NULL);
}

static long DoChaos(long seed, long rounds, long a, long b) {
  (void)a, (void)b;
  struct random random = {(unsigned long)seed * 0x9e3779b97f4a7c15ul + 99};
  for (long i = 0; i < rounds && atomic_load(&shared->stop) == 0; ++i) {
    const unsigned long pages = 1 + Below(&random, Below(&random, 4) == 0 ? 512 : 32);
    const unsigned long addr = ARENA + Below(&random, WATCHED) * PAGE, size = pages * PAGE;
    switch (Below(&random, 20)) {
      case 0:
      case 1:
        MapSomething(&random, addr, size);
        break;
      case 2:
        Call(SYS_munmap, addr, size);
        break;
      case 3:
      case 4:
      case 5:
      case 6:
        Advise(&random, addr, size);
        break;
      case 7:
        Call(SYS_mprotect, addr, size, Below(&random, 3) == 0 ? PROT_NONE : PROT_READ);
        break;
      case 8:
        Call(SYS_mprotect, addr, size, PROT_READ | PROT_WRITE);
        break;
      case 9:
        Call(SYS_mremap, addr, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
             ARENA + Below(&random, WATCHED) * PAGE);
        break;
      case 10: {
        const unsigned long from = addr & ~(PMD_BYTES - 1), to = ARENA + Below(&random, 3) * PMD_BYTES;
        Call(SYS_mremap, from, PMD_BYTES, PMD_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, to);
        break;
      }
      case 11:
        ForkAndTouch(&random, addr, size);
        break;
      case 12:
        Call(SYS_fallocate, file_fd, 3, Below(&random, 64) * PAGE, 8 * PAGE);
        break;
      default:
        Access(&random, addr, size);
        break;
    }
    atomic_fetch_add(&shared->operations, 1);
  }
  return 0;
}

static long DoExecTarget(long seed, long a, long b, long c) {
  (void)a, (void)b, (void)c;
  char fd[16], number[24];
  snprintf(fd, sizeof fd, "%d", shared_fd);
  snprintf(number, sizeof number, "%ld", seed);
  char* argv[] = {(char*)"stress", (char*)"--target", fd, number, NULL};
  char* envp[] = {NULL};
  return Call(SYS_execve, "/proc/self/exe", argv, envp);
}

static void TargetMain(int fd, long seed) {
  shared_fd = fd;
  shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  file_fd = memfd_create("file", MFD_CLOEXEC);
  zero_fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
  if (shared == MAP_FAILED || ftruncate(file_fd, 512 * PAGE) != 0) _exit(9);
  atomic_fetch_add(&shared->execs, 1);
  signal(SIGCHLD, SIG_DFL);
  struct random random = {(unsigned long)seed};
  struct actor threads[2] = {ActorThread(), ActorThread()};
  for (int i = 0; i < 2; ++i) {
    close(threads[i].box_fd);
    Ask(&threads[i], DoChaos, seed * 3 + i, 1l << 40, 0, 0);
  }
  DoChaos(seed * 3 + 2, 500 + (long)Below(&random, 3000), 0, 0);
  if (atomic_load(&shared->stop) != 0 || Below(&random, 4) == 0) Call(SYS_exit_group, 0);
  DoExecTarget(seed + 1000, 0, 0, 0);
  Call(SYS_exit_group, 8);
}

static pid_t StartTarget(long seed) {
  fflush(stdout);
  const pid_t pid = fork();
  if (pid == 0) {
    setpgid(0, 0);
    DoExecTarget(seed, 0, 0, 0);
    _exit(7);
  }
  return pid;
}

// ---- an opener ----

static void OpenerMain(const pid_t* targets, long seed) {
  struct random random = {(unsigned long)seed};
  static char page[PAGE];
  for (;;) {
    if (atomic_load(&shared->stop) != 0) _exit(0);
    if (atomic_load(&shared->pause) != 0) {
      usleep(1000);
      continue;
    }
    struct shadow_pte* entries = EntriesMemory(WATCHED * sizeof(struct shadow_pte));
    struct user_shadow_pt range = {ARENA, ARENA + WATCHED * PAGE, entries};
    const pid_t target = Below(&random, 8) == 0 ? getpid() : targets[Below(&random, TARGETS)];
    if (ShadowptOpen(target, &range) == 0) {
      atomic_fetch_add(&shared->sessions, 1);
      for (unsigned long i = Below(&random, 20); i > 0; --i) {
        switch (Below(&random, 5)) {
          case 0:
            (void)ShadowptStop();
            break;
          case 1:
          case 2:
            (void)ShadowptStart();
            break;
          default: {
            const volatile struct shadow_pte* entry = &entries[Below(&random, WATCHED)];
            if (ShadowptPageContents(entry->pfn, page) == 0) atomic_fetch_add(&shared->reads, 1);
            break;
          }
        }
      }
      if (Below(&random, 4) == 0) munmap(entries, PAGE);
      if (Below(&random, 4) == 0) {
        mremap((char*)entries + 2 * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, ARENA - (1ul << 30));
      }
      if (Below(&random, 8) != 0) (void)ShadowptClose();
    }
    munmap(entries, WATCHED * sizeof(struct shadow_pte));
    if (Below(&random, 30) == 0) _exit(0);
  }
}

// ---- pressure ----

static void PressureMain(long seed, long megabytes) {
  struct random random = {(unsigned long)seed};
  while (atomic_load(&shared->stop) == 0) {
    const size_t size = (size_t)megabytes << 20;
    char* memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) continue;
    for (size_t i = 0; i < size && atomic_load(&shared->stop) == 0; i += PAGE) memory[i] = (char)i;
    munmap(memory, size);
    WriteFile("/proc/sys/vm/compact_memory", "1");
    if (Below(&random, 3) == 0 && swapoff("/dev/ram0") == 0) swapon("/dev/ram0", 0);
    usleep(20000);
  }
  _exit(0);
}

static void MigrationMain(const pid_t* targets, long seed) {
  struct random random = {(unsigned long)seed};
  if (access("/sys/devices/system/node/node1", F_OK) != 0) _exit(0);
  while (atomic_load(&shared->stop) == 0) {
    void* pages[64];
    int nodes[64], status[64];
    for (int i = 0; i < 64; ++i) {
      pages[i] = (void*)(ARENA + Below(&random, WATCHED) * PAGE);
      nodes[i] = (int)Below(&random, 2);
    }
    Call(SYS_move_pages, targets[Below(&random, TARGETS)], 64, pages, nodes, status,
         4 /* also shared ones */);
    usleep(1000);
  }
  _exit(0);
}

// ---- the driver ----

static pid_t Spawn(void (*run)(const pid_t*, long), const pid_t* targets, long seed) {
  fflush(stdout);
  const pid_t pid = fork();
  if (pid == 0) run(targets, seed);
  return pid;
}

static void RunPressure(const pid_t* targets, long seed) {
  (void)targets;
  PressureMain(seed, ReadNumber("/proc/meminfo", "MemTotal:") / 1024 * 7 / 10);
}

static bool IsStopped(pid_t pid) {
  char path[64], text[512] = "";
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const ssize_t got = read(fd, text, sizeof text - 1);
  close(fd);
  const char* state = got > 0 ? strrchr(text, ')') : NULL;
  return state != NULL && state[2] == 'T';
}

// Watches one target for a while, stops it, compares. 1 when the entries were true, -1 when not, 0 when there
// was nothing to compare.
static int Check(pid_t target, unsigned milliseconds) {
  struct shadow_pte* entries = EntriesMemory(WATCHED * sizeof(struct shadow_pte));
  struct user_shadow_pt range = {ARENA, ARENA + WATCHED * PAGE, entries};
  int verdict = 0;
  long ret = -EBUSY;
  atomic_store(&shared->pause, 1);
  for (int i = 0; i < 2000 && (ret = ShadowptOpen(target, &range)) == -EBUSY; ++i) usleep(1000);
  atomic_store(&shared->pause, 0);
  if (ret == 0 && ShadowptStart() == 0) {
    usleep(milliseconds * 1000);
    kill(target, SIGSTOP);
    for (int i = 0; i < 3000 && !IsStopped(target); ++i) usleep(1000);
    if (IsStopped(target)) {
      usleep(5000);
      char text[256];
      verdict = Differs(target, entries, ARENA, WATCHED, 300, text, sizeof text) == 0 ? 1 : -1;
      if (verdict < 0) printf("    %s\n", text);
    }
    kill(target, SIGCONT);
  }
  if (ret == 0 && ShadowptClose() != 0) {
    printf("    close failed\n");
    verdict = -1;
  }
  munmap(entries, WATCHED * sizeof(struct shadow_pte));
  return verdict;
}

static void Daemons(bool on) {
  const char* const khugepaged = "/sys/kernel/mm/transparent_hugepage/khugepaged/";
  char path[128];
  snprintf(path, sizeof path, "%sscan_sleep_millisecs", khugepaged);
  WriteFile(path, on ? "5" : "10000");
  snprintf(path, sizeof path, "%salloc_sleep_millisecs", khugepaged);
  WriteFile(path, on ? "5" : "60000");
  WriteFile("/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled", on ? "madvise" : "never");
  WriteFile("/sys/kernel/mm/ksm/sleep_millisecs", "5");
  WriteFile("/sys/kernel/mm/ksm/pages_to_scan", "500");
  WriteFile("/sys/kernel/mm/ksm/run", on ? "1" : "2");
}

int main(int argc, char** argv) {
  if (argc >= 4 && strcmp(argv[1], "--target") == 0) TargetMain(atoi(argv[2]), atol(argv[3]));
  const long seconds = argc >= 2 ? atol(argv[1]) : 20, seed = argc >= 3 ? atol(argv[2]) : 1;
  shared_fd = memfd_create("shared", 0);
  if (shared_fd < 0 || ftruncate(shared_fd, PAGE) != 0) return 2;
  shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, shared_fd, 0);
  pid_t* targets = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pid_t openers[OPENERS];
  Daemons(true);
  long next_seed = seed * 100000;
  for (int i = 0; i < TARGETS; ++i) targets[i] = StartTarget(next_seed++);
  for (int i = 0; i < OPENERS; ++i) openers[i] = Spawn(OpenerMain, targets, next_seed++);
  const pid_t pressure = Spawn(RunPressure, targets, next_seed++);
  const pid_t migration = Spawn(MigrationMain, targets, next_seed++);
  struct random random = {(unsigned long)seed};
  const time_t end = time(NULL) + seconds;
  long checks = 0, wrong = 0;
  while (time(NULL) < end) {
    const int verdict = Check(targets[Below(&random, TARGETS)], (unsigned)Below(&random, 300));
    checks += verdict != 0 ? 1 : 0;
    wrong += verdict < 0 ? 1 : 0;
    usleep((unsigned)Below(&random, 200000));
    kill(openers[Below(&random, OPENERS)], SIGKILL);
    int status;
    pid_t gone;
    while ((gone = waitpid(-1, &status, WNOHANG)) > 0) {
      for (int i = 0; i < TARGETS; ++i) {
        if (gone == targets[i]) targets[i] = StartTarget(next_seed++);
      }
      for (int i = 0; i < OPENERS; ++i) {
        if (gone == openers[i]) openers[i] = Spawn(OpenerMain, targets, next_seed++);
      }
    }
  }
  atomic_store(&shared->stop, 1);
  for (int i = 0; i < TARGETS; ++i) kill(targets[i], SIGKILL);
  for (int i = 0; i < OPENERS; ++i) kill(openers[i], SIGKILL);
  kill(pressure, SIGKILL);
  kill(migration, SIGKILL);
  while (waitpid(-1, NULL, 0) > 0) continue;
  Daemons(false);
  struct user_shadow_pt range = {ARENA, ARENA + PAGE, EntriesMemory(PAGE)};
  const bool is_free = ShadowptOpen(getpid(), &range) == 0 && ShadowptClose() == 0;
  printf(
      "stress: seed %ld: %ld checks, %ld wrong, %ld operations, %ld programs, %ld sessions, %ld pages "
      "read%s\n",
      seed, checks, wrong, (long)shared->operations, (long)shared->execs, (long)shared->sessions,
      (long)shared->reads, is_free ? "" : ", the table is NOT free afterwards");
  return wrong == 0 && checks > 0 && is_free ? 0 : 1;
}
