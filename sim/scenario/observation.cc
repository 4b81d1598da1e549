// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/observation.h"

#include <algorithm>

#include "absl/container/btree_set.h"
#include "fmt/format.h"
#include "nlohmann/json.hpp"
#include "sim/kernel/procfs.h"
#include "sim/kernel/shadowpt.h"
#include "sim/mm/task_mmu.h"

namespace mmsim::scenario {
std::string ResultText(int64_t result) {
  if (result < 0 && result >= -4095) {
    return fmt::format("-1 {}", ErrnoName(static_cast<Errno>(static_cast<int32_t>(-result))));
  }
  if (result >= 0 && result < 4096) return fmt::format("{}", result);
  return fmt::format("{:#x}", static_cast<uint64_t>(result));
}

guest::Space KernelObserver::ObserveSpace(const Task& task, bool smaps) {
  guest::Space space;
  if (what_ & OBSERVE_MAPS) space.maps = MapsText(kernel_, task);
  if (smaps) space.smaps = SmapsText(kernel_, task);
  if (!(what_ & OBSERVE_PAGES)) return space;
  for (const Vma& vma : task.mm->vmas) {
    ForEachPagemapEntry(vma, [&](VirtAddr address, uint64_t entry) {
      if ((entry & ~kPmSoftDirty) == 0) return;
      space.pages.push_back({address.value, entry});
      const uint64_t pfn = entry & kPmPfnMask;
      if ((entry & kPmPresent) && pfn != 0 && (what_ & OBSERVE_FRAMES)) {
        state_.frames.try_emplace(
            pfn, observe_frame{pfn, KpageCount(kernel_, Pfn(pfn)), KpageFlags(kernel_, Pfn(pfn))});
      }
    });
  }
  return space;
}

const guest::State& KernelObserver::Observe(bool with_smaps) {
  const bool smaps = with_smaps && (what_ & OBSERVE_SMAPS) != 0;
  state_ = {};
  for (const auto& [pid, task] : kernel_.tasks()) {
    if (!task->IsAlive() || task->mm == nullptr) continue;
    const uint32_t next = static_cast<uint32_t>(space_of_mm_.size()) + 1;
    const uint32_t number = space_of_mm_.try_emplace(task->mm->id, next).first->second;
    state_.live.push_back({static_cast<uint32_t>(pid), number, static_cast<uint32_t>(task->tgid),
                           task->vfork_waiting ? 1u : 0u});
    if (!state_.spaces.contains(number)) state_.spaces.emplace(number, ObserveSpace(*task, smaps));
  }
  if (what_ & OBSERVE_SHADOW) {
    const std::span<const shadow_pte> entries = kernel_.shadowpt().entries();
    state_.shadow.assign(entries.begin(), entries.end());
  }
  return state_;
}

std::string OutcomeText(const guest::Outcome& outcome) {
  switch (outcome.ending) {
    case OBSERVE_ENDING_SIGNAL:
      return fmt::format("--- {} {{si_code={}, si_addr={:#x}}} --- after {} bytes", SignalName(outcome.signo),
                         SignalCodeName(outcome.signo, outcome.signal_code), outcome.fault_address,
                         outcome.result);
    case OBSERVE_ENDING_DIED:
      return fmt::format("+++ ended with wait status {:#x} +++", outcome.wait_status);
    case OBSERVE_ENDING_REFUSED:
      return fmt::format("not carried out (reason {})", outcome.result);
    case OBSERVE_ENDING_BLOCKED:
      return "= ? (blocked)";
    default:
      return "= " + ResultText(outcome.result);
  }
}

std::string EventText(const Step& step, const guest::Outcome& outcome) {
  std::string_view text = step.Text();
  if (step.result_text.len != 0) text = text.substr(0, step.result_text.offset);
  text = text.substr(0, text.find('\n'));
  while (text.ends_with(' ') || text.ends_with('=')) text.remove_suffix(1);
  const bool named = step.pid != kNoPid && step.kind != StepKind::kSpawn;
  return fmt::format("{}{} {}", named ? fmt::format("{} ", step.pid) : "", text, OutcomeText(outcome));
}

std::string StateText(const guest::State& state, uint32_t what) {
  std::string out;
  if (what == 0) return out;
  absl::btree_set<uint32_t> printed;
  for (const observe_live& live : state.live) {
    const auto space = state.spaces.find(live.space);
    if (space == state.spaces.end()) continue;
    if (!printed.insert(live.space).second) {
      out += fmt::format("process {}: shares the address space above\n", live.process);
      continue;
    }
    out += fmt::format("process {}:\n", live.process);
    if (what & OBSERVE_SMAPS) {
      out += space->second.smaps;
    } else if (what & OBSERVE_MAPS) {
      out += space->second.maps;
    }
    if (!(what & OBSERVE_PAGES)) continue;
    for (const observe_page& page : space->second.pages) {
      out += fmt::format("{:012x} {:016x}", page.vaddr, page.entry);
      const auto frame = state.frames.find(page.entry & kPmPfnMask);
      if ((page.entry & kPmPresent) && frame != state.frames.end()) {
        out += fmt::format(" pfn {:#x} count {} flags {:#x}", frame->first, frame->second.count,
                           frame->second.flags);
      }
      out += '\n';
    }
  }
  return out;
}

nlohmann::json StateJson(const guest::State& state, uint32_t what) {
  nlohmann::json processes = nlohmann::json::array();
  for (const observe_live& live : state.live) {
    nlohmann::json process = {{"pid", live.process}, {"group", live.group}, {"space", live.space}};
    const auto space = state.spaces.find(live.space);
    if (space != state.spaces.end()) {
      if (what & OBSERVE_MAPS) process["maps"] = space->second.maps;
      if (what & OBSERVE_SMAPS) process["smaps"] = space->second.smaps;
      if (what & OBSERVE_PAGES) {
        nlohmann::json pages = nlohmann::json::array();
        for (const observe_page& page : space->second.pages) pages.push_back({page.vaddr, page.entry});
        process["pagemap"] = std::move(pages);
      }
    }
    processes.push_back(std::move(process));
  }
  nlohmann::json frames = nlohmann::json::array();
  if (what & OBSERVE_FRAMES) {
    for (const auto& [pfn, frame] : state.frames) frames.push_back({pfn, frame.count, frame.flags});
  }
  return {{"processes", std::move(processes)}, {"frames", std::move(frames)}};
}

}  // namespace mmsim::scenario
