// SPDX-License-Identifier: Apache-2.0
// close, start and stop: who may, in which state; and what close makes of entries that were moved, split,
// protected, unmapped or mapped over.
#include "selftest.h"

#define ENTRY_PAGES 6
#define WATCHED (ENTRY_PAGES * PAGE / sizeof(struct shadow_pte))

static long DoDropAll(long a, long b, long c, long d) {
  (void)a, (void)b, (void)c, (void)d;
  return Call(SYS_setresuid, 1000, 1000, 1000);
}

static void States(void) {
  struct actor other = ActorFork();
  CHECK_EQ(ShadowptClose(), -EINVAL);
  CHECK_EQ(ShadowptStart(), -EINVAL);
  CHECK_EQ(ShadowptStop(), -EINVAL);
  CHECK_EQ(On(&other, DoDropAll, 0, 0, 0, 0), 0);
  CHECK_EQ(On(&other, DoCall, NR_SHADOWPT_CLOSE, 0, 0, 0), -EINVAL);
  struct user_shadow_pt range = {ARENA, ARENA + 4 * PAGE, EntriesMemory(PAGE)};
  CHECK_EQ(ShadowptOpen(other.pid, &range), 0);
  CHECK_EQ(On(&other, DoCall, NR_SHADOWPT_CLOSE, 0, 0, 0), -EPERM);
  CHECK_EQ(On(&other, DoCall, NR_SHADOWPT_START, 0, 0, 0), -EPERM);
  CHECK_EQ(On(&other, DoCall, NR_SHADOWPT_STOP, 0, 0, 0), -EPERM);
  CHECK_EQ(ShadowptStop(), 0);
  CHECK_EQ(ShadowptStop(), 0);
  CHECK_EQ(range.entries[0].vaddr, 0);
  CHECK_EQ(ShadowptStart(), 0);
  CHECK_EQ(ShadowptStart(), 0);
  CHECK_EQ(range.entries[3].vaddr, ARENA + 3 * PAGE);
  // After stop nothing changes.
  CHECK_EQ(On(&other, DoMmap, ARENA, 2, PROT_READ | PROT_WRITE, 0), ARENA);
  CHECK_EQ(range.entries[0].state_flags, SPTE_VADDR_ALLOCATED | SPTE_VADDR_ANONYMOUS);
  CHECK_EQ(ShadowptStop(), 0);
  CHECK_EQ(On(&other, DoTouch, ARENA, 2, 1, 0), 0);
  CHECK_EQ(On(&other, DoCall, SYS_munmap, ARENA + PAGE, PAGE, 0), 0);
  CHECK_EQ(range.entries[0].state_flags, SPTE_VADDR_ALLOCATED | SPTE_VADDR_ANONYMOUS);
  CHECK_EQ(range.entries[1].state_flags, SPTE_VADDR_ALLOCATED | SPTE_VADDR_ANONYMOUS);
  CHECK_EQ(ShadowptStart(), 0);
  CHECK_EQ(range.entries[0].state_flags, SPTE_VADDR_ALLOCATED | SPTE_VADDR_ANONYMOUS | SPTE_PTE_MAPPED);
  CHECK_EQ(range.entries[1].state_flags, 0);
  CHECK_EQ(ShadowptStop(), 0);
  ActorKill(&other);
  CHECK_EQ(range.entries[0].state_flags, SPTE_VADDR_ALLOCATED | SPTE_VADDR_ANONYMOUS | SPTE_PTE_MAPPED);
  CHECK_EQ(ShadowptStop(), 0);
  CHECK_EQ(ShadowptStart(), -ESRCH);
  CHECK_EQ(range.entries[0].state_flags, 0);
  CHECK_EQ(range.entries[0].pfn, 0);
  CHECK_EQ(range.entries[0].vaddr, ARENA);
  CHECK_EQ(ShadowptClose(), 0);  // without a stop too
  CHECK_EQ(ShadowptClose(), -EINVAL);
}

static void WhoIsTheOpener(void) {
  struct actor thread = ActorThread(), child = ActorFork(), shares = ActorClone(CLONE_VM);
  struct user_shadow_pt range = {ARENA, ARENA + 4 * PAGE, EntriesMemory(PAGE)};
  CHECK_EQ(On(&thread, DoCall, NR_SHADOWPT_OPEN, getpid(), &range, 0), 0);
  struct actor later = ActorFork(), later_shares = ActorClone(CLONE_VM);
  struct actor* strangers[] = {&child, &shares, &later, &later_shares};
  for (int i = 0; i < 4; ++i) {
    CHECK_EQ(On(strangers[i], DoCall, NR_SHADOWPT_START, 0, 0, 0), -EPERM);
    CHECK_EQ(On(strangers[i], DoCall, NR_SHADOWPT_STOP, 0, 0, 0), -EPERM);
    CHECK_EQ(On(strangers[i], DoCall, NR_SHADOWPT_CLOSE, 0, 0, 0), -EPERM);
  }
  CHECK_EQ(ShadowptStart(), 0);
  CHECK_EQ(On(&thread, DoCall, NR_SHADOWPT_STOP, 0, 0, 0), 0);
  // The superuser is asked for by open alone.
  CHECK_EQ(setresuid(1000, 1000, 1000), 0);
  CHECK_EQ(ShadowptStart(), 0);
  CHECK_EQ(ShadowptPageContents(1, &range), -EPERM);
  CHECK_EQ(ShadowptStop(), 0);
  CHECK_EQ(ShadowptClose(), 0);
}

static char before[1 << 16], after[1 << 16];

// A room with the shadow in its middle: room[4..10), as one VMA of 16 pages.
static char* RoomWithShadow(void) {
  char* room = EntriesMemory(16 * PAGE);
  ReadMaps(getpid(), before, sizeof before);
  struct user_shadow_pt range = {ARENA, ARENA + WATCHED * PAGE, (struct shadow_pte*)(room + 4 * PAGE)};
  CHECK_EQ(ShadowptOpen(getpid(), &range), 0);
  CHECK_EQ(ShadowptStart(), 0);
  return room;
}

static void CheckFresh(char* at, int pages) {
  for (int i = 0; i < pages; ++i) {
    CHECK_EQ(*(volatile char*)(at + i * PAGE), 0);
    CHECK_EQ(*(volatile long*)(at + (i + 1) * PAGE - 8), 0);
    *(volatile char*)(at + i * PAGE) = 1;
  }
}

static void CheckMapsAsBefore(void) {
  ReadMaps(getpid(), after, sizeof after);
  if (strcmp(before, after) != 0) printf("%s---\n%s", before, after);
  CHECK(strcmp(before, after) == 0);
}

static void Untouched(void) {
  char* room = RoomWithShadow();
  CHECK_EQ(ShadowptClose(), 0);
  CheckMapsAsBefore();
  CheckFresh(room, 16);
  CheckMapsAsBefore();
}

static void NeighboursFaulted(void) {
  char* room = RoomWithShadow();
  room[0] = 1;
  CHECK_EQ(ShadowptClose(), 0);
  CheckMapsAsBefore();
  CheckFresh(room + 4 * PAGE, 6);
}

static void UnmappedWhole(void) {
  char* room = RoomWithShadow();
  CHECK_EQ(munmap(room + 4 * PAGE, 6 * PAGE), 0);
  ReadMaps(getpid(), before, sizeof before);
  CHECK_EQ(ShadowptStart(), 0);
  CHECK_EQ(ShadowptClose(), 0);
  CheckMapsAsBefore();
}

static void UnmappedMiddle(void) {
  char* room = RoomWithShadow();
  CHECK_EQ(munmap(room + 6 * PAGE, PAGE), 0);
  CHECK_EQ(ShadowptClose(), 0);
  CheckFresh(room, 6);
  CheckFresh(room + 7 * PAGE, 9);
  char line[64];
  ReadMaps(getpid(), after, sizeof after);
  snprintf(line, sizeof line, "%lx-%lx rw-p", (long)room, (long)room + 6 * PAGE);
  CHECK(strstr(after, line) != NULL);
  snprintf(line, sizeof line, "%lx-%lx rw-p", (long)room + 7 * PAGE, (long)room + 16 * PAGE);
  CHECK(strstr(after, line) != NULL);
}

// Moved, and something else mapped at the old place, which must stay as it is.
static void MovedAndReplaced(void) {
  char* room = RoomWithShadow();
  char* other = EntriesMemory(16 * PAGE);
  char* moved = mremap(room + 4 * PAGE, 6 * PAGE, 6 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, other + 5 * PAGE);
  CHECK_EQ(moved, other + 5 * PAGE);
  CHECK_EQ(DoMmap((long)room + 4 * PAGE, 6, PROT_READ | PROT_WRITE, 0), (long)room + 4 * PAGE);
  memset(room + 4 * PAGE, 9, 6 * PAGE);
  CHECK_EQ(((struct shadow_pte*)moved)[5].vaddr, ARENA + 5 * PAGE);
  CHECK_EQ(ShadowptStart(), 0);
  CHECK_EQ(ShadowptClose(), 0);
  for (size_t i = 0; i < 6 * PAGE; ++i) CHECK_EQ(room[4 * PAGE + i], 9);
  CheckFresh(moved, 6);
  char line[64];
  ReadMaps(getpid(), after, sizeof after);
  snprintf(line, sizeof line, "%lx-%lx rw-p", (long)other, (long)other + 16 * PAGE);
  CHECK(strstr(after, line) != NULL);
}

// In three pieces at three places, one of them protected, one page of each unmapped.
static void SplitAndScattered(void) {
  char* room = RoomWithShadow();
  char *first = EntriesMemory(2 * PAGE), *second = EntriesMemory(2 * PAGE);
  CHECK_EQ(mremap(room + 4 * PAGE, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, second), second);
  CHECK_EQ(mremap(room + 8 * PAGE, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, first), first);
  CHECK_EQ(mprotect(second + PAGE, PAGE, PROT_NONE), 0);
  CHECK_EQ(mprotect(room + 6 * PAGE, PAGE, PROT_READ | PROT_EXEC), 0);
  CHECK_EQ(munmap(first, PAGE), 0);
  CHECK_EQ(mremap(first + PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, first), first);
  CHECK_EQ(((struct shadow_pte*)second)[0].vaddr, ARENA);
  CHECK_EQ(ShadowptClose(), 0);
  CheckFresh(first, 1);
  CheckFresh(second, 1);
  CheckFresh(room + 7 * PAGE, 1);
  // A protection that the inspector chose stays, but may be raised again.
  ReadMaps(getpid(), after, sizeof after);
  char line[64];
  snprintf(line, sizeof line, "%lx-%lx ---p", (long)second + PAGE, (long)second + 2 * PAGE);
  CHECK(strstr(after, line) != NULL);
  snprintf(line, sizeof line, "%lx-%lx r-xp", (long)room + 6 * PAGE, (long)room + 7 * PAGE);
  CHECK(strstr(after, line) != NULL);
  CHECK_EQ(mprotect(second + PAGE, PAGE, PROT_READ | PROT_WRITE), 0);
  CHECK_EQ(mprotect(room + 6 * PAGE, PAGE, PROT_READ | PROT_WRITE), 0);
  CheckFresh(second + PAGE, 1);
  CheckFresh(room + 6 * PAGE, 1);
}

static void ProtectedAndBack(void) {
  char* room = RoomWithShadow();
  CHECK_EQ(mprotect(room + 5 * PAGE, 2 * PAGE, PROT_NONE), 0);
  CHECK_EQ(mprotect(room + 5 * PAGE, 2 * PAGE, PROT_READ), 0);
  CHECK_EQ(ShadowptClose(), 0);
  CheckMapsAsBefore();
  CheckFresh(room, 16);
}

static void MappedOver(void) {
  char* room = RoomWithShadow();
  const int file = memfd_create("over", 0);
  CHECK_EQ(ftruncate(file, PAGE), 0);
  CHECK_EQ(DoMmapFile((long)room + 5 * PAGE, 1, MAP_SHARED, file), (long)room + 5 * PAGE);
  room[5 * PAGE] = 3;
  ReadMaps(getpid(), before, sizeof before);
  CHECK_EQ(ShadowptClose(), 0);
  CHECK_EQ(room[5 * PAGE], 3);
  CheckFresh(room + 4 * PAGE, 1);
  CheckFresh(room + 6 * PAGE, 4);
}

// What an mmap'd region and its data accounting look like after many sessions: as before them.
static void AccountingIsBalanced(void) {
  char* room = EntriesMemory(16 * PAGE);
  ReadMaps(getpid(), before, sizeof before);
  const long data = ReadNumber("/proc/self/status", "VmData:"),
             size = ReadNumber("/proc/self/status", "VmSize:");
  for (int i = 0; i < 50; ++i) {
    struct user_shadow_pt range = {ARENA, ARENA + WATCHED * PAGE, (struct shadow_pte*)(room + 4 * PAGE)};
    CHECK_EQ(ShadowptOpen(getpid(), &range), 0);
    CHECK_EQ(ShadowptClose(), 0);
  }
  CheckMapsAsBefore();
  CHECK_EQ(ReadNumber("/proc/self/status", "VmData:"), data);
  CHECK_EQ(ReadNumber("/proc/self/status", "VmSize:"), size);
  // Unmapped while it is the shadow's.
  struct user_shadow_pt range = {ARENA, ARENA + WATCHED * PAGE, (struct shadow_pte*)(room + 4 * PAGE)};
  CHECK_EQ(ShadowptOpen(getpid(), &range), 0);
  CHECK_EQ(munmap(room, 16 * PAGE), 0);
  CHECK_EQ(ShadowptClose(), 0);
  CHECK_EQ(ReadNumber("/proc/self/status", "VmSize:"), size - 64);
  CHECK_EQ(ReadNumber("/proc/self/status", "VmData:"), data - 64);
}

// A process that shares the address space sees the shadow vanish.
static void SharedAddressSpace(void) {
  struct actor shares = ActorClone(CLONE_VM);
  char* room = RoomWithShadow();
  CHECK_EQ(On(&shares, DoTouch, room + 4 * PAGE, 6, 0, 0), 0);
  CHECK_EQ(ShadowptClose(), 0);
  CHECK_EQ(On(&shares, DoTouch, room, 16, 1, 0), 0);
  ActorKill(&shares);
}

static void HeapEntries(void) {
  char* brk = (char*)Call(SYS_brk, 0);
  char* heap = (char*)(((unsigned long)brk + PAGE - 1) & ~(PAGE - 1));
  CHECK_EQ(Call(SYS_brk, heap + 16 * PAGE), (long)(heap + 16 * PAGE));
  ReadMaps(getpid(), before, sizeof before);
  struct user_shadow_pt range = {ARENA, ARENA + WATCHED * PAGE, (struct shadow_pte*)(heap + 10 * PAGE)};
  CHECK_EQ(ShadowptOpen(getpid(), &range), 0);
  CHECK_EQ(ShadowptStart(), 0);
  CHECK_EQ(Call(SYS_brk, heap + 24 * PAGE), (long)(heap + 24 * PAGE));
  CHECK_EQ(Call(SYS_brk, heap + 16 * PAGE), (long)(heap + 16 * PAGE));
  CHECK_EQ(ShadowptClose(), 0);
  CheckMapsAsBefore();
  CheckFresh(heap + 10 * PAGE, 6);
}

const struct test close_tests[] = {
    {"close/states", States},
    {"close/who is the opener", WhoIsTheOpener},
    {"close/untouched", Untouched},
    {"close/neighbours faulted meanwhile", NeighboursFaulted},
    {"close/unmapped", UnmappedWhole},
    {"close/a hole in the middle", UnmappedMiddle},
    {"close/moved and replaced", MovedAndReplaced},
    {"close/split and scattered", SplitAndScattered},
    {"close/protected and back", ProtectedAndBack},
    {"close/mapped over", MappedOver},
    {"close/accounting", AccountingIsBalanced},
    {"close/a shared address space", SharedAddressSpace},
    {"close/entries in the heap", HeapEntries},
    {NULL, NULL},
};
