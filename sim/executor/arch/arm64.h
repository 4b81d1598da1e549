// SPDX-License-Identifier: Apache-2.0
// What the executor must know of arm64; see x86_64.h.
#pragma once

#include <asm/ptrace.h>
#include <stdint.h>

#define ARCH_NAME "arm64"
#define ARCH_FAULT_TRACEPOINTS 0
#define pt_regs user_pt_regs

static inline long RawCall(long nr, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = nr;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}

#ifdef EXECUTOR_ENTRY
__asm__(
    ".globl _start\n_start:\n"
    "  mov x29, #0\n"
    "  bl ExecutorMain\n"
    "  brk #0\n"
    // long CloneChild(struct clone_args*, size_t size, void (*function)(void*), void* argument)
    ".globl CloneChild\nCloneChild:\n"
    "  mov x8, #435\n"
    "  svc #0\n"
    "  cbnz x0, 1f\n"
    "  mov x0, x3\n"
    "  blr x2\n"
    "1: ret\n"
    ".globl SignalReturn\nSignalReturn:\n"
    "  mov x8, #139\n"
    "  svc #0\n");
#endif
// Without it the executor would use the vdso, and share a page of it with every victim.
#define ARCH_SA_RESTORER 0x04000000

static inline uint64_t RegPc(const struct pt_regs* r) {
  return r->pc;
}
static inline void SetPc(struct pt_regs* r, uint64_t pc) {
  r->pc = pc;
}
static inline uint64_t PcAfterTrap(uint64_t trap) {
  return trap;
}
#define ARCH_STEP_REQUEST PTRACE_SINGLESTEP
static inline void SetStep(struct pt_regs* r, int on) {
  (void)r, (void)on;
}
static inline uint64_t RegResult(const struct pt_regs* r) {
  return r->regs[0];
}

static inline void SetCall(struct pt_regs* r, uint64_t number, const uint64_t* args) {
  r->regs[8] = number;
  for (int i = 0; i < 6; ++i) r->regs[i] = args[i];
}
static inline void SetAccess(struct pt_regs* r, uint64_t address, uint64_t value) {
  r->regs[0] = address;
  r->regs[1] = value;
}
static inline void SetCopy(struct pt_regs* r, uint64_t to, uint64_t from, uint64_t bytes) {
  r->regs[0] = to;
  r->regs[1] = from;
  r->regs[2] = bytes;
}
static inline uint64_t RegCopyLeft(const struct pt_regs* r) {
  return r->regs[2];
}
// Bit 55 is clear and bits 54 to 48 are not: no address of either half, whatever the top byte says.
static inline void SetNowhere(struct pt_regs* r) {
  for (int i = 0; i < 31; ++i) r->regs[i] = 0x005a5a5a5a5a5a00ul;
  r->sp = 0x005a5a5a5a5a5a00ul;
}
static const uint8_t kStubLength[12] = {0, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 24};
