// SPDX-License-Identifier: Apache-2.0
// System calls without the C library's errno: a call returns the kernel's value, a negative errno included.
// Usable in a process that shares its address space with another.
#ifndef MMSIM_TESTS_DIFFERENTIAL_PROGRAMS_CALLS_H
#define MMSIM_TESTS_DIFFERENTIAL_PROGRAMS_CALLS_H

#include "../../../include/uapi/shadowpt.h"

#define NR_SHADOWPT_OPEN 462
#define NR_SHADOWPT_CLOSE 463
#define NR_SHADOWPT_START 464
#define NR_SHADOWPT_STOP 465
#define NR_SHADOWPT_PAGE_CONTENTS 466

static inline long Call6(long nr, long a, long b, long c, long d, long e, long f) {
#if defined(__x86_64__)
  long ret;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(ret)
                   : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return ret;
#elif defined(__aarch64__)
  register long x8 __asm__("x8") = nr;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
#else
#error "another architecture"
#endif
}

#define CALL_7(nr, a, b, c, d, e, f) \
  Call6(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define CALL_6(nr, a, b, c, d, e) CALL_7(nr, a, b, c, d, e, 0)
#define CALL_5(nr, a, b, c, d) CALL_7(nr, a, b, c, d, 0, 0)
#define CALL_4(nr, a, b, c) CALL_7(nr, a, b, c, 0, 0, 0)
#define CALL_3(nr, a, b) CALL_7(nr, a, b, 0, 0, 0, 0)
#define CALL_2(nr, a) CALL_7(nr, a, 0, 0, 0, 0, 0)
#define CALL_1(nr) CALL_7(nr, 0, 0, 0, 0, 0, 0)
#define CALL_PICK(_1, _2, _3, _4, _5, _6, _7, name, ...) name
// Call(number, up to six arguments)
#define Call(...) \
  CALL_PICK(__VA_ARGS__, CALL_7, CALL_6, CALL_5, CALL_4, CALL_3, CALL_2, CALL_1, )(__VA_ARGS__)

static inline long ShadowptOpen(long target, struct user_shadow_pt* dest) {
  return Call(NR_SHADOWPT_OPEN, target, dest);
}
static inline long ShadowptClose(void) {
  return Call(NR_SHADOWPT_CLOSE);
}
static inline long ShadowptStart(void) {
  return Call(NR_SHADOWPT_START);
}
static inline long ShadowptStop(void) {
  return Call(NR_SHADOWPT_STOP);
}
static inline long ShadowptPageContents(unsigned long pfn, void* buffer) {
  return Call(NR_SHADOWPT_PAGE_CONTENTS, pfn, buffer);
}

#endif  // MMSIM_TESTS_DIFFERENTIAL_PROGRAMS_CALLS_H
