/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The shadow page table: what its files share.
 *
 *   shadowpt.c       the system calls; exec and exit of those concerned
 *   shadowpt_map.c   the inspector's mapping of the entries, made and undone
 *   shadowpt_walk.c  the entries, and the walk and the hooks that keep them true
 */
#ifndef _MM_SHADOWPT_INTERNAL_H
#define _MM_SHADOWPT_INTERNAL_H

#include <linux/mm.h>
#include <linux/shadowpt.h>
#include <linux/spinlock.h>

enum spt_state {
	SPT_CLOSED,
	SPT_OPENING,	/* claimed by one caller of open; to all others, not open */
	SPT_OPEN,
};

struct spt {
	enum spt_state state;
	struct pid *inspector;		/* thread group; holds a reference */
	struct mm_struct *inspector_mm;	/* holds mm_count */
	struct pid *target;		/* thread group; holds a reference */
	unsigned long start, end;
	unsigned long size;		/* of the entries, in whole pages */
	struct shadow_pte *entries;
	vm_flags_t added, taken;	/* what open did to the mapping's flags */
	vm_flags_t prot;		/* VM_READ and VM_EXEC as open left them */
};

/*
 * The one table. Written by the claimant while SPT_OPENING, and when it is
 * destroyed; constant while @shadowpt_mm is set, which is why hooks may read
 * the range.
 */
extern struct spt spt;
/* Innermost: the entries, and which address space is tracked. */
extern spinlock_t spt_lock;

struct spt_walk {
	struct mm_struct *mm;
	/*
	 * Called for a run of entries of one table (@ptep for @addr), or with
	 * @ptep NULL for a range that one PMD covers which is no table: @pmd
	 * is a leaf, a swap entry, or none. Returns true to end the walk.
	 */
	bool (*run)(struct spt_walk *walk, unsigned long addr, unsigned long end, pte_t *ptep,
		    pmd_t pmd);
	struct vm_area_struct *vma;
	unsigned long pfn, nr_pfns;	/* looked for */
	void *contents;
};


bool spt_walk_tables(struct spt_walk *walk, unsigned long addr, unsigned long end);
int spt_refresh(struct mm_struct *mm, bool killable);
void spt_set_vaddrs(void);
void spt_clear_entries(void);

int spt_map(struct mm_struct *mm, unsigned long start);
void spt_unmap(struct mm_struct *mm);

#endif /* _MM_SHADOWPT_INTERNAL_H */
