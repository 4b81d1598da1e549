/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR Apache-2.0 */
/*
 * The shadow page table: a continuously updated, read-only view of the pages of
 * a small range of another process.
 *
 * The kernel installs this file as <linux/shadowpt.h>. The structures are the
 * whole interface of the system calls 462 to 466.
 */
#ifndef _UAPI_LINUX_SHADOWPT_H
#define _UAPI_LINUX_SHADOWPT_H

/* The most bytes of address space that a table covers: 2,048 pages of 4 KiB. */
#define MAX_SPT_RANGE (0x800000)

/* state_flags */
#define SPTE_VADDR_ALLOCATED 1 /* a mapping covers the page */
#define SPTE_VADDR_ANONYMOUS 2 /* and that mapping is of anonymous memory */
#define SPTE_PTE_MAPPED 4      /* the page has a page table entry that is not empty */

#define is_vaddr_allocated(state) ((state)&SPTE_VADDR_ALLOCATED)
#define is_vaddr_anonymous(state) ((state)&SPTE_VADDR_ANONYMOUS)
#define is_pte_mapped(state) ((state)&SPTE_PTE_MAPPED)

/* What is known about one page. */
struct shadow_pte {
  unsigned long vaddr;       /* the address of the page's first byte */
  unsigned long pfn;         /* the page frame's number; 0 when there is none */
  unsigned long state_flags; /* SPTE_* */
};

/* What is to be watched, and where the inspector wants to see it. */
struct user_shadow_pt {
  unsigned long start_vaddr;  /* of the first page of the range */
  unsigned long end_vaddr;    /* the first address after the range */
  struct shadow_pte* entries; /* page-aligned memory, one entry a page */
};

#endif /* _UAPI_LINUX_SHADOWPT_H */
