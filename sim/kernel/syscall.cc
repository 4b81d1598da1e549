// SPDX-License-Identifier: Apache-2.0
// The dispatch of system calls, their names and numbers, and the copies between a call and its caller's
// memory.
#include "sim/kernel/syscall.h"

#include <absl/container/flat_hash_map.h>

#include <algorithm>

#include "sim/kernel/call.h"
#include "sim/kernel/uaccess.h"

namespace mmsim {
namespace {

using Handler = int64_t (*)(Call&);

constexpr std::array<Handler, kNrSys> MakeHandlers() {
  std::array<Handler, kNrSys> table{};
#define MMSIM_X(name) table[static_cast<size_t>(Sys::k_##name)] = &Do_##name;
  MMSIM_MODELLED_SYSCALLS(MMSIM_X)
#undef MMSIM_X
  return table;
}
constexpr std::array<Handler, kNrSys> kHandlers = MakeHandlers();

}  // namespace

std::optional<Sys> FindSys(std::string_view name) {
  static const auto& by_name = *[] {
    auto* map = new absl::flat_hash_map<std::string_view, Sys>();
    for (int i = 0; i < kNrSys; ++i) map->emplace(kSysTable[i].name, static_cast<Sys>(i));
    return map;
  }();
  auto it = by_name.find(name);
  if (it == by_name.end()) return std::nullopt;
  return it->second;
}

std::optional<Sys> FindSysByNumber(int number, Arch arch) {
  if (number < 0) return std::nullopt;
  for (int i = kNrSys - 1; i >= 0; --i) {
    if (SysNumber(static_cast<Sys>(i), arch) == number) return static_cast<Sys>(i);
  }
  return std::nullopt;
}

bool Kernel::Models(Sys nr) {
  return kHandlers[static_cast<size_t>(nr)] != nullptr;
}

SyscallResult Kernel::Syscall(Task& task, Sys nr, const SyscallArgs& args) {
  Handler handler = kHandlers[static_cast<size_t>(nr)];
  if (handler == nullptr || SysNumber(nr, arch()) < 0 || !task.IsAlive()) return SyscallResult::NotModelled();
  Call call{*this, task, args, {}};
  call.result.value = handler(call);
  return std::move(call.result);
}

bool Call::CopyIn(int i, void* to, uint64_t len_bytes) {
  std::string_view payload = args.payload[static_cast<size_t>(i)];
  if (payload.data() == nullptr) return CopyFrom(U(i), to, len_bytes);
  // The memory is read all the same: that populates pages, and says whether the caller may.
  bool reachable = TouchUser(kernel, task, VirtAddr(U(i)), len_bytes, false) == len_bytes;
  if (!reachable && !args.lenient) return false;
  std::memset(to, 0, len_bytes);
  std::memcpy(to, payload.data(), std::min<uint64_t>(len_bytes, payload.size()));
  return true;
}

bool Call::CopyFrom(uint64_t address, void* to, uint64_t len_bytes) {
  return CopyFromUser(kernel, task, VirtAddr(address), {static_cast<uint8_t*>(to), len_bytes}) == len_bytes;
}

Result<std::string> Call::CopyString(int i, uint64_t max_bytes) {
  std::string_view payload = args.payload[static_cast<size_t>(i)];
  if (payload.data() == nullptr) return StringFromUser(kernel, task, VirtAddr(U(i)), max_bytes);
  std::string_view text = payload.substr(0, payload.find('\0'));
  if (text.size() >= max_bytes) return Errno::kENAMETOOLONG;
  bool reachable = TouchUser(kernel, task, VirtAddr(U(i)), text.size() + 1, false) == text.size() + 1;
  if (!reachable && !args.lenient) return Errno::kEFAULT;
  return std::string(text);
}

Result<std::vector<std::string>> Call::CopyStrings(int i) {
  constexpr uint64_t kMaxArgStrings = 0x7fffffff, kMaxArgStrlen = 32 * kPageSize;
  std::vector<std::string> strings;
  std::string_view payload = args.payload[static_cast<size_t>(i)];
  if (payload.data() != nullptr) {
    while (!payload.empty()) {
      size_t end = std::min(payload.find('\0'), payload.size());
      strings.emplace_back(payload.substr(0, end));
      payload.remove_prefix(std::min(end + 1, payload.size()));
    }
    return strings;
  }
  if (U(i) == 0) return strings;
  for (uint64_t at = U(i); strings.size() < kMaxArgStrings; at += 8) {
    uint64_t pointer = 0;
    if (!CopyFrom(at, &pointer, sizeof(pointer))) return Errno::kEFAULT;
    if (pointer == 0) return strings;
    Result<std::string> text = StringFromUser(kernel, task, VirtAddr(pointer), kMaxArgStrlen);
    if (!text.ok()) return text.error() == Errno::kENAMETOOLONG ? Errno::kE2BIG : text.error();
    strings.push_back(std::move(*text));
  }
  return Errno::kE2BIG;
}

bool Call::CopyOut(int i, const void* from, uint64_t len_bytes) {
  const auto* bytes = static_cast<const uint8_t*>(from);
  bool stored = CopyToUser(kernel, task, VirtAddr(U(i)), {bytes, len_bytes}) == len_bytes;
  if (!stored && !args.lenient) return false;
  result.outputs.push_back({i, std::string(reinterpret_cast<const char*>(bytes), len_bytes)});
  return true;
}

}  // namespace mmsim
