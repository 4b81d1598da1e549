// SPDX-License-Identifier: Apache-2.0
// See sys.h.
#define EXECUTOR_ENTRY
#include "sys.h"

#include <linux/time_types.h>

static int console = -1;

void* memcpy(void* restrict to, const void* restrict from, size_t bytes) {
  char* t = to;
  const char* f = from;
  // Words, and several a turn: the emulated guest pays for instructions, not for bytes.
#pragma GCC unroll 4
  for (; bytes >= 8; bytes -= 8, t += 8, f += 8) {
    uint64_t word;
    __builtin_memcpy(&word, f, 8);
    __builtin_memcpy(t, &word, 8);
  }
  for (; bytes; --bytes) *t++ = *f++;
  return to;
}

void* memset(void* to, int value, size_t bytes) {
  char* t = to;
  const uint64_t word = 0x0101010101010101ul * (uint8_t)value;
  for (; bytes >= 8; bytes -= 8, t += 8) __builtin_memcpy(t, &word, 8);
  for (; bytes; --bytes) *t++ = (char)value;
  return to;
}

void* memmove(void* to, const void* from, size_t bytes) {
  if ((char*)to <= (const char*)from) return memcpy(to, from, bytes);  // our memcpy copies upwards
  char* t = (char*)to + bytes;
  const char* f = (const char*)from + bytes;
  for (; bytes >= 8; bytes -= 8) {
    uint64_t word;
    t -= 8;
    f -= 8;
    __builtin_memcpy(&word, f, 8);
    __builtin_memcpy(t, &word, 8);
  }
  for (; bytes; --bytes) *--t = *--f;
  return to;
}

size_t CommonPrefix(const void* a, const void* b, size_t bytes) {
  const char *x = a, *y = b;
  size_t i = 0;
#pragma GCC unroll 4
  for (; i + 8 <= bytes; i += 8) {
    uint64_t p, q;
    __builtin_memcpy(&p, x + i, 8);
    __builtin_memcpy(&q, y + i, 8);
    if (p != q) break;
  }
  while (i < bytes && x[i] == y[i]) ++i;
  return i;
}

size_t CommonSuffix(const void* a, const void* b, size_t bytes) {
  const char *x = a, *y = b;
  size_t i = 0;
#pragma GCC unroll 4
  for (; i + 8 <= bytes; i += 8) {
    uint64_t p, q;
    __builtin_memcpy(&p, x - i - 8, 8);
    __builtin_memcpy(&q, y - i - 8, 8);
    if (p != q) break;
  }
  while (i < bytes && x[-1 - (long)i] == y[-1 - (long)i]) ++i;
  return i;
}

size_t StringLength(const char* s) {
  size_t n = 0;
  while (s[n]) ++n;
  return n;
}

int StringsEqual(const char* a, const char* b) {
  while (*a && *a == *b) ++a, ++b;
  return *a == *b;
}

void AddText(struct text* t, const char* s) {
  while (*s && t->length + 1 < sizeof(t->chars)) t->chars[t->length++] = *s++;
  t->chars[t->length] = 0;
}

void AddNumber(struct text* t, uint64_t n) {
  char digits[24];
  int i = sizeof(digits);
  digits[--i] = 0;
  do digits[--i] = (char)('0' + n % 10);
  while (n /= 10);
  AddText(t, digits + i);
}

const char* ProcPath(struct text* t, uint32_t pid, const char* name) {
  t->length = 0;
  AddText(t, "/proc/");
  AddNumber(t, pid);
  AddText(t, "/");
  AddText(t, name);
  return t->chars;
}

void Say(const char* what, long number) {
  struct text t = {0};
  AddText(&t, "executor: ");
  AddText(&t, what);
  AddText(&t, number < 0 ? " -" : " ");
  AddNumber(&t, (uint64_t)(number < 0 ? -number : number));
  AddText(&t, "\n");
  if (console < 0) console = (int)Open("/dev/console", O_WRITE, 0);
  CALL3(__NR_write, console, t.chars, t.length);
}

void Die(const char* what, long number) {
  Say(what, number);
  CALL1(__NR_exit_group, 1);
  __builtin_unreachable();
}

void SleepMs(long ms) {
  struct __kernel_timespec t = {ms / 1000, ms % 1000 * 1000000};
  CALL2(__NR_nanosleep, &t, 0);
}

void* Reserve(size_t bytes) {
  const long p = CALL6(__NR_mmap, 0, bytes, 3, 0x4022 /* PRIVATE | ANONYMOUS | NORESERVE */, -1, 0);
  if (p < 0 && p > -4096) Die("mmap of its buffers failed:", p);
  return (void*)p;
}

void Release(void* start, size_t bytes) {
  CALL3(__NR_madvise, start, bytes, 4 /* MADV_DONTNEED */);
}
