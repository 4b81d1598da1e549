// SPDX-License-Identifier: Apache-2.0
// Entries that userfaultfd's ioctls and PAGEMAP_SCAN put into the target, from the inspector's process. The
// structures are written out here: the C library's headers are older than the kernel.
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include "selftest.h"

static struct actor target;
static struct table table;
static int uffd;

#define STEP(...)                         \
  do {                                    \
    CHECK(On(&target, __VA_ARGS__) >= 0); \
    CHECK_TRUE_TABLE(&table);             \
  } while (0)

#define MAPPED(i) ((table.entries[i].state_flags & SPTE_PTE_MAPPED) != 0)

struct scan_arg {
  uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
  uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
struct move_arg {
  uint64_t dst, src, len, mode;
  int64_t move;
};
struct poison_arg {
  uint64_t start, len, mode;
  int64_t updated;
};
#define IOCTL_PAGEMAP_SCAN _IOWR('f', 16, struct scan_arg)
#define IOCTL_UFFD_MOVE _IOWR(UFFDIO, 0x05, struct move_arg)
#define IOCTL_UFFD_POISON _IOWR(UFFDIO, 0x08, struct poison_arg)
#define FEATURE_WP_HUGETLBFS_SHMEM (1 << 12)
#define FEATURE_WP_UNPOPULATED (1 << 13)
#define FEATURE_WP_ASYNC (1 << 15)
#define REGISTER_WP 2
#define REGISTER_MINOR 4

static long DoUffd(long features, long a, long b, long c) {
  (void)a, (void)b, (void)c;
  const long fd = Call(SYS_userfaultfd, 0);
  struct uffdio_api api = {.api = UFFD_API, .features = (uint64_t)features};
  const long ret = Call(SYS_ioctl, fd, UFFDIO_API, &api);
  return ret != 0 ? ret : fd;
}

static long DoRegister(long fd, long addr, long pages, long mode) {
  struct uffdio_register reg = {{(uint64_t)addr, (uint64_t)pages * PAGE}, (uint64_t)mode, 0};
  return Call(SYS_ioctl, fd, UFFDIO_REGISTER, &reg);
}

// The target's userfaultfd, in this process.
static void Begin(long features, int file) {
  (void)file;
  target = ActorFork();
  const long fd = On(&target, DoUffd, features, 0, 0, 0);
  CHECK(fd >= 0);
  const int pidfd = (int)Call(SYS_pidfd_open, target.pid, 0);
  uffd = (int)Call(438 /* pidfd_getfd */, pidfd, fd, 0);
  CHECK(uffd >= 0);
  table = Track(target.pid, ARENA, 2048);
}

static long Ioctl(unsigned long request, void* arg) {
  return Call(SYS_ioctl, uffd, request, arg);
}

static void CopyAndZero(void) {
  static char source[4 * PAGE] __attribute__((aligned(4096)));
  Begin(0, -1);
  STEP(DoMmap, ARENA, 64, PROT_READ | PROT_WRITE, 0);
  CHECK_EQ(DoRegister(uffd, ARENA, 32, 1), 0);
  struct uffdio_copy copy = {ARENA + 2 * PAGE, (uint64_t)source, 4 * PAGE, 0, 0};
  CHECK_EQ(Ioctl(UFFDIO_COPY, &copy), 0);
  CHECK_TRUE_TABLE(&table);
  CHECK(MAPPED(2) && MAPPED(5));
  struct uffdio_zeropage zero = {{ARENA + 8 * PAGE, 2 * PAGE}, 0, 0};
  CHECK_EQ(Ioctl(UFFDIO_ZEROPAGE, &zero), 0);
  CHECK_TRUE_TABLE(&table);
  CHECK(MAPPED(9));
  struct poison_arg poison = {ARENA + 12 * PAGE, PAGE, 0, 0};
  CHECK_EQ(Ioctl(IOCTL_UFFD_POISON, &poison), 0);
  CHECK_TRUE_TABLE(&table);
  CHECK(MAPPED(12) && table.entries[12].pfn == 0);
  STEP(DoCall, SYS_madvise, ARENA + 12 * PAGE, PAGE, MADV_DONTNEED);
  CHECK(!MAPPED(12));
  // A fault that waits, and its answer.
  Ask(&target, DoTouch, (long)(ARENA + 20 * PAGE), 1, 1, 0);
  struct uffd_msg message;
  CHECK_EQ(read(uffd, &message, sizeof message), sizeof message);
  CHECK_EQ(message.arg.pagefault.address & ~(PAGE - 1), ARENA + 20 * PAGE);
  CHECK_TRUE_TABLE(&table);
  copy = (struct uffdio_copy){ARENA + 20 * PAGE, (uint64_t)source, PAGE, 0, 0};
  CHECK_EQ(Ioctl(UFFDIO_COPY, &copy), 0);
  while (!Answered(&target)) usleep(1000);
  CHECK_TRUE_TABLE(&table);
}

static long DoUffdMove(long fd, long to, long from, long pages) {
  struct move_arg move = {(uint64_t)to, (uint64_t)from, (uint64_t)pages * PAGE, 2 /* allow holes */, 0};
  const long ret = Call(SYS_ioctl, fd, IOCTL_UFFD_MOVE, &move);
  return ret != 0 ? ret : move.move;
}

static long DoUffdAndMove(long to, long from, long pages, long register_pages) {
  const long fd = DoUffd(0, 0, 0, 0);
  if (fd < 0) return fd;
  long ret = DoRegister(fd, to, register_pages, 1);
  if (ret == 0) ret = DoUffdMove(fd, to, from, pages);
  Call(SYS_close, fd);
  return ret;
}

static void Move(void) {
  Begin(0, -1);
  STEP(DoMmap, ARENA, 64, PROT_READ | PROT_WRITE, 0);
  STEP(DoMmap, ARENA + 128 * PAGE, 64, PROT_READ | PROT_WRITE, 0);
  STEP(DoTouch, ARENA + 128 * PAGE, 8, 1, 0);
  STEP(DoTouch, ARENA + 140 * PAGE, 4, 0, 0);
  STEP(DoCall, SYS_madvise, ARENA + 132 * PAGE, 2 * PAGE, MADV_PAGEOUT);
  STEP(DoUffdAndMove, ARENA, ARENA + 128 * PAGE, 16, 64);
  CHECK(MAPPED(0) && !MAPPED(128) && MAPPED(12) && !MAPPED(140));
  CHECK(MAPPED(4) && !MAPPED(132));
  // A huge page.
  STEP(DoMmap, ARENA + PMD_BYTES, 1024, PROT_READ | PROT_WRITE, 0);
  STEP(DoCall, SYS_madvise, ARENA + PMD_BYTES, 2 * PMD_BYTES, MADV_HUGEPAGE);
  STEP(DoTouch, ARENA + PMD_BYTES, 1, 1, 0);
  STEP(DoMmap, ARENA + 3 * PMD_BYTES, 512, PROT_READ | PROT_WRITE, 0);
  STEP(DoUffdAndMove, ARENA + 3 * PMD_BYTES, ARENA + PMD_BYTES, 512, 512);
  CHECK(MAPPED(1536) && !MAPPED(512));
}

static void Minor(void) {
  const int file = memfd_create("file", 0);
  CHECK_EQ(ftruncate(file, 64 * PAGE), 0);
  for (int i = 0; i < 64; ++i) CHECK_EQ(pwrite(file, "x", 1, i * (long)PAGE), 1);
  Begin(0, file);
  STEP(DoMmapFile, ARENA, 64, MAP_SHARED, file);
  CHECK_EQ(DoRegister(uffd, ARENA, 64, REGISTER_MINOR), 0);
  struct uffdio_continue go = {{ARENA + 4 * PAGE, 8 * PAGE}, 0, 0};
  CHECK_EQ(Ioctl(UFFDIO_CONTINUE, &go), 0);
  CHECK_TRUE_TABLE(&table);
  CHECK(MAPPED(11) && !MAPPED(12));
}

// Markers: entries that are not empty and name no frame.
static void WriteProtection(void) {
  const int file = memfd_create("file", 0);
  CHECK_EQ(ftruncate(file, 64 * PAGE), 0);
  Begin(FEATURE_WP_HUGETLBFS_SHMEM | FEATURE_WP_UNPOPULATED | FEATURE_WP_ASYNC, file);
  STEP(DoMmapFile, ARENA, 64, MAP_SHARED, file);
  STEP(DoMmap, ARENA + 64 * PAGE, 64, PROT_READ | PROT_WRITE, 0);
  STEP(DoTouch, ARENA + 8 * PAGE, 1, 1, 0);
  CHECK_EQ(DoRegister(uffd, ARENA, 128, REGISTER_WP), 0);
  struct uffdio_writeprotect wp = {{ARENA, 16 * PAGE}, 1};
  CHECK_EQ(Ioctl(UFFDIO_WRITEPROTECT, &wp), 0);
  CHECK_TRUE_TABLE(&table);
  CHECK(MAPPED(3) && table.entries[3].pfn == 0 && table.entries[8].pfn != 0);
  STEP(DoTouch, ARENA + PAGE, 1, 1, 0);  // the marker is replaced
  wp = (struct uffdio_writeprotect){{ARENA + 2 * PAGE, 4 * PAGE}, 0};
  CHECK_EQ(Ioctl(UFFDIO_WRITEPROTECT, &wp), 0);
  CHECK_TRUE_TABLE(&table);
  CHECK(!MAPPED(3));
  wp = (struct uffdio_writeprotect){{ARENA + 70 * PAGE, 4 * PAGE}, 1};
  CHECK_EQ(Ioctl(UFFDIO_WRITEPROTECT, &wp), 0);
  CHECK_TRUE_TABLE(&table);
  CHECK(MAPPED(71));
  STEP(DoMremap, ARENA + 70 * PAGE, 4, 4, ARENA + 200 * PAGE);
  // PAGEMAP_SCAN makes markers as well, over gaps too.
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/pagemap", target.pid);
  const int pagemap = open(path, O_RDONLY);
  struct scan_arg scan = {.size = sizeof scan,
                          .flags = 1 /* PM_SCAN_WP_MATCHING */,
                          .start = ARENA,
                          .end = ARENA + 256 * PAGE,
                          .category_mask = 2 /* PAGE_IS_WRITTEN */,
                          .return_mask = 2};
  CHECK_EQ(Call(SYS_ioctl, pagemap, IOCTL_PAGEMAP_SCAN, &scan), 0);
  CHECK_TRUE_TABLE(&table);
  CHECK(MAPPED(30));
  STEP(DoTouch, ARENA + 32 * PAGE, 1, 1, 0);
  STEP(DoCall, SYS_madvise, ARENA + 30 * PAGE, 8 * PAGE, MADV_DONTNEED);
  STEP(DoCall, SYS_munmap, ARENA + 20 * PAGE, 8 * PAGE, 0);
}

const struct test uffd_tests[] = {
    {"uffd/copy, zero page, poison", CopyAndZero},
    {"uffd/move", Move},
    {"uffd/minor faults", Minor},
    {"uffd/write protection and its markers", WriteProtection},
    {NULL, NULL},
};
