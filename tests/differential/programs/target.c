// SPDX-License-Identifier: Apache-2.0
// target [SECONDS]: goes through every kind of change that the shadow page table shows, slowly enough to be
// watched. It prints its process id and the range to watch, waits for Enter (or ten seconds), makes one
// change after the other, and says each time what it does. A change that this kernel or this user cannot
// have is said to be missing. The last one is an exec, of itself; then it ends.
//
// The range is the largest that can be watched, 8 MiB (MAX_SPT_RANGE). It begins at the 2 MiB boundary below
// the heap, so that brk and malloc are seen; the program runs without address space randomization, so that
// its own text and data lie in there too, and exec is seen. All else happens in the upper 4 MiB, the arena,
// at fixed addresses: what a C library's malloc maps by itself (from 128 KiB on) lies where the kernel likes,
// so it is told to use the heap.
//
// What is not made here: swapoff and compaction, which do something to the whole machine; what khugepaged
// does in its own time (MADV_COLLAPSE does the same at once); process_mrelease, for which one has to be
// dying.
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../../include/uapi/shadowpt.h"

// What older C libraries do not name.
#define ADVICE_PAGEOUT 21
#define ADVICE_POPULATE_READ 22
#define ADVICE_POPULATE_WRITE 23
#define ADVICE_COLLAPSE 25

#define PAGE 4096l
#define HUGE (512 * PAGE)
#define READ_WRITE (PROT_READ | PROT_WRITE)
#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)

static double pause_seconds = 1;
static char* arena;  // 4 MiB, aligned to 2 MiB, unmapped at first

// ---- what the changes are made of: true, or false and errno ----

static char* At(long page) {
  return arena + page * PAGE;
}

static bool Map(long page, long pages, int protection, int flags, int file) {
  return mmap(At(page), (size_t)(pages * PAGE), protection, flags | MAP_FIXED, file, 0) != MAP_FAILED;
}

static bool Unmap(long page, long pages) {
  return munmap(At(page), (size_t)(pages * PAGE)) == 0;
}

static bool Advise(long page, long pages, int advice) {
  return madvise(At(page), (size_t)(pages * PAGE), advice) == 0;
}

static bool Protect(long page, long pages, int protection) {
  return mprotect(At(page), (size_t)(pages * PAGE), protection) == 0;
}

static bool Read(long page, long pages) {
  for (long i = 0; i < pages; ++i) (void)*(volatile char*)At(page + i);
  return true;
}

static bool Write(long page, long pages) {
  for (long i = 0; i < pages; ++i) *(volatile char*)At(page + i) = 'x';
  return true;
}

static bool Remap(long from, long pages, long new_pages, int flags, long to) {
  return mremap(At(from), (size_t)(pages * PAGE), (size_t)(new_pages * PAGE), flags, At(to)) != MAP_FAILED;
}

// Waits for a child that ends with 0, or with its errno.
static bool Reap(pid_t pid) {
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) != pid) return false;
  errno = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
  return status == 0;
}

// Another process, with an address space of its own, does it.
static bool Elsewhere(bool (*act)(void)) {
  const pid_t pid = fork();
  if (pid == 0) _exit(act() ? 0 : errno);
  return Reap(pid);
}

// ---- anonymous memory: pages 0 to 15 ----

static bool MapAnonymous(void) {
  return Map(0, 16, READ_WRITE, ANONYMOUS, -1);
}
static bool ReadZeroPage(void) {
  return Read(0, 8);
}
static bool WriteFrames(void) {
  return Write(0, 8);
}
static bool ProtectNone(void) {
  return Protect(0, 4, PROT_NONE);
}
static bool ProtectBack(void) {
  return Protect(0, 4, READ_WRITE);
}
static bool DontNeed(void) {
  return Advise(4, 2, MADV_DONTNEED);
}
static bool PageOut(void) {
  return Advise(0, 2, ADVICE_PAGEOUT);
}
static bool SwapIn(void) {
  return Read(0, 2);
}
static bool Free(void) {
  return Advise(2, 2, MADV_FREE);
}
static bool Reclaim(void) {
  return Advise(2, 2, ADVICE_PAGEOUT);
}
static bool LockPages(void) {
  return mlock(At(4), (size_t)(2 * PAGE)) == 0;
}
static bool UnlockPages(void) {
  return munlock(At(4), (size_t)(2 * PAGE)) == 0;
}
static bool PopulateRead(void) {
  return Advise(8, 2, ADVICE_POPULATE_READ);
}
static bool PopulateWrite(void) {
  return Advise(8, 4, ADVICE_POPULATE_WRITE);
}
static bool MapPopulated(void) {
  return Map(16, 4, READ_WRITE, ANONYMOUS | MAP_POPULATE, -1);
}

// ---- processes: pages 0 to 15 shared with a child, 20 to 31 changed by others ----

static pid_t child;
static int ask[2], answer[2];

static bool ForkChild(void) {
  if (pipe(ask) != 0 || pipe(answer) != 0) return false;
  child = fork();
  if (child == 0) {
    char byte;
    close(ask[1]);
    while (read(ask[0], &byte, 1) == 1 && Write(4, 2) && write(answer[1], &byte, 1) == 1) continue;
    _exit(0);
  }
  close(ask[0]);
  return child > 0;
}
static bool ParentWrites(void) {
  return Write(0, 2);
}
static bool ChildWrites(void) {
  char byte = 'w';
  return write(ask[1], &byte, 1) == 1 && read(answer[0], &byte, 1) == 1;
}
static bool ChildEnds(void) {
  close(ask[1]);
  close(answer[0]);
  close(answer[1]);
  return Reap(child);
}

static bool MapForOthers(void) {
  return Map(20, 12, READ_WRITE, ANONYMOUS, -1);
}
static void* TouchInThread(void* page) {
  Write((long)(intptr_t)page, 1);
  return NULL;
}
static bool ThreadTouches(void) {
  pthread_t thread;
  errno = pthread_create(&thread, NULL, TouchInThread, (void*)20l);
  return errno == 0 && pthread_join(thread, NULL) == 0;
}
static bool VforkTouches(void) {
  const pid_t pid = vfork();
  if (pid == 0) {
    *(volatile char*)At(21) = 'v';
    _exit(0);
  }
  return Reap(pid);
}
static int TouchInSharer(void* page) {
  const bool done = Write((long)(intptr_t)page, 1) && Unmap(31, 1);
  return done ? 0 : errno;
}
static bool SharerTouches(void) {
  static char stack[16 * 4096] __attribute__((aligned(16)));
  return Reap(clone(TouchInSharer, stack + sizeof stack, CLONE_VM | SIGCHLD, (void*)22l));
}
static bool WriteToParent(void) {
  char byte = 'o';
  const struct iovec from = {&byte, 1}, to = {At(23), 1};
  return process_vm_writev(getppid(), &from, 1, &to, 1, 0) == 1;
}
static bool OtherWrites(void) {
  return Elsewhere(WriteToParent);
}
static bool PokeParent(long page) {
  char path[32], byte = 'p';
  snprintf(path, sizeof path, "/proc/%d/mem", getppid());
  const int memory = open(path, O_RDWR);
  return memory >= 0 && pwrite(memory, &byte, 1, (off_t)(uintptr_t)At(page)) == 1;
}
static bool PokePage(void) {
  return PokeParent(24);
}
static bool DebuggerWrites(void) {
  return Elsewhere(PokePage);
}
static bool AdviseParent(void) {
  const int process = (int)syscall(SYS_pidfd_open, getppid(), 0);
  const struct iovec pages = {At(20), (size_t)(2 * PAGE)};
  return process >= 0 && syscall(SYS_process_madvise, process, &pages, 1l, ADVICE_PAGEOUT, 0) >= 0;
}
static bool OtherAdvises(void) {  // a page that the other process had as well would stay
  return Advise(20, 2, MADV_DONTFORK) && Elsewhere(AdviseParent);
}

// ---- frames that change under a page: pages 32 to 47 ----

static bool WriteText(const char* path, const char* text) {
  const int file = open(path, O_WRONLY);
  if (file < 0) return false;
  const bool written = write(file, text, strlen(text)) == (ssize_t)strlen(text);
  close(file);
  return written;
}

static bool Migrate(void) {
  if (!Map(32, 8, READ_WRITE, ANONYMOUS, -1) || !Write(32, 1)) return false;
  void* page = At(32);
  int node = -1, state = 0;
  if (syscall(SYS_move_pages, 0, 1l, &page, NULL, &node, 0) != 0) return false;
  node = node == 0 ? 1 : 0;
  if (syscall(SYS_move_pages, 0, 1l, &page, &node, &state, 2 /* MPOL_MF_MOVE */) != 0) return false;
  errno = state < 0 ? -state : 0;
  return state >= 0;
}

static bool MergeSame(void) {
  const char* run = "/sys/kernel/mm/ksm/run";
  char before = '0';
  const int state = open(run, O_RDONLY);
  if (state < 0 || read(state, &before, 1) != 1 || close(state) != 0) return false;
  memset(At(34), 'k', (size_t)(4 * PAGE));
  if (!Advise(34, 4, MADV_MERGEABLE) || !WriteText(run, "1")) return false;
  const struct timespec while_it_scans = {1, 0};
  nanosleep(&while_it_scans, NULL);
  return before == '1' || WriteText(run, "0");
}
static bool Unmerge(void) {
  return Write(34, 2) && Advise(34, 4, MADV_UNMERGEABLE);
}

static bool Userfault(void) {
  const int file = (int)syscall(SYS_userfaultfd, O_CLOEXEC | 1 /* UFFD_USER_MODE_ONLY */);
  struct uffdio_api api = {.api = UFFD_API};
  struct uffdio_register range = {{(uintptr_t)At(40), 4 * PAGE}, UFFDIO_REGISTER_MODE_MISSING, 0};
  struct uffdio_copy copy = {(uintptr_t)At(40), (uintptr_t)At(34), PAGE, 0, 0};
  struct uffdio_zeropage zero = {{(uintptr_t)At(41), PAGE}, 0, 0};
  const bool done = file >= 0 && Map(40, 4, READ_WRITE, ANONYMOUS, -1) &&
                    ioctl(file, UFFDIO_API, &api) == 0 && ioctl(file, UFFDIO_REGISTER, &range) == 0 &&
                    ioctl(file, UFFDIO_COPY, &copy) == 0 && ioctl(file, UFFDIO_ZEROPAGE, &zero) == 0;
  const int error = errno;
  if (file >= 0) close(file);
  errno = error;
  return done;
}

// ---- moves and holes: the pages 0 to 15 go to 64 to 95 ----

static bool Move(void) {
  return Remap(0, 8, 8, MREMAP_MAYMOVE | MREMAP_FIXED, 64);
}
static bool Grow(void) {
  return Remap(64, 8, 12, 0, 64);
}
static bool Shrink(void) {
  return Remap(64, 12, 8, 0, 64);
}
static bool MoveOnlyPages(void) {
  return Remap(64, 8, 8, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, 80);
}
static bool UnmapMiddle(void) {
  return Unmap(83, 1);
}
static bool UnmapEdges(void) {
  return Unmap(80, 1) && Unmap(87, 1);
}
static bool MapOver(void) {
  return Map(84, 2, PROT_READ, ANONYMOUS, -1);
}
// A file of /proc that refuses to be mapped, when what was there has gone already.
static bool MapOverFails(void) {
  const int file = open("/proc/version", O_RDONLY);
  if (file < 0) return false;
  const bool mapped = Map(84, 2, PROT_READ, MAP_PRIVATE, file);
  close(file);
  return !mapped;
}

// ---- files: pages 128 to 191 shared, 192 to 255 private, 256 to 259 code ----

static int file;

static bool MapFile(void) {
  file = memfd_create("target", 0);
  if (file < 0 || ftruncate(file, 64 * PAGE) != 0) return false;
  for (long i = 0; i < 64; ++i) {
    if (pwrite(file, "x", 1, i * PAGE) != 1) return false;
  }
  return Map(128, 64, READ_WRITE, MAP_SHARED, file) && Map(192, 64, READ_WRITE, MAP_PRIVATE, file);
}
static bool ReadFile(void) {
  return Read(128, 1) && Read(192, 1);
}
static bool WriteFile(void) {
  return Write(160, 2) && Write(192, 4);
}
static bool PunchHole(void) {
  return fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 8 * PAGE) == 0;
}
static bool OtherPunchesHole(void) {
  return Elsewhere(PunchHole);
}
static bool Truncate(void) {
  return ftruncate(file, 2 * PAGE) == 0;
}
static bool OtherTruncates(void) {
  return Elsewhere(Truncate);
}

static bool MapCode(void) {
#if defined(__x86_64__)
  static const unsigned char code[] = {0xc3};  // ret
#else
  static const unsigned char code[] = {0xc0, 0x03, 0x5f, 0xd6};  // ret
#endif
  const int program = memfd_create("code", 0);
  if (program < 0 || ftruncate(program, 4 * PAGE) != 0) return false;
  const bool mapped = pwrite(program, code, sizeof code, PAGE) == (ssize_t)sizeof code &&
                      Map(256, 4, PROT_READ | PROT_EXEC, MAP_PRIVATE, program);
  close(program);
  return mapped;
}
static bool ExecuteCode(void) {
  ((void (*)(void))(uintptr_t)At(257))();
  return true;
}

// ---- shared memory: pages 300 to 315 ----

static bool AttachSegment(void) {
  const int id = shmget(IPC_PRIVATE, (size_t)(8 * PAGE), IPC_CREAT | 0600);
  if (id < 0) return false;
  const bool attached = shmat(id, At(300), 0) != (void*)-1;
  shmctl(id, IPC_RMID, NULL);
  return attached && Write(300, 8);
}
static bool DetachSegment(void) {
  return shmdt(At(300)) == 0;
}
static bool SharedAnonymous(void) {
  return Map(308, 8, READ_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1) && Write(308, 4);
}

// ---- huge pages: the second half of the arena, pages 512 to 1023 ----

static bool MapHuge(void) {
  return Map(512, 512, READ_WRITE, ANONYMOUS, -1) && Advise(512, 512, MADV_HUGEPAGE);
}
static bool HugeZeroPage(void) {
  return MapHuge() && Read(512, 1);
}
static bool WriteHugeZeroPage(void) {
  return Write(512, 1);
}
static bool HugePage(void) {
  return MapHuge() && Write(512, 1);
}
static bool SplitHuge(void) {
  return Advise(520, 8, MADV_DONTNEED);
}
static bool Collapse(void) {
  return Advise(512, 512, ADVICE_COLLAPSE);
}
static bool HoleInHuge(void) {
  return Unmap(600, 8);
}

// ---- a stack that ends at page 500 ----

static bool UnmapWhole(void) {
  return Unmap(0, 1024);
}
static bool MapStack(void) {
  return Map(499, 1, READ_WRITE, ANONYMOUS | MAP_GROWSDOWN, -1);
}
static bool GrowStack(void) {
  return Write(494, 1);
}
static bool PokeStack(void) {
  return PokeParent(490);
}
static bool DebuggerGrowsStack(void) {
  return Elsewhere(PokeStack);
}

// ---- the heap ----

static char* volatile heap;

static bool BrkUp(void) {
  heap = sbrk(8 * PAGE);
  return heap != (char*)-1;
}
static bool TouchHeap(void) {
  for (long i = 0; i < 8; i += 2) heap[i * PAGE] = 'h';
  return true;
}
static bool BrkDown(void) {
  return sbrk(-8 * PAGE) != (void*)-1;
}
static bool Allocate(void) {
  heap = malloc((size_t)(64 * PAGE));
  return heap != NULL;
}
static bool WriteAllocated(void) {
  memset(heap, 'm', (size_t)(16 * PAGE));
  return true;
}
static bool FreeAllocated(void) {
  free(heap);
  return true;
}

static const struct change {
  const char* what;
  bool (*make)(void);
} kChanges[] = {
    {"brk up: eight more pages of heap", BrkUp},
    {"writes to every second of them", TouchHeap},
    {"brk down: they are gone", BrkDown},
    {"malloc: 64 pages of heap", Allocate},
    {"writes to sixteen of them", WriteAllocated},
    {"free: the heap is cut again", FreeAllocated},
    {"mmap: sixteen anonymous pages", MapAnonymous},
    {"reads: the zero page, eight times", ReadZeroPage},
    {"writes: a frame for each of the eight", WriteFrames},
    {"mprotect to PROT_NONE: nothing changes here", ProtectNone},
    {"mprotect back: nothing either", ProtectBack},
    {"MADV_DONTNEED: two pages lose their frames", DontNeed},
    {"MADV_PAGEOUT: two pages keep an entry, without a frame (if there is swap)", PageOut},
    {"reads: they come back", SwapIn},
    {"MADV_FREE: two pages may go, and are still there", Free},
    {"MADV_PAGEOUT of these: now they go", Reclaim},
    {"mlock: two pages come at once", LockPages},
    {"munlock: nothing changes", UnlockPages},
    {"MADV_POPULATE_READ: the zero page, twice", PopulateRead},
    {"MADV_POPULATE_WRITE: four frames", PopulateWrite},
    {"MAP_POPULATE: four pages with their frames", MapPopulated},
    {"fork: a child shares the frames; only what the program itself writes to is copied", ForkChild},
    {"writes: the parent copies two of them", ParentWrites},
    {"the child's writes: its copies, nothing here", ChildWrites},
    {"the child ends: nothing here", ChildEnds},
    {"mmap: twelve pages for others to change", MapForOthers},
    {"a thread writes to the first", ThreadTouches},
    {"a vfork child to the second", VforkTouches},
    {"a CLONE_VM child to the third, and unmaps the last", SharerTouches},
    {"process_vm_writev by another process: the fourth", OtherWrites},
    {"/proc/PID/mem, as a debugger does it: the fifth", DebuggerWrites},
    {"process_madvise by another process, MADV_PAGEOUT: two without a frame", OtherAdvises},
    {"migration: a page is moved to another node's frame", Migrate},
    {"KSM: four pages that are the same become one frame", MergeSame},
    {"KSM: writes and MADV_UNMERGEABLE, each has its own again", Unmerge},
    {"userfaultfd: a page is copied in, and a zero page", Userfault},
    {"mremap: eight pages move up by 64, with their frames", Move},
    {"mremap: grows by four", Grow},
    {"mremap: shrinks to eight", Shrink},
    {"mremap with MREMAP_DONTUNMAP: the frames move on, the old pages stay", MoveOnlyPages},
    {"munmap: one page in the middle", UnmapMiddle},
    {"munmap: one at each edge", UnmapEdges},
    {"mmap over the next: two fresh pages", MapOver},
    {"a MAP_FIXED that fails: what was there has gone", MapOverFails},
    {"a file, shared and private: not anonymous", MapFile},
    {"a read of each: the pages around it come as well", ReadFile},
    {"writes: the file's own pages, and private copies", WriteFile},
    {"another process punches a hole in the file: eight pages go, the private copies stay", OtherPunchesHole},
    {"another process truncates it: what lay behind its end is unmapped", OtherTruncates},
    {"a file with a program", MapCode},
    {"a call: executing it maps its page", ExecuteCode},
    {"shmat: a shared segment of eight pages, written to", AttachSegment},
    {"shmdt", DetachSegment},
    {"shared anonymous memory: not anonymous in the kernel's sense", SharedAnonymous},
    {"a read where huge pages are wanted: the huge zero page", HugeZeroPage},
    {"a write to it: a frame for one page, and the zero page for the others", WriteHugeZeroPage},
    {"the same again, and a write first: a huge page, 512 frames", HugePage},
    {"MADV_DONTNEED inside it: it is split", SplitHuge},
    {"MADV_COLLAPSE: new frames, all of them", Collapse},
    {"munmap inside it: eight pages go", HoleInHuge},
    {"munmap of everything", UnmapWhole},
    {"a stack of one page", MapStack},
    {"a write below it: the stack grows", GrowStack},
    {"/proc/PID/mem below that: it grows again", DebuggerGrowsStack},
};

// What it is comes first, so that what an inspector shows comes behind it.
static void Say(const char* what) {
  printf("target: %s\n", what);
  fflush(stdout);
}

static void Pause(void) {
  const struct timespec wait = {(time_t)pause_seconds, (long)(pause_seconds * 1e9) % 1000000000l};
  nanosleep(&wait, NULL);
}

static void Make(const struct change* change) {
  Say(change->what);
  if (!change->make()) printf("target: (not here: %s)\n", strerror(errno));
  Pause();
}

// The range is free above the heap, where nothing lies that the kernel was not told to put there.
static bool Place(void) {
  const uintptr_t start = (uintptr_t)sbrk(0) & ~((uintptr_t)HUGE - 1);
  arena = (char*)(start + MAX_SPT_RANGE - 2 * HUGE);
  const int flags = ANONYMOUS | MAP_FIXED_NOREPLACE;
  if (mmap(arena, 2 * HUGE, PROT_NONE, flags, -1, 0) != arena || !Unmap(0, 1024)) return false;
  printf("target: pid %d\ntarget: watch me with: inspector -c %d %#lx %#lx\n", getpid(), getpid(),
         (unsigned long)start, (unsigned long)start + MAX_SPT_RANGE);
  fflush(stdout);
  return true;
}

int main(int argc, char** argv) {
  const bool last_act = argc == 3 && strcmp(argv[1], "--exec") == 0;
  if (argc >= 2) pause_seconds = atof(argv[argc - 1]);
  if ((argc > 2 && !last_act) || pause_seconds < 0 || (argc == 2 && argv[1][0] == '-')) {
    fprintf(stderr, "usage: target [SECONDS]  (the pause after each change; 1)\n");
    return 2;
  }
  if (last_act) {
    Pause();
    Say("ends");
    return 0;
  }
  const int persona = personality(0xffffffff);
  if ((persona & ADDR_NO_RANDOMIZE) == 0 && personality((unsigned long)persona | ADDR_NO_RANDOMIZE) >= 0 &&
      (personality(0xffffffff) & ADDR_NO_RANDOMIZE) != 0)
    execv("/proc/self/exe", argv);

  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TOP_PAD, 0);
  mallopt(M_TRIM_THRESHOLD, 0);
  prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);  // where only a parent may touch another's memory
  if (!Place()) {
    fprintf(stderr, "target: no room for 4 MiB behind the heap\n");
    return 1;
  }
  struct pollfd input = {0, POLLIN, 0};
  poll(&input, 1, pause_seconds >= 1 ? 10000 : 1000);
  for (size_t i = 0; i < sizeof kChanges / sizeof kChanges[0]; ++i) Make(&kChanges[i]);
  Say("exec: the old program's memory goes, and the new one's comes");
  char pause_text[32];
  snprintf(pause_text, sizeof pause_text, "%g", pause_seconds);
  execl("/proc/self/exe", "target", "--exec", pause_text, (char*)NULL);
  perror("target: exec");
  return 1;
}
