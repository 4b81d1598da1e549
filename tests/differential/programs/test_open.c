// SPDX-License-Identifier: Apache-2.0
// open: its checks in their order, what it makes of the inspector's mapping, and who may use the table.
#include <linux/capability.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include "selftest.h"

#if defined(__x86_64__)
#define ADDRESS_LIMIT 0x7ffffffff000ul
#else
#define ADDRESS_LIMIT 0x1000000000000ul
#endif

static struct user_shadow_pt GoodRange(void) {
  return (struct user_shadow_pt){ARENA, ARENA + 16 * PAGE, EntriesMemory(PAGE)};
}

static long Open(long target, unsigned long start, unsigned long end, void* entries) {
  struct user_shadow_pt range = {start, end, entries};
  return ShadowptOpen(target, &range);
}

// A process without any capability, for as long as it lives.
static long DoDropAll(long a, long b, long c, long d) {
  (void)a, (void)b, (void)c, (void)d;
  return Call(SYS_setresuid, 1000, 1000, 1000);
}

static long DoOpenAt(long target, long start, long end, long entries) {
  return Open(target, (unsigned long)start, (unsigned long)end, (void*)entries);
}

static void ArgumentOrder(void) {
  struct actor user = ActorFork();
  struct user_shadow_pt good = GoodRange();
  void* e = good.entries;
  CHECK_EQ(On(&user, DoDropAll, 0, 0, 0, 0), 0);
  // 1: the caller, before anything that it passes
  CHECK_EQ(On(&user, DoCall, NR_SHADOWPT_OPEN, 0, 0, 0), -EPERM);
  CHECK_EQ(On(&user, DoCall, NR_SHADOWPT_OPEN, 0, 8, 0), -EPERM);
  CHECK_EQ(On(&user, DoOpenAt, user.pid, 1, 0, 0), -EPERM);
  // 2: dest
  CHECK_EQ(ShadowptOpen(-1, NULL), -EINVAL);
  CHECK_EQ(ShadowptOpen(-1, (struct user_shadow_pt*)8), -EFAULT);
  CHECK_EQ(ShadowptOpen(getpid(), (struct user_shadow_pt*)ADDRESS_LIMIT), -EFAULT);
  // 3: the range
  const long me = getpid();
  CHECK_EQ(Open(me, ARENA + 1, ARENA + PAGE, e), -EINVAL);
  CHECK_EQ(Open(me, ARENA, ARENA + PAGE + 8, e), -EINVAL);
  CHECK_EQ(Open(me, ARENA + PAGE, ARENA, e), -EINVAL);
  CHECK_EQ(Open(me, ARENA, ARENA, e), -EINVAL);
  CHECK_EQ(Open(me, ARENA, ARENA + PAGE, NULL), -EINVAL);
  CHECK_EQ(Open(me, ARENA, ARENA + PAGE, (char*)e + 24), -EINVAL);
  CHECK_EQ(Open(me, ADDRESS_LIMIT, ADDRESS_LIMIT + PAGE, e), -EINVAL);
  CHECK_EQ(Open(me, ADDRESS_LIMIT - PAGE, ADDRESS_LIMIT + PAGE, e), -EINVAL);
  CHECK_EQ(Open(me, ADDRESS_LIMIT - PAGE, ~0ul & ~(PAGE - 1), e), -EINVAL);
  CHECK_EQ(Open(me, ~0ul & ~(PAGE - 1), 0, e), -EINVAL);
  CHECK_EQ(Open(me, 0, PAGE, e), 0);  // address 0 can be watched
  CHECK_EQ(ShadowptClose(), 0);
  CHECK_EQ(Open(me, ADDRESS_LIMIT - PAGE, ADDRESS_LIMIT, e), 0);
  CHECK_EQ(ShadowptClose(), 0);
  // 4: the target
  struct actor thread = ActorThread();
  CHECK_EQ(ShadowptOpen(0, &good), -EINVAL);
  CHECK_EQ(ShadowptOpen(-1, &good), -EINVAL);
  CHECK_EQ(ShadowptOpen(4000000, &good), -EINVAL);
  CHECK_EQ(ShadowptOpen(thread.pid, &good), -EINVAL);
  CHECK_EQ(ShadowptOpen(2, &good), -EINVAL);  // kthreadd
  kill(user.pid, SIGKILL);
  siginfo_t info;
  CHECK_EQ(waitid(P_PID, (id_t)user.pid, &info, WEXITED | WNOWAIT), 0);
  CHECK_EQ(ShadowptOpen(user.pid, &good), -EINVAL);  // a zombie
  Reap(user.pid);
  CHECK_EQ(ShadowptOpen(user.pid, &good), -EINVAL);
}

static void BusyComesAfterTheArguments(void) {
  struct actor other = ActorFork();
  struct user_shadow_pt good = GoodRange();
  char* touched = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  touched[0] = 1;
  CHECK_EQ(ShadowptOpen(getpid(), &good), 0);
  CHECK_EQ(ShadowptOpen(getpid(), &good), -EBUSY);
  CHECK_EQ(Open(getpid(), ARENA + 1, ARENA + PAGE, touched), -EINVAL);
  CHECK_EQ(Open(0, ARENA, ARENA + PAGE, touched), -EINVAL);
  CHECK_EQ(Open(getpid(), ARENA, ARENA + PAGE, touched), -EBUSY);  // 5 before 6 and 7
  CHECK_EQ(Open(getpid(), ARENA, ARENA + PAGE, (void*)ARENA), -EBUSY);
  CHECK_EQ(On(&other, DoOpenAt, other.pid, ARENA, ARENA + PAGE, touched), -EBUSY);
  CHECK_EQ(On(&other, DoOpenAt, 0, ARENA, ARENA + PAGE, touched), -EINVAL);
  CHECK_EQ(ShadowptClose(), 0);
}

// Entries that open refuses, one at a time.
static void RefusedEntries(void) {
  const long me = getpid();
  const unsigned long end = ARENA + 342 * PAGE;  // 8,208 bytes of entries: three pages
  char* room = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK_EQ(munmap(room + 8 * PAGE, PAGE), 0);
  CHECK_EQ(Open(me, ARENA, end, (void*)ARENA), -EINVAL);     // nothing there
  CHECK_EQ(Open(me, ARENA, end, room + 7 * PAGE), -EINVAL);  // runs into a hole
  CHECK_EQ(Open(me, ARENA, end, room + 6 * PAGE), -EINVAL);  // by one page
  CHECK_EQ(mprotect(room + 2 * PAGE, PAGE, PROT_READ), 0);
  CHECK_EQ(Open(me, ARENA, end, room + PAGE), -EINVAL);  // more than one VMA
  CHECK_EQ(mprotect(room + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE), 0);
  CHECK_EQ(Open(me, ARENA, end, room + PAGE), 0);
  CHECK_EQ(ShadowptClose(), 0);

  const int file = memfd_create("entries", 0);
  CHECK_EQ(ftruncate(file, 16 * PAGE), 0);
  void* at = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  CHECK_EQ(Open(me, ARENA, end, at), -EINVAL);
  at = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
  CHECK_EQ(Open(me, ARENA, end, at), -EINVAL);
  at = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK_EQ(Open(me, ARENA, end, at), -EINVAL);
  const int zero = open("/dev/zero", O_RDWR);
  at = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero, 0);
  CHECK_EQ(Open(me, ARENA, end, at), -EINVAL);  // anonymous, but with a file
  at = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0);
  CHECK_EQ(Open(me, ARENA, end, at), -EINVAL);
  at = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_DROPPABLE | MAP_ANONYMOUS, -1, 0);
  CHECK(at != MAP_FAILED);
  CHECK_EQ(Open(me, ARENA, end, at), -EINVAL);
  CHECK_EQ(mlock2(room + 16 * PAGE, 4 * PAGE, MLOCK_ONFAULT), 0);
  CHECK_EQ(Open(me, ARENA, end, room + 16 * PAGE), -EINVAL);
  CHECK_EQ(munlock(room + 16 * PAGE, 4 * PAGE), 0);
  CHECK_EQ(Open(me, ARENA, end, room + 16 * PAGE), 0);
  CHECK_EQ(ShadowptClose(), 0);

  const int uffd = (int)Call(SYS_userfaultfd, O_CLOEXEC);
  struct uffdio_api api = {.api = UFFD_API};
  CHECK_EQ(ioctl(uffd, UFFDIO_API, &api), 0);
  struct uffdio_register reg = {{(unsigned long)room + 24 * PAGE, 4 * PAGE}, UFFDIO_REGISTER_MODE_MISSING, 0};
  CHECK_EQ(ioctl(uffd, UFFDIO_REGISTER, &reg), 0);
  CHECK_EQ(Open(me, ARENA, end, room + 24 * PAGE), -EINVAL);
  close(uffd);
}

// 7: a page of the entries that is mapped already, in each way that a page can be.
static void MappedEntries(void) {
  const long me = getpid();
  const unsigned long end = ARENA + 341 * PAGE;  // two pages of entries
  char* room = mmap(NULL, 32 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  room[1 * PAGE] = 1;
  CHECK_EQ(Open(me, ARENA, end, room), -EINVAL);         // present, the last page
  CHECK_EQ(Open(me, ARENA, end, room + PAGE), -EINVAL);  // the first
  CHECK_EQ(Open(me, ARENA, end, room + 2 * PAGE), 0);    // the table exists, and is empty here
  CHECK_EQ(ShadowptClose(), 0);
  (void)*(volatile char*)(room + 5 * PAGE);
  CHECK_EQ(Open(me, ARENA, end, room + 4 * PAGE), -EINVAL);  // the zero page
  room[8 * PAGE] = 1;
  CHECK_EQ(mprotect(room + 8 * PAGE, 2 * PAGE, PROT_NONE), 0);
  CHECK_EQ(Open(me, ARENA, end, room + 8 * PAGE), -EINVAL);  // PROT_NONE
  room[12 * PAGE] = 1;
  CHECK_EQ(madvise(room + 12 * PAGE, PAGE, MADV_PAGEOUT), 0);
  CHECK_EQ(FrameOf(getpid(), (unsigned long)room + 12 * PAGE), 0);
  CHECK_EQ(Open(me, ARENA, end, room + 12 * PAGE), -EINVAL);  // swapped out
  CHECK_EQ(madvise(room, 32 * PAGE, MADV_DONTNEED), 0);
  CHECK_EQ(Open(me, ARENA, end, room), 0);
  CHECK_EQ(ShadowptClose(), 0);

  char* huge = (char*)(ARENA + 4 * PMD_BYTES);
  CHECK_EQ(DoMmap((long)huge, 1536, PROT_READ | PROT_WRITE, 0), (long)huge);
  CHECK_EQ(madvise(huge, 3 * PMD_BYTES, MADV_HUGEPAGE), 0);
  CHECK_EQ(Open(me, ARENA, end, huge + 2 * PMD_BYTES), 0);  // VM_HUGEPAGE is no reason
  CHECK_EQ(ShadowptClose(), 0);
  huge[100 * PAGE] = 1;
  CHECK_EQ(Open(me, ARENA, end, huge), -EINVAL);
  (void)*(volatile char*)(huge + PMD_BYTES);  // the huge zero page
  CHECK_EQ(Open(me, ARENA, end, huge + PMD_BYTES), -EINVAL);

  char* none = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK_EQ(Open(me, ARENA, end, none), 0);
  CHECK_EQ(ShadowptClose(), 0);
  char* brk = (char*)Call(SYS_brk, 0);
  char* heap = (char*)(((unsigned long)brk + 2 * PAGE) & ~(PAGE - 1));
  CHECK_EQ(Call(SYS_brk, heap + 8 * PAGE), (long)(heap + 8 * PAGE));
  CHECK_EQ(Open(me, ARENA, end, heap + PAGE), 0);
  CHECK_EQ(ShadowptClose(), 0);
}

static void Truncation(void) {
  struct user_shadow_pt* dest = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  static char before[1 << 16], after[1 << 16];
  void* entries = EntriesMemory(MAX_PAGES * sizeof(struct shadow_pte));
  *dest = (struct user_shadow_pt){ARENA, ARENA + MAX_SPT_RANGE + PAGE, entries};
  CHECK_EQ(ShadowptOpen(getpid(), dest), 0);
  CHECK_EQ(dest->start_vaddr, ARENA);
  CHECK_EQ(dest->end_vaddr, ARENA + MAX_SPT_RANGE);
  CHECK_EQ(dest->entries, entries);
  CHECK_EQ(ShadowptStart(), 0);
  CHECK_EQ(((struct shadow_pte*)entries)[MAX_PAGES - 1].vaddr, ARENA + MAX_SPT_RANGE - PAGE);
  CHECK_EQ(ShadowptClose(), 0);
  *dest = (struct user_shadow_pt){ADDRESS_LIMIT - PAGE, ~0xffful, entries};
  CHECK_EQ(ShadowptOpen(getpid(), dest), -EINVAL);
  *dest = (struct user_shadow_pt){0, ~0xffful, entries};
  CHECK_EQ(ShadowptOpen(getpid(), dest), 0);
  CHECK_EQ(dest->end_vaddr, MAX_SPT_RANGE);
  CHECK_EQ(ShadowptClose(), 0);
  // The new end cannot be written: everything is undone.
  *dest = (struct user_shadow_pt){ARENA, ARENA + 2 * MAX_SPT_RANGE, entries};
  CHECK_EQ(mprotect(dest, PAGE, PROT_READ), 0);
  ReadMaps(getpid(), before, sizeof before);
  CHECK_EQ(ShadowptOpen(getpid(), dest), -EFAULT);
  ReadMaps(getpid(), after, sizeof after);
  CHECK(strcmp(before, after) == 0);
  CHECK_EQ(ShadowptClose(), -EINVAL);
  memset(entries, 1, PAGE);
  // Not truncated: dest is only read.
  CHECK_EQ(mprotect(dest, PAGE, PROT_READ | PROT_WRITE), 0);
  *dest = (struct user_shadow_pt){ARENA, ARENA + MAX_SPT_RANGE, EntriesMemory(MAX_PAGES * 24)};
  CHECK_EQ(mprotect(dest, PAGE, PROT_READ), 0);
  CHECK_EQ(ShadowptOpen(getpid(), dest), 0);
  CHECK_EQ(ShadowptClose(), 0);
}

static sig_atomic_t volatile signal_code, signal_seen;
static void OnSegv(int number, siginfo_t* info, void* context) {
  (void)context;
  signal_seen = number;
  signal_code = info->si_code;
  mmap((void*)((unsigned long)info->si_addr & ~(PAGE - 1)), PAGE, PROT_READ | PROT_WRITE,
       MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void TheMapping(void) {
  static char before[1 << 16], during[1 << 16], after[1 << 16];
  const unsigned long pages = 512;  // three pages of entries
  char* room = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct shadow_pte* entries = (struct shadow_pte*)(room + 4 * PAGE);
  char line[128];
  room[0] = 1;
  ReadMaps(getpid(), before, sizeof before);
  struct actor reader = ActorFork();
  CHECK_EQ(Open(getpid(), ARENA, ARENA + pages * PAGE, entries), 0);
  ReadMaps(getpid(), during, sizeof during);
  snprintf(line, sizeof line, "%lx-%lx r--p 00000000 00:00 0 \n", (long)entries, (long)entries + 3 * PAGE);
  CHECK(strstr(during, line) != NULL);
  for (size_t i = 0; i < 3 * PAGE; ++i) CHECK_EQ(((char*)entries)[i], 0);

  CHECK_EQ(mprotect(entries, PAGE, PROT_READ | PROT_WRITE) == 0 ? 0 : -errno, -EACCES);
  CHECK_EQ(madvise(entries, 3 * PAGE, MADV_DONTNEED) == 0 ? 0 : -errno, -EINVAL);
  CHECK_EQ(madvise(entries, 3 * PAGE, MADV_DOFORK) == 0 ? 0 : -errno, -EINVAL);
  CHECK_EQ(mremap(entries, 3 * PAGE, 4 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED ? -errno : 0, -EFAULT);
  CHECK_EQ(mremap(entries, 3 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP) == MAP_FAILED ? -errno : 0,
           -EINVAL);
  // The kernel's copy into it, and from it.
  int pipes[2];
  CHECK_EQ(pipe(pipes), 0);
  CHECK_EQ(write(pipes[1], room, 8), 8);
  CHECK_EQ(read(pipes[0], entries, 8) < 0 ? -errno : 0, -EFAULT);
  CHECK_EQ(write(pipes[1], entries, 8), 8);
  // From outside.
  CHECK_EQ(On(&reader, DoCall, SYS_ptrace, PTRACE_SEIZE, getpid(), 0), 0);
  struct iovec local = {room, 8}, remote = {entries, 8};
  CHECK_EQ(process_vm_readv(getpid(), &local, 1, &remote, 1, 0) < 0 ? -errno : 0, -EFAULT);
  const int mem = open("/proc/self/mem", O_RDWR);
  CHECK_EQ(pread(mem, room, 8, (off_t)entries) < 0 ? -errno : 0, -EIO);
  CHECK_EQ(pwrite(mem, room, 8, (off_t)entries) < 0 ? -errno : 0, -EIO);
  close(mem);
  ActorKill(&reader);
  // A forked child has a hole there.
  struct actor child = ActorFork();
  CHECK_EQ(On(&child, DoCall, SYS_msync, entries, 3 * PAGE, MS_ASYNC), -ENOMEM);
  CHECK_EQ(On(&child, DoCall, SYS_msync, room, 4 * PAGE, MS_ASYNC), 0);
  ActorKill(&child);

  CHECK_EQ(ShadowptClose(), 0);
  ReadMaps(getpid(), after, sizeof after);
  CHECK(strcmp(before, after) == 0);
  for (size_t i = 0; i < 3 * PAGE; ++i) CHECK_EQ(((char*)entries)[i], 0);
  memset(entries, 7, 3 * PAGE);

  // A user's write.
  char* other = EntriesMemory(PAGE);
  struct sigaction action = {.sa_sigaction = OnSegv, .sa_flags = SA_SIGINFO};
  sigaction(SIGSEGV, &action, NULL);
  CHECK_EQ(Open(getpid(), ARENA, ARENA + PAGE, other), 0);
  *(volatile char*)other = 1;
  CHECK_EQ(signal_seen, SIGSEGV);
  CHECK_EQ(signal_code, SEGV_ACCERR);
  CHECK_EQ(ShadowptClose(), 0);  // another mapping is there by now
  CHECK_EQ(*(volatile char*)other, 1);
}

static void AProtNoneRegionStaysSo(void) {
  static char before[1 << 16], after[1 << 16];
  char* none = mmap(NULL, 3 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ReadMaps(getpid(), before, sizeof before);
  CHECK_EQ(Open(getpid(), ARENA, ARENA + PAGE, none + PAGE), 0);
  ReadMaps(getpid(), after, sizeof after);
  CHECK(strcmp(before, after) != 0);  // a VMA of its own
  CHECK_EQ(ShadowptStart(), 0);
  CHECK_EQ(mprotect(none + PAGE, PAGE, PROT_READ), 0);
  CHECK_EQ(((struct shadow_pte*)(none + PAGE))->vaddr, ARENA);
  CHECK_EQ(mprotect(none + PAGE, PAGE, PROT_NONE), 0);
  CHECK_EQ(ShadowptClose(), 0);
  ReadMaps(getpid(), after, sizeof after);
  CHECK(strcmp(before, after) == 0);
  CHECK_EQ(mprotect(none, 3 * PAGE, PROT_READ | PROT_WRITE), 0);
  memset(none, 1, 3 * PAGE);
}

static void MapCount(void) {
  const char* path = "/proc/sys/vm/max_map_count";
  static char before[1 << 16], after[1 << 16];
  char* room = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const long limit = ReadNumber(path, "");
  for (int spare = 0; spare <= 2; ++spare) {
    ReadMaps(getpid(), before, sizeof before);
    long count = 0;
    for (const char* at = before; (at = strchr(at, '\n')) != NULL; ++at) ++count;
    if (strstr(before, "[vsyscall]") != NULL) --count;
    char number[32];
    snprintf(number, sizeof number, "%ld", count + spare);
    CHECK(WriteFile(path, number));
    const long middle = Open(getpid(), ARENA, ARENA + PAGE, room + 4 * PAGE);
    if (middle == 0) CHECK_EQ(ShadowptClose(), 0);
    ReadMaps(getpid(), after, sizeof after);
    const long edge = Open(getpid(), ARENA, ARENA + PAGE, room);
    if (edge == 0) CHECK_EQ(ShadowptClose(), 0);
    snprintf(number, sizeof number, "%ld", limit);
    CHECK(WriteFile(path, number));
    CHECK_EQ(middle, spare >= 2 ? 0 : -ENOMEM);
    CHECK_EQ(edge, spare >= 1 ? 0 : -ENOMEM);
    CHECK(strcmp(before, after) == 0);
  }
}

static long DoOpenMine(long target, long a, long b, long c) {
  (void)a, (void)b, (void)c;
  return Open(target, ARENA, ARENA + PAGE, EntriesMemory(PAGE));
}
static long DoOpenCloseMany(long target, long rounds, long a, long b) {
  (void)a, (void)b;
  void* entries = EntriesMemory(PAGE);
  long opened = 0;
  for (long i = 0; i < rounds; ++i) {
    const long ret = Open(target, ARENA, ARENA + PAGE, entries);
    if (ret == 0) {
      ++opened;
      if (ShadowptStart() != 0 || ShadowptStop() != 0) return -1;
      if (((volatile struct shadow_pte*)entries)->vaddr != ARENA) return -2;
      if (ShadowptClose() != 0) return -3;
      *(volatile char*)entries = 1;
      if (madvise(entries, PAGE, MADV_DONTNEED) != 0) return -5;
    } else if (ret != -EBUSY) {
      return ret;
    }
  }
  return opened;
}

static void ManyOpeners(void) {
  struct actor actors[6];
  for (int i = 0; i < 6; ++i) actors[i] = ActorFork();
  for (int i = 0; i < 6; ++i) Ask(&actors[i], DoOpenCloseMany, getpid(), 1500, 0, 0);
  long opened = 0;
  for (int i = 0; i < 6; ++i) {
    while (!Answered(&actors[i])) usleep(2000);
    CHECK(actors[i].box->result >= 0);
    opened += actors[i].box->result;
  }
  CHECK(opened > 0);
  // Of several that stay, one.
  int succeeded = 0;
  for (int i = 0; i < 6; ++i) Ask(&actors[i], DoOpenMine, getpid(), 0, 0, 0);
  for (int i = 0; i < 6; ++i) {
    while (!Answered(&actors[i])) usleep(1000);
    if (actors[i].box->result == 0)
      ++succeeded;
    else
      CHECK_EQ(actors[i].box->result, -EBUSY);
  }
  CHECK_EQ(succeeded, 1);
}

// Another thread faults the entries in while open is at work: either open refuses, or the shadow is mapped.
static void FaultsDuringOpen(void) {
  char* room = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct actor thread = ActorThread();
  long opened = 0, refused = 0;
  for (int i = 0; i < 3000; ++i) {
    Ask(&thread, DoTouch, (long)room, 2, 0, 0);
    for (volatile int spin = i % 97 * 8; spin > 0; --spin) continue;
    const long ret = Open(getpid(), ARENA, ARENA + 256 * PAGE, room);
    while (!Answered(&thread)) continue;
    if (ret == 0) {
      ++opened;
      CHECK_EQ(ShadowptStart(), 0);
      CHECK_EQ(((struct shadow_pte*)room)[255].vaddr, ARENA + 255 * PAGE);
      CHECK_EQ(ShadowptClose(), 0);
    } else {
      ++refused;
      CHECK_EQ(ret, -EINVAL);
    }
    CHECK_EQ(((long*)room)[0], 0);
    CHECK_EQ(madvise(room, 4 * PAGE, MADV_DONTNEED), 0);
  }
  printf("    opened %ld, refused %ld\n", opened, refused);
}

const struct test open_tests[] = {
    {"open/arguments in their order", ArgumentOrder},
    {"open/busy after the arguments", BusyComesAfterTheArguments},
    {"open/entries that are refused", RefusedEntries},
    {"open/entries that are mapped", MappedEntries},
    {"open/truncation", Truncation},
    {"open/the mapping", TheMapping},
    {"open/a PROT_NONE region", AProtNoneRegionStaysSo},
    {"open/max_map_count", MapCount},
    {"open/many openers", ManyOpeners},
    {"open/another thread faults entries in", FaultsDuringOpen},
    {NULL, NULL},
};
