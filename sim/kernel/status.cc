// SPDX-License-Identifier: Apache-2.0
// /proc/PID/status and /proc/meminfo, the lines that the model knows. Linux: fs/proc/array.c
// proc_pid_status(), fs/proc/task_mmu.c task_mem(), fs/proc/meminfo.c meminfo_proc_show()
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "sim/kernel/kernel.h"
#include "sim/kernel/procfs.h"
#include "sim/mm/swap.h"
#include "sim/mm/vma_ops.h"

namespace mmsim {
namespace {

uint64_t Pages(const Mm& mm, RssType type) {
  return static_cast<uint64_t>(std::max<int64_t>(mm.rss[static_cast<size_t>(type)], 0));
}

// Linux: fs/proc/task_mmu.c task_mem()
void AppendTaskMem(const Mm& mm, std::string* out) {
  const auto kb = [out](std::string_view name, uint64_t kib) {
    fmt::format_to(std::back_inserter(*out), "{}:\t{:8} kB\n", name, kib);
  };
  const auto pages = [&kb](std::string_view name, uint64_t n) { kb(name, n << (kPageShift - 10)); };
  const uint64_t anon = Pages(mm, RssType::kAnon), file = Pages(mm, RssType::kFile),
                 shmem = Pages(mm, RssType::kShmem), rss = anon + file + shmem;
  const uint64_t exec_bytes = mm.exec_vm << kPageShift;
  const uint64_t text = std::min(mm.end_code.PageCeil() - mm.start_code.PageFloor(), exec_bytes);
  pages("VmPeak", std::max(mm.hiwater_vm, mm.total_vm));
  pages("VmSize", mm.total_vm);
  pages("VmLck", mm.locked_vm);
  pages("VmPin", mm.pinned_vm);
  pages("VmHWM", std::max(mm.hiwater_rss, rss));
  pages("VmRSS", rss);
  pages("RssAnon", anon);
  pages("RssFile", file);
  pages("RssShmem", shmem);
  pages("VmData", mm.data_vm);
  pages("VmStk", mm.stack_vm);
  kb("VmExe", text >> 10);
  kb("VmLib", (exec_bytes - text) >> 10);
  kb("VmPTE", mm.pgtables_bytes >> 10);
  pages("VmSwap", Pages(mm, RssType::kSwap));
  kb("HugetlbPages", 0);
}

}  // namespace

std::string StatusText(const Task& task) {
  const int parent = task.parent == nullptr ? 1 : task.parent->tgid;
  std::string text =
      fmt::format("Name:\t{}\nTgid:\t{}\nPid:\t{}\nPPid:\t{}\n", task.comm, task.tgid, task.pid, parent);
  if (task.mm != nullptr) AppendTaskMem(*task.mm, &text);
  fmt::format_to(std::back_inserter(text), "Threads:\t{}\n", task.signal->live);
  return text;
}

std::string MeminfoText(const System& system) {
  std::string text;
  const auto pages = [&text](std::string_view name, uint64_t n) {
    fmt::format_to(std::back_inserter(text), "{:<16}{:8} kB\n", name, n << (kPageShift - 10));
  };
  const uint64_t swap = system.swap == nullptr ? 0 : system.swap->nr_slots() - 1;
  pages("MemTotal:", system.total_ram_pages);
  pages("SwapTotal:", swap);
  pages("SwapFree:", swap - (system.swap == nullptr ? 0 : system.swap->used()));
  pages("CommitLimit:", VmCommitLimit(system));
  pages("Committed_AS:", static_cast<uint64_t>(std::max<int64_t>(system.vm_committed_as, 0)));
  return text;
}

}  // namespace mmsim
