// SPDX-License-Identifier: Apache-2.0
// Memory that is short, and memory that must come back.
#include "selftest.h"

static char before[1 << 16], after[1 << 16];

// Each allocation of the call in turn fails: open says -ENOMEM and has changed nothing.
static void OpenFailsCleanly(void) {
  struct user_shadow_pt range = {ARENA, ARENA + MAX_SPT_RANGE, NULL};
  if (!WriteFile("/sys/kernel/debug/failslab/ignore-gfp-wait", "N")) {
    printf("    (no failslab: left out)\n");
    return;
  }
  CHECK(WriteFile("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N"));
  CHECK(WriteFile("/sys/kernel/debug/fail_page_alloc/min-order", "0"));
  char* room = EntriesMemory(64 * PAGE);
  range.entries = (struct shadow_pte*)(room + 8 * PAGE);
  room[0] = 1;
  ReadMaps(getpid(), before, sizeof before);
  const int fd = open("/proc/thread-self/fail-nth", O_RDWR);
  CHECK(fd >= 0);
  int nth = 1, failures = 0;
  for (;; ++nth) {
    CHECK(nth < 200);
    char number[16] = "";
    snprintf(number, sizeof number, "%d", nth);
    CHECK(pwrite(fd, number, strlen(number), 0) > 0);
    const long ret = ShadowptOpen(getpid(), &range);
    memset(number, 0, sizeof number);
    CHECK(pread(fd, number, sizeof number - 1, 0) > 0);
    CHECK(pwrite(fd, "0", 1, 0) == 1);
    const bool injected = atoi(number) == 0;
    if (ret == 0) {
      CHECK_EQ(ShadowptStart(), 0);
      CHECK_EQ(ShadowptClose(), 0);
      if (!injected) break;  // fewer allocations than that
    } else {
      CHECK(injected);
      ++failures;
      CHECK_EQ(ret, -ENOMEM);
      CHECK_EQ(ShadowptClose(), -EINVAL);
    }
    ReadMaps(getpid(), after, sizeof after);
    CHECK(strcmp(before, after) == 0);
    CHECK_EQ(*(volatile char*)range.entries, 0);
    CHECK_EQ(madvise(room + 8 * PAGE, 48 * PAGE, MADV_DONTNEED), 0);
  }
  printf("    %d allocations failed in turn\n", failures);
  CHECK(failures >= 3);
}

// close cannot fail: short of memory it gives the range back all the same.
static void CloseCannotFail(void) {
  if (!WriteFile("/sys/kernel/debug/failslab/ignore-gfp-wait", "N")) return;
  struct user_shadow_pt range = {ARENA, ARENA + MAX_SPT_RANGE, NULL};
  char* room = EntriesMemory(64 * PAGE);
  range.entries = (struct shadow_pte*)(room + 8 * PAGE);
  ReadMaps(getpid(), before, sizeof before);
  const int fd = open("/proc/thread-self/fail-nth", O_RDWR);
  for (int nth = 1; nth < 12; ++nth) {
    char number[16];
    CHECK_EQ(ShadowptOpen(getpid(), &range), 0);
    snprintf(number, sizeof number, "%d", nth);
    CHECK(pwrite(fd, number, strlen(number), 0) > 0);
    const long ret = ShadowptClose();
    CHECK(pwrite(fd, "0", 1, 0) == 1);
    CHECK_EQ(ret, 0);
    ReadMaps(getpid(), after, sizeof after);
    CHECK(strcmp(before, after) == 0);
    memset(range.entries, 1, 12 * PAGE);
    CHECK_EQ(madvise(room, 64 * PAGE, MADV_DONTNEED), 0);
  }
}

// The pages that wait in the lists of each CPU to be given out again.
static long WaitingPages(void) {
  static char text[1 << 16];
  ReadAll("/proc/zoneinfo", text, sizeof text);
  long pages = 0;
  for (const char* at = text; (at = strstr(at, " count:")) != NULL; ++at) pages += strtol(at + 7, NULL, 10);
  return pages;
}

// What the kernel has given out and counts nowhere: its own pages by the page, as those of the entries are.
// What comes later or stays for the next one (slabs, stacks, the lists of the CPUs) is counted.
static long UncountedKilobytes(void) {
  static const char* const kCounted[] = {
      "MemFree:", "Buffers:", "\nCached:", "AnonPages:", "Slab:", "KernelStack:", "PageTables:"};
  WriteFile("/proc/sys/vm/drop_caches", "3");
  usleep(100000);
  long rest = ReadNumber("/proc/meminfo", "MemTotal:") - WaitingPages() * (PAGE / 1024);
  for (size_t i = 0; i < sizeof kCounted / sizeof *kCounted; ++i) {
    rest -= ReadNumber("/proc/meminfo", kCounted[i]);
  }
  return rest;
}

static long DoTrackHere(long target, long a, long b, long c) {
  (void)a, (void)b, (void)c;
  struct user_shadow_pt range = {ARENA, ARENA + MAX_SPT_RANGE,
                                 EntriesMemory(MAX_PAGES * sizeof(struct shadow_pte))};
  const long ret = ShadowptOpen(target, &range);
  return ret != 0 ? ret : ShadowptStart();
}

static void NothingLeaks(void) {
  struct actor target = ActorFork();
  long before = 0;
  for (int round = 0; round < 2; ++round) {
    if (round == 1) before = UncountedKilobytes();
    for (int i = 0; i < (round == 0 ? 40 : 400); ++i) {
      struct actor inspector = ActorFork();
      CHECK_EQ(On(&inspector, DoTrackHere, i % 2 == 0 ? target.pid : inspector.pid, 0, 0, 0), 0);
      if (i % 3 == 0) CHECK_EQ(On(&inspector, DoCall, NR_SHADOWPT_CLOSE, 0, 0, 0), 0);
      ActorKill(&inspector);
      close(inspector.box_fd);
      munmap(inspector.box, PAGE);
      if (i % 10 == 0) {  // targets that die while they are watched
        struct table table;
        struct actor victim = ActorFork();
        table = Track(victim.pid, ARENA, 64);
        ActorKill(&victim);
        close(victim.box_fd);
        munmap(victim.box, PAGE);
        Untrack(&table);
      }
    }
  }
  // 400 sessions have had 19,200 KiB of entries, a third of them with a close. KASAN, which only the
  // debug configuration has, as lockdep, keeps records of its own.
  const bool checks_itself = access("/proc/lockdep_stats", F_OK) == 0;
  const long lost = UncountedKilobytes() - before;
  printf("    %ld KiB more that are counted nowhere\n", lost);
  CHECK(lost < (checks_itself ? 6000 : 2000));
}

const struct test memory_tests[] = {
    {"memory/open fails cleanly", OpenFailsCleanly},
    {"memory/close cannot fail", CloseCannotFail},
    {"memory/nothing leaks", NothingLeaks},
    {NULL, NULL},
};
