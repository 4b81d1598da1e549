// SPDX-License-Identifier: Apache-2.0
// What the life of a task does to an address space's references: its counters, and the running program's
// file, which nobody may open for writing while it runs (ETXTBSY). Linux: kernel/fork.c mmput(),
// set_mm_exe_file(), dup_mm_exe_file()
#pragma once

#include <cstdint>

#include "sim/mm/mm.h"

namespace mmsim {

struct Task;

// Drops a task's reference. The last one lets the program's file be written again, and everything goes.
void MmPut(Mm* mm);
// The process of `task` goes on in `mm`, and its reference to what it had is dropped. Linux: fs/exec.c
// exec_mmap()
void SwitchMm(Task& task, Mm* mm);
// Linux: kernel/fork.c set_mm_exe_file(). ETXTBSY when the file is open for writing.
Status SetMmExeFile(Mm& mm, FileRef file);
// A copy of an address space (whose exe_file was copied) holds the file as well.
void DenyExeWrite(Mm& mm);
// Linux: include/linux/fs.h deny_write_access(), allow_write_access()
Status DenyWriteAccess(Inode& inode);
void AllowWriteAccess(Inode& inode);
// Pages resident. Linux: include/linux/mm.h get_mm_rss()
uint64_t MmRss(const Mm& mm);
// The fields that dup_mm() takes over by copying the structure, before dup_mmap(): layout, limits of
// segments, architecture context. Counters and VMAs are none of them.
void CopyMmFields(Mm& to, const Mm& from);
// What a new address space has of its maker's, after an exec too.
void InheritMmFlags(Mm& to, const Mm& from);

}  // namespace mmsim
