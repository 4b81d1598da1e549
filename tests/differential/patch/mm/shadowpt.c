// SPDX-License-Identifier: GPL-2.0-only
/*
 * The shadow page table: an inspector process sees a continuously updated
 * table of the pages of a small range of a target process, in pages that the
 * kernel maps into it read-only. Here are its system calls.
 *
 * One table exists in the system at most (@spt). Its locks, outermost first:
 *
 *   spt_mutex             the opener's calls, and the opener's exec and exit
 *     mmap_lock           of the inspector (open, close) or of the target
 *       page_table_lock, PMD lock, PTE lock    of the target
 *         spt_lock        the entries, and which address space is tracked
 *
 * The target's exec and exit, and every hook, take spt_lock at most, so that
 * nothing that an inspector does can hold a target up.
 */
#include <linux/capability.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/huge_mm.h>
#include <linux/mutex.h>
#include <linux/oom.h>
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/secretmem.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>

#include "shadowpt_internal.h"

static DEFINE_MUTEX(spt_mutex);
DEFINE_SPINLOCK(spt_lock);
struct spt spt;
/* Holds mm_count, never mm_users: nobody's exit may wait for the shadow. */
struct mm_struct *shadowpt_mm __read_mostly;

/* ---- which address space is tracked ---- */

/*
 * The address space of a process, with mm_count, or NULL when the process has
 * exited: when its last thread has, even if that is still on its way out.
 */
static struct mm_struct *spt_mm_of(struct pid *pid)
{
	struct mm_struct *mm = NULL;
	struct task_struct *leader, *task;

	rcu_read_lock();
	leader = pid_task(pid, PIDTYPE_TGID);
	if (leader && !(leader->flags & PF_KTHREAD) && atomic_read(&leader->signal->live)) {
		task = find_lock_task_mm(leader);
		if (task) {
			mm = task->mm;
			mmgrab(mm);
			task_unlock(task);
		}
	}
	rcu_read_unlock();
	return mm;
}

static void spt_track(struct mm_struct *mm)
{
	struct mm_struct *old;

	if (mm)
		mmgrab(mm);
	spin_lock(&spt_lock);
	if (mm)
		spt_set_vaddrs();
	old = shadowpt_mm;
	WRITE_ONCE(shadowpt_mm, mm);
	spin_unlock(&spt_lock);
	if (old)
		mmdrop(old);
}

/* The target is gone. Under spt_lock. */
static void spt_lose_target(void)
{
	WRITE_ONCE(shadowpt_mm, NULL);
	spt_set_vaddrs();
	spt_clear_entries();
}

static long spt_begin(void)
{
	struct mm_struct *mm, *old;
	bool same;
	int ret;

	mm = spt_mm_of(spt.target);
	while (mm) {
		spt_track(mm);
		ret = spt_refresh(mm, true);
		if (ret) {
			/* A fatal signal: nobody will see it, and close follows. */
			spt_track(NULL);
			mmdrop(mm);
			return ret;
		}
		/*
		 * An exec or exit whose hook came before the mm was published
		 * has left its trace in the task; a later one sees the mm. The
		 * hooks have the other barrier.
		 */
		smp_mb();
		old = mm;
		mm = spt_mm_of(spt.target);
		same = mm == old;
		mmdrop(old);
		if (same) {
			mmdrop(mm);
			return 0;
		}
	}
	spin_lock(&spt_lock);
	old = shadowpt_mm;
	spt_lose_target();
	spin_unlock(&spt_lock);
	if (old)
		mmdrop(old);
	return -ESRCH;
}

/* ---- open and close ---- */

/* Takes back what the last open did. The caller has the table for itself. */
static void spt_destroy(void)
{
	struct pid *inspector = spt.inspector, *target = spt.target;

	spt_track(NULL);
	spin_lock(&spt_lock);
	WRITE_ONCE(spt.inspector, NULL);
	WRITE_ONCE(spt.target, NULL);
	spin_unlock(&spt_lock);

	spt_unmap(spt.inspector_mm);
	free_pages_exact(spt.entries, spt.size);
	mmdrop(spt.inspector_mm);
	put_pid(inspector);
	put_pid(target);
	smp_store_release(&spt.state, SPT_CLOSED);
}

/* Whether the caller may use the table. Under spt_mutex. */
static long spt_check_owner(void)
{
	if (smp_load_acquire(&spt.state) != SPT_OPEN)
		return -EINVAL;
	return spt.inspector == task_tgid(current) ? 0 : -EPERM;
}

static long spt_check_range(struct user_shadow_pt *range, bool *truncated)
{
	unsigned long start = range->start_vaddr, end = range->end_vaddr;
	unsigned long entries = (unsigned long)range->entries;

	if (!PAGE_ALIGNED(start) || !PAGE_ALIGNED(end) || start >= end)
		return -EINVAL;
	if (!entries || !PAGE_ALIGNED(entries) || start >= TASK_SIZE_MAX)
		return -EINVAL;
	*truncated = end - start > MAX_SPT_RANGE;
	if (*truncated)
		range->end_vaddr = start + MAX_SPT_RANGE;
	return range->end_vaddr > TASK_SIZE_MAX ? -EINVAL : 0;
}

/* A process by its number in the caller's namespace: a leader, with an address space. */
static struct pid *spt_find_target(pid_t nr)
{
	struct mm_struct *mm;
	struct pid *pid;

	if (nr <= 0)
		return NULL;
	pid = find_get_pid(nr);
	if (!pid)
		return NULL;
	mm = spt_mm_of(pid);
	if (!mm) {
		put_pid(pid);
		return NULL;
	}
	mmdrop(mm);
	return pid;
}

static long spt_create(struct pid *target, const struct user_shadow_pt *range)
{
	struct mm_struct *mm = current->mm;
	long ret;

	spt.start = range->start_vaddr;
	spt.end = range->end_vaddr;
	spt.size = PAGE_ALIGN(((spt.end - spt.start) >> PAGE_SHIFT) * sizeof(struct shadow_pte));
	if (mmap_write_lock_killable(mm))
		return -EINTR;
	ret = spt_map(mm, (unsigned long)range->entries);
	mmap_write_unlock(mm);
	if (ret)
		return ret;

	mmgrab(mm);
	spt.inspector_mm = mm;
	spin_lock(&spt_lock);
	WRITE_ONCE(spt.inspector, get_pid(task_tgid(current)));
	WRITE_ONCE(spt.target, get_pid(target));
	spin_unlock(&spt_lock);
	return 0;
}

SYSCALL_DEFINE2(shadowpt_open, pid_t, target, struct user_shadow_pt __user *, dest)
{
	struct user_shadow_pt range;
	struct pid *pid;
	bool truncated;
	long ret;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (!dest)
		return -EINVAL;
	if (copy_from_user(&range, dest, sizeof(range)))
		return -EFAULT;
	ret = spt_check_range(&range, &truncated);
	if (ret)
		return ret;
	pid = spt_find_target(target);
	if (!pid)
		return -EINVAL;

	/*
	 * The claim is not the mutex: user memory is written before it ends.
	 * The opener's exec and exit come only after this call has.
	 */
	if (cmpxchg(&spt.state, SPT_CLOSED, SPT_OPENING) != SPT_CLOSED) {
		ret = -EBUSY;
		goto out;
	}
	ret = spt_create(pid, &range);
	if (ret) {
		smp_store_release(&spt.state, SPT_CLOSED);
		goto out;
	}
	if (truncated && put_user(range.end_vaddr, &dest->end_vaddr)) {
		ret = -EFAULT;
		spt_destroy();
		goto out;
	}
	smp_store_release(&spt.state, SPT_OPEN);
out:
	put_pid(pid);
	return ret;
}

SYSCALL_DEFINE0(shadowpt_close)
{
	long ret;

	mutex_lock(&spt_mutex);
	ret = spt_check_owner();
	if (!ret)
		spt_destroy();
	mutex_unlock(&spt_mutex);
	return ret;
}

SYSCALL_DEFINE0(shadowpt_start)
{
	long ret;

	mutex_lock(&spt_mutex);
	ret = spt_check_owner();
	if (!ret)
		ret = spt_begin();
	mutex_unlock(&spt_mutex);
	return ret;
}

SYSCALL_DEFINE0(shadowpt_stop)
{
	long ret;

	mutex_lock(&spt_mutex);
	ret = spt_check_owner();
	if (!ret)
		spt_track(NULL);
	mutex_unlock(&spt_mutex);
	return ret;
}

/* ---- exec and exit ---- */

/* The current process, which may be the inspector, gives its address space up. */
static void spt_leave(void)
{
	if (likely(READ_ONCE(spt.inspector) != task_tgid(current)))
		return;
	mutex_lock(&spt_mutex);
	if (!spt_check_owner())
		spt_destroy();
	mutex_unlock(&spt_mutex);
}

/* The current process has changed over to @mm; its old address space still exists. */
void shadowpt_exec(struct mm_struct *mm)
{
	struct mm_struct *old = NULL;

	spt_leave();
	smp_mb(); /* see spt_begin() */
	if (likely(READ_ONCE(spt.target) != task_tgid(current)))
		return;
	spin_lock(&spt_lock);
	if (spt.target == task_tgid(current) && shadowpt_mm && shadowpt_mm != mm) {
		old = shadowpt_mm;
		mmgrab(mm);
		WRITE_ONCE(shadowpt_mm, mm);
	}
	spin_unlock(&spt_lock);
	if (old) {
		mmdrop(old);
		spt_refresh(mm, false);
	}
}

/* Before the last thread lets its address space go. */
void shadowpt_exit_inspector(bool group_dead)
{
	if (group_dead)
		spt_leave();
}

/* After the last thread has let its address space go, whoever else may still have it. */
void shadowpt_exit_target(bool group_dead)
{
	struct mm_struct *old = NULL;

	if (!group_dead)
		return;
	smp_mb(); /* see spt_begin() */
	if (likely(READ_ONCE(spt.target) != task_tgid(current)))
		return;
	spin_lock(&spt_lock);
	if (spt.target == task_tgid(current) && shadowpt_mm) {
		old = shadowpt_mm;
		spt_lose_target();
	}
	spin_unlock(&spt_lock);
	if (old)
		mmdrop(old);
}

/* ---- page_contents ---- */

/* Whether a leaf of the walked mapping names a frame that is memory. */
static bool spt_readable_pte(struct vm_area_struct *vma, unsigned long addr, pte_t pte)
{
	return is_zero_pfn(pte_pfn(pte)) || vm_normal_page(vma, addr, pte);
}

static bool spt_readable_pmd(struct vm_area_struct *vma, unsigned long addr, pmd_t pmd)
{
	return IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) &&
	       (is_huge_zero_pmd(pmd) || vm_normal_page_pmd(vma, addr, pmd));
}

static bool spt_contents_run(struct spt_walk *walk, unsigned long addr, unsigned long end,
			     pte_t *ptep, pmd_t pmd)
{
	void *page;

	for (;; addr += PAGE_SIZE) {
		if (addr == end)
			return false;
		if (ptep) {
			pte_t pte = ptep_get(ptep++);

			if (pte_present(pte) && pte_pfn(pte) == walk->pfn &&
			    spt_readable_pte(walk->vma, addr, pte))
				break;
		} else if (!pmd_none(pmd) && pmd_present(pmd) &&
			   pmd_pfn(pmd) + ((addr & ~PMD_MASK) >> PAGE_SHIFT) == walk->pfn &&
			   spt_readable_pmd(walk->vma, addr, pmd)) {
			break;
		}
	}
	if (READ_ONCE(shadowpt_mm) != walk->mm)
		return false;
	page = kmap_local_page(pfn_to_page(walk->pfn));
	copy_page(walk->contents, page);
	kunmap_local(page);
	return true;
}

static long spt_read_frame(struct mm_struct *mm, unsigned long start, unsigned long end,
			   unsigned long pfn, void *contents)
{
	struct spt_walk walk = {
		.mm = mm,
		.run = spt_contents_run,
		.pfn = pfn,
		.contents = contents,
	};
	VMA_ITERATOR(vmi, mm, start);
	bool found = false;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	if (atomic_read(&mm->mm_users)) {
		for_each_vma_range(vmi, walk.vma, end) {
			if (vma_is_secretmem(walk.vma))
				continue;
			found = spt_walk_tables(&walk, max(start, walk.vma->vm_start),
						min(end, walk.vma->vm_end));
			if (found)
				break;
		}
	}
	mmap_read_unlock(mm);
	return found ? 0 : -EINVAL;
}

SYSCALL_DEFINE2(shadowpt_page_contents, unsigned long, pfn, void __user *, buffer)
{
	unsigned long start, end;
	struct mm_struct *mm;
	void *contents;
	long ret;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;

	spin_lock(&spt_lock);
	mm = shadowpt_mm;
	if (mm)
		mmgrab(mm);
	start = spt.start;
	end = spt.end;
	spin_unlock(&spt_lock);
	if (!mm)
		return -EINVAL;

	contents = (void *)__get_free_page(GFP_KERNEL);
	if (contents) {
		ret = spt_read_frame(mm, start, end, pfn, contents);
		if (!ret && copy_to_user(buffer, contents, PAGE_SIZE))
			ret = -EFAULT;
		free_page((unsigned long)contents);
	} else {
		ret = -ENOMEM;
	}
	mmdrop(mm);
	return ret;
}
