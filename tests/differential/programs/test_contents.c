// SPDX-License-Identifier: Apache-2.0
// page_contents: what it reads, and what it refuses.
#include "selftest.h"

static char page[2 * PAGE] __attribute__((aligned(4096)));

static long DoDropAll(long a, long b, long c, long d) {
  (void)a, (void)b, (void)c, (void)d;
  return Call(SYS_setresuid, 1000, 1000, 1000);
}

static void Order(void) {
  struct actor user = ActorFork(), other = ActorFork(), target = ActorFork();
  CHECK_EQ(On(&user, DoDropAll, 0, 0, 0, 0), 0);
  CHECK_EQ(On(&user, DoCall, NR_SHADOWPT_PAGE_CONTENTS, 0, 0, 0), -EPERM);
  CHECK_EQ(ShadowptPageContents(1, page), -EINVAL);  // nothing open
  struct user_shadow_pt range = {ARENA, ARENA + 16 * PAGE, EntriesMemory(PAGE)};
  CHECK_EQ(On(&target, DoMmap, ARENA, 16, PROT_READ | PROT_WRITE, 0), ARENA);
  CHECK_EQ(On(&target, DoTouch, ARENA, 4, 'A', 0), 0);
  CHECK_EQ(ShadowptOpen(target.pid, &range), 0);
  const unsigned long frame = FrameOf(target.pid, ARENA + PAGE);
  CHECK(frame != 0);
  CHECK_EQ(ShadowptPageContents(frame, page), -EINVAL);  // not started
  CHECK_EQ(ShadowptStart(), 0);
  CHECK_EQ(On(&user, DoCall, NR_SHADOWPT_PAGE_CONTENTS, frame, page, 0), -EPERM);
  CHECK_EQ(ShadowptPageContents(frame, page), 0);
  CHECK_EQ(page[0], 'B');
  CHECK_EQ(page[1], 0);
  CHECK_EQ(On(&other, DoCall, NR_SHADOWPT_PAGE_CONTENTS, frame, page, 0), 0);  // any superuser
  CHECK_EQ(ShadowptPageContents(frame, NULL), -EFAULT);
  CHECK_EQ(ShadowptPageContents(0, NULL), -EINVAL);  // the match before the buffer
  CHECK_EQ(ShadowptPageContents(~0ul, page), -EINVAL);
  CHECK_EQ(ShadowptPageContents(1ul << 60, page), -EINVAL);
  // Half of the buffer can be written.
  char* half = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK_EQ(munmap(half + PAGE, PAGE), 0);
  CHECK_EQ(ShadowptPageContents(frame, half + PAGE / 2), -EFAULT);
  CHECK_EQ(ShadowptPageContents(frame, half), 0);
  CHECK_EQ(ShadowptPageContents(frame, page + 17), 0);
  CHECK_EQ(page[17], 'B');
  // Buffers inside the shadow itself cannot be written.
  CHECK_EQ(ShadowptPageContents(frame, range.entries), -EFAULT);
  CHECK_EQ(ShadowptStop(), 0);
  CHECK_EQ(ShadowptPageContents(frame, page), -EINVAL);
  CHECK_EQ(ShadowptClose(), 0);
}

// The real tables decide, and only those of the range.
static void WhatIsMappedNow(void) {
  struct actor target = ActorFork();
  CHECK_EQ(On(&target, DoMmap, ARENA, 32, PROT_READ | PROT_WRITE, 0), ARENA);
  CHECK_EQ(On(&target, DoTouch, ARENA, 32, 'a', 0), 0);
  struct table table = Track(target.pid, ARENA + 4 * PAGE, 8);
  CHECK_EQ(ShadowptPageContents(FrameOf(target.pid, ARENA + 3 * PAGE), page), -EINVAL);
  CHECK_EQ(ShadowptPageContents(FrameOf(target.pid, ARENA + 12 * PAGE), page), -EINVAL);
  CHECK_EQ(ShadowptPageContents(FrameOf(target.pid, ARENA + 4 * PAGE), page), 0);
  CHECK_EQ(page[0], 'e');
  CHECK_EQ(ShadowptPageContents(FrameOf(target.pid, ARENA + 11 * PAGE), page), 0);
  CHECK_EQ(page[0], 'l');
  CHECK_EQ(On(&target, DoCall, SYS_mprotect, ARENA + 5 * PAGE, PAGE, PROT_NONE), 0);
  CHECK_EQ(ShadowptPageContents(FrameOf(target.pid, ARENA + 5 * PAGE), page), 0);
  CHECK_EQ(page[0], 'f');
  const unsigned long gone = FrameOf(target.pid, ARENA + 6 * PAGE);
  CHECK_EQ(On(&target, DoCall, SYS_madvise, ARENA + 6 * PAGE, PAGE, MADV_DONTNEED), 0);
  CHECK_EQ(ShadowptPageContents(gone, page), -EINVAL);
  CHECK_EQ(On(&target, DoTouch, ARENA + 6 * PAGE, 1, 0, 0), 0);  // the zero page
  page[0] = 1;
  CHECK_EQ(ShadowptPageContents(table.entries[2].pfn, page), 0);
  CHECK_EQ(page[0], 0);
  CHECK_EQ(On(&target, DoCall, SYS_madvise, ARENA + 7 * PAGE, PAGE, MADV_PAGEOUT), 0);
  CHECK_EQ(table.entries[3].pfn, 0);
  CHECK_EQ(ShadowptPageContents(0, page), -EINVAL);  // a swap entry names no frame
}

static void HugeAndFiles(void) {
  const int file = memfd_create("file", 0);
  CHECK_EQ(ftruncate(file, 4 * PAGE), 0);
  CHECK_EQ(pwrite(file, "file", 4, 0), 4);
  struct actor target = ActorFork();
  struct table table = Track(target.pid, ARENA, 2048);
  CHECK_EQ(On(&target, DoMmap, ARENA, 1024, PROT_READ | PROT_WRITE, 0), ARENA);
  CHECK_EQ(On(&target, DoCall, SYS_madvise, ARENA, 2 * PMD_BYTES, MADV_HUGEPAGE), 0);
  CHECK_EQ(On(&target, DoTouch, ARENA + 7 * PAGE, 1, 'h', 0), 0);
  CHECK_EQ(On(&target, DoTouch, ARENA + PMD_BYTES, 1, 0, 0), 0);
  CHECK_TRUE_TABLE(&table);
  CHECK_EQ(ShadowptPageContents(table.entries[7].pfn, page), 0);
  CHECK_EQ(page[0], 'h');
  CHECK_EQ(ShadowptPageContents(table.entries[8].pfn, page), 0);
  CHECK_EQ(page[0], 0);
  CHECK_EQ(table.entries[517].pfn, table.entries[512].pfn + 5);
  CHECK_EQ(ShadowptPageContents(table.entries[517].pfn, page), 0);  // the huge zero page
  CHECK_EQ(On(&target, DoMmapFile, ARENA + 3 * PMD_BYTES, 4, MAP_SHARED, file), ARENA + 3 * PMD_BYTES);
  CHECK_EQ(On(&target, DoTouch, ARENA + 3 * PMD_BYTES, 1, 0, 0), 0);
  CHECK_EQ(ShadowptPageContents(table.entries[1536].pfn, page), 0);
  CHECK_EQ(memcmp(page, "file", 4), 0);
}

// [vdso] can be read, [vvar] cannot.
static void Special(void) {
  struct actor target = ActorFork();
  static char maps[1 << 14];
  unsigned long vdso = 0, vvar = 0, end = 0;
  ReadMaps(target.pid, maps, sizeof maps);
  for (char* at = strtok(maps, "\n"); at != NULL; at = strtok(NULL, "\n")) {
    if (strstr(at, "[vdso]") != NULL) sscanf(at, "%lx-%lx", &vdso, &end);
    if (strstr(at, "[vvar]") != NULL) sscanf(at, "%lx-", &vvar);
  }
  CHECK(vdso != 0 && vvar != 0 && vvar < vdso);
  struct table table = Track(target.pid, vvar, (end - vvar) / PAGE);
  CHECK_EQ(On(&target, DoTouch, vdso, 1, 0, 0), 0);
  CHECK_EQ(On(&target, DoTouch, vvar, 1, 0, 0), 0);
  const struct shadow_pte *of_vvar = &table.entries[0], *of_vdso = &table.entries[(vdso - vvar) / PAGE];
  CHECK_EQ(of_vvar->state_flags, SPTE_VADDR_ALLOCATED | SPTE_PTE_MAPPED);
  CHECK_EQ(of_vdso->state_flags, SPTE_VADDR_ALLOCATED | SPTE_PTE_MAPPED);
  CHECK_EQ(ShadowptPageContents(of_vdso->pfn, page), 0);
  CHECK_EQ(memcmp(page, "\177ELF", 4), 0);
  CHECK_EQ(ShadowptPageContents(of_vvar->pfn, page), -EINVAL);
}

const struct test contents_tests[] = {
    {"contents/order of the checks", Order},
    {"contents/what is mapped now", WhatIsMappedNow},
    {"contents/huge pages and files", HugeAndFiles},
    {"contents/vdso and vvar", Special},
    {NULL, NULL},
};
