// SPDX-License-Identifier: Apache-2.0
// /proc/PID/smaps, pagemap, /proc/kpagecount and kpageflags, printed from what sim/mm/task_mmu.h computes.
// Linux: fs/proc/task_mmu.c, fs/proc/page.c
#include <fmt/format.h>

#include <iterator>

#include "sim/kernel/arch/abi.h"
#include "sim/kernel/kernel.h"
#include "sim/kernel/procfs.h"
#include "sim/mm/arch/layout.h"
#include "sim/mm/task_mmu.h"

namespace mmsim {
namespace {

struct Mnemonic {
  VmFlags flag;
  const char* text;
};

// In order of the bits. VM_ARCH_1 is apart: each architecture has its own word.
constexpr Mnemonic kMnemonics[] = {
    {kVmRead, "rd"},       {kVmWrite, "wr"},       {kVmExec, "ex"},        {kVmShared, "sh"},
    {kVmMayRead, "mr"},    {kVmMayWrite, "mw"},    {kVmMayExec, "me"},     {kVmMayShare, "ms"},
    {kVmGrowsDown, "gd"},  {kVmUffdMissing, "um"}, {kVmPfnMap, "pf"},      {kVmUffdWp, "uw"},
    {kVmLocked, "lo"},     {kVmIo, "io"},          {kVmSeqRead, "sr"},     {kVmRandRead, "rr"},
    {kVmDontCopy, "dc"},   {kVmDontExpand, "de"},  {kVmLockOnFault, "lf"}, {kVmAccount, "ac"},
    {kVmNoReserve, "nr"},  {kVmHugetlb, "ht"},     {kVmSync, "sf"},        {kVmArch1, nullptr},
    {kVmWipeOnFork, "wf"}, {kVmDontDump, "dd"},    {kVmSoftDirty, "sd"},   {kVmMixedMap, "mm"},
    {kVmHugepage, "hg"},   {kVmNoHugepage, "nh"},  {kVmMergeable, "mg"},   {kVmDroppable, "dp"},
    {kVmSealed, "sl"}};

// Linux: fs/proc/task_mmu.c show_smap_vma_flags()
void AppendVmFlags(Arch arch, VmFlags flags, std::string* out) {
  out->append("VmFlags: ");
  for (const Mnemonic& m : kMnemonics) {
    if (!(flags & m.flag)) continue;
    out->append(m.text != nullptr ? m.text : abi::VmArch1Mnemonic(arch));
    out->push_back(' ');
  }
  out->push_back('\n');
}

// Linux: fs/proc/task_mmu.c __show_smap()
void AppendStats(const MemSizeStats& s, std::string* out) {
  const auto kb = [out](const char* name, uint64_t bytes) {
    fmt::format_to(std::back_inserter(*out), "{:<16}{:8} kB\n", name, bytes >> 10);
  };
  kb("Rss:", s.resident);
  kb("Pss:", s.pss >> kPssShift);
  kb("Pss_Dirty:", s.pss_dirty >> kPssShift);
  kb("Shared_Clean:", s.shared_clean);
  kb("Shared_Dirty:", s.shared_dirty);
  kb("Private_Clean:", s.private_clean);
  kb("Private_Dirty:", s.private_dirty);
  kb("Referenced:", s.referenced);
  kb("Anonymous:", s.anonymous);
  kb("KSM:", s.ksm);
  kb("LazyFree:", s.lazyfree);
  kb("AnonHugePages:", s.anonymous_thp);
  kb("ShmemPmdMapped:", s.shmem_thp);
  kb("FilePmdMapped:", s.file_thp);
  kb("Shared_Hugetlb:", 0);
  fmt::format_to(std::back_inserter(*out), "Private_Hugetlb: {:7} kB\n", 0);
  kb("Swap:", s.swap);
  kb("SwapPss:", s.swap_pss >> kPssShift);
  kb("Locked:", s.pss_locked >> kPssShift);
}

// Linux: fs/proc/task_mmu.c show_smap()
void AppendSmap(const Kernel& kernel, const MapsLine& line, VmFlags flags, const MemSizeStats& stats,
                bool thp_eligible, std::string* out) {
  AppendMapsLine(line, out);
  const auto kb = [out](const char* name, uint64_t bytes) {
    fmt::format_to(std::back_inserter(*out), "{:<16}{:8} kB\n", name, bytes >> 10);
  };
  kb("Size:", line.end - line.start);
  kb("KernelPageSize:", kPageSize);
  kb("MMUPageSize:", kPageSize);
  AppendStats(stats, out);
  fmt::format_to(std::back_inserter(*out), "THPeligible:    {:8}\n", thp_eligible ? 1 : 0);
  if (ArchMaxPkey(kernel.arch(), kernel.system().profile) > 1) {
    fmt::format_to(std::back_inserter(*out), "ProtectionKey:  {:8}\n", (flags & kVmPkeyMask) >> kVmPkeyShift);
  }
  AppendVmFlags(kernel.arch(), flags, out);
}

}  // namespace

std::string SmapsText(const Kernel& kernel, const Task& task) {
  std::string text;
  if (task.mm == nullptr) return text;
  const std::vector<MapsLine> lines = MapsLines(kernel, *task.mm);
  size_t i = 0;
  for (const Vma& vma : task.mm->vmas) {
    AppendSmap(kernel, lines[i++], vma.flags, SmapGatherStats(vma), ThpEligible(vma), &text);
  }
  // The gate: no pages of any address space.
  for (; i < lines.size(); ++i) AppendSmap(kernel, lines[i], kVmExec, MemSizeStats(), false, &text);
  return text;
}

std::vector<uint64_t> Pagemap(const Task& task, VirtAddr start, uint64_t pages) {
  if (task.mm == nullptr) return {};
  return PagemapRange(*task.mm, start, pages);
}

uint64_t KpageCount(const Kernel& kernel, Pfn pfn) {
  return KpagecountOf(kernel.system(), pfn);
}
uint64_t KpageFlags(const Kernel& kernel, Pfn pfn) {
  return StablePageFlags(kernel.system(), pfn);
}

}  // namespace mmsim
