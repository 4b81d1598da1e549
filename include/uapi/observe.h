/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR Apache-2.0 */
/*
 * How a scenario is carried out on a real kernel, and what is reported of it. The host writes a stream of
 * steps into a serial port of the guest; the executor there (sim/executor) carries each out and writes one
 * report a step, in order. Both streams are little-endian, and every record's size is a multiple of 8.
 *
 * A victim is a process whose instructions are stubs alone (sim/executor/README.md): the executor drives it
 * with ptrace, so that a step does to the victim's address space what the step says and nothing else. A step
 * names victims by the scenario's own process ids, which are the victims' process ids in the guest too.
 *
 * Everything reported is what the kernel says, unmasked. Which bits are no part of a comparison is the
 * comparer's business.
 */
#ifndef MMSIM_UAPI_OBSERVE_H
#define MMSIM_UAPI_OBSERVE_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdint.h>
#endif

#define OBSERVE_VERSION 3

/* The most arguments of a call, and the bytes that all IN and OUT buffers of one step may take, each rounded
 * up to 16. */
#define OBSERVE_MAX_ARGS 6
#define OBSERVE_MAX_OUTSIDE 65536

/* ---- host to guest ---- */

enum observe_step_kind {
  /*
   * A new victim with the process id `child`. `flags`: OBSERVE_SPAWN_*. Result: its process id.
   */
  OBSERVE_STEP_SPAWN = 1,
  /* The victim `process` is killed (SIGKILL) and reaped. Result: 0. */
  OBSERVE_STEP_KILL = 2,
  /*
   * The victim `process` makes the system call `number` of the guest's architecture with args[0..nargs). A
   * process or thread that the call makes is called `child`, and becomes a victim. Result: what the kernel
   * returned.
   */
  OBSERVE_STEP_CALL = 3,
  /*
   * `number` bytes are read at args[0], in ascending order (1, 2, 4 and 8 aligned bytes in one access).
   * Result: the bytes that were read before a fault; OUT chunk: the bytes.
   */
  OBSERVE_STEP_LOAD = 4,
  /* As LOAD. args[1] is IN bytes, repeated until `number` bytes are written. Result: the bytes written before
     a fault. */
  OBSERVE_STEP_STORE = 5,
  /*
   * The instruction at args[0] is fetched and carried out (single-stepped, with registers that point
   * nowhere). Result: 0 when the fetch itself succeeded, whatever the instruction did then.
   */
  OBSERVE_STEP_FETCH = 6,
  /*
   * As CALL, but made by the executor, from outside every victim (its IN and OUT buffers are its own):
   * process_vm_readv, prlimit64, ptrace(PTRACE_PEEKDATA), move_pages, kill, ... `process` is ignored.
   */
  OBSERVE_STEP_OUTSIDE = 7,
  /*
   * args[0] IN path, args[1] IN bytes: written to the file by the executor in one write(2). Sysctls,
   * clear_refs, files for mmap; a file under /tmp or /dev/shm is made when missing. What a write to /proc/sys
   * or /sys replaced is written back at the RESET. Result: what write(2) returned, or a negative errno of
   * open(2). The path /swap_pages stands for no file: a number written to it is the pages of a swap area, its
   * header included, that is switched on until the RESET.
   */
  OBSERVE_STEP_WRITE_FILE = 8,
  /* args[0] IN path; OUT chunk: the first `number` bytes of the file. Result: their number, or a negative
     errno. */
  OBSERVE_STEP_READ_FILE = 9,
  /*
   * Every victim is killed and reaped; /tmp, /dev/shm, the System V segments, and what WRITE_FILE changed are
   * as after the boot. Results are forgotten and steps are counted from 0 again: the step after a RESET has
   * index 0. Result: 0.
   */
  OBSERVE_STEP_RESET = 10,
  /* The executor answers, and ends: the guest powers off. */
  OBSERVE_STEP_OFF = 11,
};

/* flags of SPAWN */
#define OBSERVE_SPAWN_PRIVILEGED 0x1 /* user 0 with all capabilities, else user and group 1000 with none */

/* flags of every step */
#define OBSERVE_STEP_FLUSH 0x100 /* the report is sent before the next step begins */

/* What is observed after a step: a mask, in every step. */
#define OBSERVE_MAPS 0x1   /* /proc/PID/maps */
#define OBSERVE_SMAPS 0x2  /* /proc/PID/smaps */
#define OBSERVE_PAGES 0x4  /* /proc/PID/pagemap */
#define OBSERVE_FRAMES 0x8 /* /proc/kpagecount and /proc/kpageflags; needs OBSERVE_PAGES */
#define OBSERVE_FAULTS \
  0x10 /* error codes of every page fault of the step, where the kernel has the tracepoint */
#define OBSERVE_SHADOW 0x20 /* the entries of the open shadow page table, where the kernel has one */

enum observe_arg_kind {
  OBSERVE_ARG_LITERAL = 0, /* value */
  OBSERVE_ARG_RESULT = 1,  /* the result of step `ref` of this scenario, plus value */
  /*
   * value bytes follow in the record; they are put into the scratch area of the victim, and their address is
   * passed. `ref` & OBSERVE_ARG_ALSO_OUT: and come back afterwards.
   */
  OBSERVE_ARG_IN = 2,
  OBSERVE_ARG_OUT =
      3, /* the address of value bytes of the scratch area (zeroed); they come back afterwards */
  OBSERVE_ARG_BUFFER = 4, /* the address of the buffer of argument `ref` (IN or OUT), plus value */
  OBSERVE_ARG_LOADED = 5, /* what LOAD step `ref` found, as a little-endian number, plus value */
};
#define OBSERVE_ARG_ALSO_OUT 0x1

struct observe_arg {
  uint16_t kind; /* enum observe_arg_kind */
  uint16_t reserved;
  uint32_t ref;
  uint64_t value;
};

/* Eight bytes of an IN buffer that only the guest knows: written over the buffer before it is used. */
struct observe_patch {
  uint16_t arg;  /* which IN argument */
  uint16_t kind; /* OBSERVE_ARG_LITERAL, _RESULT, _LOADED or _BUFFER */
  uint32_t ref;
  uint64_t value;
  uint64_t offset; /* in the IN buffer, in bytes */
};

/* Followed by observe_arg[nargs], observe_patch[npatches], and the bytes of each IN argument, padded to 8. */
struct observe_step {
  uint32_t size; /* of the whole record */
  uint16_t kind; /* enum observe_step_kind */
  uint16_t flags;
  uint32_t process;
  uint32_t child;   /* the name of the process that this step makes; 0: none is expected */
  uint32_t observe; /* OBSERVE_MAPS | ... */
  uint16_t nargs;
  uint16_t npatches;
  uint64_t number;
};

/* ---- guest to host ---- */

enum observe_ending {
  OBSERVE_ENDING_DONE = 0,   /* the result is valid */
  OBSERVE_ENDING_SIGNAL = 1, /* a signal ended the step (signo, signal_code and fault_address: si_signo,
                                si_code, si_addr); it was not delivered */
  OBSERVE_ENDING_DIED = 2,   /* the victim ended during the step; `wait_status` says how, as wait4(2) would */
  /* The call had not returned after a second and was interrupted; `result` is what it came to (-EINTR as a
     rule). */
  OBSERVE_ENDING_BLOCKED = 3,
  /*
   * vfork, or clone with CLONE_VFORK: the child `made` runs, and the caller stands still until the child
   * executes a program or ends. `result` is the child's process id.
   */
  OBSERVE_ENDING_SUSPENDED = 4,
  OBSERVE_ENDING_REFUSED = 5, /* not carried out: `result` is an enum observe_refusal */
};

enum observe_refusal {
  OBSERVE_REFUSED_MALFORMED =
      1, /* the record makes no sense, or its buffers are larger than the scratch area */
  OBSERVE_REFUSED_NO_PROCESS = 2, /* `process` is no live victim */
  OBSERVE_REFUSED_SUSPENDED = 3,  /* `process` stands still in a vfork */
  OBSERVE_REFUSED_EXISTS = 4,     /* `child` lives already, or is in use by something else */
  OBSERVE_REFUSED_SCRATCH = 5,    /* the scratch area of the victim is not there any more */
  OBSERVE_REFUSED_LIMIT = 6,      /* too many victims, mappings or pages for the executor */
  OBSERVE_REFUSED_REFERENCE = 7,  /* a result of a step that has not been carried out */
  OBSERVE_REFUSED_INTERNAL =
      8, /* ptrace or proc said something that the executor did not expect; see the console */
};

/* Followed by chunks. */
struct observe_report {
  uint32_t size;   /* of the whole record, chunks included */
  uint16_t kind;   /* of the step; 0: HELLO, sent once after the boot, with a HELLO chunk */
  uint16_t ending; /* enum observe_ending */
  uint32_t step;   /* index within the scenario */
  uint32_t made;   /* process id of the process that the step made; 0: none */
  int64_t result;
  int32_t signo;
  int32_t signal_code;
  uint64_t fault_address;
  uint32_t wait_status;
  uint32_t reserved;
};

enum observe_chunk_kind {
  OBSERVE_CHUNK_OUT = 1,    /* id: index of the argument; the buffer's bytes after the call */
  OBSERVE_CHUNK_LIVE = 2,   /* observe_live[]: every live victim, when that changed */
  OBSERVE_CHUNK_MAPS = 3,   /* id: address space; observe_text, when the text changed */
  OBSERVE_CHUNK_SMAPS = 4,  /* id: address space; observe_text, when the text changed */
  OBSERVE_CHUNK_PAGES = 5,  /* id: address space; observe_page[] ascending: what changed */
  OBSERVE_CHUNK_FRAMES = 6, /* observe_frame[] ascending: what changed, of the frames that any victim maps */
  OBSERVE_CHUNK_FAULTS = 7, /* observe_fault[], in the order in which they were taken */
  OBSERVE_CHUNK_DIED = 8,   /* observe_died[]: victims that ended during the step, the stepped one included */
  OBSERVE_CHUNK_HELLO = 9,  /* observe_hello, then the kernel's release as text */
  OBSERVE_CHUNK_SHADOW = 10, /* id: entries of the open table; observe_shadow[] ascending: what changed */
};

/* Followed by `bytes` bytes, and padding to a multiple of 8. */
struct observe_chunk {
  uint16_t kind;
  uint16_t reserved;
  uint32_t id;
  uint64_t bytes;
};

/*
 * An address space has a number that is its own for the scenario: the SPAWN, the fork or the exec that made
 * it, counted from 1. Processes and threads that share memory name the same one.
 */
struct observe_live {
  uint32_t process;
  uint32_t space;
  uint32_t group;     /* process id of its thread group's leader */
  uint32_t suspended; /* 1: stands still in a vfork */
};

/* A text without the bytes at its start and at its end that are those of the text that was reported last (an
 * empty one, if none was of this space); the others follow. */
struct observe_text {
  uint32_t front;
  uint32_t back;
};

/* The pagemap word of a page; 0: what was reported before is gone. Words with no bit but soft-dirty count as
 * 0. */
struct observe_page {
  uint64_t vaddr;
  uint64_t entry;
};

#define OBSERVE_FRAME_GONE (~(uint64_t)0)
/* count == OBSERVE_FRAME_GONE: no victim maps it any more. */
struct observe_frame {
  uint64_t pfn;
  uint64_t count; /* kpagecount */
  uint64_t flags; /* kpageflags */
};

struct observe_fault {
  uint64_t address;
  uint64_t ip;
  uint64_t error; /* x86-64: the error code */
  uint32_t user;  /* 0: taken in the kernel, by a system call that touched user memory */
  uint32_t process;
};

#define OBSERVE_SHADOW_CLOSED (~(uint64_t)0)
/*
 * An entry of the shadow page table (shadowpt.h) as it stands in the kernel's memory, wherever it is mapped.
 * index == OBSERVE_SHADOW_CLOSED: no table is open any more. A table that was opened is reported whole.
 */
struct observe_shadow {
  uint64_t index;
  uint64_t vaddr, pfn, state_flags;
};

struct observe_died {
  uint32_t process;
  uint32_t wait_status;
};

struct observe_hello {
  uint32_t version; /* OBSERVE_VERSION */
  uint32_t page_size;
  uint32_t scratch_bytes; /* for the IN and OUT buffers of one step */
  uint32_t features;      /* OBSERVE_*: what can be observed here */
};

#endif
