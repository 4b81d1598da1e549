// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "fmt/ranges.h"
#include "sim/mm/entry_words.h"
#include "sim/mm/folio.h"
#include "sim/mm/swap.h"
#include "sim/scenario/picture.h"

namespace mmsim::scenario {
namespace {

// A line of the picture and what hangs below it.
struct Node {
  std::string text;
  std::vector<Node> below;
};

void Print(const std::vector<Node>& nodes, const std::string& indent, std::string* out) {
  for (size_t i = 0; i < nodes.size(); ++i) {
    const bool last = i + 1 == nodes.size();
    *out += fmt::format("{}{} {}\n", indent, last ? "└" : "├", nodes[i].text);
    Print(nodes[i].below, indent + (last ? "  " : "│ "), out);
  }
}

// What an entry is, apart from which frame it maps.
struct Leaf {
  Pfn pfn;
  int32_t refcount = 0, mapcount = 0;
  std::vector<std::string_view> words, bits;
  std::vector<int> others;  // processes that map the page too

  bool IsLike(const Leaf& other) const {
    return bits == other.bits && refcount == other.refcount && mapcount == other.mapcount &&
           words == other.words && others == other.others;
  }
};

bool Has(const std::vector<std::string_view>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// "0x10f", "0x10f-0x112", or the first ones of frames that do not follow each other.
std::string FramesText(const std::vector<Pfn>& frames, uint64_t frames_each) {
  constexpr size_t kShown = 3;
  const Pfn first = frames.front(), last = frames.back();
  bool same = true, following = true;
  for (size_t i = 0; i < frames.size(); ++i) {
    same &= frames[i] == first;
    following &= frames[i].value == first.value + i * frames_each;
  }
  if (same && frames_each == 1) return fmt::format("frame {:#x}", first.value);
  if (same || following) {
    return fmt::format("frames {:#x}-{:#x}", first.value, last.value + frames_each - 1);
  }
  std::string text = "frames";
  for (size_t i = 0; i < std::min(kShown, frames.size()); ++i) {
    text += fmt::format("{} {:#x}", i == 0 ? "" : ",", frames[i].value);
  }
  return frames.size() > kShown ? text + fmt::format(" ... {} of them", frames.size()) : text;
}

class Painter {
 public:
  Painter(Kernel& kernel, const Task& task, const Ink& ink)
      : kernel_(kernel), system_(kernel.system()), task_(task), ink_(ink) {}

  // The table's entries that are not empty. `start` is the first address that it translates.
  std::vector<Node> Table(Pfn table, int level, VirtAddr start) {
    ++tables_;
    std::vector<Node> nodes;
    const EntryPtr entries = system_.phys.TableAt(table);
    for (uint64_t i = 0; i < kEntriesPerTable;) {
      const VirtAddr address = start + i * LevelSize(level);
      if (entries[i] == 0) {
        ++i;
      } else if (IsTableEntry(system_, level, entries[i])) {
        nodes.push_back(
            {TableText(level, i, address, entries[i]), Table(TablePfn(entries[i]), level - 1, address)});
        ++i;
      } else {
        const uint64_t end = RunEnd(entries, level, i);
        nodes.push_back({RunText(entries, level, i, end, address), {}});
        i = end;
      }
    }
    return nodes;
  }
  uint64_t tables() const { return tables_; }

 private:
  Leaf LeafOf(int level, uint64_t entry) {
    Leaf leaf;
    leaf.pfn = LeafPfn(system_, level, entry);
    leaf.words = EntryWordsOf(system_, level, entry);
    leaf.bits = EntryBitsOf(system_.arch, level, entry);
    if (!IsCounted(system_, leaf.pfn)) return leaf;
    leaf.refcount = system_.pages[system_.pages.HeadOf(leaf.pfn)].refcount;
    leaf.mapcount = PageMapcount(system_, leaf.pfn);
    if (leaf.mapcount < 2) return leaf;
    for (const Sharer& sharer : SharersOf(kernel_, leaf.pfn)) {
      if (sharer.pid == task_.tgid) continue;
      if (leaf.others.empty() || leaf.others.back() != sharer.pid) leaf.others.push_back(sharer.pid);
    }
    return leaf;
  }

  uint64_t RunEnd(EntryPtr entries, int level, uint64_t begin) {
    const Leaf first = LeafOf(level, entries[begin]);
    uint64_t end = begin + 1;
    while (end < kEntriesPerTable && entries[end] != 0 && !IsTableEntry(system_, level, entries[end]) &&
           LeafOf(level, entries[end]).IsLike(first)) {
      ++end;
    }
    return end;
  }

  static std::string Index(int level, uint64_t begin, uint64_t end) {
    const std::string index =
        end - begin == 1 ? fmt::format("{}", begin) : fmt::format("{}-{}", begin, end - 1);
    return fmt::format("{}[{}]", kLevelNames[level], index);
  }

  std::string TableText(int level, uint64_t i, VirtAddr address, uint64_t entry) const {
    return fmt::format(
        "{} {:x} {} {}  {}", Index(level, i, i + 1), address.value, ink_.Dim(SizeText(LevelSize(level))),
        ink_.Blue(fmt::format("→ {} table {:#x}", kLevelNames[level - 1], TablePfn(entry).value)),
        ink_.Dim(fmt::format("{}", fmt::join(EntryBitsOf(system_.arch, level, entry), " "))));
  }

  std::string RunText(EntryPtr entries, int level, uint64_t begin, uint64_t end, VirtAddr address) {
    const Leaf leaf = LeafOf(level, entries[begin]);
    const uint64_t nr = end - begin;
    std::string text = fmt::format("{} {:x} {} ", Index(level, begin, end), address.value,
                                   ink_.Dim(SizeText(nr * LevelSize(level))));
    if (Has(leaf.words, "swap")) {
      return text +
             ink_.Red(fmt::format("swapped out, slot {}", PteSwap(system_.arch, {entries[begin]}).offset));
    }
    std::vector<Pfn> frames;
    for (uint64_t i = begin; i < end; ++i) frames.push_back(LeafPfn(system_, level, entries[i]));
    const std::string shown = FramesText(frames, level == kLevelPte ? 1 : kHugePages);
    text += leaf.others.empty() ? ink_.Green(shown) : ink_.Magenta(shown);
    text += " " + Rights(leaf.words);
    for (const std::string_view word : leaf.words) {
      if (word != "present" && word != "user" && word != "write" && word != "exec")
        text += fmt::format(" {}", word);
    }
    if (leaf.refcount != 0) text += fmt::format("  ref {} map {}", leaf.refcount, leaf.mapcount);
    if (!leaf.others.empty()) text += ink_.Magenta(fmt::format(" with {}", fmt::join(leaf.others, ", ")));
    return text + "  " + ink_.Dim(fmt::format("{}", fmt::join(leaf.bits, " ")));
  }

  std::string Rights(const std::vector<std::string_view>& words) const {
    const std::string rights =
        fmt::format("{}{}{}", Has(words, "user") ? 'r' : '-', Has(words, "write") ? 'w' : '-',
                    Has(words, "user") && Has(words, "exec") ? 'x' : '-');
    return Has(words, "write") ? ink_.Green(rights) : ink_.Yellow(rights);
  }

  Kernel& kernel_;
  System& system_;
  const Task& task_;
  const Ink& ink_;
  uint64_t tables_ = 0;
};

}  // namespace

std::string TablePicture(Kernel& kernel, const Task& task, const Ink& ink) {
  Painter painter(kernel, task, ink);
  const std::vector<Node> nodes = painter.Table(Pfn::Of(task.mm->pgd), kLevelPgd, VirtAddr(0));
  std::string out =
      ink.Bold(fmt::format("{} page tables, root {:#x}", painter.tables(), Pfn::Of(task.mm->pgd).value)) +
      "\n";
  Print(nodes, "  ", &out);
  return out;
}

}  // namespace mmsim::scenario
