// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "sim/kernel/procfs.h"
#include "sim/mm/entry_words.h"
#include "sim/mm/rmap_walk.h"
#include "sim/mm/task_mmu.h"
#include "sim/scenario/picture.h"

namespace mmsim::scenario {
namespace {

// What stands behind a page, the more telling the later.
enum class Cell : uint8_t { kNothing, kZero, kFile, kShared, kOwn, kSwapped };
constexpr size_t kNrCells = 6;
constexpr std::array<const char*, kNrCells> kGlyphs = {"·", "○", "▒", "▓", "█", "s"};
constexpr std::array<const char*, kNrCells> kMeanings = {"not present",     "zero page", "of a file",
                                                         "shared, private", "its own",   "swapped out"};
constexpr uint64_t kMostCells = 32;

std::string Painted(Cell cell, const Ink& ink) {
  const char* glyph = kGlyphs[static_cast<size_t>(cell)];
  switch (cell) {
    case Cell::kOwn:
      return ink.Green(glyph);
    case Cell::kShared:
      return ink.Magenta(glyph);
    case Cell::kFile:
      return ink.Cyan(glyph);
    case Cell::kSwapped:
      return ink.Red(glyph);
    default:
      return ink.Dim(glyph);
  }
}

Cell CellOf(const Kernel& kernel, uint64_t pagemap) {
  if (pagemap & kPmSwap) return Cell::kSwapped;
  if (!(pagemap & kPmPresent)) return Cell::kNothing;
  if ((KpageFlags(kernel, Pfn(pagemap & kPmPfnMask)) >> kKpfZeroPage) & 1) return Cell::kZero;
  if (!IsCounted(kernel.system(), Pfn(pagemap & kPmPfnMask)) || (pagemap & kPmFile)) return Cell::kFile;
  return pagemap & kPmMmapExclusive ? Cell::kOwn : Cell::kShared;
}

struct Strip {
  std::string text;
  uint64_t cells = 0, present = 0;
};

// The pages of a VMA, a character each, or of equal parts when there are more than fit.
Strip StripOf(const Kernel& kernel, const Task& task, const Vma& vma, const Ink& ink,
              bool (&seen)[kNrCells]) {
  const std::vector<uint64_t> entries = Pagemap(task, vma.start, vma.NrPages());
  Strip strip;
  strip.cells = std::min<uint64_t>(entries.size(), kMostCells);
  for (uint64_t i = 0; i < strip.cells; ++i) {
    Cell most = Cell::kNothing;
    for (uint64_t p = i * entries.size() / strip.cells; p < (i + 1) * entries.size() / strip.cells; ++p) {
      const Cell cell = CellOf(kernel, entries[p]);
      strip.present += cell != Cell::kNothing && cell != Cell::kSwapped;
      most = std::max(most, cell);
    }
    seen[static_cast<size_t>(most)] = true;
    strip.text += Painted(most, ink);
  }
  return strip;
}

// Flags that change what happens to the memory, in words.
std::string FlagsText(const Vma& vma) {
  static constexpr std::pair<VmFlags, const char*> kTold[] = {
      {kVmGrowsDown, "grows-down"}, {kVmLocked, "locked"},           {kVmLockOnFault, "on-fault"},
      {kVmDontCopy, "dont-fork"},   {kVmWipeOnFork, "wipe-on-fork"}, {kVmDontExpand, "dont-expand"},
      {kVmPfnMap, "pfn-map"},       {kVmNoReserve, "no-reserve"},    {kVmHugepage, "huge"},
      {kVmNoHugepage, "no-huge"},   {kVmDontDump, "dont-dump"},      {kVmSeqRead, "sequential"},
      {kVmRandRead, "random"},      {kVmDroppable, "droppable"},     {kVmSealed, "sealed"}};
  std::string text;
  for (const auto& [flag, word] : kTold) {
    if (vma.Has(flag)) text += fmt::format(" {}", word);
  }
  const uint64_t key = (vma.flags & kVmPkeyMask) >> kVmPkeyShift;
  if (key != 0) text += fmt::format(" pkey={}", key);
  return text;
}

std::string AnonVmaText(const Vma& vma) {
  if (vma.anon_vma == nullptr) return "";
  const AnonVma& own = *vma.anon_vma;
  if (own.root == &own || own.root == nullptr) return fmt::format(" anon_vma#{}", own.id);
  return fmt::format(" anon_vma#{}<#{}", own.id, own.root->id);
}

std::string Permissions(std::string_view perms, const Ink& ink) {
  if (perms[1] == 'w') return ink.Green(perms);
  return perms[0] == '-' && perms[2] == '-' ? ink.Dim(perms) : ink.Yellow(perms);
}

}  // namespace

std::string SizeText(uint64_t bytes) {
  for (const auto& [shift, unit] : {std::pair(40, 'T'), std::pair(30, 'G'), std::pair(20, 'M')}) {
    if (bytes >= uint64_t{1} << shift && bytes % (uint64_t{1} << shift) == 0) {
      return fmt::format("{}{}", bytes >> shift, unit);
    }
  }
  return fmt::format("{}K", bytes >> 10);
}

bool IsCounted(const System& system, Pfn page) {
  if (page.value == 0 || page == system.zero_page || page == system.huge_zero) return false;
  return system.pages[system.pages.HeadOf(page)].mapping != 0;
}

std::vector<Sharer> SharersOf(Kernel& kernel, Pfn page) {
  System& system = kernel.system();
  std::vector<Sharer> sharers;
  if (!IsCounted(system, page)) return sharers;
  const Pfn folio = system.pages.HeadOf(page);
  for (const Mapping& m : FindMappings(system, folio)) {
    const Pfn mapped = LeafPfn(system, m.level, *m.entry);
    const uint64_t offset = page.value - mapped.value;
    if (offset >= (m.level == kLevelPte ? 1 : kHugePages)) continue;
    for (const auto& [pid, task] : kernel.tasks()) {
      if (task->mm == m.vma->mm && task->IsLeader()) sharers.push_back({pid, m.address + offset * kPageSize});
    }
  }
  std::sort(sharers.begin(), sharers.end(), [](const Sharer& a, const Sharer& b) {
    return std::pair(a.pid, a.address) < std::pair(b.pid, b.address);
  });
  return sharers;
}

std::string VmaPicture(Kernel& kernel, const Task& task, const Ink& ink) {
  const Mm& mm = *task.mm;
  const std::vector<MapsLine> lines = MapsLines(kernel, mm);
  bool seen[kNrCells] = {};
  std::string out;
  uint64_t present = 0;
  size_t i = 0;
  uint64_t widest = 0;
  for (const Vma& vma : mm.vmas) widest = std::max(widest, std::min(vma.NrPages(), kMostCells));
  for (const Vma& vma : mm.vmas) {
    const MapsLine& line = lines[i++];
    const Strip strip = StripOf(kernel, task, vma, ink, seen);
    present += strip.present;
    std::string name = line.name;
    if (vma.file != nullptr) name += fmt::format(" +{:#x}", line.offset_bytes);
    const std::string padding(widest - strip.cells, ' ');
    out += fmt::format("  {:>12x}-{:<12x} {} {:>6}  {}{}  {}{}{}\n", line.start, line.end,
                       Permissions(line.perms, ink), SizeText(line.end - line.start), strip.text, padding,
                       ink.Bold(name), ink.Dim(AnonVmaText(vma)), ink.Blue(FlagsText(vma)));
    while (out.ends_with(" \n")) out.erase(out.size() - 2, 1);
  }
  std::string legend;
  for (size_t cell = 0; cell < kNrCells; ++cell) {
    if (seen[cell]) legend += fmt::format("  {} {}", Painted(static_cast<Cell>(cell), ink), kMeanings[cell]);
  }
  return fmt::format(
      "{}\n{}{}\n",
      ink.Bold(fmt::format("{} VMAs, {} pages, {} of them present", mm.map_count, mm.total_vm, present)), out,
      legend);
}

}  // namespace mmsim::scenario
