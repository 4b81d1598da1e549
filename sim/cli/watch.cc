// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/watch.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <utility>

#include "absl/strings/numbers.h"
#include "fmt/format.h"
#include "sim/cli/page.h"
#include "sim/kernel/shadowpt.h"
#include "sim/scenario/shadow_text.h"

namespace mmsim::cli {
namespace {

constexpr size_t kLabelColumns = 13;  // of a row of the map: its address
constexpr size_t kMinColumns = kLabelColumns + 8;
constexpr size_t kStepRows = 2;      // at most
constexpr size_t kDetailRows = 2;    // at least, in a window
constexpr size_t kFindingRows = 4;   // likewise, when there are findings
constexpr size_t kPipeDetails = 12;  // lines of them without a window
constexpr std::string_view kHome = "\x1b[H\x1b[2J", kPlain = "\x1b[0m", kReverse = "\x1b[7m";
constexpr std::string_view kRed = "\x1b[31m";

struct Look {
  char sign;
  std::string_view colour;
};

// The later, the more striking: of several entries with one sign that one is shown.
constexpr std::array<Look, 7> kLooks = {{{'.', "\x1b[2m"},
                                         {'a', "\x1b[34m"},
                                         {'f', "\x1b[36m"},
                                         {'A', "\x1b[1;32m"},
                                         {'F', "\x1b[1;36m"},
                                         {'S', "\x1b[35m"},
                                         {'M', "\x1b[31m"}}};

size_t LookOf(const shadow_pte& entry) {
  const bool anonymous = is_vaddr_anonymous(entry.state_flags);
  if (!is_pte_mapped(entry.state_flags)) {
    if (!is_vaddr_allocated(entry.state_flags)) return 0;
    return anonymous ? 1 : 2;
  }
  if (!is_vaddr_allocated(entry.state_flags)) return 6;
  if (entry.pfn == 0) return 5;
  return anonymous ? 3 : 4;
}

std::string Sign(size_t look, bool changed, bool colour) {
  const auto& [sign, its_colour] = kLooks[look];
  if (!colour) return std::string(1, sign);
  return fmt::format("{}{}{}{}", its_colour, changed ? kReverse : "", sign, kPlain);
}

// What the signs mean, in lines of at most so many columns.
std::vector<std::string> Legend(size_t columns, bool colour) {
  struct Item {
    std::vector<size_t> looks;
    std::string_view words;
  };
  static const std::array<Item, 6> kItems = {{{{0}, "nothing"},
                                              {{1}, "anonymous"},
                                              {{2}, "other"},
                                              {{3, 4}, "mapped"},
                                              {{5}, "mapped, no frame"},
                                              {{6}, "mapped alone"}}};
  std::vector<std::string> lines(1);
  size_t width = 0;
  for (const Item& item : kItems) {
    const size_t needs = 2 * item.looks.size() + item.words.size();
    if (width != 0 && width + 2 + needs > columns) {
      lines.emplace_back();
      width = 0;
    }
    if (width != 0) lines.back() += "  ";
    width += needs + (width != 0 ? 2 : 0);
    for (const size_t look : item.looks) lines.back() += Sign(look, false, colour) + " ";
    lines.back() += item.words;
  }
  return lines;
}

// What is left for the map when everything else has what it may need.
size_t RowsForMap(size_t all_rows, size_t legend_rows, bool has_findings) {
  constexpr size_t kRangeRows = 1, kCountRows = 1;
  const size_t others =
      kStepRows + kRangeRows + legend_rows + kCountRows + kDetailRows + (has_findings ? kFindingRows : 0);
  return all_rows > others ? all_rows - others : 1;
}

// All entries have to fit the rows that are there.
MapGrid GridFor(size_t nr_entries, size_t columns, size_t rows) {
  MapGrid grid{std::bit_floor(std::max(columns, kMinColumns) - kLabelColumns), 1};
  while (grid.Row() * rows < nr_entries) grid.entries_a_sign *= 2;
  return grid;
}

bool SameState(const shadow_pte& a, const shadow_pte& b) {
  return a.pfn == b.pfn && a.state_flags == b.state_flags;
}

bool Same(const shadow_pte& a, const shadow_pte& b) {
  return a.vaddr == b.vaddr && SameState(a, b);
}

// `b` carries on what `a` says: the same of the next frame, or of none.
bool CarriesOn(const shadow_pte& a, const shadow_pte& b) {
  return a.state_flags == b.state_flags && b.pfn == (a.pfn == 0 ? 0 : a.pfn + 1);
}

std::string Described(const shadow_pte& first, const shadow_pte& last) {
  std::string flags = scenario::ShadowFlagsText(first.state_flags);
  if (first.pfn == 0) return flags;
  if (first.pfn == last.pfn) return fmt::format("{} @ {:#x}", flags, first.pfn);
  return fmt::format("{} @ {:#x}-{:#x}", flags, first.pfn, last.pfn);
}

// What changed, in a line for neighbours to which the same happened.
std::vector<Told> Details(uint64_t start, std::span<const shadow_pte> was, std::span<const shadow_pte> is) {
  std::vector<Told> details;
  const auto addressed = [&](size_t i) { return was[i].vaddr != is[i].vaddr; };
  for (size_t i = 0, end = 0; i < is.size(); i = std::max(end, i + 1)) {
    if (Same(was[i], is[i])) continue;
    for (end = i + 1; end < is.size() && !Same(was[end], is[end]) && addressed(end) == addressed(i) &&
                      CarriesOn(was[end - 1], was[end]) && CarriesOn(is[end - 1], is[end]);) {
      ++end;
    }
    std::string line = fmt::format("  {:x}", start + i * kPageSize);
    if (end > i + 1) line += fmt::format("-{:x}", start + end * kPageSize);
    line += addressed(i) ? ": address set" : ":";
    if (!SameState(was[i], is[i])) {
      line += fmt::format("{} {} -> {}", addressed(i) ? "," : "", Described(was[i], was[end - 1]),
                          Described(is[i], is[end - 1]));
    }
    details.push_back({std::move(line), end - i});
  }
  return details;
}

// Both ends of a line that is longer than that.
std::string Shortened(std::string_view line, size_t columns) {
  constexpr size_t kTail = 24;  // has the result
  if (line.size() <= columns) return std::string(line);
  if (columns <= kTail + 3) return std::string(line.substr(0, columns));
  return fmt::format("{}...{}", line.substr(0, columns - kTail - 3), line.substr(line.size() - kTail));
}

std::vector<Told> FindingLines(std::span<const std::string> findings, bool colour) {
  std::vector<Told> lines;
  for (const std::string& finding : findings) {
    lines.push_back({colour ? fmt::format("{}{}{}", kRed, finding, kPlain) : finding, 1});
  }
  return lines;
}

}  // namespace

std::vector<std::string> ShadowWatch::MapRows(VirtRange range, std::span<const shadow_pte> entries,
                                              bool colour) const {
  std::vector<std::string> rows;
  for (size_t row = 0; row < entries.size(); row += grid_.Row()) {
    std::string line = fmt::format("{:012x} ", range.start.value + row * kPageSize);
    std::string marks(kLabelColumns, ' ');
    const size_t end = std::min(row + grid_.Row(), entries.size());
    for (size_t i = row; i < end;) {
      size_t look = 0;
      bool changed = false;
      for (const size_t next = std::min(i + grid_.entries_a_sign, end); i < next; ++i) {
        look = std::max(look, LookOf(entries[i]));
        changed |= !Same(entries[i], before_[i]);
      }
      line += Sign(look, changed, colour);
      marks += changed ? '^' : ' ';
    }
    rows.push_back(std::move(line));
    marks.erase(marks.find_last_not_of(' ') + 1);
    if (!colour && !marks.empty()) rows.push_back(std::move(marks));
  }
  return rows;
}

std::string ShadowWatch::Screen(Kernel& kernel, std::string_view step, std::span<const std::string> findings,
                                const MaybeWindow& window) {
  const ShadowPt& shadow = kernel.shadowpt();
  const std::span<const shadow_pte> entries = shadow.entries();
  const bool colour = window.has_value();
  Page page = colour ? Page(window->columns, std::max<size_t>(window->rows, 2) - 1) : Page();
  const size_t all_rows = page.left();
  page.Add(colour ? Shortened(step, window->columns * std::min(kStepRows, all_rows)) : std::string(step));
  const std::vector<Told> found = FindingLines(findings, colour);
  constexpr std::string_view kMoreFindings = "more findings, told at the end";
  if (!shadow.IsOpen()) {
    before_.clear();
    page.Add("no shadow page table is open");
    page.AddFitting(found, page.left(), kMoreFindings);
    return (colour ? std::string(kHome) : "") + page.text();
  }
  if (before_.size() != entries.size()) before_.assign(entries.begin(), entries.end());
  const std::vector<std::string> legend = Legend(colour ? window->columns : Window().columns, colour);
  if (colour) {
    grid_ = GridFor(entries.size(), window->columns, RowsForMap(all_rows, legend.size(), !found.empty()));
  }
  page.Add(
      fmt::format("{:x}-{:x}, {}{}", shadow.range().start.value, shadow.range().end.value,
                  shadow.IsTracking() ? "tracking" : "not tracking",
                  grid_.entries_a_sign > 1 ? fmt::format(", {} entries a sign", grid_.entries_a_sign) : ""));
  for (const std::string& row : MapRows(shadow.range(), entries, colour)) page.Add(row);
  for (const std::string& line : legend) page.Add(line);
  page.AddFitting(found, page.left() > kDetailRows ? page.left() - kDetailRows - 1 : 0, kMoreFindings);
  const std::vector<Told> details = Details(shadow.range().start.value, before_, entries);
  size_t nr_changed = 0;
  for (const Told& detail : details) nr_changed += detail.count;
  page.Add(colour && nr_changed != 0 ? fmt::format("{}{} changed{}", kReverse, nr_changed, kPlain)
                                     : fmt::format("{} changed", nr_changed));
  page.AddFitting(details, colour ? page.left() : kPipeDetails,
                  asks_ ? "more, an address or all shows them" : "more (--watch 0 waits and shows them)");
  before_.assign(entries.begin(), entries.end());
  return (colour ? std::string(kHome) : "") + page.text();
}

std::string ShadowWatch::Row(Kernel& kernel, std::string_view address, const MaybeWindow& window) const {
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
  const size_t asked = (at - range.start.value) / kPageSize;
  const size_t first = all ? 0 : asked / grid_.Row() * grid_.Row();
  const size_t end = all ? entries.size() : std::min(first + grid_.Row(), entries.size());
  // The line that was typed and the next one are on the screen too.
  const auto page_from = [&](size_t i) {
    Page page = window && !all ? Page(window->columns, std::max<size_t>(window->rows, 3) - 2) : Page();
    bool fits = true;
    for (; i < end && fits; ++i) {
      const shadow_pte& entry = entries[i];
      fits =
          page.Add(fmt::format("  {:012x} {} vaddr={:#x} pfn={:#x} state_flags={:#x} ({})",
                               range.start.value + i * kPageSize, kLooks[LookOf(entry)].sign, entry.vaddr,
                               entry.pfn, entry.state_flags, scenario::ShadowFlagsText(entry.state_flags)));
    }
    return std::pair(fits, page.text());
  };
  const auto [fits, text] = page_from(first);
  return fits ? text : page_from(asked / grid_.entries_a_sign * grid_.entries_a_sign).second;
}

}  // namespace mmsim::cli
