// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/recorder.h"

#include <algorithm>

#include "fmt/format.h"
#include "sim/hw/cpu.h"
#include "sim/mm/decision.h"
#include "sim/mm/entry_words.h"

namespace mmsim::scenario {
namespace {

// The words of `words` that are not in `others`.
std::vector<std::string_view> Only(const std::vector<std::string_view>& words,
                                   const std::vector<std::string_view>& others) {
  std::vector<std::string_view> only;
  for (const std::string_view word : words) {
    if (std::find(others.begin(), others.end(), word) == others.end()) only.push_back(word);
  }
  return only;
}

}  // namespace

Recorder::Recorder(Kernel& kernel, const RecorderTarget& target)
    : kernel_(kernel), system_(kernel.system()), target_(target) {
  system_.entry_sink = {OnStore, OnDecision, this};
  for (Cpu* cpu : system_.cpus) cpu->SetSink({OnHardware, this});
}

Recorder::~Recorder() {
  system_.entry_sink = {};
  for (Cpu* cpu : system_.cpus) cpu->SetSink({});
}

std::vector<HistoryEvent> Recorder::Take() {
  return std::exchange(events_, {});
}

int Recorder::PidOf(const Mm& mm) const {
  const auto known = target_.pid_of_space.find(mm.id);
  return known == target_.pid_of_space.end() ? 0 : known->second;
}

bool Recorder::MapsFrame(int level, uint64_t entry) const {
  if (entry == 0) return false;
  if (IsTableEntry(system_, level, entry)) return TablePfn(entry) == target_.frame;
  const Pfn pfn = LeafPfn(system_, level, entry);
  const uint64_t nr = level == kLevelPte ? 1 : kHugePages;
  return pfn.value != 0 && target_.frame.value - pfn.value < nr;
}

bool Recorder::Concerns(const Mm& mm, VirtAddr address, int level, uint64_t before, uint64_t after) const {
  if (target_.is_frame) return MapsFrame(level, before) || MapsFrame(level, after);
  return target_.spaces.contains(mm.id) && target_.address.value - address.value < LevelSize(level);
}

void Recorder::Store(const Mm& mm, VirtAddr address, int level, uint64_t before, uint64_t after,
                     const char* function) {
  if (!Concerns(mm, address, level, before, after)) return;
  const std::vector<std::string_view> old_words = EntryWordsOf(system_, level, before),
                                      new_words = EntryWordsOf(system_, level, after);
  HistoryEvent event;
  event.pid = PidOf(mm);
  event.address = address;
  event.level = level;
  event.before = before;
  event.after = after;
  event.function = function;
  event.lost = Only(old_words, new_words);
  event.gained = Only(new_words, old_words);
  event.from = LeafPfn(system_, level, before);
  event.to = LeafPfn(system_, level, after);
  events_.push_back(std::move(event));
}

void Recorder::OnStore(void* self, const EntryStore& store) {
  static_cast<Recorder*>(self)->Store(*store.mm, store.address, store.level, store.before, store.after,
                                      store.function);
}

void Recorder::OnHardware(void* self, const HardwareUpdate& update) {
  Recorder& r = *static_cast<Recorder*>(self);
  const VirtAddr first(update.address.value & ~(LevelSize(update.level) - 1));
  for (const Cpu* cpu : r.system_.cpus) {
    for (const Mm* mm : r.system_.mms) {
      if (mm->pgd.PageFloor() != cpu->root()) continue;
      r.Store(*mm, first, update.level, update.before, update.after, "hardware");
    }
  }
}

void Recorder::OnDecision(void* self, const EntryDecision& d) {
  Recorder& r = *static_cast<Recorder*>(self);
  const bool concerns = r.target_.is_frame ? d.page == r.target_.frame && d.page.value != 0
                                           : r.target_.spaces.contains(d.mm->id) &&
                                                 d.address.PageFloor() == r.target_.address.PageFloor();
  if (!concerns) return;
  HistoryEvent event;
  event.pid = r.PidOf(*d.mm);
  event.address = d.address;
  event.function = d.function;
  event.from = d.page;
  event.decision = fmt::format("{}, because {}", d.what, d.why);
  if (d.page.value != 0) {
    event.decision +=
        fmt::format(" (frame {:#x}: references {}, mapped {} times)", d.page.value, d.refcount, d.mapcount);
  }
  r.events_.push_back(std::move(event));
}

}  // namespace mmsim::scenario
