// SPDX-License-Identifier: Apache-2.0
// The embedder's face, thin over Kernel.
#include "mmsim/simulator.h"

#include <algorithm>

#include "sim/kernel/kernel.h"
#include "sim/kernel/procfs.h"

namespace mmsim {
namespace {

Task& LiveTask(Kernel& kernel, int pid) {
  Task* task = kernel.FindTask(pid);
  MMSIM_CHECK(task != nullptr && task->IsAlive() && "no live process has this pid");
  return *task;
}

AccessOutcome OutcomeOf(const AccessResult& result) {
  const SigInfo& s = result.signal;
  return {result.done_bytes, {s.signo, s.code, s.addr}, static_cast<int>(result.traps.size())};
}

int PidOrErrno(const Result<Task*>& task) {
  return task.ok() ? task.value()->pid : -static_cast<int32_t>(task.error());
}

}  // namespace

std::string Signal::Name() const {
  return SignalName(number);
}
std::string Signal::CodeName() const {
  return SignalCodeName(number, code);
}

Simulator::Simulator(Arch arch, std::string_view profile, uint64_t ram_bytes) {
  KernelOptions options;
  options.arch = arch;
  options.profile = profile;
  options.total_ram_bytes = ram_bytes;
  kernel_ = std::make_unique<Kernel>(options);
}
Simulator::~Simulator() = default;
Simulator::Simulator(Simulator&&) noexcept = default;

void Simulator::AddFile(std::string_view path, std::string_view contents) {
  FileFacts facts;
  facts.contents = std::string(contents);
  facts.size_bytes = contents.size();
  kernel_->vfs().Add(path, facts);
}

int Simulator::Spawn() {
  SpawnRequest request;
  request.empty = true;
  return PidOrErrno(kernel_->Spawn(request));
}

int Simulator::Spawn(std::string_view path, const std::vector<std::string>& argv) {
  SpawnRequest request;
  request.path = std::string(path);
  request.argv = argv.empty() ? std::vector<std::string>{request.path} : argv;
  return PidOrErrno(kernel_->Spawn(request));
}

bool Simulator::Exists(int pid) const {
  Task* task = kernel_->FindTask(pid);
  return task != nullptr && task->IsAlive();
}

void Simulator::Kill(int pid, int signal) {
  kernel_->Kill(LiveTask(*kernel_, pid), signal);
}

int64_t Simulator::Syscall(int pid, std::string_view name, std::initializer_list<uint64_t> args,
                           bool* modelled) {
  std::optional<Sys> nr = FindSys(name);
  MMSIM_CHECK(nr.has_value() && "no system call of this name");
  SyscallArgs call;
  MMSIM_CHECK(args.size() <= call.value.size());
  std::copy(args.begin(), args.end(), call.value.begin());
  const SyscallResult result = kernel_->Syscall(LiveTask(*kernel_, pid), *nr, call);
  if (modelled != nullptr) *modelled = result.status != SyscallResult::Status::kNotModelled;
  return result.value;
}

bool Simulator::IsSyscall(std::string_view name) {
  return FindSys(name).has_value();
}

AccessOutcome Simulator::Store(int pid, uint64_t address, std::string_view bytes) {
  const std::span<const uint8_t> view(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  return OutcomeOf(kernel_->Store(LiveTask(*kernel_, pid), VirtAddr(address), view));
}

AccessOutcome Simulator::LoadBytes(int pid, uint64_t address, std::span<std::byte> to) {
  const std::span<uint8_t> view(reinterpret_cast<uint8_t*>(to.data()), to.size());
  return OutcomeOf(kernel_->Load(LiveTask(*kernel_, pid), VirtAddr(address), view));
}

AccessOutcome Simulator::Load(int pid, uint64_t address, uint64_t len_bytes, std::string* bytes) {
  std::string buffer(len_bytes, '\0');
  const AccessOutcome outcome = LoadSpan(pid, address, std::span<char>(buffer));
  if (bytes != nullptr) *bytes = buffer.substr(0, outcome.done_bytes);
  return outcome;
}

AccessOutcome Simulator::Fetch(int pid, uint64_t address) {
  return OutcomeOf(kernel_->Fetch(LiveTask(*kernel_, pid), VirtAddr(address)));
}

std::string Simulator::Maps(int pid) const {
  return MapsText(*kernel_, LiveTask(*kernel_, pid));
}
std::string Simulator::Smaps(int pid) const {
  return SmapsText(*kernel_, LiveTask(*kernel_, pid));
}
std::vector<uint64_t> Simulator::Pagemap(int pid, uint64_t address, uint64_t nr_pages) const {
  return mmsim::Pagemap(LiveTask(*kernel_, pid), VirtAddr(address), nr_pages);
}

}  // namespace mmsim
