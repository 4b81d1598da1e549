// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/watch.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "fmt/format.h"
#include "sim/kernel/shadowpt.h"
#include "sim/scenario/shadow_text.h"

namespace mmsim::cli {
namespace {

constexpr size_t kRow = 64;         // entries: 2,048 are 32 rows
constexpr size_t kMaxDetails = 12;  // changed entries that are told in full
constexpr std::string_view kHome = "\x1b[H\x1b[2J", kPlain = "\x1b[0m", kReverse = "\x1b[7m";
constexpr std::string_view kLegend =
    ". nothing  a allocated anonymous  f allocated other  A F mapped  S mapped without a frame  M mapped "
    "alone\n";

struct Look {
  char sign;
  std::string_view colour;
};

Look LookOf(const shadow_pte& entry) {
  const bool anonymous = is_vaddr_anonymous(entry.state_flags);
  if (!is_pte_mapped(entry.state_flags)) {
    if (!is_vaddr_allocated(entry.state_flags)) return {'.', "\x1b[2m"};
    return anonymous ? Look{'a', "\x1b[34m"} : Look{'f', "\x1b[36m"};
  }
  if (!is_vaddr_allocated(entry.state_flags)) return {'M', "\x1b[31m"};
  if (entry.pfn == 0) return {'S', "\x1b[35m"};
  return anonymous ? Look{'A', "\x1b[1;32m"} : Look{'F', "\x1b[1;36m"};
}

bool Same(const shadow_pte& a, const shadow_pte& b) {
  return a.vaddr == b.vaddr && a.pfn == b.pfn && a.state_flags == b.state_flags;
}

std::string Described(const shadow_pte& entry) {
  const std::string flags = scenario::ShadowFlagsText(entry.state_flags);
  return entry.pfn == 0 ? flags : fmt::format("{} @ {:#x}", flags, entry.pfn);
}

}  // namespace

std::string ShadowWatch::Sign(const shadow_pte& entry, bool changed) const {
  const Look look = LookOf(entry);
  if (!colour_) return std::string(1, look.sign);
  return fmt::format("{}{}{}{}", look.colour, changed ? kReverse : "", look.sign, kPlain);
}

std::string ShadowWatch::Screen(Kernel& kernel, std::string_view step) {
  const ShadowPt& shadow = kernel.shadowpt();
  const std::span<const shadow_pte> entries = shadow.entries();
  std::string out(colour_ ? kHome : "");
  out += fmt::format("{}\n", step);
  if (!shadow.IsOpen()) {
    before_.clear();
    return out + "no shadow page table is open\n";
  }
  out += fmt::format("{:x}-{:x}, {}\n", shadow.range().start.value, shadow.range().end.value,
                     shadow.IsTracking() ? "tracking" : "not tracking");
  if (before_.size() != entries.size()) before_.assign(entries.begin(), entries.end());
  std::string details;
  size_t nr_changed = 0;
  for (size_t row = 0; row < entries.size(); row += kRow) {
    out += fmt::format("{:012x} ", shadow.range().start.value + row * kPageSize);
    for (size_t i = row; i < std::min(row + kRow, entries.size()); ++i) {
      const bool changed = !Same(entries[i], before_[i]);
      out += Sign(entries[i], changed);
      if (!changed || ++nr_changed > kMaxDetails) continue;
      details +=
          fmt::format("  {:x}: {} -> {}\n", entries[i].vaddr, Described(before_[i]), Described(entries[i]));
    }
    out += '\n';
  }
  if (nr_changed > kMaxDetails) details += fmt::format("  and {} more\n", nr_changed - kMaxDetails);
  before_.assign(entries.begin(), entries.end());
  return out + std::string(kLegend) + fmt::format("{} changed\n", nr_changed) + details;
}

std::string ShadowWatch::Row(Kernel& kernel, std::string_view address) {
  const ShadowPt& shadow = kernel.shadowpt();
  if (!shadow.IsOpen()) return "no shadow page table is open\n";
  const std::span<const shadow_pte> entries = shadow.entries();
  const VirtRange range = shadow.range();
  const bool all = address == "all";
  uint64_t at = range.start.value;
  if ((!all && !absl::SimpleHexAtoi(std::string(address), &at)) || at < range.start.value ||
      at >= range.end.value) {
    return fmt::format("expected an address in {:x}-{:x}, or all, or nothing to go on\n", range.start.value,
                       range.end.value);
  }
  const size_t first = (at - range.start.value) / kPageSize / kRow * kRow;
  std::string out;
  for (size_t i = first; i < (all ? entries.size() : std::min(first + kRow, entries.size())); ++i) {
    const shadow_pte& entry = entries[i];
    out += fmt::format("  {:012x} {} vaddr={:#x} pfn={:#x} state_flags={:#x} ({})\n",
                       range.start.value + i * kPageSize, LookOf(entry).sign, entry.vaddr, entry.pfn,
                       entry.state_flags, scenario::ShadowFlagsText(entry.state_flags));
  }
  return out;
}

}  // namespace mmsim::cli
