// SPDX-License-Identifier: Apache-2.0
// Whether the entries of a shadow page table are what a scenario expects. They are read as the inspector
// reads them: by loads, through its page tables.
#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "fmt/format.h"
#include "sim/kernel/kernel.h"
#include "sim/kernel/shadowpt.h"
#include "sim/mm/task_mmu.h"
#include "sim/scenario/check_expect.h"
#include "sim/scenario/shadow_text.h"

namespace mmsim::scenario {
namespace {

uint64_t FlagsOf(const ExpectShadowRow& row) {
  uint64_t flags = 0;
  for (const std::string_view word : row.words) {
    if (word == "allocated") flags |= SPTE_VADDR_ALLOCATED;
    if (word == "anonymous") flags |= SPTE_VADDR_ANONYMOUS;
    if (word == "mapped") flags |= SPTE_PTE_MAPPED;
  }
  return flags;
}

std::string EntryText(uint64_t vaddr, uint64_t flags, std::string_view pfn) {
  return fmt::format("{:x}: {} @ {}", vaddr, ShadowFlagsText(flags), pfn);
}

std::string PfnText(uint64_t pfn) {
  return pfn == 0 ? "none" : fmt::format("{:#x}", pfn);
}

}  // namespace

std::string ShadowFlagsText(uint64_t state_flags) {
  std::string text;
  const auto add = [&](uint64_t flag, std::string_view word) {
    if ((state_flags & flag) == 0) return;
    if (!text.empty()) text += ' ';
    text += word;
  };
  add(SPTE_VADDR_ALLOCATED, "allocated");
  add(SPTE_VADDR_ANONYMOUS, "anonymous");
  add(SPTE_PTE_MAPPED, "mapped");
  return text.empty() ? "none" : text;
}

std::string ShadowText(absl::Span<const shadow_pte> entries) {
  std::string text;
  for (size_t i = 0; i < entries.size();) {
    const shadow_pte& first = entries[i];
    size_t end = i + 1;
    while (end < entries.size() && first.pfn == 0 && entries[end].pfn == 0 &&
           entries[end].state_flags == first.state_flags) {
      ++end;
    }
    text += fmt::format("{:x}", first.vaddr);
    if (end > i + 1) text += fmt::format("-{:x}", entries[end - 1].vaddr + kPageSize);
    text += " " + ShadowFlagsText(first.state_flags);
    if (first.pfn != 0) text += fmt::format(" @ {:#x}", first.pfn);
    text += '\n';
    i = end;
  }
  return text;
}

std::string ShadowStateText(Kernel& kernel) {
  const ShadowPt& shadow = kernel.shadowpt();
  if (!shadow.IsOpen()) return "";
  const absl::Span<const shadow_pte> entries(shadow.entries().data(), shadow.entries().size());
  // The first start gives all entries their addresses; until then they are zero and say nothing.
  const bool started = !entries.empty() && entries.back().vaddr == shadow.range().end.value - kPageSize;
  return fmt::format("shadow page table of {:x}-{:x}, {}\n{}", shadow.range().start.value,
                     shadow.range().end.value, shadow.IsTracking() ? "tracking" : "not tracking",
                     started ? ShadowText(entries) : "");
}

absl::Status ExpectChecker::Shadow(const Asked& a) {
  const absl::StatusOr<uint64_t> entries = Number(a.expect.address);
  if (!entries.ok()) return entries.status();
  uint64_t address = *entries;
  for (const ExpectShadowRow& row : a.expect.shadow) {
    const absl::StatusOr<uint64_t> start = MapsNumber(row.start);
    if (!start.ok()) return start.status();
    const absl::StatusOr<uint64_t> end = row.end.empty() ? *start + kPageSize : MapsNumber(row.end);
    if (!end.ok()) return end.status();
    for (uint64_t vaddr = *start; vaddr < *end; vaddr += kPageSize, address += sizeof(shadow_pte)) {
      std::optional<uint64_t> pfn;
      if (row.pfn == ExpectShadowRow::Pfn::kNone || (FlagsOf(row) & SPTE_PTE_MAPPED) == 0) pfn = 0;
      if (row.pfn == ExpectShadowRow::Pfn::kFrame) {
        const absl::StatusOr<uint64_t> frame = FrameOf(a, row.frame, vaddr - *start);
        if (!frame.ok()) return frame.status();
        pfn = *frame;
      }
      const absl::StatusOr<std::string> loaded = a.witness.Load(a.pid, address, sizeof(shadow_pte));
      if (!loaded.ok()) return loaded.status();
      shadow_pte entry{};
      std::memcpy(&entry, loaded->data(), sizeof(entry));
      if (entry.vaddr == vaddr && entry.state_flags == FlagsOf(row) && (!pfn || *pfn == entry.pfn)) continue;
      a.Add(EntryText(vaddr, FlagsOf(row), pfn ? PfnText(*pfn) : "any"),
            EntryText(entry.vaddr, entry.state_flags, PfnText(entry.pfn)));
      return absl::OkStatus();
    }
  }
  return absl::OkStatus();
}

}  // namespace mmsim::scenario
