// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/kernel_witness.h"

#include "fmt/format.h"
#include "sim/kernel/procfs.h"
#include "sim/mm/entry_words.h"
#include "sim/mm/peek.h"

namespace mmsim::scenario {

std::vector<WalkedEntry> WalkEntries(const Mm& mm, VirtAddr address) {
  const System& system = mm.system;
  std::vector<WalkedEntry> walked;
  EntryPtr entry = PgdEntry(mm, address);
  for (int level = kLevelPgd; level >= kLevelPte; --level) {
    const uint64_t value = entry == nullptr ? 0 : *entry;
    walked.push_back(
        {level, value, EntryWordsOf(system, level, value), EntryBitsOf(system.arch, level, value)});
    entry = IsTableEntry(system, level, value) ? Descend(system, entry, address, level - 1) : nullptr;
  }
  return walked;
}

absl::StatusOr<Task*> KernelWitness::Live(int pid) {
  Task* task = kernel_.FindTask(pid);
  if (task == nullptr || task->mm == nullptr) {
    return absl::NotFoundError(fmt::format("there is no live process {}", pid));
  }
  return task;
}

absl::StatusOr<std::string> KernelWitness::Maps(int pid) {
  const absl::StatusOr<Task*> task = Live(pid);
  if (!task.ok()) return task.status();
  return MapsText(kernel_, **task);
}

absl::StatusOr<std::string> KernelWitness::Smaps(int pid) {
  const absl::StatusOr<Task*> task = Live(pid);
  if (!task.ok()) return task.status();
  return SmapsText(kernel_, **task);
}

absl::StatusOr<std::string> KernelWitness::Counters(int pid) {
  const absl::StatusOr<Task*> task = Live(pid);
  if (!task.ok()) return task.status();
  const Mm& mm = *(*task)->mm;
  return fmt::format("{}map_count: {}\ntotal_vm: {}\nlocked_vm: {}\ndata_vm: {}\nexec_vm: {}\nstack_vm: {}\n",
                     StatusText(**task), mm.map_count, mm.total_vm, mm.locked_vm, mm.data_vm, mm.exec_vm,
                     mm.stack_vm);
}

absl::StatusOr<std::string> KernelWitness::Meminfo() {
  return MeminfoText(kernel_.system());
}

absl::StatusOr<uint64_t> KernelWitness::PagemapEntry(int pid, uint64_t address) {
  const absl::StatusOr<Task*> task = Live(pid);
  if (!task.ok()) return task.status();
  return Pagemap(**task, VirtAddr(address & kPageMask), 1)[0];
}

absl::StatusOr<uint64_t> KernelWitness::PageCount(uint64_t pfn) {
  return KpageCount(kernel_, Pfn(pfn));
}

absl::StatusOr<uint64_t> KernelWitness::PageFlags(uint64_t pfn) {
  return KpageFlags(kernel_, Pfn(pfn));
}

absl::StatusOr<std::vector<WalkedEntry>> KernelWitness::Walk(int pid, uint64_t address) {
  const absl::StatusOr<Task*> task = Live(pid);
  if (!task.ok()) return task.status();
  return WalkEntries(*(*task)->mm, VirtAddr(address));
}

absl::StatusOr<std::string> KernelWitness::Bytes(int pid, uint64_t address, uint64_t len_bytes) {
  const absl::StatusOr<Task*> task = Live(pid);
  if (!task.ok()) return task.status();
  std::string bytes(len_bytes, '\0');
  bytes.resize(
      PeekMemory(*(*task)->mm, VirtAddr(address), {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()}));
  return bytes;
}

absl::StatusOr<std::string> KernelWitness::Load(int pid, uint64_t address, uint64_t len_bytes) {
  const absl::StatusOr<Task*> task = Live(pid);
  if (!task.ok()) return task.status();
  std::string bytes(len_bytes, '\0');
  const AccessResult loaded =
      kernel_.Load(**task, VirtAddr(address), {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()});
  if (loaded.ok()) return bytes;
  return absl::NotFoundError(fmt::format("{} at {:#x}", SignalName(loaded.signal.signo), address));
}

absl::StatusOr<uint64_t> KernelWitness::ZeroFrame() {
  return kernel_.system().zero_page.value;
}

absl::StatusOr<LastSignal> KernelWitness::Signal(int pid) {
  const auto last = record_.signals.find(pid);
  return last == record_.signals.end() ? LastSignal() : last->second;
}

absl::StatusOr<uint64_t> KernelWitness::ErrorCode(int pid) {
  const auto last = record_.error_codes.find(pid);
  if (last == record_.error_codes.end()) return absl::NotFoundError("no access of it came to a page fault");
  return last->second;
}

}  // namespace mmsim::scenario
