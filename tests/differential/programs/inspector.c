// SPDX-License-Identifier: Apache-2.0
// inspector PID START END: shows the shadow page table of a process once a second (or as often as -i says),
// until it is interrupted.
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "calls.h"

static const unsigned long kPage = 4096;

static volatile sig_atomic_t interrupted;
static void OnSignal(int number) {
  interrupted = number;
}

static void Usage(void) {
  fprintf(stderr,
          "usage: inspector [-c] [-i SECONDS] [-n COUNT] PID START END\n"
          "Shows what is known of each page of PID's addresses from START up to END (hexadecimal with 0x), "
          "once a\n"
          "second, until Ctrl-C. At most 2,048 pages are watched.\n"
          "  -c          after the first table, only the pages that have changed, when some have\n"
          "  -i SECONDS  looks so often (1)\n"
          "  -n COUNT    ends after COUNT tables\n"
          "Each line: addresses, A allocated, N anonymous, M mapped, and the page frame's number (0: no "
          "frame, for a\n"
          "page that is swapped out or on its way). Neighbours that are alike share a line.\n");
  exit(2);
}

// What an errno of open, start or close means to someone at a terminal.
static const char* Meaning(const char* call, long error) {
  switch (error) {
    case -EPERM:
      return strcmp(call, "open") == 0 ? "only the superuser may watch a process"
                                       : "the table belongs to another process";
    case -EINVAL:
      return strcmp(call, "open") == 0 ? "no such process, a range that is not made of whole pages of user "
                                         "memory, or unsuitable memory for "
                                         "the entries"
                                       : "no table is open";
    case -EBUSY:
      return "somebody else is watching a process; there is one table in the system";
    case -EFAULT:
      return "the description of the range could not be read or written";
    case -ENOMEM:
      return "not enough memory, or too many mappings";
    case -ESRCH:
      return "the process has ended";
    case -ENOSYS:
      return "this kernel does not have the shadow page table";
    default:
      return strerror((int)-error);
  }
}

static bool Try(const char* call, long error) {
  if (error == 0) return true;
  fprintf(stderr, "inspector: %s: %s (errno %ld)\n", call, Meaning(call, error), -error);
  return false;
}

// A consistent copy of an entry: the kernel stores the frame before the flag that announces it, and takes the
// flag away before the frame.
static struct shadow_pte Look(const volatile struct shadow_pte* entry) {
  struct shadow_pte copy;
  do {
    copy.state_flags = entry->state_flags;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    copy.pfn = entry->pfn;
    copy.vaddr = entry->vaddr;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
  } while (entry->state_flags != copy.state_flags || entry->pfn != copy.pfn);
  return copy;
}

static bool Same(struct shadow_pte a, struct shadow_pte b) {
  return a.pfn == b.pfn && a.state_flags == b.state_flags && a.vaddr == b.vaddr;
}

static bool AllSame(const struct shadow_pte* a, const struct shadow_pte* b, unsigned long pages) {
  for (unsigned long i = 0; i < pages; ++i) {
    if (!Same(a[i], b[i])) return false;
  }
  return true;
}

// By how much the frame's number grows from page to page in a run that begins with these two: by one, or not
// at all, as where they all are the zero page.
static unsigned long StepOf(const struct shadow_pte* run) {
  return run[1].pfn == run[0].pfn ? 0 : 1;
}

static void PrintRun(const struct shadow_pte* run, unsigned long pages) {
  const unsigned long flags = run->state_flags;
  printf("  %012lx-%012lx %6lu  %c%c%c", run->vaddr, run->vaddr + pages * kPage, pages,
         is_vaddr_allocated(flags) ? 'A' : '-', is_vaddr_anonymous(flags) ? 'N' : '-',
         is_pte_mapped(flags) ? 'M' : '-');
  if (is_pte_mapped(flags)) {
    printf("  pfn %lx", run->pfn);
    if (pages > 1 && run->pfn != 0) {
      if (StepOf(run) == 0)
        printf(" each");
      else
        printf("-%lx", run->pfn + pages - 1);
    }
  }
  printf("\n");
}

// Whether the page after the first `pages` ones continues the run that they are.
static bool Continues(const struct shadow_pte* run, unsigned long pages) {
  return run[pages].state_flags == run->state_flags && run[pages].pfn == run->pfn + pages * StepOf(run);
}

static void Print(const struct shadow_pte* now, const struct shadow_pte* before, unsigned long pages) {
  unsigned long counts[3] = {0, 0, 0}, shown = 0;
  for (unsigned long i = 0; i < pages; ++i) {
    counts[0] += is_vaddr_allocated(now[i].state_flags) ? 1 : 0;
    counts[1] += is_vaddr_anonymous(now[i].state_flags) ? 1 : 0;
    counts[2] += is_pte_mapped(now[i].state_flags) ? 1 : 0;
  }
  if (before != NULL && AllSame(now, before, pages)) return;
  printf("%lu pages: %lu allocated, %lu anonymous, %lu mapped\n", pages, counts[0], counts[1], counts[2]);
  for (unsigned long i = 0; i < pages;) {
    unsigned long run = 1;
    if (before != NULL && Same(now[i], before[i])) {
      ++i;
      continue;
    }
    while (i + run < pages && Continues(&now[i], run) &&
           (before == NULL || !Same(now[i + run], before[i + run]))) {
      ++run;
    }
    PrintRun(&now[i], run);
    shown += run;
    i += run;
  }
  if (before != NULL) printf("  %lu changed\n", shown);
  fflush(stdout);
}

static unsigned long Number(const char* text) {
  char* end;
  errno = 0;
  const unsigned long value = strtoul(text, &end, 0);
  if (*text == 0 || *end != 0 || errno != 0) {
    fprintf(stderr, "inspector: %s is not a number\n", text);
    Usage();
  }
  return value;
}

static double Seconds(const char* text) {
  char* end;
  const double value = strtod(text, &end);
  if (*text == 0 || *end != 0 || !(value > 0 && value < 1e6)) {
    fprintf(stderr, "inspector: %s is no time to wait\n", text);
    Usage();
  }
  return value;
}

int main(int argc, char** argv) {
  bool changes = false;
  unsigned long count = 0;
  double seconds = 1;
  for (int option; (option = getopt(argc, argv, "ci:n:h")) != -1;) {
    if (option == 'c')
      changes = true;
    else if (option == 'i')
      seconds = Seconds(optarg);
    else if (option == 'n')
      count = Number(optarg);
    else
      Usage();
  }
  if (argc - optind != 3) Usage();
  const long pid = (long)Number(argv[optind]);
  struct user_shadow_pt range = {Number(argv[optind + 1]), Number(argv[optind + 2]), NULL};

  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = OnSignal;
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);

  const size_t size = MAX_SPT_RANGE / kPage * sizeof(struct shadow_pte);
  range.entries = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (range.entries == MAP_FAILED) return 1;
  const unsigned long wanted = range.end_vaddr;
  if (!Try("open", ShadowptOpen(pid, &range))) return 1;
  if (range.end_vaddr != wanted) printf("only the pages below %lx are watched\n", range.end_vaddr);
  int status = 0;
  if (!Try("start", ShadowptStart())) status = 1;

  static struct shadow_pte tables[2][MAX_SPT_RANGE / 4096];
  const unsigned long pages = (range.end_vaddr - range.start_vaddr) / kPage;
  for (unsigned long i = 0; status == 0 && !interrupted; ++i) {
    struct shadow_pte* now = tables[i % 2];
    for (unsigned long k = 0; k < pages; ++k) now[k] = Look(&range.entries[k]);
    Print(now, changes && i > 0 ? tables[(i + 1) % 2] : NULL, pages);
    if (count != 0 && i + 1 == count) break;
    const struct timespec wait = {(time_t)seconds, (long)(seconds * 1e9) % 1000000000l};
    nanosleep(&wait, NULL);
  }
  if (!Try("close", ShadowptClose())) status = 1;
  return status;
}
