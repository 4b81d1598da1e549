// SPDX-License-Identifier: Apache-2.0
// System calls and the few helpers that a program without a library needs. Results are the kernel's: a
// negative errno is a failure. Numbers and structures come from the kernel's own headers.
#pragma once

#include <asm/unistd.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/arch.h"

#define CALL0(nr) RawCall(nr, 0, 0, 0, 0, 0, 0)
#define CALL1(nr, a) RawCall(nr, (long)(a), 0, 0, 0, 0, 0)
#define CALL2(nr, a, b) RawCall(nr, (long)(a), (long)(b), 0, 0, 0, 0)
#define CALL3(nr, a, b, c) RawCall(nr, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define CALL4(nr, a, b, c, d) RawCall(nr, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define CALL5(nr, a, b, c, d, e) RawCall(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)
#define CALL6(nr, a, b, c, d, e, f) \
  RawCall(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

#define AT_CWD (-100)
#define O_READ 0
#define O_WRITE 1
#define O_RDWRITE 2
#define O_CREATE 0100
#define O_TRUNCATE 01000
#define O_CLOSE_ON_EXEC 02000000

#define ERR_PERM 1
#define ERR_INTR 4
#define ERR_CHILD 10
#define ERR_EXIST 17
#define ERR_RESTART_FIRST \
  512  // the kernel's own ERESTARTSYS .. ERESTART_RESTARTBLOCK, seen by a tracer alone
#define ERR_RESTART_LAST 516

long CloneChild(void* clone_args, size_t size, void (*function)(void*), void* argument);
void SignalReturn(void);

static inline long Open(const char* path, int flags, int mode) {
  return CALL4(__NR_openat, AT_CWD, path, flags | O_CLOSE_ON_EXEC, mode);
}
static inline long Close(int fd) {
  return CALL1(__NR_close, fd);
}
static inline long ReadAt(int fd, void* to, size_t bytes, uint64_t offset) {
  return CALL4(__NR_pread64, fd, to, bytes, offset);
}
static inline long WriteAt(int fd, const void* from, size_t bytes, uint64_t offset) {
  return CALL4(__NR_pwrite64, fd, from, bytes, offset);
}
static inline long Mount(const char* what, const char* where, const char* type, unsigned long flags) {
  return CALL5(__NR_mount, what, where, type, flags, 0);
}
void SleepMs(long ms);

// Memory that takes part in no accounting and that costs nothing until it is touched; ends the executor on
// failure.
void* Reserve(size_t bytes);
// The first pages are given back once a buffer has grown large.
void Release(void* start, size_t bytes);

// gcc calls the first two by itself.
void* memcpy(void* restrict to, const void* restrict from, size_t bytes);
void* memset(void* to, int value, size_t bytes);
void* memmove(void* to, const void* from, size_t bytes);
// The number of leading bytes that are the same.
size_t CommonPrefix(const void* a, const void* b, size_t bytes);
// And of trailing bytes, of what ends at `a` and at `b`.
size_t CommonSuffix(const void* a, const void* b, size_t bytes);
size_t StringLength(const char* s);
int StringsEqual(const char* a, const char* b);

// Text that grows at its end, for paths and messages.
struct text {
  size_t length;
  char chars[248];
};
void AddText(struct text* t, const char* s);
void AddNumber(struct text* t, uint64_t n);
// "/proc/PID/name"
const char* ProcPath(struct text* t, uint32_t pid, const char* name);

// Lines for the guest's console, which the host shows when something goes wrong.
void Say(const char* what, long number);
__attribute__((noreturn)) void Die(const char* what, long number);
