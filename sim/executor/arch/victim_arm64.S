// SPDX-License-Identifier: Apache-2.0
// The victim for arm64; see victim_x86_64.S, which explains it.
  .set base, 0x400000
  .text
start:
  .byte 0x7f, 'E', 'L', 'F', 2, 1, 1, 0
  .quad 0
  .2byte 2, 183             // ET_EXEC, EM_AARCH64
  .4byte 1
  .quad base + 0xc0         // e_entry
  .quad 0x40, 0             // e_phoff, e_shoff
  .4byte 0                  // e_flags
  .2byte 64, 56, 2, 0, 0, 0 // e_ehsize, e_phentsize, e_phnum, e_sh*
  .4byte 1, 7               // PT_LOAD, RWX
  .quad 0, base, base
  .quad 0x140, 0x1000, 0x1000
  .4byte 0x6474e551, 6      // PT_GNU_STACK, RW
  .quad 0, 0, 0, 0, 0, 16
  .org 0xc0                 // entry
  brk #0
  .org 0xc8                 // call
  svc #0
  brk #0
  .org 0xd0                 // load of 1, 2, 4, 8 bytes at x0
  ldrb w0, [x0]
  brk #0
  .org 0xd8
  ldrh w0, [x0]
  brk #0
  .org 0xe0
  ldr w0, [x0]
  brk #0
  .org 0xe8
  ldr x0, [x0]
  brk #0
  .org 0xf0                 // store of 1, 2, 4, 8 bytes of x1 at x0
  strb w1, [x0]
  brk #0
  .org 0xf8
  strh w1, [x0]
  brk #0
  .org 0x100
  str w1, [x0]
  brk #0
  .org 0x108
  str x1, [x0]
  brk #0
  .org 0x110                // jump to x0
  br x0
  .org 0x118                // copy x2 bytes from x1 to x0
copy:
  ldrb w3, [x1]
  strb w3, [x0]
  add x1, x1, #1
  add x0, x0, #1
  subs x2, x2, #1
  b.ne copy
  brk #0
  .org 0x140
