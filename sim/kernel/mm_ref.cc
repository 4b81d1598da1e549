// SPDX-License-Identifier: Apache-2.0
#include "sim/kernel/mm_ref.h"

#include <utility>

#include "sim/kernel/task.h"
#include "sim/mm/hooks.h"

namespace mmsim {

void MmPut(Mm* mm) {
  if (mm == nullptr) return;
  FileRef exe;
  if (mm->mm_users == 1) exe = std::exchange(mm->exe_file, nullptr);
  mm->Put();
  if (exe != nullptr) AllowWriteAccess(*exe->inode);
}

void SwitchMm(Task& task, Mm* mm) {
  Mm* old = std::exchange(task.mm, mm);
  if (old == nullptr) return;
  HookProcess(HookPoint::kExecMmap, *old, task.tgid, mm);
  MmPut(old);
}

Status DenyWriteAccess(Inode& inode) {
  if (inode.writers > 0) return Errno::kETXTBSY;
  --inode.writers;
  return {};
}

void AllowWriteAccess(Inode& inode) {
  MMSIM_CHECK(inode.writers < 0);
  ++inode.writers;
}

Status SetMmExeFile(Mm& mm, FileRef file) {
  if (file != nullptr) {
    Status status = DenyWriteAccess(*file->inode);
    if (!status.ok()) return status;
  }
  FileRef old = std::exchange(mm.exe_file, std::move(file));
  if (old != nullptr) AllowWriteAccess(*old->inode);
  return {};
}

void DenyExeWrite(Mm& mm) {
  if (mm.exe_file == nullptr) return;
  Status status = DenyWriteAccess(*mm.exe_file->inode);
  MMSIM_CHECK(status.ok());
}

uint64_t MmRss(const Mm& mm) {
  int64_t pages = 0;
  for (RssType t : {RssType::kFile, RssType::kAnon, RssType::kShmem}) pages += mm.rss[static_cast<size_t>(t)];
  return pages < 0 ? 0 : static_cast<uint64_t>(pages);
}

void CopyMmFields(Mm& to, const Mm& from) {
  to.task_size = from.task_size;
  to.mmap_base = from.mmap_base;
  to.mmap_legacy_base = from.mmap_legacy_base;
  to.mmap_bottom_up = from.mmap_bottom_up;
  to.start_code = from.start_code;
  to.end_code = from.end_code;
  to.start_data = from.start_data;
  to.end_data = from.end_data;
  to.start_brk = from.start_brk;
  to.brk = from.brk;
  to.start_stack = from.start_stack;
  to.arg_start = from.arg_start;
  to.arg_end = from.arg_end;
  to.env_start = from.env_start;
  to.env_end = from.env_end;
  to.exe_file = from.exe_file;
  to.vdso_base = from.vdso_base;
  to.pkey_allocation_map = from.pkey_allocation_map;
  to.execute_only_pkey = from.execute_only_pkey;
  InheritMmFlags(to, from);
}

// Linux: kernel/fork.c mm_init(), include/linux/sched/coredump.h mmf_init_flags()
void InheritMmFlags(Mm& to, const Mm& from) {
  to.thp_disabled = from.thp_disabled;            // MMF_INIT_MASK
  to.def_flags = from.def_flags & kVmNoHugepage;  // VM_INIT_DEF_MASK
  to.mdwe = from.mdwe && !from.mdwe_no_inherit;
}

}  // namespace mmsim
