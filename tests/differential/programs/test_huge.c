// SPDX-License-Identifier: Apache-2.0
// Huge pages under the watched range: faults, splits, moves, migration, collapse.
#include "selftest.h"

static struct actor target;
static struct table table;

#define STEP(...)                         \
  do {                                    \
    CHECK(On(&target, __VA_ARGS__) >= 0); \
    CHECK_TRUE_TABLE(&table);             \
  } while (0)

#define MAPPED(i) ((table.entries[i].state_flags & SPTE_PTE_MAPPED) != 0)

static bool IsHuge(unsigned long first) {
  for (unsigned long i = 0; i < 512; ++i) {
    if (!MAPPED(first + i) || table.entries[first + i].pfn != table.entries[first].pfn + i) return false;
  }
  return table.entries[first].pfn % 512 == 0;
}

static void Begin(void) {
  target = ActorFork();
  table = Track(target.pid, ARENA, 2048);
}

static void AnonymousHuge(long at) {
  STEP(DoMmap, at, 512, PROT_READ | PROT_WRITE, 0);
  STEP(DoCall, SYS_madvise, at, PMD_BYTES, MADV_HUGEPAGE);
  STEP(DoTouch, at, 1, 1, 0);
  CHECK(IsHuge(((unsigned long)at - ARENA) / PAGE));
}

static void FaultAndSplit(void) {
  Begin();
  AnonymousHuge(ARENA);
  STEP(DoCall, SYS_mprotect, ARENA, PMD_BYTES, PROT_NONE);
  CHECK(IsHuge(0));
  STEP(DoCall, SYS_mprotect, ARENA, PMD_BYTES, PROT_READ | PROT_WRITE);
  STEP(DoCall, SYS_mprotect, ARENA + 8 * PAGE, PAGE, PROT_READ);  // splits the mapping
  STEP(DoCall, SYS_madvise, ARENA + 100 * PAGE, 4 * PAGE, MADV_DONTNEED);
  CHECK(!MAPPED(101) && MAPPED(104));
  AnonymousHuge(ARENA + PMD_BYTES);
  STEP(DoCall, SYS_munmap, ARENA + PMD_BYTES + 300 * PAGE, PAGE, 0);
  AnonymousHuge(ARENA + 2 * PMD_BYTES);
  STEP(DoCall, SYS_madvise, ARENA + 2 * PMD_BYTES, PMD_BYTES, MADV_DONTNEED);
  CHECK(!MAPPED(1024));
  STEP(DoTouch, ARENA + 2 * PMD_BYTES, 1, 0, 0);  // the huge zero page
  CHECK(IsHuge(1024));
  STEP(DoCall, SYS_mprotect, ARENA + 2 * PMD_BYTES, 4 * PAGE, PROT_READ);
  CHECK_EQ(table.entries[1024].pfn, table.entries[1025].pfn);  // split: the small zero page
  STEP(DoTouch, ARENA + 2 * PMD_BYTES + 8 * PAGE, 2, 1, 0);
  STEP(DoCall, SYS_munmap, ARENA, MAX_SPT_RANGE, 0);
}

static void ZeroReplacedByAWrite(void) {
  Begin();
  STEP(DoMmap, ARENA, 512, PROT_READ | PROT_WRITE, 0);
  STEP(DoCall, SYS_madvise, ARENA, PMD_BYTES, MADV_HUGEPAGE);
  STEP(DoTouch, ARENA, 1, 0, 0);
  CHECK(IsHuge(0));
  STEP(DoTouch, ARENA + 5 * PAGE, 1, 1, 0);
}

static void Moves(void) {
  Begin();
  AnonymousHuge(ARENA);
  STEP(DoMremap, ARENA, 512, 512, ARENA + 2 * PMD_BYTES);
  CHECK(IsHuge(1024) && !MAPPED(0));
  STEP(DoMremap, ARENA + 2 * PMD_BYTES, 512, 512, ARENA + 7 * PAGE);  // unaligned: split
  CHECK(MAPPED(7) && !MAPPED(1024));
}

static void PartlyWatched(void) {
  target = ActorFork();
  table = Track(target.pid, ARENA + 100 * PAGE, 64);
  CHECK_EQ(On(&target, DoMmap, ARENA, 1024, PROT_READ | PROT_WRITE, 0), ARENA);
  CHECK_EQ(On(&target, DoCall, SYS_madvise, ARENA, 2 * PMD_BYTES, MADV_HUGEPAGE), 0);
  STEP(DoTouch, ARENA, 1, 1, 0);
  CHECK(MAPPED(0));
  STEP(DoMremap, ARENA, 512, 512, ARENA + 4 * PMD_BYTES);
  STEP(DoMremap, ARENA + 4 * PMD_BYTES, 512, 512, ARENA);
  STEP(DoCall, SYS_munmap, ARENA + 99 * PAGE, 2 * PAGE, 0);
}

static void Fork(void) {
  struct actor child = ActorNew();
  Begin();
  AnonymousHuge(ARENA);
  child.pid = (pid_t)On(&target, DoForkActor, child.box_fd, 0, 0, 0);
  CHECK_TRUE_TABLE(&table);
  CHECK(IsHuge(0));
  CHECK_EQ(On(&child, DoTouch, ARENA + 3 * PAGE, 1, 1, 0), 0);
  CHECK_TRUE_TABLE(&table);
  STEP(DoTouch, ARENA + 9 * PAGE, 1, 1, 0);
  kill(child.pid, SIGKILL);
}

static void CollapseAnonymous(void) {
  Begin();
  STEP(DoMmap, ARENA, 1024, PROT_READ | PROT_WRITE, 0);
  STEP(DoTouch, ARENA, 300, 1, 0);
  STEP(DoCall, SYS_madvise, ARENA, PMD_BYTES, MADV_COLLAPSE);
  CHECK(IsHuge(0));
  STEP(DoTouch, ARENA + PMD_BYTES, 512, 1, 0);
  STEP(DoCall, SYS_madvise, ARENA, 2 * PMD_BYTES, MADV_COLLAPSE);
  CHECK(IsHuge(512));
}

// By khugepaged.
static void CollapseByTheDaemon(void) {
  const char* defrag = "/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs";
  CHECK(WriteFile(defrag, "10"));
  CHECK(WriteFile("/sys/kernel/mm/transparent_hugepage/khugepaged/alloc_sleep_millisecs", "10"));
  CHECK(WriteFile("/sys/kernel/mm/transparent_hugepage/khugepaged/pages_to_scan", "8192"));
  Begin();
  STEP(DoMmap, ARENA, 512, PROT_READ | PROT_WRITE, 0);
  STEP(DoTouch, ARENA, 512, 1, 0);
  // The daemon may come between a look at the truth and one at the entries.
  CHECK_EQ(On(&target, DoCall, SYS_madvise, ARENA, PMD_BYTES, MADV_HUGEPAGE), 0);
  for (int i = 0; i < 1000 && !IsHuge(0); ++i) usleep(20000);
  CHECK_TRUE_TABLE(&table);
  CHECK(IsHuge(0));
  CHECK(WriteFile(defrag, "10000"));
}

static void Files(void) {
  const int file = memfd_create("file", 0);
  CHECK_EQ(ftruncate(file, 4 * PMD_BYTES), 0);
  for (int i = 0; i < 1024; ++i) CHECK_EQ(pwrite(file, "x", 1, i * (long)PAGE), 1);
  Begin();
  struct actor other = ActorFork();
  STEP(DoMmapFile, ARENA, 1024, MAP_SHARED, file);
  STEP(DoTouch, ARENA, 1024, 1, 0);
  CHECK_EQ(On(&other, DoMmapFile, ARENA, 1024, MAP_SHARED, file), ARENA);
  CHECK_EQ(On(&other, DoTouch, ARENA, 1024, 0, 0), 0);
  // The target's own: its entries become one huge one.
  STEP(DoCall, SYS_madvise, ARENA, PMD_BYTES, MADV_COLLAPSE);
  CHECK(IsHuge(0));
  // Another process collapses: the target's table is taken away, and its next faults map it hugely.
  CHECK_EQ(On(&other, DoCall, SYS_madvise, ARENA + PMD_BYTES, PMD_BYTES, MADV_COLLAPSE), 0);
  CHECK_TRUE_TABLE(&table);
  STEP(DoTouch, ARENA + PMD_BYTES, 1, 1, 0);
  // A split of a file's huge mapping empties it.
  STEP(DoCall, SYS_mprotect, ARENA + 4 * PAGE, PAGE, PROT_READ);
  CHECK_TRUE_TABLE(&table);
  STEP(DoTouch, ARENA, 3, 0, 0);
  CHECK_EQ(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PMD_BYTES, 8 * (long)PAGE), 0);
  CHECK_TRUE_TABLE(&table);
  CHECK(!MAPPED(512));
  STEP(DoCall, SYS_munmap, ARENA, 2 * PMD_BYTES, 0);
}

static void MigrationAndSplitByOthers(void) {
  Begin();
  AnonymousHuge(ARENA);
  if (access("/sys/devices/system/node/node1", F_OK) == 0) {
    for (long node = 0; node < 2; ++node) {
      void* page = (void*)ARENA;
      int where = (int)node, status = -1;
      CHECK_EQ(Call(SYS_move_pages, target.pid, 1, &page, &where, &status, 2), 0);
      CHECK_TRUE_TABLE(&table);
      CHECK(IsHuge(0));
    }
  }
  // Every huge page of the target is split, through migration entries; untouched parts become the zero page.
  char text[64];
  snprintf(text, sizeof text, "%d,0x%lx,0x%lx", target.pid, ARENA, ARENA + PMD_BYTES);
  CHECK(WriteFile("/sys/kernel/debug/split_huge_pages", text));
  CHECK_TRUE_TABLE(&table);
  AnonymousHuge(ARENA + PMD_BYTES);
  STEP(DoCall, SYS_madvise, ARENA + PMD_BYTES, PMD_BYTES, MADV_PAGEOUT);
  STEP(DoTouch, ARENA + PMD_BYTES, 512, 0, 0);
  AnonymousHuge(ARENA + 2 * PMD_BYTES);
  STEP(DoCall, SYS_madvise, ARENA + 2 * PMD_BYTES, PMD_BYTES, MADV_FREE);
  STEP(DoCall, SYS_madvise, ARENA + 2 * PMD_BYTES, PMD_BYTES, MADV_PAGEOUT);
  AnonymousHuge(ARENA + 3 * PMD_BYTES);
  STEP(DoCall, SYS_madvise, ARENA + 3 * PMD_BYTES + 8 * PAGE, 8 * PAGE, MADV_FREE);  // splits the page
  STEP(DoCall, SYS_madvise, ARENA + 3 * PMD_BYTES, 8 * PAGE, MADV_COLD);
}

static void SmallerHugePages(void) {
  const char* path = "/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled";
  if (!WriteFile(path, "madvise")) return;
  Begin();
  STEP(DoMmap, ARENA, 256, PROT_READ | PROT_WRITE, 0);
  STEP(DoCall, SYS_madvise, ARENA, 256 * PAGE, MADV_HUGEPAGE);
  STEP(DoTouch, ARENA + 37 * PAGE, 1, 1, 0);  // the sixteen pages around it
  CHECK(MAPPED(32) && MAPPED(47) && !MAPPED(31));
  STEP(DoTouch, ARENA + 64 * PAGE, 64, 1, 0);
  STEP(DoCall, SYS_madvise, ARENA + 64 * PAGE, 64 * PAGE, MADV_PAGEOUT);
  STEP(DoTouch, ARENA + 70 * PAGE, 1, 0, 0);
  STEP(DoCall, SYS_madvise, ARENA + 33 * PAGE, 2 * PAGE, MADV_DONTNEED);
  STEP(DoCall, SYS_madvise, ARENA + 64 * PAGE, 64 * PAGE, MADV_FREE);
  CHECK(WriteFile(path, "never"));
}

const struct test huge_tests[] = {
    {"huge/fault and split", FaultAndSplit},
    {"huge/the zero page written to", ZeroReplacedByAWrite},
    {"huge/mremap", Moves},
    {"huge/partly watched", PartlyWatched},
    {"huge/fork", Fork},
    {"huge/MADV_COLLAPSE", CollapseAnonymous},
    {"huge/khugepaged", CollapseByTheDaemon},
    {"huge/files", Files},
    {"huge/migration, splits, reclaim", MigrationAndSplitByOthers},
    {"huge/64 KiB", SmallerHugePages},
    {NULL, NULL},
};
