// SPDX-License-Identifier: Apache-2.0
// expect PID pte, pagemap, pageflags, pagecount ADDRESS ..., expect frame A == B
#include <algorithm>
#include <optional>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "sim/mm/entry_words.h"
#include "sim/mm/task_mmu.h"
#include "sim/scenario/check_expect.h"
#include "sim/scenario/words.h"

namespace mmsim::scenario {
namespace {

// In the order of PagemapWords().
constexpr uint64_t kPagemapBits[] = {kPmPresent, kPmSwap, kPmFile, kPmMmapExclusive, kPmSoftDirty, kPmUffdWp};

bool Has(const std::vector<std::string_view>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::string Joined(const std::vector<std::string_view>& words) {
  return fmt::format("{}", fmt::join(words, " "));
}

std::string EntryText(const WalkedEntry& entry) {
  return fmt::format("{}: {:#x}: {}{}{}", kLevelNames[entry.level], entry.value, Joined(entry.words),
                     entry.bits.empty() ? "" : "; ", Joined(entry.bits));
}

bool Listed(const ExpectLevel& level, std::string_view word) {
  return std::any_of(level.flags.begin(), level.flags.end(),
                     [&](const ExpectFlag& f) { return f.name == word && !f.negated; });
}

// `= words`: all that hold. Of the words for both architectures, unless only bits are listed; of the bits,
// if any is listed.
bool NoOthers(Arch arch, const ExpectLevel& level, const WalkedEntry& entry) {
  const auto is_bit = [&](const ExpectFlag& f) { return IsEntryBit(arch, f.name); };
  const bool bits = std::any_of(level.flags.begin(), level.flags.end(), is_bit);
  const bool words = !std::all_of(level.flags.begin(), level.flags.end(), is_bit);
  const auto listed = [&](std::string_view word) { return Listed(level, word); };
  return (!words || std::all_of(entry.words.begin(), entry.words.end(), listed)) &&
         (!bits || std::all_of(entry.bits.begin(), entry.bits.end(), listed));
}

bool EntryHolds(Arch arch, const ExpectLevel& level, const WalkedEntry& entry) {
  if (level.raw) return ((entry.value ^ *level.raw) & level.mask) == 0;
  for (const ExpectFlag& flag : level.flags) {
    if ((Has(entry.words, flag.name) || Has(entry.bits, flag.name)) == flag.negated) return false;
  }
  return !level.exact || NoOthers(arch, level, entry);
}

std::string LevelText(const ExpectLevel& level) {
  if (level.raw) return fmt::format("{}: {:#x}/{:#x}", level.level, *level.raw, level.mask);
  std::string text = fmt::format("{}:{}", level.level, level.exact ? " =" : "");
  for (const ExpectFlag& flag : level.flags) text += fmt::format(" {}{}", flag.negated ? "!" : "", flag.name);
  return text;
}

// The words whose bits are set, and a finding for each word of the expectation that is otherwise.
std::string BitsFinding(const std::vector<ExpectFlag>& flags, const std::vector<std::string_view>& set) {
  std::string wrong;
  for (const ExpectFlag& flag : flags) {
    if (Has(set, flag.name) == flag.negated) {
      wrong += fmt::format("{}{}{}", wrong.empty() ? "" : " ", flag.negated ? "!" : "", flag.name);
    }
  }
  return wrong;
}

}  // namespace

absl::Status ExpectChecker::Entries(const Asked& a) {
  const absl::StatusOr<uint64_t> address = Number(a.expect.address);
  if (!address.ok()) return address.status();
  const absl::StatusOr<std::vector<WalkedEntry>> walked = a.witness.Walk(a.pid, *address);
  if (!walked.ok()) return walked.status();
  for (const ExpectLevel& level : a.expect.levels) {
    for (const WalkedEntry& entry : *walked) {
      if (kLevelNames[entry.level] != level.level) continue;
      if (!EntryHolds(arch_, level, entry)) a.Add(LevelText(level), EntryText(entry));
    }
  }
  return absl::OkStatus();
}

absl::Status ExpectChecker::Pagemap(const Asked& a) {
  const absl::StatusOr<uint64_t> address = Number(a.expect.address);
  if (!address.ok()) return address.status();
  const absl::StatusOr<uint64_t> entry = a.witness.PagemapEntry(a.pid, *address);
  if (!entry.ok()) return entry.status();
  std::vector<std::string_view> set;
  for (size_t i = 0; i < PagemapWords().size(); ++i) {
    if (*entry & kPagemapBits[i]) set.push_back(PagemapWords()[i]);
  }
  const std::string wrong = BitsFinding(a.expect.flags, set);
  if (!wrong.empty()) a.Add(wrong, fmt::format("{:#018x}: {}", *entry, Joined(set)));
  return absl::OkStatus();
}

// The frame that is mapped at an address; NotFound when none is.
absl::StatusOr<uint64_t> ExpectChecker::FrameAt(const Asked& a, int pid, std::string_view expression,
                                                uint64_t offset_bytes) {
  const absl::StatusOr<uint64_t> address = Number(expression);
  if (!address.ok()) return address.status();
  const absl::StatusOr<uint64_t> entry = a.witness.PagemapEntry(pid, *address + offset_bytes);
  if (!entry.ok()) return entry.status();
  if (!(*entry & kPmPresent)) return absl::NotFoundError(fmt::format("no page is mapped at {:#x}", *address));
  return *entry & kPmPfnMask;
}

absl::StatusOr<uint64_t> ExpectChecker::FrameOf(const Asked& a, const ExpectFrame& side,
                                                uint64_t offset_bytes) {
  if (side.kind == ExpectFrame::Kind::kZero) return a.witness.ZeroFrame();
  if (side.kind == ExpectFrame::Kind::kPage) {
    return FrameAt(a, side.pid == 0 ? a.default_pid : side.pid, side.address, offset_bytes);
  }
  const auto known = frame_names_.find(std::string(side.name));
  if (known == frame_names_.end()) return absl::NotFoundError(fmt::format("{} has no frame yet", side.name));
  return known->second;
}

absl::Status ExpectChecker::PageFlags(const Asked& a) {
  const absl::StatusOr<uint64_t> frame = FrameAt(a, a.pid, a.expect.address);
  if (!frame.ok()) return frame.status();
  const absl::StatusOr<uint64_t> flags = a.witness.PageFlags(*frame);
  if (!flags.ok()) return flags.status();
  std::vector<std::string_view> set;
  for (size_t bit = 0; bit < PageFlagWords().size(); ++bit) {
    if ((*flags >> bit) & 1) set.push_back(PageFlagWords()[bit]);
  }
  const std::string wrong = BitsFinding(a.expect.flags, set);
  if (!wrong.empty()) a.Add(wrong, fmt::format("{:#x}: {}", *flags, Joined(set)));
  return absl::OkStatus();
}

// 0 is also true where no page is.
absl::Status ExpectChecker::PageCount(const Asked& a) {
  const absl::StatusOr<uint64_t> frame = FrameAt(a, a.pid, a.expect.address);
  if (absl::IsNotFound(frame.status()) && a.expect.number == 0) return absl::OkStatus();
  if (!frame.ok()) return frame.status();
  const absl::StatusOr<uint64_t> count = a.witness.PageCount(*frame);
  if (!count.ok()) return count.status();
  if (*count != a.expect.number) a.Add(fmt::format("{}", a.expect.number), fmt::format("{}", *count));
  return absl::OkStatus();
}

absl::Status ExpectChecker::Frame(const Asked& a) {
  const ExpectFrame* sides[2] = {&a.expect.left, &a.expect.right};
  std::optional<uint64_t> frames[2];
  bool zero[2] = {false, false};
  for (int i = 0; i < 2; ++i) {
    if (sides[i]->kind != ExpectFrame::Kind::kPage) continue;
    const int pid = sides[i]->pid == 0 ? a.default_pid : sides[i]->pid;
    const absl::StatusOr<uint64_t> frame = FrameAt(a, pid, sides[i]->address);
    if (!frame.ok()) return frame.status();
    const absl::StatusOr<uint64_t> flags = a.witness.PageFlags(*frame);
    if (!flags.ok()) return flags.status();
    frames[i] = *frame;
    zero[i] = (*flags >> kKpfZeroPage) & 1;
  }
  for (int i = 0; i < 2; ++i) {
    if (sides[i]->kind == ExpectFrame::Kind::kZero) zero[i] = true;
    if (sides[i]->kind != ExpectFrame::Kind::kName) continue;
    const std::string name(sides[i]->name);
    const auto known = frame_names_.find(name);
    if (known == frame_names_.end() && frames[1 - i]) {
      frame_names_[name] = *frames[1 - i];
      return absl::OkStatus();
    }
    if (known != frame_names_.end()) frames[i] = known->second;
  }
  const bool names_zero =
      sides[0]->kind == ExpectFrame::Kind::kZero || sides[1]->kind == ExpectFrame::Kind::kZero;
  const bool equal = names_zero ? zero[0] && zero[1] : frames[0].has_value() && frames[0] == frames[1];
  if (equal == a.expect.equal) return absl::OkStatus();
  const auto text = [&](int i) { return frames[i] ? fmt::format("{:#x}", *frames[i]) : std::string("zero"); };
  a.Add(std::string(a.expect.text), fmt::format("frames {} and {}", text(0), text(1)));
  return absl::OkStatus();
}

}  // namespace mmsim::scenario
