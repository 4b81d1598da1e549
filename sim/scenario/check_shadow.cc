// SPDX-License-Identifier: Apache-2.0
// Whether the entries of a shadow page table are what a scenario expects. They are read as the inspector
// reads them: by loads, through its page tables.
#include <algorithm>
#include <cstring>
#include <vector>

#include "fmt/format.h"
#include "sim/kernel/shadowpt.h"
#include "sim/mm/task_mmu.h"
#include "sim/scenario/runner.h"
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
  return fmt::format("shadow page table of {:x}-{:x}, {}\n{}", shadow.range().start.value,
                     shadow.range().end.value, shadow.IsTracking() ? "tracking" : "not tracking",
                     ShadowText({shadow.entries().data(), shadow.entries().size()}));
}

absl::Status Runner::CheckShadow(const Step& step, const Expect& expect, Task& task, uint64_t address) {
  for (const ExpectShadowRow& row : expect.shadow) {
    absl::StatusOr<uint64_t> start = EvalMapsAddress(scenario_, row.start, kernel_->arch(), names_);
    if (!start.ok()) return start.status();
    uint64_t end = *start + kPageSize;
    if (!row.end.empty()) {
      absl::StatusOr<uint64_t> value = EvalMapsAddress(scenario_, row.end, kernel_->arch(), names_);
      if (!value.ok()) return value.status();
      end = *value;
    }
    for (uint64_t vaddr = *start; vaddr < end; vaddr += kPageSize, address += sizeof(shadow_pte)) {
      std::optional<uint64_t> pfn;
      if (row.pfn == ExpectShadowRow::Pfn::kNone || (FlagsOf(row) & SPTE_PTE_MAPPED) == 0) pfn = 0;
      if (row.pfn == ExpectShadowRow::Pfn::kFrame) {
        absl::StatusOr<std::optional<uint64_t>> frame = FrameOf(step, row.frame, vaddr - *start);
        if (!frame.ok()) return frame.status();
        pfn = *frame;
        if (!pfn) {
          AddMismatch(step, std::string(row.start) + " has a frame", "nothing is mapped there");
          return absl::OkStatus();
        }
      }
      shadow_pte entry{};
      uint8_t bytes[sizeof(entry)];
      const AccessResult loaded = kernel_->Load(task, VirtAddr(address), bytes);
      std::memcpy(&entry, bytes, sizeof(entry));
      const std::string expected = EntryText(vaddr, FlagsOf(row), pfn ? PfnText(*pfn) : "any");
      if (!loaded.ok()) {
        AddMismatch(step, expected, fmt::format("{} at {:#x}", SignalName(loaded.signal.signo), address));
        return absl::OkStatus();
      }
      if (entry.vaddr == vaddr && entry.state_flags == FlagsOf(row) && (!pfn || *pfn == entry.pfn)) continue;
      AddMismatch(step, expected, EntryText(entry.vaddr, entry.state_flags, PfnText(entry.pfn)));
      return absl::OkStatus();
    }
  }
  return absl::OkStatus();
}

}  // namespace mmsim::scenario
