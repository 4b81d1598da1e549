// SPDX-License-Identifier: Apache-2.0
// See shadow.h.
#include "shadow.h"

#include "spaces.h"
#include "uapi/shadowpt.h"

#define NR_OPEN 462  // on both architectures; mseal's where the calls are not there
#define NR_CLOSE 463
#define ERR_NOSYS 38
#define PFN_MASK ((1ul << 55) - 1)
#define PAGE 4096ul
#define MAX_ENTRIES (MAX_SPT_RANGE / PAGE)
#define MAX_TABLE_PAGES (MAX_ENTRIES * sizeof(struct shadow_pte) / PAGE)

static int memory_fd;
static uint64_t frames[MAX_TABLE_PAGES];
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
}

static void Opened(struct space* s, uint32_t group, uint64_t dest) {
  struct user_shadow_pt table;
  if (ReadMemory(s, dest, &table, sizeof(table)) != (long)sizeof(table)) {
    Say("what was opened cannot be read again", 0);
    return;
  }
  const uint64_t bytes = table.end_vaddr - table.start_vaddr;
  const size_t n = bytes > MAX_SPT_RANGE ? MAX_ENTRIES : bytes / PAGE;
  const size_t pages = (n * sizeof(struct shadow_pte) + PAGE - 1) / PAGE;
  if (ReadPagemap(s, (uintptr_t)table.entries, frames, pages) != (long)pages) {
    Say("the pages of the entries are not told", 0);
    return;
  }
  for (size_t i = 0; i < pages; ++i) frames[i] &= PFN_MASK;
  nr_entries = (uint32_t)n;
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

static int ReadEntries(void) {
  const size_t bytes = nr_entries * sizeof(entries[0]);
  for (size_t at = 0; at < bytes; at += PAGE) {
    const size_t n = bytes - at < PAGE ? bytes - at : PAGE;
    if (ReadAt(memory_fd, (char*)entries + at, n, frames[at / PAGE] * PAGE) != (long)n) {
      Say("the entries cannot be read:", (long)frames[at / PAGE]);
      return 0;
    }
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
