// SPDX-License-Identifier: GPL-2.0-only
/*
 * The shadow page table: its entries, and the walk and the hooks that keep
 * them true.
 *
 * An entry is written only from what the VMA tree or the page table says at
 * that moment, read under the lock that protects it. A change therefore meets
 * one of two cases: it came before shadowpt_start() looked, under the same
 * lock, and is seen there; or it came later, and then the lock made
 * @shadowpt_mm visible to its hook. Nothing needs to be empty beforehand, and
 * nothing is ever put back.
 */
#include <linux/mmap_lock.h>
#include <linux/pgtable.h>
#include <linux/sched.h>

#include "internal.h"
#include "shadowpt_internal.h"

/* ---- entries; under spt_lock ---- */

static struct shadow_pte *spt_entry(unsigned long addr)
{
	return &spt.entries[(addr - spt.start) >> PAGE_SHIFT];
}

/* A reader who sees MAPPED must find the frame there already, and for as long as it sees MAPPED. */
static void spt_set_pte(unsigned long addr, bool mapped, unsigned long pfn)
{
	struct shadow_pte *entry = spt_entry(addr);
	unsigned long flags = entry->state_flags;

	if (mapped) {
		WRITE_ONCE(entry->pfn, pfn);
		smp_wmb(); /* the frame before the flag that announces it */
		WRITE_ONCE(entry->state_flags, flags | SPTE_PTE_MAPPED);
	} else {
		WRITE_ONCE(entry->state_flags, flags & ~SPTE_PTE_MAPPED);
		smp_wmb(); /* the flag before the frame that it announced */
		WRITE_ONCE(entry->pfn, 0);
	}
}

static void spt_set_vma(unsigned long addr, unsigned long end, unsigned long vma_flags)
{
	for (; addr < end; addr += PAGE_SIZE) {
		struct shadow_pte *entry = spt_entry(addr);

		WRITE_ONCE(entry->state_flags, (entry->state_flags & SPTE_PTE_MAPPED) | vma_flags);
	}
}

static void spt_copy_pte(unsigned long addr, pte_t pte)
{
	if (pte_none(pte))
		spt_set_pte(addr, false, 0);
	else
		spt_set_pte(addr, true, pte_present(pte) ? pte_pfn(pte) : 0);
}

static void spt_copy_pmd(unsigned long addr, pmd_t pmd)
{
	if (pmd_none(pmd))
		spt_set_pte(addr, false, 0);
	else if (pmd_present(pmd))
		spt_set_pte(addr, true, pmd_pfn(pmd) + ((addr & ~PMD_MASK) >> PAGE_SHIFT));
	else
		spt_set_pte(addr, true, 0);
}

void spt_set_vaddrs(void)
{
	unsigned long addr;

	for (addr = spt.start; addr < spt.end; addr += PAGE_SIZE)
		WRITE_ONCE(spt_entry(addr)->vaddr, addr);
}

void spt_clear_entries(void)
{
	unsigned long addr;

	for (addr = spt.start; addr < spt.end; addr += PAGE_SIZE)
		spt_set_pte(addr, false, 0);
	spt_set_vma(spt.start, spt.end, 0);
}

static bool spt_clip(unsigned long *start, unsigned long *end)
{
	*start = max(*start, READ_ONCE(spt.start));
	*end = min(*end, READ_ONCE(spt.end));
	return *start < *end;
}

/* ---- a walk that holds what keeps each table as it is, down to the leaves ---- */

/* Entered with the PMD's lock. */
static bool spt_walk_pmd(struct spt_walk *walk, pmd_t *pmdp, unsigned long addr, unsigned long end)
{
	pmd_t pmd = pmdp_get(pmdp);
	spinlock_t *pml, *ptl;
	pte_t *ptep;
	bool done;

	if (pmd_none(pmd) || !pmd_present(pmd) || pmd_leaf(pmd))
		return walk->run(walk, addr, end, NULL, pmd);
	ptep = pte_offset_map(pmdp, addr);
	if (!ptep)
		return walk->run(walk, addr, end, NULL, __pmd(0));
	pml = pmd_lockptr(walk->mm, pmdp);
	ptl = pte_lockptr(walk->mm, pmdp);
	if (ptl != pml)
		spin_lock_nested(ptl, 2);
	done = walk->run(walk, addr, end, ptep, pmd);
	if (ptl != pml)
		spin_unlock(ptl);
	pte_unmap(ptep);
	return done;
}

/* Entered with page_table_lock, the lock of all levels above the PMD. */
static bool spt_walk_pud(struct spt_walk *walk, pud_t *pudp, unsigned long addr, unsigned long end)
{
	struct mm_struct *mm = walk->mm;
	pud_t pud = pudp_get(pudp);
	unsigned long next;
	spinlock_t *pml;
	pmd_t *pmdp;
	bool done;

	if (pud_none(pud) || pud_leaf(pud) || unlikely(pud_bad(pud)))
		return walk->run(walk, addr, end, NULL, __pmd(0));
	pmdp = pmd_offset(pudp, addr);
	do {
		next = pmd_addr_end(addr, end);
		pml = pmd_lockptr(mm, pmdp);
		if (pml != &mm->page_table_lock)
			spin_lock_nested(pml, SINGLE_DEPTH_NESTING);
		done = spt_walk_pmd(walk, pmdp, addr, next);
		if (pml != &mm->page_table_lock)
			spin_unlock(pml);
	} while (!done && (pmdp++, addr = next, addr != end));
	return done;
}

static pud_t *spt_find_pud(struct mm_struct *mm, unsigned long addr)
{
	pgd_t *pgd = pgd_offset(mm, addr);
	p4d_t *p4d;

	if (pgd_none(*pgd) || unlikely(pgd_bad(*pgd)))
		return NULL;
	p4d = p4d_offset(pgd, addr);
	if (p4d_none(*p4d) || unlikely(p4d_bad(*p4d)))
		return NULL;
	return pud_offset(p4d, addr);
}

/*
 * [addr, end) lies in a mapping, and the mmap lock is held: tables under a
 * mapping are not freed. page_table_lock keeps absent ones absent, so that
 * "no table" is as sure an answer as an empty entry.
 */
bool spt_walk_tables(struct spt_walk *walk, unsigned long addr, unsigned long end)
{
	struct mm_struct *mm = walk->mm;
	unsigned long next;
	bool done;

	mmap_assert_locked(mm);
	do {
		pud_t *pudp;

		next = pmd_addr_end(addr, end);
		spin_lock(&mm->page_table_lock);
		pudp = spt_find_pud(mm, addr);
		if (pudp)
			done = spt_walk_pud(walk, pudp, addr, next);
		else
			done = walk->run(walk, addr, next, NULL, __pmd(0));
		spin_unlock(&mm->page_table_lock);
		cond_resched();
	} while (!done && (addr = next, addr != end));
	return done;
}

/* ---- updates ---- */

static bool spt_update_run(struct spt_walk *walk, unsigned long addr, unsigned long end,
			   pte_t *ptep, pmd_t pmd)
{
	unsigned long from = addr;

	spin_lock(&spt_lock);
	if (shadowpt_mm == walk->mm && spt_clip(&from, &end)) {
		if (ptep)
			ptep += (from - addr) >> PAGE_SHIFT;
		for (; from < end; from += PAGE_SIZE) {
			if (ptep)
				spt_copy_pte(from, ptep_get(ptep++));
			else
				spt_copy_pmd(from, pmd);
		}
	}
	spin_unlock(&spt_lock);
	return false;
}

void __shadowpt_ptes(struct mm_struct *mm, unsigned long addr, pte_t *ptep, unsigned long nr)
{
	struct spt_walk walk = { .mm = mm };
	unsigned long from = addr, end = addr + nr * PAGE_SIZE;

	if (spt_clip(&from, &end))
		spt_update_run(&walk, from, end, ptep + ((from - addr) >> PAGE_SHIFT), __pmd(0));
}

void __shadowpt_pmd(struct mm_struct *mm, unsigned long addr, pmd_t *pmdp)
{
	struct spt_walk walk = { .mm = mm, .run = spt_update_run };
	unsigned long start = addr & PMD_MASK, end = start + PMD_SIZE;

	lockdep_assert_held(pmd_lockptr(mm, pmdp));
	if (spt_clip(&start, &end))
		spt_walk_pmd(&walk, pmdp, start, end);
}

void __shadowpt_pud(struct mm_struct *mm, unsigned long addr, pud_t *pudp)
{
	struct spt_walk walk = { .mm = mm, .run = spt_update_run };
	unsigned long start = addr & PUD_MASK, end = start + PUD_SIZE;

	lockdep_assert_held(&mm->page_table_lock);
	if (spt_clip(&start, &end))
		spt_walk_pud(&walk, pudp, start, end);
}

void __shadowpt_vma(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct vm_area_struct *vma;

	mmap_assert_locked(mm);
	spin_lock(&spt_lock);
	if (shadowpt_mm == mm && spt_clip(&start, &end)) {
		vma_iter_set(&vmi, start);
		for_each_vma_range(vmi, vma, end) {
			unsigned long from = max(start, vma->vm_start);
			unsigned long flags = SPTE_VADDR_ALLOCATED;

			if (vma_is_anonymous(vma))
				flags |= SPTE_VADDR_ANONYMOUS;
			spt_set_vma(start, from, 0);
			start = min(end, vma->vm_end);
			spt_set_vma(from, start, flags);
		}
		spt_set_vma(start, end, 0);
	}
	spin_unlock(&spt_lock);
}

/*
 * All entries anew. Where no mapping is, no entry can come while the mmap lock
 * is held, and the tables may be on their way out: they are not looked at.
 */
int spt_refresh(struct mm_struct *mm, bool killable)
{
	struct spt_walk walk = { .mm = mm, .run = spt_update_run };
	VMA_ITERATOR(vmi, mm, 0);
	unsigned long start = 0, end = ULONG_MAX;
	struct vm_area_struct *vma;

	if (!killable)
		mmap_read_lock(mm);
	else if (mmap_read_lock_killable(mm))
		return -EINTR;

	/* With the last user gone, exit_mmap() may have been here already. */
	if (atomic_read(&mm->mm_users) && spt_clip(&start, &end)) {
		__shadowpt_vma(mm, start, end);
		vma_iter_set(&vmi, start);
		for_each_vma_range(vmi, vma, end) {
			unsigned long from = max(start, vma->vm_start);

			if (start < from)
				spt_update_run(&walk, start, from, NULL, __pmd(0));
			start = min(end, vma->vm_end);
			spt_walk_tables(&walk, from, start);
		}
		if (start < end)
			spt_update_run(&walk, start, end, NULL, __pmd(0));
	}
	mmap_read_unlock(mm);
	return 0;
}
