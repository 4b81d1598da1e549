// SPDX-License-Identifier: Apache-2.0
// See spaces.h. Here: the records, their files, and the two texts; pages and frames are in pages.c.
#include "spaces.h"

#include "pages.h"
#include "swap.h"
#include "victims.h"

#define MAX_SPACES 128
#define MAPS_BYTES (16ul << 20)
#define SMAPS_BYTES (96ul << 20)
#define MAX_RANGES (1ul << 17)
#define KEEP_BYTES (1ul << 20)

static struct space spaces[MAX_SPACES];
static int nr_records;  // that were in use at some time
static uint32_t next_id = 1;
static int swap_stale;  // a step may have changed what is in swap, and no page or frame tells of it

struct space* NewSpace(void) {
  for (int i = 0; i < MAX_SPACES; ++i) {
    struct space* s = &spaces[i];
    if (s->id) continue;
    if (!s->maps.now) {  // all at once, so that later sysctls for overcommit do not hit the executor itself
      s->maps = (struct text_buffer){Reserve(MAPS_BYTES), Reserve(MAPS_BYTES), 0, 0};
      s->smaps = (struct text_buffer){Reserve(SMAPS_BYTES), Reserve(SMAPS_BYTES), 0, 0};
      s->ranges = Reserve(MAX_RANGES * sizeof(struct range));
      s->pages = Reserve(MAX_PAGES * sizeof(struct observe_page));
    }
    if (i >= nr_records) nr_records = i + 1;
    s->id = next_id++;
    s->users = 1;
    s->owner = 0;
    s->maps.now_bytes = s->maps.before_bytes = s->smaps.now_bytes = s->smaps.before_bytes = 0;
    s->nr_ranges = s->nr_pages = 0;
    s->stale = s->pages_stale = s->smaps_stale = 1;
    return s;
  }
  Die("too many address spaces:", MAX_SPACES);
}

void ReserveSpaces(void) {
  for (int i = 0; i < MAX_SPACES; ++i) NewSpace();
  for (int i = 0; i < MAX_SPACES; ++i) spaces[i].id = spaces[i].users = 0;
  nr_records = 0;
  next_id = 1;
}

void JoinSpace(struct space* s) {
  ++s->users;
}

static void CloseFiles(struct space* s) {
  if (!s->owner) return;
  s->owner = 0;
  Close(s->maps_fd);
  Close(s->pagemap_fd);
  Close(s->memory_fd);
  if (s->smaps_fd >= 0) Close(s->smaps_fd);
}

static void ShrinkText(struct text_buffer* t) {
  if (t->now_bytes > KEEP_BYTES) Release(t->now, t->now_bytes);
  if (t->before_bytes > KEEP_BYTES) Release(t->before, t->before_bytes);
}

void LeaveSpace(struct space* s, uint32_t pid) {
  if (s->owner == pid) CloseFiles(s);
  if (--s->users > 0) return;
  CloseFiles(s);
  ForgetPages(s);
  ShrinkText(&s->maps);
  ShrinkText(&s->smaps);
  s->id = 0;
}

void ForgetSpaces(void) {
  next_id = 1;
}

void NoteCallIn(struct space* s) {
  s->stale = s->pages_stale = s->smaps_stale = 1;
}

void NoteSwap(void) {
  swap_stale = 1;
}

void NoteChangeAnywhere(void) {
  for (int i = 0; i < nr_records; ++i) NoteCallIn(&spaces[i]);
}

void NoteAccessIn(struct space* s, uint64_t address, uint64_t bytes) {
  s->pages_stale = s->smaps_stale = 1;
  if (s->stale) return;
  // The range that ends behind the address, and then its neighbours for as long as they touch.
  size_t low = 0, high = s->nr_ranges;
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if (s->ranges[middle].end <= address)
      low = middle + 1;
    else
      high = middle;
  }
  const uint64_t end = address + bytes;
  for (; low < s->nr_ranges && s->ranges[low].start <= address; ++low) {
    if (end <= s->ranges[low].end && end >= address) return;
    address = s->ranges[low].end;
  }
  s->stale = 1;  // the stack may have grown
}

// The files of the space, through any victim that has it.
static int OpenFiles(struct space* s) {
  if (s->owner) return 1;
  const struct victim* v = 0;
  for (int i = 0; (v = VictimAt(i)); ++i)
    if (v->space == s && v->state != VICTIM_ZOMBIE_LEADER) break;
  if (!v) return 0;
  struct text t;
  s->maps_fd = (int)Open(ProcPath(&t, v->pid, "maps"), O_READ, 0);
  s->pagemap_fd = (int)Open(ProcPath(&t, v->pid, "pagemap"), O_READ, 0);
  s->memory_fd = (int)Open(ProcPath(&t, v->pid, "mem"), O_RDWRITE, 0);
  s->smaps_fd = -1;
  s->owner = v->pid;
  if (s->maps_fd < 0 || s->pagemap_fd < 0 || s->memory_fd < 0)
    Say("a victim's files in /proc do not open:", v->pid);
  return 1;
}

long ReadMemory(struct space* s, uint64_t address, void* to, size_t bytes) {
  return OpenFiles(s) ? ReadAt(s->memory_fd, to, bytes, address) : -ERR_PERM;
}

long WriteMemory(struct space* s, uint64_t address, const void* from, size_t bytes) {
  return OpenFiles(s) ? WriteAt(s->memory_fd, from, bytes, address) : -ERR_PERM;
}

// The whole file into t->now; what was there becomes t->before.
static void ReadText(int fd, struct text_buffer* t, size_t capacity) {
  char* text = t->before;
  t->before = t->now;
  t->before_bytes = t->now_bytes;
  size_t bytes = 0;
  for (;;) {
    const long n = ReadAt(fd, text + bytes, capacity - bytes, bytes);
    if (n == -ERR_INTR) continue;
    if (n < 0) Say("reading a victim's maps failed:", n);
    if (n <= 0) break;
    bytes += (size_t)n;
    if (bytes == capacity) Die("a text of /proc is too large:", (long)bytes);
  }
  t->now = text;
  t->now_bytes = bytes;
}

static const char* ParseHex(const char* p, uint64_t* value) {
  uint64_t v = 0;
  for (;; ++p) {
    const unsigned c = (unsigned char)*p;
    if (c - '0' <= 9)
      v = v << 4 | (c - '0');
    else if (c - 'a' <= 5)
      v = v << 4 | (c - 'a' + 10);
    else
      break;
  }
  *value = v;
  return p;
}

// The ranges of the lines from the first one on that is not as before; the others stand already.
static void ParseRanges(struct space* s, size_t same) {
  const char *text = s->maps.now, *end = text + s->maps.now_bytes;
  size_t n = 0;
  const char* line = text;
  for (const char* p = text; p < text + same; ++p) {
    if (*p != '\n') continue;
    line = p + 1;
    ++n;
  }
  if (n > s->nr_ranges) n = s->nr_ranges;  // lines of the upper half have no range
  while (line < end) {
    struct range r;
    const char* p = ParseHex(line, &r.start);
    p = ParseHex(p + 1, &r.end);
    if (!(r.start >> 63)) {
      if (n == MAX_RANGES) Die("too many mappings:", (long)n);
      s->ranges[n++] = r;
    }
    while (p < end && *p != '\n') ++p;
    line = p + 1;
  }
  s->nr_ranges = n;
}

static size_t ShorterOf(const struct text_buffer* t) {
  return t->now_bytes < t->before_bytes ? t->now_bytes : t->before_bytes;
}

// How many bytes at its start are those of the text before.
static size_t FrontOf(const struct text_buffer* t) {
  return CommonPrefix(t->now, t->before, ShorterOf(t));
}

static int IsAsBefore(const struct text_buffer* t, size_t front) {
  return front == t->now_bytes && front == t->before_bytes;
}

static void ReportText(uint16_t kind, uint32_t id, const struct text_buffer* t, size_t front) {
  const size_t back = CommonSuffix(t->now + t->now_bytes, t->before + t->before_bytes, ShorterOf(t) - front);
  const size_t rest = t->now_bytes - front - back;
  struct observe_text* out = BeginChunk(kind, id, sizeof(*out) + rest);
  *out = (struct observe_text){(uint32_t)front, (uint32_t)back};
  memcpy(out + 1, t->now + front, rest);
  EndChunk(sizeof(*out) + rest);
}

static void ObserveMaps(struct space* s) {
  s->stale = 0;
  ReadText(s->maps_fd, &s->maps, MAPS_BYTES);
  const size_t front = FrontOf(&s->maps);
  if (IsAsBefore(&s->maps, front)) return;
  ParseRanges(s, front);
  ReportText(OBSERVE_CHUNK_MAPS, s->id, &s->maps, front);
}

static void ObserveSmaps(struct space* s) {
  s->smaps_stale = 0;
  if (s->smaps_fd < 0) {
    struct text t;
    s->smaps_fd = (int)Open(ProcPath(&t, s->owner, "smaps"), O_READ, 0);
  }
  ReadText(s->smaps_fd, &s->smaps, SMAPS_BYTES);
  const size_t front = FrontOf(&s->smaps);
  if (!IsAsBefore(&s->smaps, front)) ReportText(OBSERVE_CHUNK_SMAPS, s->id, &s->smaps, front);
}

static void ObserveLive(void) {
  static uint32_t reported;
  if (reported == victims_generation) return;
  reported = victims_generation;
  struct observe_live* live = BeginChunk(OBSERVE_CHUNK_LIVE, 0, MAX_VICTIMS * sizeof(*live));
  size_t n = 0;
  const struct victim* v;
  for (int i = 0; (v = VictimAt(i)); ++i) {
    if (v->state == VICTIM_ZOMBIE_LEADER) continue;
    live[n++] = (struct observe_live){v->pid, v->space->id, v->group, v->state == VICTIM_SUSPENDED};
  }
  if (n == 0) live[n++] = (struct observe_live){0, 0, 0, 0};  // nobody: one entry of zeros
  EndChunk(n * sizeof(*live));
}

// Pages of the spaces that are stale; of all of them when `all`. 1: some have changed.
static int ObserveAllPages(int all) {
  int changed = 0;
  for (int i = 0; i < nr_records; ++i) {
    struct space* s = &spaces[i];
    if (!s->id || !(s->pages_stale || all) || !OpenFiles(s)) continue;
    s->pages_stale = 0;
    changed |= ObservePages(s);
  }
  return changed;
}

// 1: a frame has changed that was reported before; the smaps of all that map it are stale.
static int ObserveOldFrames(void) {
  if (!ObserveFrames()) return 0;
  for (int i = 0; i < nr_records; ++i)
    if (spaces[i].id && !spaces[i].smaps_stale) spaces[i].smaps_stale = MapsChangedFrame(&spaces[i]);
  return 1;
}

// A space's tables change by what its own victims do, or together with a frame that it maps: the pages of the
// others are read when such a frame is seen to have changed. Frames new to us cannot be any other space's.
// 1: something has changed.
static int ObservePagesAndFrames(uint32_t mask) {
  const int frames = (mask & OBSERVE_FRAMES) != 0;
  const int pages_changed = ObserveAllPages(!frames);
  if (!frames || !ObserveOldFrames()) return pages_changed;
  if (ObserveAllPages(1)) ObserveOldFrames();
  return 1;
}

void Observe(uint32_t mask) {
  ObserveLive();
  for (int i = 0; i < nr_records; ++i) {
    struct space* s = &spaces[i];
    if (s->id && s->stale && mask & (OBSERVE_MAPS | OBSERVE_PAGES) && OpenFiles(s)) ObserveMaps(s);
  }
  const int changed = mask & OBSERVE_PAGES ? ObservePagesAndFrames(mask) : 1;
  // smaps is slow to read: what neither a step nor a page or frame has changed is left out.
  // Who else has a page in swap shows nowhere but there.
  const int all = !(mask & OBSERVE_FRAMES) || (SwapIsOn() && (changed || swap_stale));
  swap_stale = 0;
  for (int i = 0; all && i < nr_records; ++i) spaces[i].smaps_stale = 1;
  for (int i = 0; mask & OBSERVE_SMAPS && i < nr_records; ++i) {
    struct space* s = &spaces[i];
    if (s->id && s->smaps_stale && OpenFiles(s)) ObserveSmaps(s);
  }
}
