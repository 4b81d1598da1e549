// SPDX-License-Identifier: Apache-2.0
// What the executor must know of x86-64: how to call the kernel, where execution starts, and which registers
// the stubs of the victim use. `struct pt_regs` is the first part of the general register set, as
// PTRACE_GETREGSET gives it.
#pragma once

#include <asm/ptrace.h>
#include <stdint.h>

#define ARCH_NAME "x86_64"
#define ARCH_FAULT_TRACEPOINTS 1

static inline long RawCall(long nr, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

#ifdef EXECUTOR_ENTRY
__asm__(
    ".globl _start\n_start:\n"
    "  xor %ebp, %ebp\n"
    "  and $-16, %rsp\n"
    "  call ExecutorMain\n"
    "  hlt\n"
    // long CloneChild(struct clone_args*, size_t size, void (*function)(void*), void* argument)
    ".globl CloneChild\nCloneChild:\n"
    "  mov %rcx, %r8\n"
    "  mov $435, %eax\n"
    "  syscall\n"
    "  test %rax, %rax\n"
    "  jnz 1f\n"
    "  mov %r8, %rdi\n"
    "  call *%rdx\n"
    "1: ret\n"
    ".globl SignalReturn\nSignalReturn:\n"
    "  mov $15, %eax\n"
    "  syscall\n");
#endif
#define ARCH_SA_RESTORER 0x04000000

static inline uint64_t RegPc(const struct pt_regs* r) {
  return r->rip;
}
static inline void SetPc(struct pt_regs* r, uint64_t pc) {
  r->rip = pc;
  r->orig_rax = ~0ul;  // no system call that is to be begun again
}
// Where the program counter is when the trap instruction at `trap` has been executed.
static inline uint64_t PcAfterTrap(uint64_t trap) {
  return trap + 1;
}
// The trap flag, set as the victim's own: PTRACE_SINGLESTEP would read the instruction that comes next
// (arch/x86/kernel/step.c is_setting_trap_flag), and thereby bring its page in.
#define ARCH_STEP_REQUEST PTRACE_CONT
static inline void SetStep(struct pt_regs* r, int on) {
  r->eflags = (r->eflags & ~0x100ul) | (on ? 0x100ul : 0);
}
static inline uint64_t RegResult(const struct pt_regs* r) {
  return r->rax;
}

// A system call by the call stub.
static inline void SetCall(struct pt_regs* r, uint64_t number, const uint64_t* args) {
  r->rax = number;
  r->rdi = args[0];
  r->rsi = args[1];
  r->rdx = args[2];
  r->r10 = args[3];
  r->r8 = args[4];
  r->r9 = args[5];
}
// The load, store and jump stubs.
static inline void SetAccess(struct pt_regs* r, uint64_t address, uint64_t value) {
  r->rdi = address;
  r->rsi = value;
}
static inline void SetCopy(struct pt_regs* r, uint64_t to, uint64_t from, uint64_t bytes) {
  r->rdi = to;
  r->rsi = from;
  r->rcx = bytes;
  r->eflags &= ~0x400ul;
}
static inline uint64_t RegCopyLeft(const struct pt_regs* r) {
  return r->rcx;
}
// Every register points nowhere: an access through any of them is a fault that is not the fetch's.
static inline void SetNowhere(struct pt_regs* r) {
  const uint64_t nowhere = 0x5a5a5a5a5a5a5a00ul;
  r->rax = r->rbx = r->rcx = r->rdx = r->rsi = r->rdi = r->rbp = r->rsp = nowhere;
  r->r8 = r->r9 = r->r10 = r->r11 = r->r12 = r->r13 = r->r14 = r->r15 = nowhere;
}
// The stub's own instructions in bytes, up to its trap: entry, call, load 1 2 4 8, store 1 2 4 8, jump, copy.
static const uint8_t kStubLength[12] = {0, 2, 2, 3, 2, 3, 3, 3, 2, 3, 2, 2};
