// SPDX-License-Identifier: Apache-2.0
// See shadow.h.
#include "shadow.h"

#include "files.h"
#include "spaces.h"
#include "uapi/shadowpt.h"

#define NR_OPEN 462  // on both architectures; mseal's where the calls are not there
#define NR_CLOSE 463
#define ERR_NOSYS 38
#define TRACING "/sys/kernel/tracing/"
// The patch's open maps the entries with it, and next to nothing else calls it. Its third argument is the
// first frame's number.
#define PROBE "p:mmsim/entries remap_pfn_range_notrack frame=$arg3:x64"
#define PAGE 4096ul
#define MAX_ENTRIES (MAX_SPT_RANGE / PAGE)

static int memory_fd, trace_fd;
static uint64_t first_frame;       // the pages of the entries follow each other
static uint32_t nr_entries;        // of the open table; 0: none is open
static uint32_t opener, space_id;  // the thread group that opened, and its address space then
static int reported;               // what `before` holds has been reported
static struct shadow_pte before[MAX_ENTRIES], entries[MAX_ENTRIES];

int ShadowThere(void) {
  static int there = -1;
  // Nobody has opened yet.
  if (there < 0) there = CALL0(NR_CLOSE) != -ERR_NOSYS;
  return there;
}

void OpenShadowMemory(void) {
  if (!ShadowThere()) return;
  memory_fd = (int)Open("/dev/mem", O_READ, 0);
  if (memory_fd < 0) Die("/dev/mem does not open:", memory_fd);
  const long probe = WriteFile(TRACING "kprobe_events", 0, PROBE, sizeof(PROBE) - 1);
  if (probe < 0) Die("the probe of open cannot be placed:", probe);
  const long on = WriteFile(TRACING "events/mmsim/entries/enable", 0, "1", 1);
  if (on < 0) Die("the probe of open cannot be switched on:", on);
  trace_fd = (int)Open(TRACING "trace", O_READ, 0);
  if (trace_fd < 0) Die("the trace does not open:", trace_fd);
}

// The number behind the last "frame=0x" of the trace, which is emptied; 0: there is none.
static uint64_t LastFrame(void) {
  static const char mark[] = "frame=0x";
  static char piece[4096];
  uint64_t offset = 0, frame = 0;
  size_t matched = 0;  // of the mark; all of it: in the number
  for (long n; (n = ReadAt(trace_fd, piece, sizeof(piece), offset)) > 0; offset += (uint64_t)n) {
    for (long i = 0; i < n; ++i) {
      const char c = piece[i];
      const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
      if (matched == sizeof(mark) - 1 && digit >= 0) {
        frame = frame << 4 | (uint64_t)digit;
        continue;
      }
      matched = matched < sizeof(mark) - 1 && c == mark[matched] ? matched + 1 : c == mark[0];
      if (matched == sizeof(mark) - 1) frame = 0;
    }
  }
  WriteFile(TRACING "trace", O_TRUNCATE, "", 0);
  return frame;
}

static void Opened(struct space* s, uint32_t group, uint64_t dest) {
  struct user_shadow_pt table;
  if (ReadMemory(s, dest, &table, sizeof(table)) != (long)sizeof(table)) {
    Say("what was opened cannot be read again", 0);
    return;
  }
  const uint64_t bytes = table.end_vaddr - table.start_vaddr;
  first_frame = LastFrame();
  if (!first_frame) {
    Say("the frames of the entries are not told", 0);
    return;
  }
  nr_entries = (uint32_t)(bytes > MAX_SPT_RANGE ? MAX_ENTRIES : bytes / PAGE);
  opener = group;
  space_id = s->id;
  reported = 0;
}

void NoteShadowCall(struct space* s, uint32_t group, uint64_t number, uint64_t dest, int64_t result) {
  if (!ShadowThere() || result != 0) return;
  if (number == NR_OPEN) Opened(s, group, dest);
  if (number == NR_CLOSE && group == opener) nr_entries = 0;
}

// The opener lives and has executed no program since: the kernel has not closed the table by itself.
static int StillOpen(void) {
  const struct victim* v;
  for (int i = 0; (v = VictimAt(i)); ++i)
    if (v->group == opener && v->state != VICTIM_ZOMBIE_LEADER && v->space->id == space_id) return 1;
  return 0;
}

// /dev/mem ends a read after any page when a signal is pending, such as a victim's SIGCHLD.
static int ReadEntries(void) {
  const size_t bytes = nr_entries * sizeof(entries[0]);
  for (size_t done = 0; done < bytes;) {
    const long n = ReadAt(memory_fd, (char*)entries + done, bytes - done, first_frame * PAGE + done);
    if (n <= 0) {
      Say("the entries cannot be read:", n);
      return 0;
    }
    done += (size_t)n;
  }
  return 1;
}

void ReportShadow(void) {
  if (nr_entries && !StillOpen()) nr_entries = 0;
  if (!nr_entries) {
    const struct observe_shadow closed = {.index = OBSERVE_SHADOW_CLOSED};
    if (reported) AddChunk(OBSERVE_CHUNK_SHADOW, 0, &closed, sizeof(closed));
    reported = 0;
    return;
  }
  if (!ReadEntries()) return;
  struct observe_shadow* out = BeginChunk(OBSERVE_CHUNK_SHADOW, nr_entries, nr_entries * sizeof(*out));
  size_t n = 0;
  for (uint32_t i = 0; i < nr_entries; ++i) {
    const struct shadow_pte *e = &entries[i], *b = &before[i];
    if (reported && e->vaddr == b->vaddr && e->pfn == b->pfn && e->state_flags == b->state_flags) continue;
    out[n++] = (struct observe_shadow){i, e->vaddr, e->pfn, e->state_flags};
    before[i] = *e;
  }
  EndChunk(n * sizeof(*out));
  reported = 1;
}

void ForgetShadow(void) {
  nr_entries = 0;
  reported = 0;
}
