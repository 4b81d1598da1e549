// SPDX-License-Identifier: Apache-2.0
// Changes of the target's page table entries, made by itself and by others.
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/swap.h>
#include <time.h>

#include "selftest.h"

static struct actor target;
static struct table table;

#define STEP(...)                         \
  do {                                    \
    CHECK(On(&target, __VA_ARGS__) >= 0); \
    CHECK_TRUE_TABLE(&table);             \
  } while (0)

#define MAPPED(i) ((table.entries[i].state_flags & SPTE_PTE_MAPPED) != 0)

static void Begin(unsigned long pages) {
  target = ActorFork();
  table = Track(target.pid, ARENA, pages);
}

static long DoCallCode(long addr, long a, long b, long c) {
  (void)a, (void)b, (void)c;
#if defined(__x86_64__)
  static const unsigned char ret[] = {0xc3};
#else
  static const unsigned char ret[] = {0xc0, 0x03, 0x5f, 0xd6};
#endif
  memcpy((void*)addr, ret, sizeof ret);
  __builtin___clear_cache((char*)addr, (char*)addr + 8);
  Call(SYS_mprotect, addr, PAGE, PROT_READ | PROT_EXEC);
  ((void (*)(void))addr)();
  return 0;
}

static void Faults(void) {
  Begin(64);
  STEP(DoMmap, ARENA, 32, PROT_READ | PROT_WRITE, 0);
  STEP(DoTouch, ARENA, 2, 0, 0);         // the zero page
  STEP(DoTouch, ARENA + PAGE, 2, 1, 0);  // replaced at the first write
  STEP(DoCallCode, ARENA + 4 * PAGE, 0, 0, 0);
  STEP(DoCall, SYS_mprotect, ARENA, 4 * PAGE, PROT_NONE);
  CHECK(MAPPED(1) && table.entries[1].pfn != 0);
  STEP(DoCall, SYS_mprotect, ARENA, 4 * PAGE, PROT_READ | PROT_WRITE);
  STEP(DoTouch, ARENA, 4, 1, 0);
  STEP(DoCall, SYS_madvise, ARENA + PAGE, PAGE, MADV_DONTNEED);
  CHECK(!MAPPED(1));
  STEP(DoMmap, ARENA + 40 * PAGE, 8, PROT_READ | PROT_WRITE, MAP_POPULATE);
  CHECK(MAPPED(47));
  STEP(DoCall, SYS_madvise, ARENA + 8 * PAGE, 4 * PAGE, MADV_POPULATE_READ);
  STEP(DoCall, SYS_madvise, ARENA + 8 * PAGE, 4 * PAGE, MADV_POPULATE_WRITE);
  STEP(DoCall, SYS_mlock, ARENA + 12 * PAGE, 4 * PAGE, 0);
  CHECK(MAPPED(15));
}

static void FilesAndHoles(void) {
  const int file = memfd_create("file", 0);
  CHECK_EQ(ftruncate(file, 64 * PAGE), 0);
  for (int i = 0; i < 64; ++i) CHECK_EQ(pwrite(file, "x", 1, i * (long)PAGE), 1);
  Begin(128);
  STEP(DoMmapFile, ARENA, 64, MAP_SHARED, file);
  STEP(DoTouch, ARENA + 20 * PAGE, 1, 0, 0);  // with what is around it
  STEP(DoTouch, ARENA + 40 * PAGE, 1, 1, 0);
  STEP(DoMmapFile, ARENA + 64 * PAGE, 64, MAP_PRIVATE, file);
  STEP(DoTouch, ARENA + 64 * PAGE, 64, 0, 0);
  STEP(DoTouch, ARENA + 70 * PAGE, 2, 1, 0);  // copies
  STEP(DoTouch, ARENA, 64, 1, 0);
  // By others: a hole, and a truncation.
  CHECK_EQ(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4 * (long)PAGE, 4 * (long)PAGE), 0);
  CHECK_TRUE_TABLE(&table);
  CHECK(!MAPPED(5) && !MAPPED(69) && MAPPED(70));
  CHECK_EQ(ftruncate(file, 32 * PAGE), 0);
  CHECK_TRUE_TABLE(&table);
  CHECK(!MAPPED(40) && !MAPPED(100));
  STEP(DoCall, SYS_madvise, ARENA + 16 * PAGE, 4 * PAGE, MADV_REMOVE);
  CHECK(!MAPPED(17));
}

static void CopyOnWrite(void) {
  struct actor child = ActorNew();
  Begin(32);
  STEP(DoMmap, ARENA, 16, PROT_READ | PROT_WRITE, 0);
  STEP(DoTouch, ARENA, 16, 1, 0);
  const unsigned long frame = table.entries[2].pfn;
  child.pid = (pid_t)On(&target, DoForkActor, child.box_fd, 0, 0, 0);
  CHECK(child.pid > 0);
  CHECK_TRUE_TABLE(&table);
  CHECK_EQ(table.entries[2].pfn, frame);  // fork changes nothing of the parent's
  CHECK_EQ(On(&child, DoTouch, ARENA, 2, 1, 0), 0);
  CHECK_TRUE_TABLE(&table);
  STEP(DoTouch, ARENA, 4, 1, 0);  // the parent copies, or keeps what the child left
  CHECK(table.entries[2].pfn != frame);
  CHECK_EQ(On(&child, DoCall, SYS_munmap, ARENA, 16 * PAGE, 0), 0);
  CHECK_TRUE_TABLE(&table);
  STEP(DoTouch, ARENA + 8 * PAGE, 2, 1, 0);
  kill(child.pid, SIGKILL);
}

static void WritesByOthers(void) {
  Begin(32);
  STEP(DoMmap, ARENA, 16, PROT_READ | PROT_WRITE, 0);
  struct iovec local = {"12345678", 8}, remote = {(void*)ARENA, 8};
  CHECK_EQ(process_vm_writev(target.pid, &local, 1, &remote, 1, 0), 8);
  CHECK_TRUE_TABLE(&table);
  CHECK(MAPPED(0));
  char buffer[8];
  local.iov_base = buffer;
  remote.iov_base = (void*)(ARENA + PAGE);
  CHECK_EQ(process_vm_readv(target.pid, &local, 1, &remote, 1, 0), 8);
  CHECK_TRUE_TABLE(&table);
  STEP(DoMmap, ARENA + 4 * PAGE, 1, PROT_READ, 0);
  CHECK_EQ(ptrace(PTRACE_SEIZE, target.pid, 0, 0), 0);
  CHECK_EQ(ptrace(PTRACE_INTERRUPT, target.pid, 0, 0), 0);
  Reap(target.pid);
  CHECK_EQ(ptrace(PTRACE_POKEDATA, target.pid, ARENA + 4 * PAGE, 7), 0);
  CHECK_TRUE_TABLE(&table);
  errno = 0;
  ptrace(PTRACE_PEEKDATA, target.pid, ARENA + 8 * PAGE, 0);
  CHECK_EQ(errno, 0);
  CHECK_TRUE_TABLE(&table);
  CHECK_EQ(ptrace(PTRACE_DETACH, target.pid, 0, 0), 0);
}

static void SwapOutAndIn(void) {
  Begin(64);
  STEP(DoMmap, ARENA, 32, PROT_READ | PROT_WRITE, 0);
  STEP(DoTouch, ARENA, 32, 1, 0);
  STEP(DoCall, SYS_madvise, ARENA, 16 * PAGE, MADV_PAGEOUT);
  CHECK(MAPPED(3) && table.entries[3].pfn == 0);
  STEP(DoTouch, ARENA, 2, 0, 0);
  STEP(DoTouch, ARENA + 2 * PAGE, 2, 1, 0);
  CHECK(table.entries[3].pfn != 0);
  // By another process.
  const int pidfd = (int)Call(SYS_pidfd_open, target.pid, 0);
  struct iovec range = {(void*)(ARENA + 16 * PAGE), 8 * PAGE};
  CHECK(Call(SYS_process_madvise, pidfd, &range, 1, MADV_PAGEOUT, 0) > 0);
  CHECK_TRUE_TABLE(&table);
  CHECK(MAPPED(17) && table.entries[17].pfn == 0);
  STEP(DoCall, SYS_madvise, ARENA + 18 * PAGE, 2 * PAGE, MADV_FREE);  // swap entries vanish
  CHECK(!MAPPED(18));
  STEP(DoCall, SYS_madvise, ARENA + 20 * PAGE, 2 * PAGE, MADV_DONTNEED);
  CHECK(!MAPPED(20));
  STEP(DoMremap, ARENA, 16, 16, ARENA + 40 * PAGE);  // some of them swapped out
  // Everything comes back, by another task.
  CHECK_EQ(swapoff("/dev/ram0"), 0);
  CHECK_TRUE_TABLE(&table);
  CHECK(MAPPED(17) && table.entries[17].pfn != 0);
  CHECK_EQ(swapon("/dev/ram0", 0), 0);
}

static void LazyFree(void) {
  Begin(32);
  STEP(DoMmap, ARENA, 16, PROT_READ | PROT_WRITE, 0);
  STEP(DoTouch, ARENA, 16, 1, 0);
  STEP(DoCall, SYS_madvise, ARENA, 16 * PAGE, MADV_FREE);
  CHECK(MAPPED(0));
  STEP(DoTouch, ARENA, 1, 1, 0);
  // Drains every CPU's LRU batches, which hold pages back.
  CHECK(WriteFile("/proc/sys/vm/compact_memory", "1"));
  CHECK_TRUE_TABLE(&table);
  STEP(DoCall, SYS_madvise, ARENA, 16 * PAGE, MADV_PAGEOUT);
  CHECK(!MAPPED(5));  // reclaimed without a trace
}

static long DoMovePages(long pid, long first, long count, long node) {
  void* pages[64];
  int nodes[64], status[64];
  for (long i = 0; i < count; ++i) {
    pages[i] = (void*)(first + i * (long)PAGE);
    nodes[i] = (int)node;
    status[i] = -1;
  }
  return Call(SYS_move_pages, pid, count, pages, nodes, status, 2 /* MPOL_MF_MOVE */);
}

static void Migration(void) {
  Begin(64);
  STEP(DoMmap, ARENA, 32, PROT_READ | PROT_WRITE, 0);
  STEP(DoTouch, ARENA, 32, 1, 0);
  if (access("/sys/devices/system/node/node1", F_OK) == 0) {
    const unsigned long frame0 = table.entries[0].pfn, frame1 = table.entries[1].pfn;
    CHECK_EQ(DoMovePages(target.pid, ARENA, 8, 0), 0);
    CHECK_TRUE_TABLE(&table);
    CHECK_EQ(DoMovePages(target.pid, ARENA, 8, 1), 0);
    CHECK_TRUE_TABLE(&table);
    CHECK(table.entries[0].pfn != frame0 || table.entries[1].pfn != frame1);
    CHECK_EQ(DoMovePages(target.pid, ARENA, 8, 0), 0);
    CHECK_TRUE_TABLE(&table);
  } else {
    printf("    (one node: move_pages left out)\n");
  }
  for (int i = 0; i < 3; ++i) {
    CHECK(WriteFile("/proc/sys/vm/compact_memory", "1"));
    CHECK_TRUE_TABLE(&table);
  }
}

static void SamePageMerging(void) {
  Begin(64);
  STEP(DoMmap, ARENA, 32, PROT_READ | PROT_WRITE, 0);
  for (int i = 0; i < 16; ++i) {
    CHECK_EQ(On(&target, DoTouch, ARENA + i * PAGE, 1, 7, 0), 0);
  }
  STEP(DoCall, SYS_madvise, ARENA, 16 * PAGE, MADV_MERGEABLE);
  CHECK(WriteFile("/sys/kernel/mm/ksm/sleep_millisecs", "0"));
  CHECK(WriteFile("/sys/kernel/mm/ksm/pages_to_scan", "1000"));
  CHECK(WriteFile("/sys/kernel/mm/ksm/run", "1"));
  for (int i = 0; i < 500 && ReadNumber("/sys/kernel/mm/ksm/pages_sharing", "") < 15; ++i) usleep(10000);
  CHECK(WriteFile("/sys/kernel/mm/ksm/run", "0"));
  CHECK(ReadNumber("/sys/kernel/mm/ksm/pages_sharing", "") >= 15);
  CHECK_TRUE_TABLE(&table);
  CHECK_EQ(table.entries[3].pfn, table.entries[9].pfn);
  STEP(DoTouch, ARENA, 4, 9, 0);
  CHECK(WriteFile("/sys/kernel/mm/ksm/run", "2"));  // unmerge everything
  CHECK_TRUE_TABLE(&table);
  CHECK(table.entries[8].pfn != table.entries[9].pfn);
  CHECK(WriteFile("/sys/kernel/mm/ksm/run", "0"));
}

// Pages of one VMA that a second actor tears down while a first puts them back: at rest the entries are true.
static long DoChurn(long addr, long pages, long rounds, long seed) {
  unsigned long state = (unsigned long)seed * 0x9e3779b97f4a7c15ul + 1;
  for (long i = 0; i < rounds; ++i) {
    state = state * 6364136223846793005ul + 1442695040888963407ul;
    const long at = addr + (long)(state >> 40) % pages * (long)PAGE;
    switch ((state >> 20) % 4) {
      case 0:
        Call(SYS_madvise, at, PAGE, MADV_DONTNEED);
        break;
      case 1:
        (void)*(volatile char*)at;
        break;
      default:
        *(volatile char*)at = 1;
        break;
    }
  }
  return 0;
}

static void Churn(void) {
  struct actor threads[3];
  for (int i = 0; i < 3; ++i) threads[i] = ActorNew();  // before the target, which inherits the mailboxes
  target = ActorFork();
  for (int i = 0; i < 3; ++i) {
    threads[i].pid = (pid_t)On(&target, DoForkActor, threads[i].box_fd, CLONE_VM, 0, 0);
  }
  table = Track(target.pid, ARENA, 64);
  CHECK_EQ(On(&target, DoMmap, ARENA, 40, PROT_READ | PROT_WRITE, 0), ARENA);
  const time_t enough = time(NULL) + 300;  // rounds take long in a kernel that checks itself
  for (int round = 0; round < 30 && time(NULL) < enough; ++round) {
    for (int i = 0; i < 3; ++i) Ask(&threads[i], DoChurn, ARENA, 4 + round, 3000, round * 3 + i);
    if (round % 3 == 0) CHECK_EQ(ShadowptStart(), 0);
    for (int i = 0; i < 3; ++i) {
      while (!Answered(&threads[i])) usleep(500);
    }
    CHECK_TRUE_TABLE(&table);
  }
  for (int i = 0; i < 3; ++i) kill(threads[i].pid, SIGKILL);
}

const struct test pte_tests[] = {
    {"pte/faults", Faults},
    {"pte/files, holes, truncation", FilesAndHoles},
    {"pte/copy on write after fork", CopyOnWrite},
    {"pte/writes by others", WritesByOthers},
    {"pte/swap out, in, off", SwapOutAndIn},
    {"pte/lazy free", LazyFree},
    {"pte/migration and compaction", Migration},
    {"pte/same-page merging", SamePageMerging},
    {"pte/churn by several tasks", Churn},
    {NULL, NULL},
};
