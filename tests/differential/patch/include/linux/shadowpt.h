/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hooks of the shadow page table (mm/shadowpt.c).
 *
 * A hook is called after a change and before the lock is released that keeps
 * the change from being undone. It is handed the place, never the value: what
 * is copied into the shadow is read again, under that lock.
 */
#ifndef _LINUX_SHADOWPT_INTERNAL_H
#define _LINUX_SHADOWPT_INTERNAL_H

#include <linux/compiler.h>
#include <linux/mm_types.h>
#include <uapi/linux/shadowpt.h>

#ifdef CONFIG_SHADOWPT

/* The address space that is tracked. Written under the shadow's spinlock. */
extern struct mm_struct *shadowpt_mm;

void __shadowpt_vma(struct mm_struct *mm, unsigned long start, unsigned long end);
void __shadowpt_ptes(struct mm_struct *mm, unsigned long addr, pte_t *ptep, unsigned long nr);
void __shadowpt_pmd(struct mm_struct *mm, unsigned long addr, pmd_t *pmdp);
void __shadowpt_pud(struct mm_struct *mm, unsigned long addr, pud_t *pudp);

void shadowpt_exec(struct mm_struct *mm);
void shadowpt_exit_inspector(bool group_dead);
void shadowpt_exit_target(bool group_dead);

static inline bool shadowpt_tracks(struct mm_struct *mm)
{
	return unlikely(READ_ONCE(shadowpt_mm) == mm);
}

#else

static inline void __shadowpt_vma(struct mm_struct *mm, unsigned long start, unsigned long end) { }
static inline void __shadowpt_ptes(struct mm_struct *mm, unsigned long addr, pte_t *ptep,
				   unsigned long nr) { }
static inline void __shadowpt_pmd(struct mm_struct *mm, unsigned long addr, pmd_t *pmdp) { }
static inline void __shadowpt_pud(struct mm_struct *mm, unsigned long addr, pud_t *pudp) { }
static inline void shadowpt_exec(struct mm_struct *mm) { }
static inline void shadowpt_exit_inspector(bool group_dead) { }
static inline void shadowpt_exit_target(bool group_dead) { }
static inline bool shadowpt_tracks(struct mm_struct *mm) { return false; }

#endif /* CONFIG_SHADOWPT */

/* Mappings of [start, end) came, went or were replaced; the mmap lock is held for writing. */
static inline void shadowpt_vma(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	if (shadowpt_tracks(mm))
		__shadowpt_vma(mm, start, end);
}

/* @nr entries of one table, from @ptep for @addr, have changed; their table's lock is held. */
static inline void shadowpt_ptes(struct mm_struct *mm, unsigned long addr, pte_t *ptep,
				 unsigned long nr)
{
	if (shadowpt_tracks(mm))
		__shadowpt_ptes(mm, addr, ptep, nr);
}

/* The PMD of @addr has changed, whatever it is now; its lock is held. */
static inline void shadowpt_pmd(struct mm_struct *mm, unsigned long addr, pmd_t *pmdp)
{
	if (shadowpt_tracks(mm))
		__shadowpt_pmd(mm, addr, pmdp);
}

/* The PUD of @addr has changed, whatever it is now; mm->page_table_lock is held. */
static inline void shadowpt_pud(struct mm_struct *mm, unsigned long addr, pud_t *pudp)
{
	if (shadowpt_tracks(mm))
		__shadowpt_pud(mm, addr, pudp);
}

#endif /* _LINUX_SHADOWPT_INTERNAL_H */
