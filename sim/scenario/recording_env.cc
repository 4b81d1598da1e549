// SPDX-License-Identifier: Apache-2.0
// The `env` of a recording, generously read: see recording.h.
#include <algorithm>
#include <cctype>
#include <charconv>
#include <functional>

#include "fmt/format.h"
#include "sim/scenario/recording.h"

namespace mmsim::scenario {
namespace {

using Words = std::vector<std::string_view>;

Words Split(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r";
  Words words;
  for (size_t at = 0; (at = text.find_first_not_of(kSpace, at)) != std::string_view::npos;) {
    const size_t end = std::min(text.find_first_of(kSpace, at), text.size());
    words.push_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

// Decimal, 0x hexadecimal, or bare hexadecimal where `base` is 16.
std::optional<uint64_t> ParseNumber(std::string_view text, int base = 10) {
  if (text.starts_with("0x") || text.starts_with("0X")) {
    text.remove_prefix(2);
    base = 16;
  }
  uint64_t value;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || rest != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<uint64_t> ParseLimit(std::string_view text, uint64_t unit) {
  const std::string word = Lower(text);
  if (word == "unlimited" || word == "infinity" || word == "rlim_infinity" || word == "-1") {
    return RecordedLimit::kUnlimited;
  }
  const std::optional<uint64_t> number = ParseNumber(word);
  if (!number) return std::nullopt;
  return *number > RecordedLimit::kUnlimited / unit ? RecordedLimit::kUnlimited : *number * unit;
}

std::optional<Arch> ArchOf(std::string_view machine) {
  if (machine == "x86_64" || machine == "x86-64" || machine == "amd64") return Arch::kX86_64;
  if (machine == "arm64" || machine == "aarch64") return Arch::kArm64;
  return std::nullopt;
}

// How /proc/PID/limits and `ulimit -a` name a limit, and the unit of the latter.
constexpr struct {
  std::string_view name, in_proc, in_ulimit;
  uint64_t ulimit_unit;
} kLimits[] = {
    {"RLIMIT_AS", "Max address space", "virtual memory", 1024},
    {"RLIMIT_DATA", "Max data size", "data seg size", 1024},
    {"RLIMIT_STACK", "Max stack size", "stack size", 1024},
    {"RLIMIT_MEMLOCK", "Max locked memory", "max locked memory", 1024},
    {"RLIMIT_NOFILE", "Max open files", "open files", 1},
    {"RLIMIT_FSIZE", "Max file size", "file size", 512},
    {"RLIMIT_NPROC", "Max processes", "max user processes", 1},
};

constexpr std::string_view kNumbers[] = {"page_size",
                                         "overcommit_memory",
                                         "overcommit_ratio",
                                         "overcommit_kbytes",
                                         "max_map_count",
                                         "mmap_min_addr",
                                         "legacy_va_layout",
                                         "admin_reserve_kbytes",
                                         "user_reserve_kbytes",
                                         "shmmax",
                                         "shmall",
                                         "shmmni",
                                         "memtotal",
                                         "swaptotal",
                                         "commitlimit",
                                         "committed_as",
                                         "hugepages_total",
                                         "stack_guard_gap"};

class EnvParser {
 public:
  explicit EnvParser(const std::string& file) : file_(file) {}

  void Line(std::string_view line) {
    ++line_;
    const Words words = Split(line);
    if (words.empty() || words[0][0] == '#') return;
    if (ProcLimit(line) || UlimitLine(line) || Uname(words)) return;
    Named(line);
  }

  RecordedEnv Take() { return std::move(env_); }

 private:
  void Warn(std::string_view name, std::string_view value) {
    env_.warnings.push_back(fmt::format("{}:{}: {}: no such value: {}", file_, line_, name, value));
  }

  void SetMachine(std::string_view machine) {
    env_.machine = machine;
    env_.arch = ArchOf(machine);
  }

  void SetLimit(std::string_view name, std::string_view soft, std::string_view hard, uint64_t unit) {
    const std::optional<uint64_t> low = ParseLimit(soft, unit), high = ParseLimit(hard, unit);
    if (low && high) {
      env_.limits[std::string(name)] = {*low, *high};
    } else {
      Warn(name, fmt::format("{} {}", soft, hard));
    }
  }

  // "Max stack size            8388608              unlimited            bytes"
  bool ProcLimit(std::string_view line) {
    for (const auto& limit : kLimits) {
      if (!line.starts_with(limit.in_proc)) continue;
      const Words words = Split(line.substr(limit.in_proc.size()));
      if (words.size() < 2) return false;
      SetLimit(limit.name, words[0], words[1], 1);
      return true;
    }
    return false;
  }

  // "stack size                  (kbytes, -s) 8192"
  bool UlimitLine(std::string_view line) {
    for (const auto& limit : kLimits) {
      if (!line.starts_with(limit.in_ulimit)) continue;
      const size_t closing = line.rfind(')');
      if (closing == std::string_view::npos) return false;
      const Words words = Split(line.substr(closing + 1));
      if (words.size() != 1) return false;
      SetLimit(limit.name, words[0], "unlimited", limit.ulimit_unit);
      return true;
    }
    return false;
  }

  // "Linux host 6.12.117+deb12-cloud-amd64 #1 SMP ... x86_64 GNU/Linux"
  bool Uname(const Words& words) {
    if (words[0] != "Linux" || words.size() < 4) return false;
    env_.kernel = words[2];
    for (const std::string_view word : words) {
      if (ArchOf(word)) SetMachine(word);
    }
    return true;
  }

  // NAME, lower case and bare, and its value's words.
  void Named(std::string_view line) {
    env_.has_cpu_flags |= line.starts_with("cpu_flags");
    size_t end = line.find_first_of(" \t:=");
    if (end == std::string_view::npos) return;
    std::string_view raw = line.substr(0, end);
    while (end < line.size() && std::string_view(" \t:=").find(line[end]) != std::string_view::npos) ++end;
    const Words value = Split(line.substr(end));
    const size_t prefix = raw.find_last_of("./");
    if (prefix != std::string_view::npos) raw.remove_prefix(prefix + 1);
    const std::string name = Lower(raw);
    if (!value.empty()) Fact(name, value);
  }

  void Fact(const std::string& name, const Words& value) {
    if (name == "architecture" || name == "arch" || name == "machine") return SetMachine(value[0]);
    if (name == "kernel" || name == "release" || name == "kernel_release" || name == "osrelease") {
      // Also a whole `uname -a`.
      if (value.size() > 3 && Uname(value)) return;
      env_.kernel = value[0] == "Linux" && value.size() > 1 ? value[1] : value[0];
      return;
    }
    if (name == "uname") {
      Uname(value);
      return;
    }
    if (name == "thp" || name == "transparent_hugepage" || name == "enabled") return Chosen(value, &env_.thp);
    if (name == "thp_shmem" || name == "shmem_enabled") return Chosen(value, &env_.thp_shmem);
    if (name == "cpu_flags") return env_.cpu_flags.insert(value.begin(), value.end()), void();
    if (name == "filesystem" && value.size() == 2) {
      env_.filesystems[std::string(value[0])] = value[1];
      return;
    }
    if (name == "personality" || name == "capabilities" || name == "capeff") return Hexadecimal(name, value);
    if (name == "address_sizes") return AddressSizes(value);
    if (LimitFact(name, value)) return;
    if (std::find(std::begin(kNumbers), std::end(kNumbers), name) == std::end(kNumbers)) return;
    if (const std::optional<uint64_t> number = ParseNumber(value[0])) {
      env_.numbers[name] = *number;
    } else {
      Warn(name, value[0]);
    }
  }

  // "RLIMIT_STACK 8388608 unlimited", "stack: 8388608".
  bool LimitFact(std::string_view name, const Words& value) {
    for (const auto& limit : kLimits) {
      const std::string lower = Lower(limit.name);
      if (name != lower && name != std::string_view(lower).substr(7)) continue;
      SetLimit(limit.name, value[0], value.size() > 1 ? value[1] : value[0], 1);
      return true;
    }
    return false;
  }

  // The kernel prints both in hexadecimal without a mark; a personality by name is only the one that matters.
  void Hexadecimal(std::string_view name, const Words& value) {
    std::optional<uint64_t> number = ParseNumber(value[0], 16);
    if (value[0] == "ADDR_NO_RANDOMIZE") number = 0x40000;
    if (number) {
      env_.numbers[name == "capeff" ? "capabilities" : std::string(name)] = *number;
    } else {
      Warn(name, value[0]);
    }
  }

  // "46 bits physical, 48 bits virtual"
  void AddressSizes(const Words& value) {
    if (value.size() != 6) return;
    if (const std::optional<uint64_t> bits = ParseNumber(value[3])) env_.numbers["virtual_bits"] = *bits;
  }

  // "always [madvise] never", or just the word.
  static void Chosen(const Words& value, std::string* out) {
    *out = value[0];
    for (const std::string_view word : value) {
      if (word.size() > 2 && word.front() == '[') *out = word.substr(1, word.size() - 2);
    }
  }

  const std::string file_;
  int line_ = 0;
  RecordedEnv env_;
};

}  // namespace

std::optional<uint64_t> RecordedEnv::Number(std::string_view name) const {
  const auto it = numbers.find(name);
  return it == numbers.end() ? std::nullopt : std::optional(it->second);
}

std::optional<RecordedLimit> RecordedEnv::Limit(std::string_view name) const {
  const auto it = limits.find(name);
  return it == limits.end() ? std::nullopt : std::optional(it->second);
}

RecordedEnv ParseEnv(std::string_view text, const std::string& file) {
  EnvParser parser(file);
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    parser.Line(line);
  }
  return parser.Take();
}

}  // namespace mmsim::scenario
