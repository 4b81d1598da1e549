// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/guest_witness.h"

#include <algorithm>
#include <charconv>

#include "fmt/format.h"
#include "sim/kernel/procfs.h"
#include "sim/mm/task_mmu.h"

namespace mmsim::scenario {
namespace {

absl::Status Untold(std::string_view what) {
  return absl::UnimplementedError(fmt::format("a guest does not tell {}", what));
}

// "VmRSS:       12 kB" -> 12; 0 when there is no such line.
uint64_t Kib(std::string_view text, std::string_view name) {
  const size_t at = text.find(name);
  if (at == std::string_view::npos) return 0;
  const size_t digits = text.find_first_of("0123456789", at + name.size());
  uint64_t value = 0;
  if (digits != std::string_view::npos) {
    std::from_chars(text.data() + digits, text.data() + text.size(), value);
  }
  return value;
}

// Whether the area at an address is soft-dirty, and so each of its pages, there or not. Linux:
// fs/proc/task_mmu.c pagemap_pte_hole()
bool AreaIsSoftDirty(std::string_view smaps, uint64_t address) {
  bool here = false;
  while (!smaps.empty()) {
    const std::string_view line = smaps.substr(0, smaps.find('\n'));
    smaps.remove_prefix(std::min(line.size() + 1, smaps.size()));
    MapsLine area;
    if (ParseMapsLine(line, &area)) here = area.start <= address && address < area.end;
    if (here && line.starts_with("VmFlags:")) return line.find(" sd") != std::string_view::npos;
  }
  return false;
}

}  // namespace

absl::StatusOr<const guest::Space*> GuestWitness::SpaceOf(int pid) {
  for (const observe_live& live : state_.live) {
    if (static_cast<int>(live.process) != pid) continue;
    const auto space = state_.spaces.find(live.space);
    if (space != state_.spaces.end()) return &space->second;
  }
  return absl::NotFoundError(fmt::format("there is no live process {}", pid));
}

absl::StatusOr<observe_frame> GuestWitness::FrameOf(uint64_t pfn) {
  const auto frame = state_.frames.find(pfn);
  if (frame == state_.frames.end()) return Untold("of this frame");
  return frame->second;
}

absl::StatusOr<std::string> GuestWitness::Maps(int pid) {
  const absl::StatusOr<const guest::Space*> space = SpaceOf(pid);
  if (!space.ok()) return space.status();
  return (*space)->maps;
}

absl::StatusOr<std::string> GuestWitness::Smaps(int pid) {
  const absl::StatusOr<const guest::Space*> space = SpaceOf(pid);
  if (!space.ok()) return space.status();
  return (*space)->smaps;
}

// The counters in pages follow from those in kB.
absl::StatusOr<std::string> GuestWitness::Counters(int pid) {
  const absl::StatusOr<const guest::Space*> space = SpaceOf(pid);
  if (!space.ok()) return space.status();
  const auto pages = [this](std::string_view name) { return Kib(counters_, name) / 4; };
  const std::string& maps = (*space)->maps;
  const int64_t gates = maps.find("[vsyscall]") == std::string::npos ? 0 : 1;
  return fmt::format("{}map_count: {}\ntotal_vm: {}\nlocked_vm: {}\ndata_vm: {}\nexec_vm: {}\nstack_vm: {}\n",
                     counters_, std::count(maps.begin(), maps.end(), '\n') - gates, pages("VmSize:"),
                     pages("VmLck:"), pages("VmData:"), pages("VmExe:") + pages("VmLib:"), pages("VmStk:"));
}

absl::StatusOr<std::string> GuestWitness::Meminfo() {
  return counters_;
}

absl::StatusOr<uint64_t> GuestWitness::PagemapEntry(int pid, uint64_t address) {
  const absl::StatusOr<const guest::Space*> space = SpaceOf(pid);
  if (!space.ok()) return space.status();
  const std::vector<observe_page>& pages = (*space)->pages;
  const uint64_t page = address & ~uint64_t{0xfff};
  const auto at = std::lower_bound(pages.begin(), pages.end(), page,
                                   [](const observe_page& p, uint64_t vaddr) { return p.vaddr < vaddr; });
  if (at != pages.end() && at->vaddr == page) return at->entry;
  return AreaIsSoftDirty((*space)->smaps, page) ? kPmSoftDirty : 0;  // the executor leaves such out
}

absl::StatusOr<uint64_t> GuestWitness::PageCount(uint64_t pfn) {
  const absl::StatusOr<observe_frame> frame = FrameOf(pfn);
  if (!frame.ok()) return frame.status();
  return frame->count;
}

absl::StatusOr<uint64_t> GuestWitness::PageFlags(uint64_t pfn) {
  const absl::StatusOr<observe_frame> frame = FrameOf(pfn);
  if (!frame.ok()) return frame.status();
  return frame->flags;
}

absl::StatusOr<std::vector<WalkedEntry>> GuestWitness::Walk(int, uint64_t) {
  return Untold("its page tables");
}

absl::StatusOr<std::string> GuestWitness::Bytes(int, uint64_t, uint64_t) {
  return Untold("bytes without touching them");
}

absl::StatusOr<std::string> GuestWitness::Load(int, uint64_t, uint64_t) {
  return Untold("what an access between two steps would find");
}

absl::StatusOr<uint64_t> GuestWitness::ZeroFrame() {
  return Untold("the zero page's number");
}

absl::StatusOr<LastSignal> GuestWitness::Signal(int pid) {
  const auto last = record_.signals.find(pid);
  return last == record_.signals.end() ? LastSignal() : last->second;
}

absl::StatusOr<uint64_t> GuestWitness::ErrorCode(int pid) {
  if (!tells_faults_) return Untold("page faults");
  const auto last = record_.error_codes.find(pid);
  if (last == record_.error_codes.end()) return absl::NotFoundError("no access of it came to a page fault");
  return last->second;
}

}  // namespace mmsim::scenario
