// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/recorded_faults.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "fmt/format.h"
#include "sim/kernel/procfs.h"
#include "sim/mm/task_mmu.h"

namespace mmsim::scenario {
namespace {

constexpr uint64_t kFaultWrites = 2;  // Intel SDM vol. 3A 4.7: the W/R bit of an error code

constexpr std::pair<std::string_view, uint32_t> kStates[] = {
    {"present", kPagePresent}, {"swap", kPageSwap}, {"file", kPageFile}, {"exclusive", kPageExclusive}};

// Cuts the next word off; "" at the end.
std::string_view TakeWord(std::string_view* line) {
  const size_t begin = std::min(line->find_first_not_of(' '), line->size());
  const size_t end = std::min(line->find(' ', begin), line->size());
  const std::string_view word = line->substr(begin, end - begin);
  line->remove_prefix(end);
  return word;
}

template <typename Number>
bool Parse(std::string_view word, int base, Number* value) {
  const auto [rest, error] = std::from_chars(word.data(), word.data() + word.size(), *value, base);
  return error == std::errc() && !word.empty() && rest == word.data() + word.size();
}

bool ParseFault(std::string_view line, RecordedFault* fault) {
  const bool numbers =
      Parse(TakeWord(&line), 10, &fault->thread) && Parse(TakeWord(&line), 10, &fault->calls) &&
      Parse(TakeWord(&line), 16, &fault->address) && Parse(TakeWord(&line), 16, &fault->code);
  const std::string_view last = TakeWord(&line);
  fault->in_call = last == "in";
  return numbers && (last.empty() || fault->in_call) && TakeWord(&line).empty();
}

bool ParsePages(std::string_view line, RecordedPages* pages) {
  std::string_view range = TakeWord(&line);
  const size_t dash = std::min(range.find('-'), range.size());
  if (!Parse(range.substr(0, dash), 16, &pages->start)) return false;
  range.remove_prefix(std::min(dash + 1, range.size()));
  if (!Parse(range, 16, &pages->end) || pages->start >= pages->end) return false;
  if ((pages->start | pages->end) % kPageSize != 0) return false;
  for (std::string_view word = TakeWord(&line); !word.empty(); word = TakeWord(&line)) {
    const auto state = std::find_if(std::begin(kStates), std::end(kStates),
                                    [word](const auto& s) { return s.first == word; });
    if (state == std::end(kStates)) return false;
    pages->state |= state->second;
  }
  return true;
}

// The lines of a file, each by `parse`; empty lines say nothing.
template <typename Item, typename ParseLine>
absl::StatusOr<std::vector<Item>> ParseLines(std::string_view text, const std::string& file,
                                             std::string_view expected, ParseLine parse) {
  std::vector<Item> items;
  for (size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.empty()) continue;
    Item item;
    if (!parse(line, &item))
      return absl::InvalidArgumentError(fmt::format("{}:{}:1: expected {}", file, number, expected));
    items.push_back(item);
  }
  return items;
}

bool IsAnonymous(uint32_t state) {
  return (state & kPageSwap) != 0 || (state & (kPagePresent | kPageFile)) == kPagePresent;
}

uint32_t StateOf(uint64_t pagemap) {
  uint32_t state = 0;
  if (pagemap & kPmPresent) state |= kPagePresent;
  if (pagemap & kPmSwap) state |= kPageSwap;
  if (pagemap & kPmFile) state |= kPageFile;
  if (pagemap & kPmMmapExclusive) state |= kPageExclusive;
  return state;
}

std::string Words(uint32_t state) {
  std::string text;
  for (const auto& [word, bit] : kStates) {
    if (state & bit) text += fmt::format("{}{}", text.empty() ? "" : " ", word);
  }
  return text.empty() ? "nothing" : text;
}

}  // namespace

absl::StatusOr<std::vector<RecordedFault>> ParseFaults(std::string_view text, const std::string& file) {
  return ParseLines<RecordedFault>(text, file, "THREAD CALLS ADDRESS CODE [in]", ParseFault);
}

absl::StatusOr<std::vector<RecordedPages>> ParsePagemap(std::string_view text, const std::string& file) {
  return ParseLines<RecordedPages>(text, file, "START-END and words of present, swap, file, exclusive",
                                   ParsePages);
}

FaultReplay::FaultReplay(std::vector<RecordedFault> faults)
    : faults_(std::move(faults)), taken_(faults_.size()) {
  for (size_t i = 0; i < faults_.size(); ++i) threads_[faults_[i].thread].faults.push_back(i);
}

bool FaultReplay::IsDue(Kernel& kernel, const RecordedFault& fault, int caller, bool executes) const {
  const Thread& thread = threads_.at(fault.thread);
  if (thread.begun == 0 && kernel.FindTask(fault.thread) == nullptr) return false;  // not made yet
  const uint64_t done = thread.begun - (thread.busy ? 1 : 0);
  if (fault.calls <= done) return true;
  // In the midst of the call that is about to be made: before it, but for exec, which makes the memory.
  return fault.thread == caller && fault.in_call && !executes && fault.calls == thread.begun;
}

void FaultReplay::Take(Kernel& kernel, size_t index) {
  if (taken_[index]) return;
  taken_[index] = true;
  const RecordedFault& fault = faults_[index];
  Task* task = kernel.FindTask(fault.thread);
  if (task == nullptr || !task->IsAlive()) return;
  // One that the program came to a signal by changes nothing here either.
  kernel.Touch(*task, VirtAddr(fault.address), 1, (fault.code & kFaultWrites) != 0);
}

void FaultReplay::BeforeCall(Kernel& kernel, int thread, bool executes) {
  threads_[busy_thread_].busy = false;
  Thread& caller = threads_[thread];
  ++caller.begun;
  caller.busy = true;
  busy_thread_ = thread;
  while (next_ < faults_.size() && (taken_[next_] || IsDue(kernel, faults_[next_], thread, executes)))
    Take(kernel, next_++);
  // Its own are due, whatever those of others wait for.
  while (caller.next < caller.faults.size() &&
         IsDue(kernel, faults_[caller.faults[caller.next]], thread, executes)) {
    Take(kernel, caller.faults[caller.next++]);
  }
}

std::string DifferenceOfPages(const std::vector<RecordedPages>& recorded, const Task& task) {
  std::map<uint64_t, std::pair<uint32_t, uint32_t>> pages;  // recorded, replayed
  for (const RecordedPages& run : recorded) {
    for (uint64_t at = run.start; at < run.end; at += kPageSize) pages[at].first = run.state;
  }
  for (const Vma& vma : task.mm->vmas) {
    if (vma.ops == VmOps::kSpecial) continue;
    ForEachPagemapEntry(vma, [&](VirtAddr at, uint64_t entry) {
      if (StateOf(entry) != 0) pages[at.value].second = StateOf(entry);
    });
  }
  for (const auto& [at, states] : pages) {
    if (states.first == states.second || !(IsAnonymous(states.first) || IsAnonymous(states.second))) continue;
    return fmt::format("page {:x}: recorded {}, replayed {}", at, Words(states.first), Words(states.second));
  }
  return "";
}

}  // namespace mmsim::scenario
