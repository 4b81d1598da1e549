// SPDX-License-Identifier: Apache-2.0
// See pages.h. Small VMAs are read from pagemap whole; of large ones PAGEMAP_SCAN first says where anything
// is. Frames are kept in a bitmap by number, so that they come out in order and are read in runs.
#include "pages.h"

#define PAGE_SHIFT 12
#define SOFT_DIRTY (1ul << 55)
#define PRESENT (1ul << 63)
#define PFN_MASK ((1ul << 55) - 1)
#define CHUNK_PAGES (1ul << 16)  // read from pagemap at once
#define JOIN_GAP 128             // pages between two ranges that are read together all the same
#define LARGE_PAGES 1024         // a range from here on is scanned first
#define MAX_PFN (1ul << 22)
#define RUN_GAP 8  // frames between two that are read together all the same
#define RUN_FRAMES 2048

struct scan_region {
  uint64_t start, end, categories;
};
struct scan_args {  // struct pm_scan_arg of linux/fs.h, which older headers lack
  uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
  uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define PAGEMAP_SCAN 0xc0606610u
#define SCAN_PRESENT_OR_SWAPPED (1 << 3 | 1 << 4)

static int count_fd, flags_fd;
static uint64_t* words;               // of pagemap
static struct observe_page* scanned;  // of the space being observed
static size_t nr_scanned;
static uint32_t* mapped;               // by pfn: how many of the pages last reported map it
static uint32_t* mapped_then;          // and as of when the frame was last looked at
static uint64_t *count_of, *flags_of;  // by pfn: what was last reported
static uint64_t *listed, *summary;     // bitmaps: frames to look at; words of `listed` that are not 0
static uint32_t* changed_in;           // by pfn: the observation that saw the frame change
static size_t summary_words;           // up to the last one that was ever not 0
static uint32_t observation;

void OpenFrameFiles(void) {
  count_fd = (int)Open("/proc/kpagecount", O_READ, 0);
  flags_fd = (int)Open("/proc/kpageflags", O_READ, 0);
  if (count_fd < 0 || flags_fd < 0) Die("/proc/kpagecount does not open:", count_fd);
  words = Reserve(CHUNK_PAGES * 8);
  scanned = Reserve(MAX_PAGES * sizeof(*scanned));
  mapped = Reserve(MAX_PFN * sizeof(*mapped));
  mapped_then = Reserve(MAX_PFN * sizeof(*mapped_then));
  count_of = Reserve(MAX_PFN * 8);
  flags_of = Reserve(MAX_PFN * 8);
  listed = Reserve(MAX_PFN / 8);
  summary = Reserve(MAX_PFN / 64 / 8);
  changed_in = Reserve(MAX_PFN * sizeof(*changed_in));
}

/* ---- pagemap ---- */

static void ReadRange(struct space* s, uint64_t start, uint64_t end) {
  while (start < end) {
    size_t n = (end - start) >> PAGE_SHIFT;
    if (n > CHUNK_PAGES) n = CHUNK_PAGES;
    const long bytes = ReadAt(s->pagemap_fd, words, n * 8, start >> PAGE_SHIFT << 3);
    if (bytes <= 0) {
      Say("reading pagemap failed:", bytes);
      return;
    }
    n = (size_t)bytes / 8;
    for (size_t i = 0; i < n; ++i) {
      if (!(words[i] & ~SOFT_DIRTY)) continue;
      if (nr_scanned == MAX_PAGES) Die("too many pages:", (long)nr_scanned);
      scanned[nr_scanned++] = (struct observe_page){start + (i << PAGE_SHIFT), words[i]};
    }
    start += n << PAGE_SHIFT;
  }
}

// The range that waits to be read, in case the next one begins close behind it.
static struct range pending;

static void Join(struct space* s, uint64_t start, uint64_t end) {
  if (pending.end && start - pending.end <= (uint64_t)JOIN_GAP << PAGE_SHIFT) {
    pending.end = end;
    return;
  }
  if (pending.end) ReadRange(s, pending.start, pending.end);
  pending = (struct range){start, end};
}

static void ScanLarge(struct space* s, uint64_t start, uint64_t end) {
  static struct scan_region regions[256];
  while (start < end) {
    struct scan_args args = {
        .size = sizeof(args),
        .start = start,
        .end = end,
        .vec = (uintptr_t)regions,
        .vec_len = 256,
        .category_anyof_mask = SCAN_PRESENT_OR_SWAPPED,
    };
    const long n = CALL3(__NR_ioctl, s->pagemap_fd, PAGEMAP_SCAN, &args);
    if (n == -ERR_INTR) continue;
    if (n < 0) {
      Say("PAGEMAP_SCAN failed:", n);
      return;
    }
    for (long i = 0; i < n; ++i) Join(s, regions[i].start, regions[i].end);
    start = args.walk_end;
  }
}

/* ---- differences ---- */

static void CountFrame(uint64_t entry, uint32_t change) {
  const uint64_t pfn = entry & PFN_MASK;
  if (!(entry & PRESENT) || pfn >= MAX_PFN) return;
  mapped[pfn] += change;
  listed[pfn / 64] |= 1ul << pfn % 64;
  summary[pfn / 4096] |= 1ul << pfn / 64 % 64;
  if (pfn / 4096 >= summary_words) summary_words = pfn / 4096 + 1;
}

// Replaces the pages of the space by `scanned`, and reports what that changes.
static int Replace(struct space* s) {
  const struct observe_page* old = s->pages;
  size_t i = 0, j = 0;
  const size_t shorter = nr_scanned < s->nr_pages ? nr_scanned : s->nr_pages;
  i = j = CommonPrefix(old, scanned, shorter * sizeof(*old)) / sizeof(*old);
  if (i == nr_scanned && i == s->nr_pages) return 0;
  s->smaps_stale = 1;
  struct observe_page* changed =
      BeginChunk(OBSERVE_CHUNK_PAGES, s->id, (s->nr_pages + nr_scanned) * sizeof(*changed));
  size_t n = 0;
  while (i < s->nr_pages || j < nr_scanned) {
    if (j == nr_scanned || (i < s->nr_pages && old[i].vaddr < scanned[j].vaddr)) {
      CountFrame(old[i].entry, (uint32_t)-1);
      changed[n++] = (struct observe_page){old[i++].vaddr, 0};
    } else if (i == s->nr_pages || scanned[j].vaddr < old[i].vaddr) {
      CountFrame(scanned[j].entry, 1);
      changed[n++] = scanned[j++];
    } else {
      if (old[i].entry != scanned[j].entry) {
        CountFrame(old[i].entry, (uint32_t)-1);
        CountFrame(scanned[j].entry, 1);
        changed[n++] = scanned[j];
      }
      ++i, ++j;
    }
  }
  EndChunk(n * sizeof(*changed));
  struct observe_page* swap = s->pages;
  s->pages = scanned;
  s->nr_pages = nr_scanned;
  scanned = swap;
  return 1;
}

int ObservePages(struct space* s) {
  nr_scanned = 0;
  pending = (struct range){0, 0};
  for (size_t i = 0; i < s->nr_ranges; ++i) {
    const struct range* r = &s->ranges[i];
    if ((r->end - r->start) >> PAGE_SHIFT >= LARGE_PAGES)
      ScanLarge(s, r->start, r->end);
    else
      Join(s, r->start, r->end);
  }
  if (pending.end) ReadRange(s, pending.start, pending.end);
  return Replace(s);
}

void ForgetPages(struct space* s) {
  for (size_t i = 0; i < s->nr_pages; ++i) CountFrame(s->pages[i].entry, (uint32_t)-1);
  if (s->nr_pages > 1ul << 16) Release(s->pages, s->nr_pages * sizeof(*s->pages));
  s->nr_pages = 0;
}

/* ---- frames ---- */

static int old_frame_changed;

static void ReadRun(const uint32_t* pfns, size_t n, struct observe_frame* out, size_t* nr_out) {
  static uint64_t counts[RUN_FRAMES], flags[RUN_FRAMES];
  const uint64_t first = pfns[0];
  const size_t bytes = (pfns[n - 1] - first + 1) * 8;
  if (ReadAt(count_fd, counts, bytes, first * 8) != (long)bytes ||
      ReadAt(flags_fd, flags, bytes, first * 8) != (long)bytes)
    return;  // a frame that is no memory
  for (size_t i = 0; i < n; ++i) {
    const uint32_t pfn = pfns[i];
    const uint64_t count = counts[pfn - first], flag = flags[pfn - first];
    const int same = count_of[pfn] == count + 1 && flags_of[pfn] == flag;
    // The zero page, whose count is always 0, tells of nobody else.
    if (count_of[pfn] && !(same && (count == 0 || mapped_then[pfn] == mapped[pfn]))) {
      old_frame_changed = 1;
      changed_in[pfn] = observation;
    }
    mapped_then[pfn] = mapped[pfn];
    if (same) continue;
    count_of[pfn] = count + 1;  // 0: not reported
    flags_of[pfn] = flag;
    out[(*nr_out)++] = (struct observe_frame){pfn, count, flag};
  }
}

void ForgetFrames(void) {
  for (size_t w = 0; w < summary_words; ++w) {
    for (uint64_t group = summary[w]; group; group &= group - 1) {
      const size_t word = w * 64 + (size_t)__builtin_ctzl(group);
      for (uint64_t bits = listed[word]; bits; bits &= bits - 1)
        count_of[word * 64 + (size_t)__builtin_ctzl(bits)] = 0;
      listed[word] = 0;
    }
    summary[w] = 0;
  }
}

int MapsChangedFrame(const struct space* s) {
  for (size_t i = 0; i < s->nr_pages; ++i) {
    const uint64_t entry = s->pages[i].entry, pfn = entry & PFN_MASK;
    if (entry & PRESENT && pfn < MAX_PFN && changed_in[pfn] == observation) return 1;
  }
  return 0;
}

int ObserveFrames(void) {
  static uint32_t run[RUN_FRAMES];
  size_t in_run = 0, n = 0;
  old_frame_changed = 0;
  ++observation;
  struct observe_frame* out = BeginChunk(OBSERVE_CHUNK_FRAMES, 0, MAX_PFN * sizeof(*out));
  for (size_t w = 0; w < summary_words; ++w) {
    for (uint64_t group = summary[w]; group; group &= group - 1) {
      const size_t word = w * 64 + (size_t)__builtin_ctzl(group);
      for (uint64_t bits = listed[word]; bits; bits &= bits - 1) {
        const uint32_t pfn = (uint32_t)(word * 64 + (size_t)__builtin_ctzl(bits));
        if (!mapped[pfn]) {
          listed[word] &= ~(1ul << pfn % 64);
          if (!count_of[pfn]) continue;
          count_of[pfn] = flags_of[pfn] = 0;
          if (in_run) ReadRun(run, in_run, out, &n);  // before it, to keep the order
          in_run = 0;
          out[n++] = (struct observe_frame){pfn, OBSERVE_FRAME_GONE, 0};
          continue;
        }
        if (in_run && (pfn - run[in_run - 1] > RUN_GAP || pfn - run[0] >= RUN_FRAMES)) {
          ReadRun(run, in_run, out, &n);
          in_run = 0;
        }
        run[in_run++] = pfn;
      }
      if (!listed[word]) summary[w] &= ~(1ul << word % 64);
    }
  }
  if (in_run) ReadRun(run, in_run, out, &n);
  EndChunk(n * sizeof(*out));
  return old_frame_changed;
}
