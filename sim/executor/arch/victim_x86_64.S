# SPDX-License-Identifier: Apache-2.0
# The victim for x86-64: a whole ELF file by hand, so that it is the same bytes with any assembler. One segment, one page,
# readable, writable and executable; the stubs at the offsets of victim.h; memory beyond the file's end is the scratch
# area, which exec itself clears (so the page is a private anonymous copy from the start).
# The bytes are kept in include/uapi/victim.h; tests/guest checks that the two agree.
  .set base, 0x400000
  .text
start:
  .byte 0x7f, 'E', 'L', 'F', 2, 1, 1, 0
  .quad 0
  .2byte 2, 62              # ET_EXEC, EM_X86_64
  .4byte 1
  .quad base + 0xc0         # e_entry
  .quad 0x40, 0             # e_phoff, e_shoff
  .4byte 0                  # e_flags
  .2byte 64, 56, 2, 0, 0, 0 # e_ehsize, e_phentsize, e_phnum, e_sh*
  .4byte 1, 7               # PT_LOAD, RWX
  .quad 0, base, base
  .quad 0x140, 0x1000, 0x1000
  .4byte 0x6474e551, 6      # PT_GNU_STACK, RW
  .quad 0, 0, 0, 0, 0, 16
  .org 0xc0                 # entry
  int3
  .org 0xc8                 # call
  syscall
  int3
  .org 0xd0                 # load of 1, 2, 4, 8 bytes at rdi
  movb (%rdi), %al
  int3
  .org 0xd8
  movw (%rdi), %ax
  int3
  .org 0xe0
  movl (%rdi), %eax
  int3
  .org 0xe8
  movq (%rdi), %rax
  int3
  .org 0xf0                 # store of 1, 2, 4, 8 bytes of rsi at rdi
  movb %sil, (%rdi)
  int3
  .org 0xf8
  movw %si, (%rdi)
  int3
  .org 0x100
  movl %esi, (%rdi)
  int3
  .org 0x108
  movq %rsi, (%rdi)
  int3
  .org 0x110                # jump to rdi
  jmp *%rdi
  .org 0x118                # copy rcx bytes from rsi to rdi
  rep movsb
  int3
  .org 0x140
