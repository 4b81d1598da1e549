// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/verify.h"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "fmt/format.h"
#include "sim/audit/validator.h"
#include "sim/kernel/procfs.h"

namespace mmsim::scenario {
namespace {

namespace fs = std::filesystem;

std::string ReadWhole(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}

// The lines of `env`: NAME VALUE...
std::map<std::string, std::string> ReadEnv(const fs::path& path) {
  std::map<std::string, std::string> env;
  std::ifstream in(path);
  for (std::string name, rest; in >> name && std::getline(in, rest);) {
    env[name] = rest.empty() ? rest : rest.substr(1);
  }
  return env;
}

uint64_t Number(std::string_view text, uint64_t otherwise) {
  if (text == "unlimited") return kRlimInfinity;
  uint64_t value = 0;
  return std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc() ? value : otherwise;
}

// A line as it is compared; empty when it is not.
std::string Comparable(const MapsLine& line) {
  static const std::set<std::string> kLeftOut = {"[vvar]", "[vvar_vclock]", "[vdso]", "[vsyscall]"};
  if (kLeftOut.contains(line.name)) return "";
  if (line.name == "[stack]")
    return fmt::format("...-{:x} {} {:x} {}", line.end, line.perms, line.offset_bytes, line.name);
  return fmt::format("{:x}-{:x} {} {:x} {}", line.start, line.end, line.perms, line.offset_bytes, line.name);
}

std::vector<std::string> ComparableLines(std::string_view maps) {
  std::vector<std::string> out;
  while (!maps.empty()) {
    const std::string_view text = maps.substr(0, maps.find('\n'));
    maps.remove_prefix(std::min(maps.size(), text.size() + 1));
    MapsLine line;
    if (!ParseMapsLine(text, &line)) continue;
    if (std::string comparable = Comparable(line); !comparable.empty()) out.push_back(std::move(comparable));
  }
  return out;
}

class Folder : public RecordedMaps {
 public:
  Folder(fs::path dir, VerifyResult* result) : dir_(std::move(dir)), result_(result) {}

  std::string Start(int pid, int nth) override {
    if (nth > 1) return ReadWhole(dir_ / fmt::format("start.{}.{}", pid, nth));
    return ReadWhole(dir_ / fmt::format("start.{}", pid));
  }

  void AtEnd(Kernel& kernel, const Task& task, const Step& step) override {
    if (!compared_.insert(task.tgid).second) return;
    const std::string recorded = ReadWhole(dir_ / fmt::format("end.{}", task.tgid));
    if (recorded.empty()) return;
    ++result_->processes;
    const std::vector<std::string> expected = ComparableLines(recorded);
    const std::vector<std::string> actual = ComparableLines(MapsText(kernel, task));
    if (expected == actual) {
      ++result_->identical;
      return;
    }
    size_t i = 0;
    while (i < expected.size() && i < actual.size() && expected[i] == actual[i]) ++i;
    result_->differences.push_back(fmt::format("process {} at line {}: recorded {}, replayed {}", task.tgid,
                                               step.first_line,
                                               i < expected.size() ? expected[i] : "no more lines",
                                               i < actual.size() ? actual[i] : "no more lines"));
  }

  // Processes that have an end file and never came to an exit_group in the log.
  void CountMissing() {
    for (const auto& entry : fs::directory_iterator(dir_)) {
      const std::string name = entry.path().filename();
      if (!name.starts_with("end.")) continue;
      const int pid = static_cast<int>(Number(name.substr(4), 0));
      if (compared_.contains(pid)) continue;
      ++result_->processes;
      result_->differences.push_back(fmt::format("process {}: the log has no exit_group of it", pid));
    }
  }

 private:
  const fs::path dir_;
  VerifyResult* result_;
  std::set<int> compared_;
};

void Prepare(Kernel& kernel, const std::map<std::string, std::string>& env) {
  auto value = [&env](const char* name, uint64_t otherwise) {
    const auto it = env.find(name);
    return it == env.end() ? otherwise : Number(it->second, otherwise);
  };
  Sysctls& s = kernel.sysctls();
  s.overcommit_memory = static_cast<int>(value("overcommit_memory", 0));
  s.overcommit_ratio = value("overcommit_ratio", s.overcommit_ratio);
  s.overcommit_kbytes = value("overcommit_kbytes", s.overcommit_kbytes);
  s.max_map_count = static_cast<int>(value("max_map_count", static_cast<uint64_t>(s.max_map_count)));
  s.mmap_min_addr = value("mmap_min_addr", s.mmap_min_addr);
  s.legacy_va_layout = value("legacy_va_layout", 0) != 0;
  static constexpr std::pair<const char*, Rlimit> kLimits[] = {{"RLIMIT_AS", Rlimit::kAs},
                                                               {"RLIMIT_DATA", Rlimit::kData},
                                                               {"RLIMIT_STACK", Rlimit::kStack},
                                                               {"RLIMIT_MEMLOCK", Rlimit::kMemlock},
                                                               {"RLIMIT_NOFILE", Rlimit::kNofile}};
  for (const auto& [name, which] : kLimits) {
    const auto it = env.find(name);
    if (it == env.end()) continue;
    const size_t space = it->second.find(' ');
    RlimitPair& limit = kernel.default_rlimits()[which];
    limit.cur = Number(it->second.substr(0, space), limit.cur);
    if (space != std::string::npos) limit.max = Number(it->second.substr(space + 1), limit.max);
  }
}

}  // namespace

absl::StatusOr<VerifyResult> Verify(const std::string& dir, const VerifyOptions& options) {
  std::error_code error;
  if (!fs::is_directory(dir, error)) {
    return absl::InvalidArgumentError(fmt::format("{}:1:1: expected the folder of a recording", dir));
  }
  const fs::path plain = fs::path(dir) / "strace.log";
  absl::StatusOr<std::unique_ptr<Scenario>> scenario =
      Scenario::Open(fs::exists(plain, error) ? plain.string() : plain.string() + ".gz");
  if (!scenario.ok()) return scenario.status();
  const std::map<std::string, std::string> env = ReadEnv(fs::path(dir) / "env");
  const auto machine = env.find("architecture");
  const auto release = env.find("kernel");

  VerifyResult result;
  Folder folder(dir, &result);
  RunnerOptions run;
  run.kernel.arch = machine != env.end() && machine->second == "aarch64" ? Arch::kArm64 : Arch::kX86_64;
  run.kernel.open_world = true;
  std::string profile = options.profile;
  if (profile.empty() && release != env.end()) {
    const size_t minor_end = release->second.find('.', release->second.find('.') + 1);
    profile = release->second.substr(0, minor_end);
  }
  if (!options.profile.empty() && FindProfile(profile, run.kernel.arch) == nullptr) {
    return absl::InvalidArgumentError(fmt::format("{}: there is no kernel profile named {}", dir, profile));
  }
  if (profile.empty() || FindProfile(profile, run.kernel.arch) == nullptr) profile = "6.12";
  run.kernel.profile = profile;
  if (const auto total = env.find("MemTotal"); total != env.end()) {
    run.kernel.total_ram_bytes = Number(total->second, uint64_t{1} << 20) * 1024;
  }
  run.recorded = &folder;
  run.prepare = [&env](Kernel& kernel) { Prepare(kernel, env); };
  if (options.audit) {
    run.audit = [&result](Kernel& kernel) {
      for (std::string& finding : Validate(kernel.system())) result.audit.push_back(std::move(finding));
    };
  }
  Runner runner(**scenario, run);
  if (absl::Status s = runner.RunAll(); !s.ok()) return s;
  folder.CountMissing();
  result.mismatches = runner.mismatches();
  for (const auto& [name, count] : runner.skipped()) {
    result.skipped += fmt::format("{}{} {}", result.skipped.empty() ? "" : ", ", name, count);
  }
  return result;
}

}  // namespace mmsim::scenario
