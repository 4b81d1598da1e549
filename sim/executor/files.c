// SPDX-License-Identifier: Apache-2.0
// See files.h.
#include "files.h"

#include "swap.h"

#define MAX_SAVED 64
#define DETACH 2            // MNT_DETACH
#define NEW_IPC 0x08000000  // CLONE_NEWIPC

static struct saved {
  char path[120];
  char value[136];
  size_t bytes;
} saved[MAX_SAVED];
static int nr_saved;
static int files_used, segments_used;

static int StartsWith(const char* s, const char* start) {
  while (*start)
    if (*s++ != *start++) return 0;
  return 1;
}

// A value such as "always [madvise] never" stands for the word in brackets.
static void KeepChosenWord(struct saved* v) {
  size_t open = 0, close = 0;
  for (size_t i = 0; i < v->bytes; ++i) {
    if (v->value[i] == '[') open = i + 1;
    if (v->value[i] == ']') close = i;
  }
  if (!open || close < open) return;
  v->bytes = close - open;
  memmove(v->value, v->value + open, v->bytes);
}

static void Save(const char* path) {
  for (int i = 0; i < nr_saved; ++i)
    if (StringsEqual(saved[i].path, path)) return;
  if (nr_saved == MAX_SAVED || StringLength(path) >= sizeof(saved[0].path)) {
    Say("a setting will not be set back: there are too many of them", nr_saved);
    return;
  }
  struct saved* v = &saved[nr_saved];
  const long n = ReadWholeFile(path, v->value, sizeof(v->value));
  if (n <= 0) return;
  memcpy(v->path, path, StringLength(path) + 1);
  v->bytes = (size_t)n;
  KeepChosenWord(v);
  ++nr_saved;
}

long WriteFile(const char* path, int flags, const void* data, size_t bytes) {
  const long fd = Open(path, O_WRITE | flags, 0666);
  if (fd < 0) return fd;
  const long n = CALL3(__NR_write, fd, data, bytes);
  Close((int)fd);
  return n;
}

long WriteWholeFile(const char* path, const void* data, size_t bytes) {
  if (StringsEqual(path, SWAP_PAGES)) return SwitchSwapOn(data, bytes);
  const int make = StartsWith(path, "/tmp/") || StartsWith(path, "/dev/shm/");
  if (make) files_used = 1;
  if (StartsWith(path, "/proc/sys/") || StartsWith(path, "/sys/")) Save(path);
  return WriteFile(path, make ? O_CREATE | O_TRUNCATE : 0, data, bytes);
}

long ReadWholeFile(const char* path, void* to, size_t bytes) {
  const long fd = Open(path, O_READ, 0);
  if (fd < 0) return fd;
  size_t done = 0;
  long n = 0;
  while (done < bytes) {
    n = CALL3(__NR_read, fd, (char*)to + done, bytes - done);
    if (n == -ERR_INTR) continue;
    if (n <= 0) break;
    done += (size_t)n;
  }
  Close((int)fd);
  return done > 0 || n >= 0 ? (long)done : n;
}

void NoteCall(uint64_t number, int has_input) {
  if (number == __NR_shmget) segments_used = 1;
  if (has_input) files_used = 1;  // a path, perhaps
}

static void FreshTmpfs(const char* where) {
  CALL2(__NR_umount2, where, DETACH);
  Mount("tmpfs", where, "tmpfs", 0);
  CALL4(__NR_fchmodat, AT_CWD, where, 01777, 0);
}

void ResetFiles(void) {
  while (nr_saved > 0) {
    const struct saved* v = &saved[--nr_saved];
    const long n = WriteFile(v->path, 0, v->value, v->bytes);
    if (n < 0) Say("a setting could not be set back:", n);
  }
  if (files_used) {
    FreshTmpfs("/tmp");
    FreshTmpfs("/dev/shm");
  }
  if (segments_used) CALL1(__NR_unshare, NEW_IPC);
  SwitchSwapOff();
  files_used = segments_used = 0;
}
