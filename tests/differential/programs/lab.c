// SPDX-License-Identifier: Apache-2.0
#include "lab.h"

#include <stdarg.h>
#include <time.h>

// ---- judging ----

void Fail(const char* file, int line, const char* format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  const char* base = strrchr(file, '/');
  printf("    %s:%d: %s\n", base != NULL ? base + 1 : file, line, text);
  fflush(stdout);
  Call(SYS_exit_group, 1);
  __builtin_unreachable();
}

static bool TableIsFree(void) {
  struct user_shadow_pt range = {ARENA, ARENA + PAGE, EntriesMemory(PAGE)};
  long ret = -EBUSY;
  for (int tries = 0; ret == -EBUSY && tries < 200; ++tries) {
    ret = ShadowptOpen(getpid(), &range);
    if (ret == -EBUSY) usleep(10000);
  }
  if (ret != 0) printf("    afterwards: open gives %ld\n", ret);
  if (ret == 0) ret = ShadowptClose();
  munmap(range.entries, PAGE);
  return ret == 0;
}

int RunTests(const struct test* tests, const char* filter) {
  int failed = 0;
  for (; tests->name != NULL; ++tests) {
    if (filter != NULL && strstr(tests->name, filter) == NULL) continue;
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
      setpgid(0, 0);
      signal(SIGALRM, SIG_DFL);
      alarm(600);
      tests->run();
      fflush(stdout);
      Call(SYS_exit_group, 0);
    }
    const int status = Reap(pid);
    kill(-pid, SIGKILL);
    while (waitpid(-pid, NULL, 0) > 0) continue;
    bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (WIFSIGNALED(status)) printf("    ended by signal %d\n", WTERMSIG(status));
    if (!TableIsFree()) good = false;
    clock_gettime(CLOCK_MONOTONIC, &end);
    failed += good ? 0 : 1;
    printf("%-4s %-44s %ld ms\n", good ? "ok" : "FAIL", tests->name,
           (end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000);
    fflush(stdout);
  }
  return failed;
}

// ---- actors ----

void ActorServe(struct mailbox* box) {
  for (;;) {
    const uint32_t asked = atomic_load(&box->asked);
    if (asked == atomic_load(&box->answered)) {
      Call(SYS_futex, &box->asked, FUTEX_WAIT, asked, NULL, NULL, 0);
      continue;
    }
    box->result = box->function(box->args[0], box->args[1], box->args[2], box->args[3]);
    atomic_store(&box->answered, asked);
    Call(SYS_futex, &box->answered, FUTEX_WAKE, 1 << 30, NULL, NULL, 0);
  }
}

struct actor ActorNew(void) {
  struct actor actor = {0};
  actor.box_fd = memfd_create("box", 0);
  if (actor.box_fd < 0 || ftruncate(actor.box_fd, PAGE) != 0) Fail(__FILE__, __LINE__, "no mailbox");
  actor.box = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, actor.box_fd, 0);
  return actor;
}

struct actor ActorFork(void) {
  struct actor actor = ActorNew();
  fflush(stdout);
  actor.pid = fork();
  if (actor.pid == 0) ActorServe(actor.box);
  return actor;
}

#if defined(__x86_64__)
// The child starts on a stack of its own, with the mailbox on it.
__asm__(
    ".text\n.globl CloneRaw\nCloneRaw:\n"
    "  mov $56, %eax\n  xor %r10, %r10\n  xor %r8, %r8\n  syscall\n"
    "  test %rax, %rax\n  jz 1f\n  ret\n"
    "1: mov (%rsp), %rdi\n  xor %ebp, %ebp\n  call ActorServe\n");
#else
__asm__(
    ".text\n.globl CloneRaw\nCloneRaw:\n"
    "  mov x8, #220\n  mov x2, #0\n  mov x3, #0\n  mov x4, #0\n  svc #0\n"
    "  cbz x0, 1f\n  ret\n"
    "1: ldr x0, [sp]\n  mov x29, #0\n  mov x30, #0\n  bl ActorServe\n");
#endif
long CloneRaw(long flags, void* stack);

static struct actor ActorRaw(long flags) {
  struct actor actor = ActorNew();
  const size_t size = 16 * PAGE;
  actor.stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  void** top = (void**)((char*)actor.stack + size - 64);
  top[0] = actor.box;
  actor.pid = (pid_t)CloneRaw(flags, top);
  return actor;
}

struct actor ActorThread(void) {
  return ActorRaw(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM);
}

struct actor ActorClone(int flags) {
  return ActorRaw(flags | SIGCHLD);
}

void Ask(struct actor* actor, long (*function)(long, long, long, long), long a, long b, long c, long d) {
  struct mailbox* box = actor->box;
  box->function = function;
  box->args[0] = a;
  box->args[1] = b;
  box->args[2] = c;
  box->args[3] = d;
  atomic_fetch_add(&box->asked, 1);
  Call(SYS_futex, &box->asked, FUTEX_WAKE, 1 << 30, NULL, NULL, 0);
}

bool Answered(struct actor* actor) {
  return atomic_load(&actor->box->answered) == atomic_load(&actor->box->asked);
}

static bool IsGone(pid_t pid) {
  char path[64], text[512];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return true;
  const ssize_t got = read(fd, text, sizeof text - 1);
  close(fd);
  if (got <= 0) return true;
  text[got] = 0;
  const char* state = strrchr(text, ')');
  return state != NULL && (state[2] == 'Z' || state[2] == 'X');
}

long OnFull(struct actor* actor, bool* died, long (*function)(long, long, long, long), long a, long b, long c,
            long d) {
  Ask(actor, function, a, b, c, d);
  if (died != NULL) *died = false;
  while (!Answered(actor)) {
    const struct timespec wait = {0, 20000000};
    const uint32_t answered = atomic_load(&actor->box->answered);
    if (answered == atomic_load(&actor->box->asked)) break;
    Call(SYS_futex, &actor->box->answered, FUTEX_WAIT, answered, &wait, NULL, 0);
    if (!Answered(actor) && IsGone(actor->pid) && !Answered(actor)) {
      if (died == NULL) Fail(__FILE__, __LINE__, "actor %d has died", actor->pid);
      *died = true;
      return -ESRCH;
    }
  }
  return actor->box->result;
}

int Reap(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, __WALL) < 0 && errno == EINTR) continue;
  return status;
}

void ActorKill(struct actor* actor) {
  kill(actor->pid, SIGKILL);
  Reap(actor->pid);
  munmap(actor->box, PAGE);
  close(actor->box_fd);
}

void ServeAfterExec(int fd) {
  struct mailbox* box = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  // The exec was the request; it has been carried out.
  box->result = 0;
  atomic_store(&box->answered, atomic_load(&box->asked));
  Call(SYS_futex, &box->answered, FUTEX_WAKE, 1 << 30, NULL, NULL, 0);
  ActorServe(box);
  __builtin_unreachable();
}

// ---- functions for actors ----

long DoTouch(long addr, long pages, long write, long unused) {
  (void)unused;
  for (long i = 0; i < pages; ++i) {
    volatile char* byte = (volatile char*)(addr + i * (long)PAGE);
    if (write) {
      *byte = (char)(i + write);
    } else {
      (void)*byte;
    }
  }
  return 0;
}

long DoCall(long nr, long a, long b, long c) {
  return Call(nr, a, b, c);
}

long DoMmap(long addr, long pages, long prot, long flags) {
  return Call(SYS_mmap, addr, pages * PAGE, prot, flags | MAP_ANONYMOUS | MAP_PRIVATE | MAP_FIXED, -1, 0);
}

long DoMmapFile(long addr, long pages, long flags, long fd) {
  return Call(SYS_mmap, addr, pages * PAGE, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0);
}

long DoMremap(long old, long old_pages, long new_pages, long to) {
  return Call(SYS_mremap, old, old_pages * PAGE, new_pages * PAGE,
              to != 0 ? MREMAP_MAYMOVE | MREMAP_FIXED : MREMAP_MAYMOVE, to);
}

long DoExec(long box_fd, long a, long b, long c) {
  (void)a, (void)b, (void)c;
  char number[16];
  snprintf(number, sizeof number, "%ld", box_fd);
  char* argv[] = {(char*)"selftest", (char*)"--serve", number, NULL};
  char* envp[] = {NULL};
  return Call(SYS_execve, "/proc/self/exe", argv, envp);
}

long DoExit(long code, long a, long b, long c) {
  (void)a, (void)b, (void)c;
  return Call(SYS_exit_group, code);
}

long DoForkActor(long box_fd, long flags, long a, long b) {
  (void)a, (void)b;
  struct mailbox* box =
      (struct mailbox*)Call(SYS_mmap, 0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, box_fd, 0);
  if ((flags & CLONE_VM) == 0) {
    const long pid = Call(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) ActorServe(box);
    return pid;
  }
  const size_t size = 16 * PAGE;
  char* stack = (char*)Call(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  void** top = (void**)(stack + size - 64);
  top[0] = box;
  return CloneRaw(flags | ((flags & CLONE_THREAD) != 0 ? 0 : SIGCHLD), top);
}

// ---- the truth ----

size_t ReadAll(const char* path, char* text, size_t size) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  size_t used = 0;
  if (fd >= 0) {
    for (;;) {
      const ssize_t got = read(fd, text + used, size - 1 - used);
      if (got <= 0) break;
      used += (size_t)got;
    }
    close(fd);
  }
  text[used] = 0;
  return used;
}

void ReadMaps(pid_t pid, char* text, size_t size) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/maps", pid);
  ReadAll(path, text, size);
}

static unsigned long FlagsOfMapping(const char* perms, unsigned long inode, const char* name, bool* special) {
  *special = strcmp(name, "[vvar]") == 0 || strcmp(name, "[vvar_vclock]") == 0;
  if (perms[3] == 's') return SPTE_VADDR_ALLOCATED;
  if (strcmp(name, "/dev/zero") == 0) return SPTE_VADDR_ALLOCATED | SPTE_VADDR_ANONYMOUS;
  if (inode != 0 || *special || strcmp(name, "[vdso]") == 0) return SPTE_VADDR_ALLOCATED;
  return SPTE_VADDR_ALLOCATED | SPTE_VADDR_ANONYMOUS;
}

void Truth(pid_t pid, unsigned long start, unsigned long pages, struct shadow_pte* out) {
  static char maps[1 << 18];
  static uint64_t pagemap[MAX_PAGES];
  char path[64];
  for (unsigned long i = 0; i < pages; ++i) out[i] = (struct shadow_pte){start + i * PAGE, 0, 0};
  ReadMaps(pid, maps, sizeof maps);
  for (char* line = strtok(maps, "\n"); line != NULL; line = strtok(NULL, "\n")) {
    unsigned long from = 0, to = 0, offset = 0, inode = 0;
    char perms[8] = "", device[16] = "", name[256] = "";
    if (sscanf(line, "%lx-%lx %7s %lx %15s %lu %255[^\n]", &from, &to, perms, &offset, device, &inode, name) <
        6)
      continue;
    bool special = false;
    const unsigned long flags = FlagsOfMapping(perms, inode, name, &special);
    for (unsigned long i = 0; i < pages; ++i) {
      if (out[i].vaddr >= from && out[i].vaddr < to) out[i].state_flags = special ? ~0ul : flags;
    }
  }
  snprintf(path, sizeof path, "/proc/%d/pagemap", pid);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  memset(pagemap, 0, sizeof pagemap);
  if (fd >= 0) {
    if (pread(fd, pagemap, pages * 8, (off_t)(start / PAGE * 8)) < 0) memset(pagemap, 0, sizeof pagemap);
    close(fd);
  }
  for (unsigned long i = 0; i < pages; ++i) {
    if (out[i].state_flags == ~0ul) continue;
    if ((pagemap[i] >> 63) != 0) {
      out[i].state_flags |= SPTE_PTE_MAPPED;
      out[i].pfn = pagemap[i] & ((1ul << 55) - 1);
    } else if (((pagemap[i] >> 62) & 1) != 0) {
      out[i].state_flags |= SPTE_PTE_MAPPED;
    }
  }
}

int Differs(pid_t pid, const struct shadow_pte* entries, unsigned long start, unsigned long pages,
            int patience, char* text, size_t size) {
  static struct shadow_pte truth[MAX_PAGES];
  for (;; --patience) {
    Truth(pid, start, pages, truth);
    unsigned long i = 0;
    for (; i < pages; ++i) {
      const volatile struct shadow_pte* entry = &entries[i];
      const unsigned long vaddr = entry->vaddr, flags = entry->state_flags, pfn = entry->pfn;
      if (truth[i].state_flags == ~0ul && vaddr == truth[i].vaddr) continue;
      if (vaddr == truth[i].vaddr && pfn == truth[i].pfn && flags == truth[i].state_flags) continue;
      snprintf(text, size,
               "page %lu at %lx: entry (%lx, pfn %lx, flags %lx), truth (%lx, pfn %lx, flags %lx)", i,
               start + i * PAGE, vaddr, pfn, flags, truth[i].vaddr, truth[i].pfn, truth[i].state_flags);
      break;
    }
    if (i == pages) return 0;
    if (patience <= 0) return 1;
    usleep(1000);
  }
}

void CheckTruth(const char* file, int line, pid_t pid, const struct shadow_pte* entries, unsigned long start,
                unsigned long pages) {
  char text[256];
  if (Differs(pid, entries, start, pages, 0, text, sizeof text) != 0) Fail(file, line, "%s", text);
}

bool WriteFile(const char* path, const char* text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const ssize_t wrote = write(fd, text, strlen(text));
  close(fd);
  return wrote == (ssize_t)strlen(text);
}

long ReadNumber(const char* path, const char* key) {
  static char text[1 << 16];
  ReadAll(path, text, sizeof text);
  const char* at = strstr(text, key);
  return at == NULL ? -1 : strtol(at + strlen(key), NULL, 10);
}

unsigned long FrameOf(pid_t pid, unsigned long addr) {
  struct shadow_pte entry;
  Truth(pid, addr & ~(PAGE - 1), 1, &entry);
  return entry.pfn;
}

// ---- a table ----

void* EntriesMemory(unsigned long bytes) {
  const unsigned long size = (bytes + PAGE - 1) / PAGE * PAGE;
  char* room = mmap(NULL, size + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(room, PAGE);
  munmap(room + PAGE + size, PAGE);
  mprotect(room + PAGE, size, PROT_READ | PROT_WRITE);
  return room + PAGE;
}

struct table Track(pid_t target, unsigned long start, unsigned long pages) {
  struct table table = {EntriesMemory(pages * sizeof(struct shadow_pte)), start, pages, target};
  struct user_shadow_pt range = {start, start + pages * PAGE, table.entries};
  CHECK_EQ(ShadowptOpen(target, &range), 0);
  CHECK_EQ(ShadowptStart(), 0);
  return table;
}

void Untrack(struct table* table) {
  CHECK_EQ(ShadowptClose(), 0);
  munmap(table->entries, (table->pages * sizeof(struct shadow_pte) + PAGE - 1) / PAGE * PAGE);
}
