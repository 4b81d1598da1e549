// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/history.h"

#include "fmt/ranges.h"
#include "sim/kernel/procfs.h"
#include "sim/mm/entry_words.h"
#include "sim/mm/folio.h"
#include "sim/mm/swap.h"
#include "sim/scenario/eval.h"
#include "sim/scenario/observation.h"
#include "sim/scenario/recorder.h"

namespace mmsim::scenario {
namespace {

// The first replay: which address spaces whom belonged to, and what the address is.
absl::StatusOr<RecorderTarget> FindTarget(const Scenario& scenario, const RunnerOptions& options,
                                          HistoryQuery* query) {
  RecorderTarget target;
  target.is_frame = query->address.empty();
  target.frame = Pfn(query->frame);
  Runner runner(scenario, options);
  const absl::Status status = runner.RunAll([&](const Step&, const guest::Outcome&) {
    for (const auto& [pid, task] : runner.kernel().tasks()) {
      if (task->mm == nullptr || !task->IsLeader()) continue;
      if (query->pid == 0) query->pid = pid;
      target.pid_of_space.try_emplace(task->mm->id, pid);
      if (pid == query->pid) target.spaces.insert(task->mm->id);
    }
  });
  if (!status.ok()) return status;
  if (target.is_frame) return target;
  uint64_t address = 0;
  LineError error;
  if (!Evaluate(query->address, options.kernel.arch, runner.names(), &address, &error)) {
    return absl::InvalidArgumentError(fmt::format("{}: {}", query->address, error.message));
  }
  target.address = VirtAddr(address);
  if (target.spaces.empty()) {
    return absl::InvalidArgumentError(fmt::format("{}: there is no process {}", scenario.file(), query->pid));
  }
  return target;
}

// The entry that decides about the address: a leaf, or the lowest that is there.
uint64_t EntryAt(const Mm& mm, VirtAddr address, int* level) {
  for (*level = kLevelPte; *level < kLevelPgd; ++*level) {
    const EntryPtr entry = FindEntry(mm, address, *level);
    if (entry != nullptr) return *entry;
  }
  return *PgdEntry(mm, address);
}

HistoryState FrameState(Kernel& kernel, Pfn page) {
  const System& system = kernel.system();
  HistoryState state;
  state.frame = page;
  state.text = fmt::format("frame {:#x}", page.value);
  if (page == system.zero_page || (page == system.huge_zero && page.value != 0)) {
    state.text += ": the zero page";
    return state;
  }
  const Page& folio = system.pages[system.pages.HeadOf(page)];
  if (folio.refcount == 0) {
    state.text += ": free";
    return state;
  }
  if (folio.Has(kPgTable)) {
    state.text += ": a page table";
    return state;
  }
  state.refcount = folio.refcount;
  state.mapcount = PageMapcount(kernel.system(), page);
  state.sharers = SharersOf(kernel, page);
  state.text += fmt::format(": {} of {}, {} reference{}", folio.IsLarge() ? "part of a huge page" : "a page",
                            folio.IsAnon() ? "anonymous memory" : "a file", state.refcount,
                            state.refcount == 1 ? "" : "s");
  if (state.sharers.empty()) state.text += ", mapped nowhere";
  for (size_t i = 0; i < state.sharers.size(); ++i) {
    state.text += fmt::format("{}{}:{:x}", i == 0 ? ", mapped by " : ", ", state.sharers[i].pid,
                              state.sharers[i].address.value);
  }
  return state;
}

HistoryState StateNow(Kernel& kernel, const RecorderTarget& target, int pid) {
  if (target.is_frame) return FrameState(kernel, target.frame);
  HistoryState state;
  const Task* task = kernel.FindTask(pid);
  if (task == nullptr || task->mm == nullptr) {
    state.text = "the process has ended";
    return state;
  }
  const System& system = kernel.system();
  int level = 0;
  const uint64_t entry = EntryAt(*task->mm, target.address, &level);
  const Pfn leaf = LeafPfn(system, level, entry);
  if (leaf.value != 0) {
    const uint64_t page = (target.address.value & (LevelSize(level) - 1)) >> kPageShift;
    return FrameState(kernel, leaf + page);
  }
  if (level == kLevelPte && IsSwapPte(system.arch, {entry})) {
    state.text = fmt::format("swapped out, slot {}", PteSwap(system.arch, {entry}).offset);
  } else if (task->mm->vmas.Lookup(target.address) == nullptr) {
    state.text = "nothing is mapped there";
  } else {
    state.text = level == kLevelPte ? "no page yet"
                                    : fmt::format("no page yet, and no table of {}s", kLevelNames[level - 1]);
  }
  return state;
}

std::string EntryText(const HistoryEvent& event) {
  const auto frame = [](Pfn pfn, uint64_t entry) {
    return pfn.value != 0 ? fmt::format("frame {:#x}", pfn.value) : entry == 0 ? "nothing" : "no frame";
  };
  std::string text;
  if (event.from != event.to) {
    text = fmt::format("{} → {}", frame(event.from, event.before), frame(event.to, event.after));
  }
  for (const std::string_view word : event.lost) text += fmt::format(" -{}", word);
  for (const std::string_view word : event.gained) text += fmt::format(" +{}", word);
  return text;
}

void AppendEvent(const HistoryEvent& event, const Ink& ink, std::string* out) {
  *out += fmt::format("    {:<24}", event.function);
  if (!event.decision.empty()) {
    *out += " " + ink.Yellow(event.decision) + "\n";
    return;
  }
  *out += fmt::format(" {}:{:x} {} {}  {}\n", event.pid, event.address.value, kLevelNames[event.level],
                      EntryText(event), ink.Dim(fmt::format("{:#x} → {:#x}", event.before, event.after)));
}

}  // namespace

absl::StatusOr<History> TellHistory(const Scenario& scenario, const RunnerOptions& options,
                                    const HistoryQuery& asked) {
  HistoryQuery query = asked;
  const absl::StatusOr<RecorderTarget> target = FindTarget(scenario, options, &query);
  if (!target.ok()) return target.status();
  History history;
  history.subject = target->is_frame ? fmt::format("frame {:#x}", query.frame)
                                     : fmt::format("{}:{:x}", query.pid, target->address.value);
  Runner runner(scenario, options);
  if (target->is_frame && query.frame >= runner.kernel().system().pages.frames()) {
    return absl::InvalidArgumentError(fmt::format("{:#x}: the machine has no such frame", query.frame));
  }
  Recorder recorder(runner.kernel(), *target);
  std::optional<HistoryState> last;
  uint64_t number = 0;
  const absl::Status status = runner.RunAll([&](const Step& step, const guest::Outcome& outcome) {
    HistoryStep told;
    told.number = ++number;
    told.line = step.first_line;
    told.text = EventText(step, outcome);
    told.events = recorder.Take();
    const bool exists = target->is_frame || last || runner.kernel().FindTask(query.pid) != nullptr;
    const HistoryState state = StateNow(runner.kernel(), *target, query.pid);
    if (exists && (!last || !(*last == state))) told.state = last = state;
    if (!told.events.empty() || told.state) history.steps.push_back(std::move(told));
  });
  if (!status.ok()) return status;
  return history;
}

std::string HistoryText(const History& history, const Ink& ink) {
  std::string out = ink.Bold(history.subject) + "\n";
  for (const HistoryStep& step : history.steps) {
    out += fmt::format("\n{} {}\n", ink.Cyan(fmt::format("line {}, step {}:", step.line, step.number)),
                       step.text);
    for (const HistoryEvent& event : step.events) AppendEvent(event, ink, &out);
    if (step.state) out += fmt::format("    = {}\n", ink.Green(step.state->text));
  }
  return out;
}

}  // namespace mmsim::scenario
