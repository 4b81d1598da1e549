// SPDX-License-Identifier: Apache-2.0
// Changes of the target's mappings: after each the entries must say what /proc says. The target is an actor,
// so that what it does is done by another task than the inspector's.
#include <sys/ipc.h>
#include <sys/shm.h>

#include "selftest.h"

static struct actor target;
static struct table table;

static void Begin(unsigned long pages) {
  target = ActorFork();
  table = Track(target.pid, ARENA, pages);
}

#define STEP(...)                         \
  do {                                    \
    CHECK(On(&target, __VA_ARGS__) >= 0); \
    CHECK_TRUE_TABLE(&table);             \
  } while (0)

static void MmapAndMunmap(void) {
  Begin(64);
  STEP(DoMmap, ARENA, 16, PROT_READ | PROT_WRITE, 0);
  STEP(DoTouch, ARENA, 16, 1, 0);
  STEP(DoMmap, ARENA + 16 * PAGE, 8, PROT_READ | PROT_WRITE, 0);  // merges with its neighbour
  STEP(DoMmap, ARENA + 32 * PAGE, 8, PROT_NONE, 0);
  STEP(DoMmap, ARENA + 24 * PAGE, 8, PROT_READ | PROT_WRITE, 0);
  STEP(DoMmap, ARENA + 4 * PAGE, 4, PROT_READ, 0);                // over something
  STEP(DoCall, SYS_munmap, ARENA + 10 * PAGE, 2 * PAGE, 0);       // the middle
  STEP(DoCall, SYS_munmap, ARENA, PAGE, 0);                       // an edge
  STEP(DoCall, SYS_munmap, ARENA + 39 * PAGE, PAGE, 0);           // the other
  STEP(DoMmap, ARENA - 8 * PAGE, 16, PROT_READ | PROT_WRITE, 0);  // over the table's edge
  STEP(DoMmap, ARENA + 60 * PAGE, 16, PROT_READ | PROT_WRITE, 0);
  STEP(DoTouch, ARENA + 60 * PAGE, 16, 1, 0);
  STEP(DoCall, SYS_munmap, ARENA - 8 * PAGE, 100 * PAGE, 0);
  STEP(DoMmap, ARENA, 4, PROT_READ | PROT_WRITE, 0);
  STEP(DoMmap, ARENA + 8 * PAGE, 4, PROT_READ | PROT_WRITE, 0);
  STEP(DoMmap, ARENA + 4 * PAGE, 4, PROT_READ | PROT_WRITE, 0);  // merges with both
}

static void KindsOfMemory(void) {
  Begin(64);
  const int file = memfd_create("file", 0), zero = open("/dev/zero", O_RDWR);
  CHECK_EQ(ftruncate(file, 64 * PAGE), 0);
  target = ActorFork();  // with the files open
  Untrack(&table);
  table = Track(target.pid, ARENA, 64);
  STEP(DoMmapFile, ARENA, 8, MAP_SHARED, file);
  STEP(DoMmapFile, ARENA + 8 * PAGE, 8, MAP_PRIVATE, file);
  STEP(DoMmapFile, ARENA + 16 * PAGE, 8, MAP_PRIVATE, zero);
  STEP(DoMmapFile, ARENA + 24 * PAGE, 8, MAP_SHARED, zero);
  STEP(DoMmapFile, ARENA + 32 * PAGE, 8, MAP_SHARED | MAP_ANONYMOUS, -1);
  for (int i = 0; i < 5; ++i) {
    STEP(DoTouch, ARENA + i * 8 * PAGE, 2, 0, 0);
    STEP(DoTouch, ARENA + i * 8 * PAGE, 4, 1, 0);
  }
  CHECK_EQ(table.entries[9].state_flags, SPTE_VADDR_ALLOCATED | SPTE_PTE_MAPPED);  // a private copy
  CHECK_EQ(table.entries[16].state_flags, SPTE_VADDR_ALLOCATED | SPTE_VADDR_ANONYMOUS | SPTE_PTE_MAPPED);
  CHECK_EQ(table.entries[32].state_flags, SPTE_VADDR_ALLOCATED | SPTE_PTE_MAPPED);
  STEP(DoMmap, ARENA + 2 * PAGE, 20, PROT_READ | PROT_WRITE, 0);  // one kind over another
  STEP(DoMmapFile, ARENA + 4 * PAGE, 4, MAP_PRIVATE, file);
  const int id = shmget(IPC_PRIVATE, 8 * PAGE, IPC_CREAT | 0600);
  CHECK(id >= 0);
  STEP(DoCall, SYS_shmat, id, ARENA + 48 * PAGE, 0);
  STEP(DoTouch, ARENA + 48 * PAGE, 8, 1, 0);
  STEP(DoCall, SYS_shmdt, ARENA + 48 * PAGE, 0, 0);
  shmctl(id, IPC_RMID, NULL);
}

static long DoBrk(long by, long a, long b, long c) {
  (void)a, (void)b, (void)c;
  const long now = Call(SYS_brk, 0);
  return Call(SYS_brk, now + by) == now + by ? now : -1;
}

static void Heap(void) {
  struct actor probe = ActorFork();
  const unsigned long brk = (unsigned long)On(&probe, DoBrk, 0, 0, 0, 0) & ~(PAGE - 1);
  target = probe;
  table = Track(target.pid, brk - 16 * PAGE, 256);
  CHECK_TRUE_TABLE(&table);
  STEP(DoBrk, 10 * PAGE, 0, 0, 0);
  STEP(DoTouch, brk, 8, 1, 0);
  STEP(DoBrk, 20 * PAGE + 100, 0, 0, 0);
  STEP(DoBrk, -4 * (long)PAGE, 0, 0, 0);
  STEP(DoBrk, -24 * (long)PAGE, 0, 0, 0);
  STEP(DoBrk, 100 * PAGE, 0, 0, 0);
}

static long DoMallocFree(long bytes, long a, long b, long c) {
  (void)a, (void)b, (void)c;
  char* memory = malloc((size_t)bytes);
  memset(memory, 1, (size_t)bytes);
  free(memory);
  return 0;
}

static void Stacks(void) {
  Begin(512);
  const unsigned long top = ARENA + 400 * PAGE;
  STEP(DoMmap, top - 4 * PAGE, 4, PROT_READ | PROT_WRITE, MAP_GROWSDOWN);
  STEP(DoTouch, top - PAGE, 1, 1, 0);
  STEP(DoTouch, top - 5 * PAGE, 1, 1, 0);   // by a fault
  STEP(DoTouch, top - 20 * PAGE, 1, 0, 0);  // over several pages
  // By the inspector: ptrace, /proc/PID/mem. The actor sleeps in a system call meanwhile.
  CHECK_EQ(ptrace(PTRACE_SEIZE, target.pid, 0, 0), 0);
  CHECK_EQ(ptrace(PTRACE_INTERRUPT, target.pid, 0, 0), 0);
  Reap(target.pid);
  CHECK_EQ(ptrace(PTRACE_POKEDATA, target.pid, top - 30 * PAGE, 5), 0);
  CHECK_TRUE_TABLE(&table);
  CHECK_EQ(table.entries[370].state_flags, SPTE_VADDR_ALLOCATED | SPTE_VADDR_ANONYMOUS | SPTE_PTE_MAPPED);
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/mem", target.pid);
  const int mem = open(path, O_RDWR);
  CHECK_EQ(pwrite(mem, "x", 1, (off_t)(top - 40 * PAGE)), 1);
  CHECK_TRUE_TABLE(&table);
  CHECK_EQ(ptrace(PTRACE_DETACH, target.pid, 0, 0), 0);
  // The guard gap is not allocated.
  CHECK_EQ(table.entries[355].state_flags, 0);
  Untrack(&table);
  // The target's own stack.
  char line[256], maps[1 << 14];
  ReadMaps(target.pid, maps, sizeof maps);
  unsigned long from = 0, to = 0;
  for (char* at = strtok(maps, "\n"); at != NULL; at = strtok(NULL, "\n")) {
    if (strstr(at, "[stack]") != NULL) sscanf(at, "%lx-%lx", &from, &to);
  }
  snprintf(line, sizeof line, "%lx", from);
  table = Track(target.pid, from - 64 * PAGE, 64 + (to - from) / PAGE);
  CHECK_TRUE_TABLE(&table);
  STEP(DoTouch, from - 3 * PAGE, 1, 1, 0);
}

// A MAP_FIXED mmap that fails when the old mapping is gone already.
static void FailedReplacement(void) {
  const int kernfs = open("/sys/kernel/mm/ksm/run", O_RDWR);
  CHECK(kernfs >= 0);
  Begin(32);
  STEP(DoMmap, ARENA, 16, PROT_READ | PROT_WRITE, 0);
  STEP(DoTouch, ARENA, 16, 1, 0);
  CHECK(On(&target, DoMmapFile, ARENA + 4 * PAGE, 4, MAP_SHARED, kernfs) < 0);
  CHECK_TRUE_TABLE(&table);
  CHECK_EQ(table.entries[4].state_flags, 0);
  CHECK_EQ(table.entries[3].state_flags & SPTE_PTE_MAPPED, SPTE_PTE_MAPPED);
}

static void Remaps(void) {
  Begin(2048);
  STEP(DoMmap, ARENA, 8, PROT_READ | PROT_WRITE, 0);
  STEP(DoTouch, ARENA, 8, 1, 0);
  STEP(DoMremap, ARENA, 8, 16, 0);                  // grows in place
  STEP(DoMremap, ARENA, 16, 4, 0);                  // shrinks
  STEP(DoMremap, ARENA, 4, 4, ARENA + 100 * PAGE);  // moves, populated
  STEP(DoMmap, ARENA + 104 * PAGE, 1, PROT_NONE, 0);
  STEP(DoMremap, ARENA + 100 * PAGE, 4, 8, ARENA + 200 * PAGE);  // moves and grows
  STEP(DoMremap, ARENA + 200 * PAGE, 8, 2, ARENA + 300 * PAGE);  // moves and shrinks
  STEP(DoMmap, ARENA + 400 * PAGE, 4, PROT_READ | PROT_WRITE, 0);
  STEP(DoTouch, ARENA + 400 * PAGE, 4, 1, 0);
  CHECK_EQ(On(&target, DoCall, SYS_mremap, ARENA + 400 * PAGE, 4 * PAGE, 4 * PAGE),
           (long)(ARENA + 400 * PAGE));
  STEP(DoMremap, ARENA + 400 * PAGE, 4, 4, ARENA + 300 * PAGE);  // over something
  // A whole page table at once.
  STEP(DoMmap, ARENA + PMD_BYTES, 512, PROT_READ | PROT_WRITE, 0);
  STEP(DoTouch, ARENA + PMD_BYTES, 512, 1, 0);
  STEP(DoMremap, ARENA + PMD_BYTES, 512, 512, ARENA + 2 * PMD_BYTES);
  CHECK_EQ(table.entries[512].state_flags, 0);
  CHECK_EQ(table.entries[1024].state_flags & SPTE_PTE_MAPPED, SPTE_PTE_MAPPED);
  // Aligned to a table, but asked for from its middle: the kernel starts lower than it was asked to.
  STEP(DoCall, SYS_munmap, ARENA, MAX_SPT_RANGE, 0);
  STEP(DoMmap, ARENA + PMD_BYTES, 512, PROT_READ | PROT_WRITE, 0);
  STEP(DoTouch, ARENA + PMD_BYTES, 512, 1, 0);
  STEP(DoMremap, ARENA + PMD_BYTES + 8 * PAGE, 504, 504, ARENA + 3 * PMD_BYTES + 8 * PAGE);
  STEP(DoCall, SYS_munmap, ARENA, MAX_SPT_RANGE, 0);
}

static long DoMremapFlags(long old, long pages, long flags, long to) {
  return Call(SYS_mremap, old, pages * PAGE, pages * PAGE, flags, to);
}

static void RemapKeepingTheSource(void) {
  Begin(64);
  STEP(DoMmap, ARENA, 8, PROT_READ | PROT_WRITE, 0);
  STEP(DoTouch, ARENA, 8, 1, 0);
  STEP(DoMremapFlags, ARENA, 8, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, ARENA + 32 * PAGE);
  CHECK_EQ(table.entries[0].state_flags, SPTE_VADDR_ALLOCATED | SPTE_VADDR_ANONYMOUS);
  CHECK_EQ(table.entries[32].state_flags & SPTE_PTE_MAPPED, SPTE_PTE_MAPPED);
}

// A gigabyte moves by one entry of the PUD table.
static void RemapOfAGigabyte(void) {
  const unsigned long there = ARENA + (4ul << 30);
  const long pages = (1l << 30) / (long)PAGE;
  target = ActorFork();
  table = Track(target.pid, ARENA, 2048);
  CHECK_EQ(On(&target, DoMmap, ARENA, pages, PROT_READ | PROT_WRITE, MAP_NORESERVE), ARENA);
  for (unsigned long i = 0; i < 2048; i += 100) STEP(DoTouch, ARENA + i * PAGE, 1, 1, 0);
  CHECK_EQ(On(&target, DoMremap, ARENA, pages, pages, there), there);
  CHECK_TRUE_TABLE(&table);
  Untrack(&table);
  table = Track(target.pid, ARENA, 2048);
  CHECK_EQ(On(&target, DoMremap, there, pages, pages, ARENA), ARENA);
  CHECK_TRUE_TABLE(&table);
  CHECK_EQ(table.entries[100].state_flags & SPTE_PTE_MAPPED, SPTE_PTE_MAPPED);
}

static void NoChange(void) {
  Begin(64);
  STEP(DoMmap, ARENA, 16, PROT_READ | PROT_WRITE, 0);
  STEP(DoTouch, ARENA, 16, 1, 0);
  STEP(DoCall, SYS_mprotect, ARENA + 4 * PAGE, 4 * PAGE, PROT_READ);
  STEP(DoCall, SYS_mprotect, ARENA + 4 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE);
  STEP(DoCall, SYS_mlock, ARENA + 2 * PAGE, 4 * PAGE, 0);
  STEP(DoCall, SYS_munlock, ARENA, 16 * PAGE, 0);
  STEP(DoCall, SYS_madvise, ARENA + 2 * PAGE, 4 * PAGE, MADV_DONTFORK);
  STEP(DoCall, SYS_madvise, ARENA + 2 * PAGE, 4 * PAGE, MADV_DOFORK);
  STEP(DoMallocFree, 100, 0, 0, 0);
  STEP(DoMallocFree, 1 << 20, 0, 0, 0);
}

// malloc and free of a process that is watched there: heap, and a mapping of malloc's own.
static void MallocAndFree(void) {
  target = ActorFork();
  const unsigned long brk = (unsigned long)On(&target, DoBrk, 0, 0, 0, 0) & ~(PAGE - 1);
  table = Track(target.pid, brk - 256 * PAGE, 1024);
  STEP(DoMallocFree, 100, 0, 0, 0);
  STEP(DoMallocFree, 100000, 0, 0, 0);
  STEP(DoMallocFree, 10 << 20, 0, 0, 0);
  STEP(DoMallocFree, 120000, 0, 0, 0);
}

// A process that works on the target's address space: what it does there is the target's change.
static void ChildOnTheSameAddressSpace(void) {
  struct actor child = ActorNew();
  target = ActorFork();
  const long pid = On(&target, DoForkActor, child.box_fd, CLONE_VM, 0, 0);
  CHECK(pid > 0);
  child.pid = (pid_t)pid;
  table = Track(target.pid, ARENA, 64);
  CHECK_EQ(On(&child, DoMmap, ARENA, 16, PROT_READ | PROT_WRITE, 0), ARENA);
  CHECK_TRUE_TABLE(&table);
  CHECK_EQ(table.entries[0].state_flags, SPTE_VADDR_ALLOCATED | SPTE_VADDR_ANONYMOUS);
  CHECK_EQ(On(&child, DoTouch, ARENA, 16, 1, 0), 0);
  CHECK_TRUE_TABLE(&table);
  // Its exec changes nothing of the target's.
  CHECK_EQ(On(&child, DoExec, child.box_fd, 0, 0, 0), 0);
  CHECK_TRUE_TABLE(&table);
  CHECK_EQ(table.entries[0].state_flags & SPTE_PTE_MAPPED, SPTE_PTE_MAPPED);
  CHECK_EQ(On(&child, DoMmap, ARENA, 64, PROT_READ | PROT_WRITE, 0), ARENA);
  CHECK_TRUE_TABLE(&table);
  STEP(DoCall, SYS_munmap, ARENA, 8 * PAGE, 0);
  kill(child.pid, SIGKILL);
}

const struct test vma_tests[] = {
    {"vma/mmap and munmap", MmapAndMunmap},
    {"vma/kinds of memory", KindsOfMemory},
    {"vma/brk", Heap},
    {"vma/stacks", Stacks},
    {"vma/a replacement that fails", FailedReplacement},
    {"vma/mremap", Remaps},
    {"vma/mremap with DONTUNMAP", RemapKeepingTheSource},
    {"vma/mremap of a gigabyte", RemapOfAGigabyte},
    {"vma/what changes nothing", NoChange},
    {"vma/malloc and free", MallocAndFree},
    {"vma/another process on the same address space", ChildOnTheSameAddressSpace},
    {NULL, NULL},
};
