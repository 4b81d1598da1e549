// SPDX-License-Identifier: Apache-2.0
// target [SECONDS]: goes through every kind of change that the shadow page table shows, slowly enough to be
// watched. It prints its process id and the range to watch, waits for Enter (or ten seconds), and says what
// it does next.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define PAGE 4096l
#define HUGE (512 * PAGE)

static double pause_seconds = 1;
static char* range;  // 8 MiB, aligned to 2 MiB, unmapped at first

static void Say(const char* what) {
  printf("target: %s\n", what);
  fflush(stdout);
  const struct timespec wait = {(time_t)pause_seconds, (long)(pause_seconds * 1e9) % 1000000000l};
  nanosleep(&wait, NULL);
}

static void Map(char* at, long pages, int protection, int flags, int file) {
  if (mmap(at, (size_t)(pages * PAGE), protection, flags | MAP_FIXED, file, 0) == MAP_FAILED)
    perror("target: mmap");
}

static void Touch(char* at, long pages, int write_it) {
  for (long i = 0; i < pages; ++i) {
    volatile char* byte = at + i * PAGE;
    if (write_it)
      *byte = (char)i;
    else
      (void)*byte;
  }
}

static void Anonymous(void) {
  Map(range, 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  Say("mmap: sixteen anonymous pages");
  Touch(range, 8, 0);
  Say("reads: the zero page, eight times");
  Touch(range, 8, 1);
  Say("writes: a frame for each of the eight");
  mprotect(range, (size_t)(4 * PAGE), PROT_NONE);
  Say("mprotect to PROT_NONE: nothing changes here");
  mprotect(range, (size_t)(4 * PAGE), PROT_READ | PROT_WRITE);
  madvise(range + 4 * PAGE, (size_t)(2 * PAGE), MADV_DONTNEED);
  Say("MADV_DONTNEED: two pages lose their frames");
  madvise(range, (size_t)(2 * PAGE), MADV_PAGEOUT);
  Say("MADV_PAGEOUT: two pages keep an entry, without a frame (if there is swap)");
  Touch(range, 2, 0);
  Say("reads: they come back");
}

static void ForkCopies(void) {
  const pid_t child = fork();
  if (child == 0) {
    const struct timespec long_enough = {(time_t)pause_seconds * 3 + 1, 0};
    nanosleep(&long_enough, NULL);
    _exit(0);
  }
  Say("fork: a child shares the frames");
  Touch(range, 2, 1);
  Say("writes: the parent copies two of them");
  if (child > 0) waitpid(child, NULL, 0);
}

static void MovesAndUnmaps(void) {
  mremap(range, (size_t)(8 * PAGE), (size_t)(8 * PAGE), MREMAP_MAYMOVE | MREMAP_FIXED, range + 64 * PAGE);
  Say("mremap: eight pages move up by 64, with their frames");
  mremap(range + 64 * PAGE, (size_t)(8 * PAGE), (size_t)(4 * PAGE), 0);
  Say("mremap: shrinks to four");
  munmap(range + 65 * PAGE, (size_t)PAGE);
  Say("munmap: one page in the middle");
  Map(range + 64 * PAGE, 2, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  Say("mmap over it: two fresh pages");
}

static void Files(void) {
  const int file = memfd_create("target", 0);
  if (file < 0 || ftruncate(file, 64 * PAGE) != 0) return;
  char byte = 'x';
  for (long i = 0; i < 64; ++i) {
    if (pwrite(file, &byte, 1, i * PAGE) != 1) return;
  }
  Map(range + 128 * PAGE, 64, PROT_READ | PROT_WRITE, MAP_SHARED, file);
  Map(range + 192 * PAGE, 64, PROT_READ | PROT_WRITE, MAP_PRIVATE, file);
  Say("a file, shared and private: not anonymous");
  Touch(range + 128 * PAGE, 1, 0);
  Touch(range + 192 * PAGE, 1, 0);
  Say("a read of each: the pages around it come as well");
  Touch(range + 192 * PAGE, 4, 1);
  Say("writes: private copies");
  if (ftruncate(file, 2 * PAGE) == 0) Say("the file is truncated: what lay behind its end is unmapped");
  close(file);
}

static void SharedSegment(void) {
  const int id = shmget(IPC_PRIVATE, (size_t)(8 * PAGE), IPC_CREAT | 0600);
  if (id < 0 || shmat(id, range + 300 * PAGE, 0) == (void*)-1) return;
  Touch(range + 300 * PAGE, 8, 1);
  Say("shmat: a shared segment of eight pages");
  shmdt(range + 300 * PAGE);
  shmctl(id, IPC_RMID, NULL);
  Say("shmdt");
}

static void HugePages(void) {
  char* at = range + HUGE;
  Map(at, 512, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  madvise(at, HUGE, MADV_HUGEPAGE);
  Touch(at, 1, 1);
  Say("a huge page: one write maps 512 pages");
  madvise(at + 8 * PAGE, (size_t)(8 * PAGE), MADV_DONTNEED);
  Say("MADV_DONTNEED inside it: it is split");
  if (madvise(at, HUGE, MADV_COLLAPSE) == 0) Say("MADV_COLLAPSE: new frames, all of them");
}

static void Stack(void) {
  char* top = range + 3 * HUGE + 400 * PAGE;
  Map(top - PAGE, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1);
  Say("a stack of one page");
  Touch(top - 6 * PAGE, 1, 1);
  Say("a write below it: the stack grows");
}

int main(int argc, char** argv) {
  if (argc >= 2) pause_seconds = atof(argv[1]);
  if (argc > 2 || pause_seconds < 0 || (argc == 2 && argv[1][0] == '-')) {
    fprintf(stderr, "usage: target [SECONDS]  (the pause after each change; 1)\n");
    return 2;
  }
  char* room = mmap(NULL, 6 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) return 1;
  range = (char*)(((unsigned long)room + HUGE - 1) & ~((unsigned long)HUGE - 1));
  munmap(room, 6 * HUGE);
  printf("target: pid %d\ntarget: watch me with: inspector -c %d %p %p\n", getpid(), getpid(), (void*)range,
         (void*)(range + 4 * HUGE));
  fflush(stdout);
  struct pollfd input = {0, POLLIN, 0};
  poll(&input, 1, pause_seconds >= 1 ? 10000 : 1000);
  Anonymous();
  ForkCopies();
  MovesAndUnmaps();
  Files();
  SharedSegment();
  HugePages();
  Stack();
  void* heap = malloc(100000);
  Say("malloc (in the heap, outside this range)");
  free(heap);
  munmap(range, 4 * HUGE);
  Say("munmap of everything");
  printf("target: ends\n");
  return 0;
}
