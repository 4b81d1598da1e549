// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/compare.h"

#include <algorithm>

#include "fmt/format.h"
#include "sim/scenario/observation.h"
#include "sim/scenario/shadow_text.h"
#include "sim/scenario/split.h"

namespace mmsim::scenario {
namespace {

// Documentation/admin-guide/mm/pagemap.rst
constexpr uint64_t kPmPresent = uint64_t{1} << 63;
constexpr uint64_t kPmSwap = uint64_t{1} << 62;
constexpr uint64_t kPmNumber = (uint64_t{1} << 55) - 1;  // frame, or swap type and offset
constexpr uint64_t kPmSwapType = 31;
struct Bit {
  uint64_t mask;
  std::string_view name;
};
constexpr Bit kPagemapBits[] = {
    {kPmPresent, "present"},           {kPmSwap, "swap"},
    {uint64_t{1} << 61, "file"},       {uint64_t{1} << 58, "guard"},
    {uint64_t{1} << 57, "uffd_wp"},    {uint64_t{1} << 56, "exclusive"},
    {uint64_t{1} << 55, "soft_dirty"},
};
// include/uapi/linux/kernel-page-flags.h: the flags that do not depend on the timing of reclaim.
constexpr Bit kFrameFlags[] = {
    {uint64_t{1} << 11, "MMAP"},          {uint64_t{1} << 12, "ANON"},
    {uint64_t{1} << 14, "SWAPBACKED"},    {uint64_t{1} << 15, "COMPOUND_HEAD"},
    {uint64_t{1} << 16, "COMPOUND_TAIL"}, {uint64_t{1} << 17, "HUGE"},
    {uint64_t{1} << 21, "KSM"},           {uint64_t{1} << 22, "THP"},
    {uint64_t{1} << 24, "ZERO_PAGE"},
};

uint64_t MaskOf(const Bit* begin, const Bit* end) {
  uint64_t mask = 0;
  for (const Bit* b = begin; b != end; ++b) mask |= b->mask;
  return mask;
}
const uint64_t kMeaningfulPagemap = MaskOf(std::begin(kPagemapBits), std::end(kPagemapBits));
const uint64_t kMeaningfulFlags = MaskOf(std::begin(kFrameFlags), std::end(kFrameFlags));

template <size_t N>
std::string Words(const Bit (&bits)[N], uint64_t value) {
  std::string out;
  for (const Bit& b : bits) {
    if (!(value & b.mask)) continue;
    if (!out.empty()) out += ' ';
    out += b.name;
  }
  return out.empty() ? "nothing" : out;
}

std::string At(uint32_t process, uint64_t vaddr) {
  return fmt::format("{}:{:#x}", process, vaddr);
}

// Cuts the next word off; "" at the end.
std::string_view TakeWord(std::string_view* line) {
  const size_t begin = std::min(line->find_first_not_of(' '), line->size());
  const size_t end = std::min(line->find(' ', begin), line->size());
  const std::string_view word = line->substr(begin, end - begin);
  line->remove_prefix(end);
  return word;
}

uint64_t FromHex(std::string_view text) {
  uint64_t value = 0;
  for (const char c : text)
    value = value * 16 + static_cast<uint64_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
  return value;
}

// [field: value] of one VMA of smaps, with its line of maps under "".
std::map<std::string_view, std::string_view> TakeSmapsVma(std::string_view* text) {
  std::map<std::string_view, std::string_view> fields;
  if (text->empty()) return fields;
  fields[""] = TakeLine(text);
  // A line of maps has no ':' in its first word.
  while (!text->empty()) {
    std::string_view rest = *text;
    std::string_view line = TakeLine(&rest);
    const std::string_view name = TakeWord(&line);
    if (name.empty() || name.back() != ':') break;
    const size_t begin = std::min(line.find_first_not_of(' '), line.size());
    std::string_view value = line.substr(begin);
    while (!value.empty() && value.back() == ' ') value.remove_suffix(1);
    fields[name.substr(0, name.size() - 1)] = value;
    *text = rest;
  }
  return fields;
}

}  // namespace

std::string Difference::Text() const {
  return fmt::format("{}{}{}: {} there, {} here", subject, where.empty() ? "" : " ", where, there, here);
}

bool Comparer::Renaming::Same(uint64_t a, uint64_t b) {
  const auto forward = to_here_.try_emplace(a, b);
  const auto backward = to_there_.try_emplace(b, a);
  if (forward.first->second == b && backward.first->second == a) return true;
  // One of them is bound to another: undo what was bound just now.
  if (forward.second) to_here_.erase(forward.first);
  if (backward.second) to_there_.erase(backward.first);
  return false;
}

void Comparer::Renaming::Clear() {
  to_here_.clear();
  to_there_.clear();
}

template <typename Keep>
void Comparer::Renaming::KeepOnly(Keep keep) {
  absl::erase_if(to_here_, [&](const auto& pair) { return !keep(pair.first); });
  absl::erase_if(to_there_, [&](const auto& pair) { return !keep(pair.second); });
}

void Comparer::Begin() {
  for (Renaming* r : {&frames_, &swap_, &inodes_, &spaces_}) r->Clear();
  before_.clear();
  shadow_there_.clear();
  shadow_here_.clear();
}

void Comparer::Add(std::string_view subject, std::string where, std::string there, std::string here) {
  if (differences_.size() >= kMaxDifferences) return;
  differences_.push_back({std::string(subject), std::move(where), std::move(there), std::move(here)});
}

std::vector<Difference> Comparer::Compare(const StepReport& there, const StepReport& here,
                                          const Replaced& replaced) {
  differences_.clear();
  frame_pairs_.clear();
  now_.clear();
  smaps_ = (what_ & there.what & here.what & OBSERVE_SMAPS) != 0;
  if (there.state->boot != boot_) Begin();
  boot_ = there.state->boot;
  CompareOutcome(*there.outcome, *here.outcome);
  ForgetNames(*there.state, replaced);
  CompareLive(*there.state, *here.state);
  if (what_ & OBSERVE_FRAMES) CompareFrames(*there.state, *here.state);
  if (what_ & OBSERVE_SHADOW) CompareShadow(there.state->shadow, here.state->shadow);
  std::sort(now_.begin(), now_.end());
  std::swap(before_, now_);
  return std::move(differences_);
}

void Comparer::CompareOutcome(const guest::Outcome& there, const guest::Outcome& here) {
  const auto differ = [&](std::string_view subject) {
    Add(subject, "", OutcomeText(there), OutcomeText(here));
  };
  if (there.ending != here.ending) return differ("result");
  switch (there.ending) {
    case OBSERVE_ENDING_DONE:
    case OBSERVE_ENDING_SUSPENDED:
      // What makes a process returns an id, which every kernel chooses for itself.
      if ((there.made != 0) != (here.made != 0) || (there.made == 0 && there.result != here.result)) {
        return differ("result");
      }
      break;
    case OBSERVE_ENDING_SIGNAL:
      if (there.signo != here.signo || there.signal_code != here.signal_code ||
          there.fault_address != here.fault_address || there.result != here.result) {
        return differ("signal");
      }
      break;
    case OBSERVE_ENDING_DIED:
      if (there.wait_status != here.wait_status) return differ("end");
      break;
    case OBSERVE_ENDING_BLOCKED:
    case OBSERVE_ENDING_REFUSED:
      break;
  }
  for (const auto& [arg, bytes] : there.out) {
    const auto other = here.out.find(arg);
    if (other == here.out.end() || other->second == bytes) continue;
    const size_t at = static_cast<size_t>(
        std::mismatch(bytes.begin(), bytes.end(), other->second.begin(), other->second.end()).first -
        bytes.begin());
    const auto byte = [at](const std::string& s) {
      return at < s.size() ? fmt::format("byte {} is {:#04x}", at, static_cast<unsigned char>(s[at]))
                           : fmt::format("{} bytes", s.size());
    };
    Add("out", fmt::format("argument {}", arg), byte(bytes), byte(other->second));
  }
  const auto died = [](const guest::Outcome& o) {
    std::string text;
    std::vector<observe_died> ends = o.died;
    std::sort(ends.begin(), ends.end(),
              [](const observe_died& a, const observe_died& b) { return a.process < b.process; });
    for (const observe_died& d : ends)
      text += fmt::format("{}{} ({:#x})", text.empty() ? "" : ", ", d.process, d.wait_status);
    return text.empty() ? std::string("nobody") : text;
  };
  if (died(there) != died(here)) Add("died", "", died(there), died(here));
  if (!(what_ & OBSERVE_FAULTS)) return;
  const auto faults = [](const guest::Outcome& o) {
    std::string text;
    for (const observe_fault& f : o.faults)
      text += fmt::format("{}{:#x} error {:#x}", text.empty() ? "" : ", ", f.address, f.error);
    return text.empty() ? std::string("none") : text;
  };
  if (faults(there) != faults(here)) Add("faults", "", faults(there), faults(here));
}

// Which processes live, which of them share an address space, and what each address space holds.
void Comparer::CompareLive(const guest::State& there, const guest::State& here) {
  const auto by_process = [](const guest::State& state) {
    std::map<uint32_t, observe_live> map;
    for (const observe_live& l : state.live) map.emplace(l.process, l);
    return map;
  };
  const auto a = by_process(there), b = by_process(here);
  std::set<uint32_t> compared;
  for (const auto& [process, live] : b) {
    if (!a.contains(process)) Add("live", fmt::format("{}", process), "gone", "lives");
  }
  for (const auto& [process, live] : a) {
    const auto other = b.find(process);
    if (other == b.end()) {
      Add("live", fmt::format("{}", process), "lives", "gone");
      continue;
    }
    if (!spaces_.Same(live.space, other->second.space)) {
      Add("space", fmt::format("{}", process), fmt::format("number {}", live.space),
          fmt::format("number {}, shared otherwise or made anew", other->second.space));
      continue;
    }
    if (live.group != other->second.group) {
      Add("group", fmt::format("{}", process), fmt::format("{}", live.group),
          fmt::format("{}", other->second.group));
    }
    if (live.suspended != other->second.suspended) {
      Add("suspended", fmt::format("{}", process), fmt::format("{}", live.suspended),
          fmt::format("{}", other->second.suspended));
    }
    if (!compared.insert(live.space).second) continue;
    const auto s = there.spaces.find(live.space), t = here.spaces.find(other->second.space);
    if (s == there.spaces.end() || t == here.spaces.end()) continue;
    if (what_ & OBSERVE_MAPS) CompareMaps(process, s->second.maps, t->second.maps);
    if (smaps_) CompareSmaps(process, s->second.smaps, t->second.smaps);
    if (what_ & OBSERVE_PAGES) ComparePages(process, live.space, s->second, t->second);
  }
}

// ADDRESSES PERMS OFFSET DEV INODE PATH: the device and the inode are one name.
bool Comparer::SameMapsLine(std::string_view there, std::string_view here) {
  if (there == here) return true;
  for (int i = 0; i < 3; ++i) {
    if (TakeWord(&there) != TakeWord(&here)) return false;
  }
  const auto number = [](std::string_view* line) {
    const std::string_view dev = TakeWord(line);
    const std::string_view inode = TakeWord(line);
    uint64_t n = 0;
    for (const char c : inode) n = n * 10 + static_cast<uint64_t>(c - '0');
    const size_t colon = std::min(dev.find(':'), dev.size());
    return n == 0 ? 0
                  : n ^ FromHex(dev.substr(0, colon)) << 52 ^
                        FromHex(dev.substr(std::min(colon + 1, dev.size()))) << 40;
  };
  const uint64_t a = number(&there), b = number(&here);
  if ((a == 0) != (b == 0) || (a != 0 && !inodes_.Same(a, b))) return false;
  return TakeWord(&there) == TakeWord(&here) && there == here;
}

void Comparer::CompareMaps(uint32_t process, std::string_view there, std::string_view here) {
  while (!there.empty() || !here.empty()) {
    const std::string_view a = TakeLine(&there), b = TakeLine(&here);
    if (SameMapsLine(a, b)) continue;
    // The lines behind a first difference mostly follow from it.
    const auto shown = [](std::string_view line) {
      return line.empty() ? std::string("no line") : fmt::format("`{}`", line);
    };
    return Add("maps", fmt::format("{}", process), shown(a), shown(b));
  }
}

void Comparer::CompareSmaps(uint32_t process, std::string_view there, std::string_view here) {
  if (there.empty() || here.empty() || there == here) return;
  while (!there.empty() && !here.empty()) {
    const auto a = TakeSmapsVma(&there), b = TakeSmapsVma(&here);
    if (!SameMapsLine(a.at(""), b.at(""))) return;  // maps says it
    std::string_view range = a.at("");
    const uint64_t start = FromHex(range.substr(0, range.find('-')));
    for (const auto& [name, value] : a) {
      const auto other = b.find(name);
      if (name.empty() || other == b.end() || other->second == value) continue;
      Add("smaps", At(process, start), fmt::format("{}: {}", name, value),
          fmt::format("{}: {}", name, other->second));
    }
  }
}

void Comparer::ComparePages(uint32_t process, uint32_t number, const guest::Space& there,
                            const guest::Space& here) {
  auto a = there.pages.begin(), b = here.pages.begin();
  while (a != there.pages.end() || b != here.pages.end()) {
    Page page{number, 0, 0, 0};
    const bool only_there = b == here.pages.end() || (a != there.pages.end() && a->vaddr < b->vaddr);
    const bool only_here = a == there.pages.end() || (b != here.pages.end() && b->vaddr < a->vaddr);
    page.vaddr = only_here ? b->vaddr : a->vaddr;
    if (!only_here) page.there = (a++)->entry;
    if (!only_there) page.here = (b++)->entry;
    now_.push_back(page);
    ComparePage(process, page);
  }
}

void Comparer::ComparePage(uint32_t process, const Page& page) {
  if ((page.there ^ page.here) & kMeaningfulPagemap) {
    return Add("page", At(process, page.vaddr), Words(kPagemapBits, page.there),
               Words(kPagemapBits, page.here));
  }
  const uint64_t a = page.there & kPmNumber, b = page.here & kPmNumber;
  if (page.there & kPmPresent) {
    const Page* before = Before(page.space, page.vaddr);
    if (before != nullptr && (before->there & kPmPresent) && (before->here & kPmPresent) &&
        (before->there & kPmNumber) != a && (before->here & kPmNumber) == b) {
      return Add("sharing", At(process, page.vaddr), "another frame than before", "the frame that it had");
    }
    if (!frames_.Same(a, b)) {
      return Add("sharing", At(process, page.vaddr), fmt::format("frame {:#x}", a),
                 fmt::format("frame {:#x}, which is not that one", b));
    }
    frame_pairs_.emplace_back(a, b);
  } else if (page.there & kPmSwap) {
    if ((a & kPmSwapType) != (b & kPmSwapType) || !swap_.Same(a, b)) {
      Add("swap", At(process, page.vaddr), fmt::format("entry {:#x}", a),
          fmt::format("entry {:#x}, which is not that one", b));
    }
  }
}

// Counts and flags of the frames that have the same name.
void Comparer::CompareFrames(const guest::State& there, const guest::State& here) {
  std::sort(frame_pairs_.begin(), frame_pairs_.end());
  frame_pairs_.erase(std::unique(frame_pairs_.begin(), frame_pairs_.end()), frame_pairs_.end());
  for (const auto& [a, b] : frame_pairs_) {
    const auto s = there.frames.find(a), t = here.frames.find(b);
    if (s == there.frames.end() || t == here.frames.end()) continue;
    std::string where;  // the first page that has it
    for (const observe_live& live : there.live) {
      const auto space = there.spaces.find(live.space);
      if (space == there.spaces.end() || !where.empty()) continue;
      if (s->second.count == t->second.count && !((s->second.flags ^ t->second.flags) & kMeaningfulFlags))
        break;
      for (const observe_page& page : space->second.pages) {
        if (!(page.entry & kPmPresent) || (page.entry & kPmNumber) != a) continue;
        where = At(live.process, page.vaddr);
        break;
      }
    }
    if (s->second.count != t->second.count) {
      Add("count", where, fmt::format("{}", s->second.count), fmt::format("{}", t->second.count));
    }
    if ((s->second.flags ^ t->second.flags) & kMeaningfulFlags) {
      Add("frame", where, Words(kFrameFlags, s->second.flags), Words(kFrameFlags, t->second.flags));
    }
  }
}

void Comparer::CompareShadow(const std::vector<shadow_pte>& there, const std::vector<shadow_pte>& here) {
  const auto opened = [](size_t entries) {
    return entries == 0 ? std::string("no table is open") : fmt::format("a table of {} entries", entries);
  };
  const auto shown = [](const shadow_pte& e, std::string_view note) {
    return fmt::format("{:#x} {} @ {:#x}{}", e.vaddr, ShadowFlagsText(e.state_flags), e.pfn, note);
  };
  if (there.size() != here.size()) Add("shadow", "", opened(there.size()), opened(here.size()));
  for (size_t i = 0; i < there.size() && there.size() == here.size(); ++i) {
    const shadow_pte &a = there[i], &b = here[i];
    const std::string where = fmt::format("entry {}", i);
    if (a.vaddr != b.vaddr || a.state_flags != b.state_flags || (a.pfn == 0) != (b.pfn == 0)) {
      Add("shadow", where, shown(a, ""), shown(b, ""));
      continue;
    }
    const bool compared = i < shadow_there_.size() && i < shadow_here_.size() &&
                          shadow_there_[i].pfn == a.pfn && shadow_here_[i].pfn == b.pfn;
    if (a.pfn == 0 || compared || frames_.Same(a.pfn, b.pfn)) continue;
    Add("shadow", where, shown(a, ""), shown(b, ", which is not that frame"));
  }
  shadow_there_ = there;
  shadow_here_ = here;
}

const Comparer::Page* Comparer::Before(uint32_t space, uint64_t vaddr) const {
  const auto it = std::lower_bound(before_.begin(), before_.end(), Page{space, vaddr, 0, 0});
  return it != before_.end() && it->space == space && it->vaddr == vaddr ? &*it : nullptr;
}

// A name outlives the step where a page kept its frame (or its swap entry), and there alone. What was
// replaced in place was not kept, whatever the numbers say.
void Comparer::ForgetNames(const guest::State& there, const Replaced& replaced) {
  std::set<uint32_t> live_spaces;
  uint32_t replaced_space = 0;
  for (const observe_live& live : there.live) {
    live_spaces.insert(live.space);
    if (live.process == replaced.process) replaced_space = live.space;
  }
  std::erase_if(before_, [&](const Page& page) {
    return !live_spaces.contains(page.space) ||
           (page.space == replaced_space && page.vaddr >= replaced.start && page.vaddr < replaced.end);
  });
  std::set<uint64_t> kept_frames, kept_swap;
  for (const auto& [number, space] : there.spaces) {
    for (const observe_page& page : space.pages) {
      const Page* before = Before(number, page.vaddr);
      if (before == nullptr || ((before->there ^ page.entry) & (kPmNumber | kPmPresent | kPmSwap))) continue;
      if (page.entry & (kPmPresent | kPmSwap)) {
        ((page.entry & kPmPresent) ? kept_frames : kept_swap).insert(page.entry & kPmNumber);
      }
    }
  }
  frames_.KeepOnly([&](uint64_t frame) { return kept_frames.contains(frame); });
  swap_.KeepOnly([&](uint64_t entry) { return kept_swap.contains(entry); });
}

}  // namespace mmsim::scenario
