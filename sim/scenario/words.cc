// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/words.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "fmt/format.h"
#include "sim/mm/entry_words.h"

namespace mmsim::scenario {
namespace {

constexpr std::string_view kCallWords[] = {
#define X(name, x86_64, arm64) #name,
#include "sim/kernel/syscalls.def"
#undef X
    "store", "load", "fetch", "expect", "pid", "let", "set", "limit", "inject", "arch", "profile", "on",
};
constexpr std::string_view kSettings[] = {
    "overcommit_memory", "overcommit_ratio",     "overcommit_kbytes",    "max_map_count",
    "mmap_min_addr",     "stack_guard_gap",      "admin_reserve_kbytes", "user_reserve_kbytes",
    "legacy_va_layout",  "transparent_hugepage", "swap_pages",
};
constexpr std::string_view kSeams[] = {"frame",     "table", "vma", "anon_vma", "vma_tree",
                                       "swap_slot", "file",  "mm",  "off"};
constexpr std::string_view kSubjects[] = {"maps",       "smaps",     "pte",   "pagemap",
                                          "pageflags",  "pagecount", "bytes", "signal",
                                          "error_code", "counters",  "frame", "shadow"};
constexpr std::string_view kShadowWords[] = {"none", "allocated", "anonymous", "mapped"};
constexpr std::string_view kLevels[] = {"pgd", "pud", "pmd", "pte"};
constexpr std::string_view kPagemapWords[] = {"present",   "swap",       "file",
                                              "exclusive", "soft_dirty", "uffd_wp"};
// In the order of their bits in /proc/kpageflags.
constexpr std::string_view kPageFlags[] = {
    "LOCKED",     "ERROR",         "REFERENCED",    "UPTODATE",  "DIRTY",       "LRU",      "ACTIVE",
    "SLAB",       "WRITEBACK",     "RECLAIM",       "BUDDY",     "MMAP",        "ANON",     "SWAPCACHE",
    "SWAPBACKED", "COMPOUND_HEAD", "COMPOUND_TAIL", "HUGE",      "UNEVICTABLE", "HWPOISON", "NOPAGE",
    "KSM",        "THP",           "OFFLINE",       "ZERO_PAGE", "IDLE",        "PGTABLE",
};

// The number of insertions, deletions, substitutions and swaps of neighbours between a and b, at most `limit`
// + 1.
size_t Distance(std::string_view a, std::string_view b, size_t limit) {
  if (a.size() > b.size() + limit || b.size() > a.size() + limit) return limit + 1;
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::optional<Sys> SysByName(std::string_view name) {
  static const auto* const kByName = [] {
    auto* map = new absl::flat_hash_map<std::string_view, Sys>();
#define X(name, x86_64, arm64) map->emplace(#name, Sys::k_##name);
#include "sim/kernel/syscalls.def"
#undef X
    return map;
  }();
  const auto it = kByName->find(name);
  if (it == kByName->end()) return std::nullopt;
  return it->second;
}

absl::Span<const std::string_view> CallWords() {
  return kCallWords;
}
absl::Span<const std::string_view> SettingWords() {
  return kSettings;
}
absl::Span<const std::string_view> SeamWords() {
  return kSeams;
}
absl::Span<const std::string_view> SubjectWords() {
  return kSubjects;
}
absl::Span<const std::string_view> LevelWords() {
  return kLevels;
}
absl::Span<const std::string_view> EntryWords() {
  static const auto* const kAll = [] {
    auto* all = new std::vector<std::string_view>(std::begin(kEntryWords), std::end(kEntryWords));
    for (const Arch arch : {Arch::kX86_64, Arch::kArm64}) {
      for (const EntryBit& bit : EntryBits(arch)) all->push_back(bit.name);
    }
    return all;
  }();
  return *kAll;
}
absl::Span<const std::string_view> ShadowWords() {
  return kShadowWords;
}
absl::Span<const std::string_view> PagemapWords() {
  return kPagemapWords;
}
absl::Span<const std::string_view> PageFlagWords() {
  return kPageFlags;
}

bool IsOneOf(std::string_view word, absl::Span<const std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::string DidYouMean(std::string_view word, absl::Span<const std::string_view> words) {
  if (word.empty() || word.size() > 64) return "";
  const size_t limit = word.size() <= 4 ? 1 : word.size() <= 8 ? 2 : 3;
  size_t best = limit + 1;
  std::string_view meant;
  for (const std::string_view w : words) {
    const size_t d = Distance(word, w, limit);
    if (d < best) {
      best = d;
      meant = w;
    }
  }
  return meant.empty() ? "" : fmt::format(", did you mean {}?", meant);
}

std::optional<uint64_t> ParseNumber(std::string_view text) {
  bool negative = false;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  int base = 10;
  if (text.size() > 2 && text[0] == '0' && text[1] == 'x') {
    base = 16;
    text.remove_prefix(2);
  } else if (text.size() > 1 && text[0] == '0') {
    base = 8;
    text.remove_prefix(1);
  }
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return negative ? -value : value;
}

}  // namespace mmsim::scenario
