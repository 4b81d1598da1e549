// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/verify.h"

#include <set>

#include "fmt/format.h"
#include "sim/audit/validator.h"
#include "sim/kernel/procfs.h"
#include "sim/scenario/recording.h"

namespace mmsim::scenario {
namespace {

// A line as it is compared; empty when it is not.
std::string Comparable(const MapsLine& line) {
  static const std::set<std::string> kLeftOut = {"[vvar]", "[vvar_vclock]", "[vdso]", "[vsyscall]"};
  if (kLeftOut.contains(line.name)) return "";
  if (line.name == "[stack]")
    return fmt::format("...-{:x} {} {:x} {}", line.end, line.perms, line.offset_bytes, line.name);
  return fmt::format("{:x}-{:x} {} {:x} {}", line.start, line.end, line.perms, line.offset_bytes, line.name);
}

std::vector<std::string> ComparableLines(const std::vector<MapsLine>& lines) {
  std::vector<std::string> out;
  for (const MapsLine& line : lines) {
    if (std::string comparable = Comparable(line); !comparable.empty()) out.push_back(std::move(comparable));
  }
  return out;
}

class Listings : public RecordedMaps {
 public:
  Listings(const Recording& recording, VerifyResult* result) : recording_(recording), result_(result) {}

  std::string Start(int pid, int nth) override {
    const RecordedListing* start = recording_.Start(pid, nth);
    return start == nullptr ? std::string() : start->text;
  }

  void AtEnd(Kernel& kernel, const Task& task, const Step& step) override {
    if (!compared_.insert(task.tgid).second) return;
    const RecordedListing* end = recording_.End(task.tgid);
    if (end == nullptr) return;
    ++result_->processes;
    const std::vector<std::string> expected = ComparableLines(end->lines);
    const std::vector<std::string> actual = ComparableLines(MapsLines(kernel, *task.mm));
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
    for (const auto& [pid, process] : recording_.processes) {
      if (!process.end || compared_.contains(pid)) continue;
      ++result_->processes;
      result_->differences.push_back(fmt::format("process {}: the log has no exit_group of it", pid));
    }
  }

 private:
  const Recording& recording_;
  VerifyResult* result_;
  std::set<int> compared_;
};

void Prepare(Kernel& kernel, const RecordedEnv& env) {
  const auto value = [&env](const char* name, uint64_t otherwise) {
    return env.Number(name).value_or(otherwise);
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
    if (const auto limit = env.Limit(name)) kernel.default_rlimits()[which] = {limit->soft, limit->hard};
  }
}

// "6.12" of "6.12.117+deb12-cloud-amd64".
std::string ProfileOf(const std::string& release) {
  return release.substr(0, release.find('.', release.find('.') + 1));
}

}  // namespace

absl::StatusOr<VerifyResult> Verify(const std::string& dir, const VerifyOptions& options) {
  const absl::StatusOr<Recording> recording = LoadRecording(dir);
  if (!recording.ok()) return recording.status();
  absl::StatusOr<std::unique_ptr<Scenario>> scenario = Scenario::Open(recording->log);
  if (!scenario.ok()) return scenario.status();
  const RecordedEnv& env = recording->env;

  VerifyResult result;
  Listings listings(*recording, &result);
  RunnerOptions run;
  run.kernel.arch = env.arch.value_or(Arch::kX86_64);
  run.kernel.open_world = true;
  std::string profile = options.profile.empty() ? ProfileOf(env.kernel) : options.profile;
  if (!options.profile.empty() && FindProfile(profile, run.kernel.arch) == nullptr) {
    return absl::InvalidArgumentError(fmt::format("{}: there is no kernel profile named {}", dir, profile));
  }
  if (profile.empty() || FindProfile(profile, run.kernel.arch) == nullptr) profile = "6.12";
  run.kernel.profile = profile;
  if (const auto total_kb = env.Number("memtotal")) run.kernel.total_ram_bytes = *total_kb * 1024;
  run.recorded = &listings;
  run.prepare = [&env](Kernel& kernel) { Prepare(kernel, env); };
  if (options.audit) {
    run.audit = [&result](Kernel& kernel) {
      for (std::string& finding : Validate(kernel.system())) result.audit.push_back(std::move(finding));
    };
  }
  Runner runner(**scenario, run);
  if (absl::Status s = runner.RunAll(); !s.ok()) return s;
  listings.CountMissing();
  result.mismatches = runner.mismatches();
  for (const auto& [name, count] : runner.skipped()) {
    result.skipped += fmt::format("{}{} {}", result.skipped.empty() ? "" : ", ", name, count);
  }
  return result;
}

}  // namespace mmsim::scenario
