// SPDX-License-Identifier: Apache-2.0
// What /proc shows of an address space, byte for byte as fs/proc/task_mmu.c and fs/proc/page.c print it:
// padding, names, " (deleted)", the escaping of paths.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mmsim/types.h"
#include "sim/kernel/task.h"
#include "sim/mm/mm.h"

namespace mmsim {

class Kernel;

// One line of /proc/PID/maps, parsed or to be printed.
struct MapsLine {
  uint64_t start = 0, end = 0;
  char perms[5] = "---p";  // "r-xp"
  uint64_t offset_bytes = 0;
  uint32_t dev_major = 0, dev_minor = 0;
  uint64_t inode = 0;
  std::string name;  // "" for none; unescaped
};

// The lines of a task's maps, [vsyscall] included on x86-64. Linux: fs/proc/task_mmu.c show_map_vma()
std::vector<MapsLine> MapsLines(const Kernel& kernel, const Mm& mm);
// One line, with its newline.
void AppendMapsLine(const MapsLine& line, std::string* out);
// The whole of /proc/PID/maps; empty for a task without an mm.
std::string MapsText(const Kernel& kernel, const Task& task);
// The whole of /proc/PID/smaps. Linux: fs/proc/task_mmu.c show_smap()
std::string SmapsText(const Kernel& kernel, const Task& task);
// /proc/PID/status and /proc/meminfo, the lines that the model knows. Linux: fs/proc/array.c
// proc_pid_status(), fs/proc/meminfo.c meminfo_proc_show()
std::string StatusText(const Task& task);
std::string MeminfoText(const System& system);
// Parses a line of maps as the kernel prints it; false when it is none.
bool ParseMapsLine(std::string_view text, MapsLine* line);

// The 64-bit entries of /proc/PID/pagemap for [start, start + pages). Linux: fs/proc/task_mmu.c
// pagemap_pmd_range()
std::vector<uint64_t> Pagemap(const Task& task, VirtAddr start, uint64_t pages);
// /proc/kpagecount and /proc/kpageflags of a frame. Linux: fs/proc/page.c
uint64_t KpageCount(const Kernel& kernel, Pfn pfn);
uint64_t KpageFlags(const Kernel& kernel, Pfn pfn);

}  // namespace mmsim
