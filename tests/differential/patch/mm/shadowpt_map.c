// SPDX-License-Identifier: GPL-2.0-only
/*
 * The shadow page table: the inspector's mapping of the entries, made and
 * undone. All of it runs under that address space's mmap lock, for writing.
 */
#include <linux/gfp.h>
#include <linux/mman.h>
#include <linux/userfaultfd_k.h>

#include "internal.h"
#include "shadowpt_internal.h"

/* What open adds to the flags of the inspector's mapping, as far as it is not there already. */
#define SPT_VM_ADDED	(VM_PFNMAP | VM_IO | VM_DONTEXPAND | VM_DONTDUMP | VM_DONTCOPY)
/* Mappings that have a handling of their own, which cannot be taken away and given back. */
#define SPT_VM_REFUSED	(VM_SHARED | VM_MAYSHARE | VM_LOCKED | VM_LOCKONFAULT | VM_GROWSDOWN | \
			 VM_SPECIAL | VM_SEALED | VM_DROPPABLE)
/* How often a merge that only memory can refuse is tried again. */
#define SPT_MERGE_TRIES	16

static bool spt_mapped_run(struct spt_walk *walk, unsigned long addr, unsigned long end,
			   pte_t *ptep, pmd_t pmd)
{
	if (!ptep)
		return !pmd_none(pmd);
	for (; addr < end; addr += PAGE_SIZE)
		if (!pte_none(ptep_get(ptep++)))
			return true;
	return false;
}

static bool spt_shadow_run(struct spt_walk *walk, unsigned long addr, unsigned long end,
			   pte_t *ptep, pmd_t pmd)
{
	for (; ptep && addr < end; addr += PAGE_SIZE) {
		pte_t pte = ptep_get(ptep++);

		if (pte_present(pte) && pte_pfn(pte) - walk->pfn < walk->nr_pfns)
			return true;
	}
	return false;
}

/* Whether a mapping, wherever it is now, is a piece of the one that open made. */
static bool spt_is_shadow(struct vm_area_struct *vma)
{
	struct spt_walk walk = {
		.mm = vma->vm_mm,
		.run = spt_shadow_run,
		.pfn = page_to_pfn(virt_to_page(spt.entries)),
		.nr_pfns = spt.size >> PAGE_SHIFT,
	};

	return (vma->vm_flags & VM_PFNMAP) && vma_is_anonymous(vma) && !vma->vm_file &&
	       spt_walk_tables(&walk, vma->vm_start, vma->vm_end);
}

static void spt_set_vm_flags(struct vm_area_struct *vma, vm_flags_t old, vm_flags_t new,
			     long nr_pages)
{
	vma_start_write(vma);
	vm_flags_reset(vma, new | (vma->vm_flags & VM_SOFTDIRTY));
	vma_set_page_prot(vma);
	vm_stat_account(vma->vm_mm, old, -nr_pages);
	vm_stat_account(vma->vm_mm, new, nr_pages);
}

/* Gives @vma, all of it, the flags @new, merging it with what it then equals. */
static struct vm_area_struct *spt_merge_vma(struct vm_area_struct *vma, vm_flags_t new)
{
	VMA_ITERATOR(vmi, vma->vm_mm, 0);
	vm_flags_t old = vma->vm_flags;
	long nr_pages = vma_pages(vma);
	struct vm_area_struct *prev, *merged;
	int tries;

	for (tries = 0; tries < SPT_MERGE_TRIES; tries++) {
		vma_iter_set(&vmi, vma->vm_start);
		prev = vma_prev(&vmi);
		vma_iter_set(&vmi, vma->vm_start);
		vma_iter_load(&vmi);
		merged = vma_modify_flags(&vmi, prev, vma, vma->vm_start, vma->vm_end, new);
		if (!IS_ERR(merged))
			break;
		/* Short of memory; it may stay apart, but not as it is. */
		merged = vma;
	}
	spt_set_vm_flags(merged, old, new, nr_pages);
	return merged;
}

static struct vm_area_struct *spt_restore_vma(struct vm_area_struct *vma)
{
	vm_flags_t flags = vma->vm_flags & ~spt.added, taken = spt.taken;

	/* A protection that the inspector chose meanwhile stays. */
	if ((flags & (VM_READ | VM_EXEC)) != spt.prot)
		taken &= ~VM_WRITE;
	flags |= taken;
	/* mprotect() gives the promise of memory back; nobody may refuse it here. */
	if ((flags & (VM_WRITE | VM_ACCOUNT | VM_NORESERVE)) == VM_WRITE) {
		vm_acct_memory(vma_pages(vma));
		flags |= VM_ACCOUNT;
	}
	return spt_merge_vma(vma, flags);
}

/* Every page of the shadow disappears from @mm before any flag allows a fault there again. */
void spt_unmap(struct mm_struct *mm)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct vm_area_struct *vma;
	unsigned long next = 0;

	mmap_write_lock(mm);
	/* With the last user gone, the mappings are, or nobody can reach them. */
	while (atomic_read(&mm->mm_users)) {
		vma_iter_set(&vmi, next);
		vma = vma_find(&vmi, ULONG_MAX);
		if (!vma)
			break;
		if (spt_is_shadow(vma)) {
			vma_start_write(vma);
			zap_vma_ptes(vma, vma->vm_start, vma->vm_end - vma->vm_start);
			vma = spt_restore_vma(vma);
		}
		next = vma->vm_end;
		cond_resched();
	}
	mmap_write_unlock(mm);
}

/* One VMA for exactly [start, start + spt.size), or everything as it was. */
static struct vm_area_struct *spt_isolate(struct vm_area_struct *vma, unsigned long start,
					  vm_flags_t new)
{
	struct mm_struct *mm = vma->vm_mm;
	unsigned long end = start + spt.size;
	bool split = vma->vm_start < start;
	int splits = split + (vma->vm_end > end);
	struct vm_area_struct *prev, *ret;
	VMA_ITERATOR(vmi, mm, start);

	if (splits && mm->map_count + splits > sysctl_max_map_count)
		return ERR_PTR(-ENOMEM);

	prev = split ? vma : vma_prev(&vmi);
	vma_iter_set(&vmi, start);
	vma_iter_load(&vmi);
	ret = vma_modify_flags(&vmi, prev, vma, start, end, new);
	if (IS_ERR(ret)) {
		/* The first split may have succeeded and the second not. */
		vma = vma_lookup(mm, start);
		if (split && vma->vm_start == start)
			spt_merge_vma(vma, vma->vm_flags);
	}
	return ret;
}

int spt_map(struct mm_struct *mm, unsigned long start)
{
	struct spt_walk walk = { .mm = mm, .run = spt_mapped_run };
	struct vm_area_struct *vma;
	vm_flags_t old, new;
	int ret;

	vma = vma_lookup(mm, start);
	if (!vma || vma->vm_end - start < spt.size || !vma_is_anonymous(vma) || vma->vm_file ||
	    (vma->vm_flags & SPT_VM_REFUSED) || userfaultfd_armed(vma))
		return -EINVAL;

	/* A fault may hold the VMA's own lock alone. From here on there is none. */
	vma_start_write(vma);
	if (spt_walk_tables(&walk, start, start + spt.size))
		return -EINVAL;

	spt.entries = alloc_pages_exact(spt.size, GFP_KERNEL | __GFP_ZERO);
	if (!spt.entries)
		return -ENOMEM;

	/*
	 * Without VM_MAYWRITE the mapping is not a COW mapping, and
	 * remap_pfn_range() leaves vm_pgoff alone, which the merge at the end
	 * needs. The pages are memory: there is no PAT type to be tracked.
	 */
	old = vma->vm_flags;
	new = (old & ~(VM_WRITE | VM_MAYWRITE)) | SPT_VM_ADDED;
	vma = spt_isolate(vma, start, new);
	if (IS_ERR(vma)) {
		ret = -ENOMEM;
		goto free;
	}
	spt.added = new & ~old;
	spt.taken = old & ~new;
	spt.prot = new & (VM_READ | VM_EXEC);
	spt_set_vm_flags(vma, old, new, vma_pages(vma));
	ret = remap_pfn_range_notrack(vma, start, page_to_pfn(virt_to_page(spt.entries)), spt.size,
				      vma->vm_page_prot);
	if (!ret)
		return 0;
	spt_restore_vma(vma);
	ret = -ENOMEM;
free:
	free_pages_exact(spt.entries, spt.size);
	return ret;
}
