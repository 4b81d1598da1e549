// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/run.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "fmt/format.h"
#include "nlohmann/json.hpp"
#include "sim/audit/shadow_observer.h"
#include "sim/audit/validator.h"
#include "sim/cli/report.h"
#include "sim/cli/watch.h"
#include "sim/scenario/observation.h"
#include "sim/scenario/runner.h"
#include "sim/scenario/shadow_text.h"

namespace mmsim::cli {
namespace {

struct Request {
  std::vector<std::string> files;
  std::vector<std::string> without_hooks;
  std::string arch = "x86_64", profile, observe;
  bool at_end = false, json = false, audit = false;
  double watch_seconds = -1;  // 0: Enter goes on; negative: nothing is watched
};

// OBSERVE_* of a list like "maps,smaps,pagemap".
uint32_t ObserveMask(const std::string& list) {
  uint32_t what = 0;
  if (list.find("smaps") != std::string::npos) what |= OBSERVE_SMAPS;
  if (list.find("maps") == 0 || list.find(",maps") != std::string::npos) what |= OBSERVE_MAPS;
  if (list.find("pagemap") != std::string::npos) what |= OBSERVE_PAGES | OBSERVE_FRAMES;
  return what;
}

bool ObservesShadow(const Request& request) {
  return request.observe.find("shadow") != std::string::npos;
}

// Hook points at which shadowpt is not called, by the names of the kernel's functions.
HookMask WithoutHooks(const Request& request) {
  HookMask mask = 0;
  for (const std::string& name : request.without_hooks) mask |= HookBit(*FindHookPoint(name));
  return mask;
}

std::vector<std::string> HookNames() {
  std::vector<std::string> names;
  for (const HookPointInfo& info : kHookPoints) names.emplace_back(info.function);
  return names;
}

void PrintState(const guest::State& state, uint32_t what, bool json) {
  if (json) {
    fmt::print("{}\n", scenario::StateJson(state, what).dump());
  } else {
    fmt::print("{}", scenario::StateText(state, what));
  }
}

// What --audit looks at after each step, and, of a shadow page table, between the steps.
class Auditor {
 public:
  explicit Auditor(const std::string& file) : file_(file) {}
  void Watch(Kernel& kernel) { shadow_.emplace(kernel); }
  void AfterStep(Kernel& kernel) {
    for (const std::string& finding : Validate(kernel.system())) Report("validator", finding);
    if (!shadow_) return;
    shadow_->AfterStep();
    const std::vector<std::string>& all = shadow_->findings();
    for (; shadow_known_ < all.size(); ++shadow_known_) Report("shadow", all[shadow_known_]);
  }
  uint64_t findings() const { return findings_; }

 private:
  void Report(std::string_view who, std::string_view finding) {
    fmt::print(stderr, "{}: step {}: {}: {}\n", file_, g_check_context.step, who, finding);
    ++findings_;
  }

  const std::string file_;
  std::optional<ShadowObserver> shadow_;
  size_t shadow_known_ = 0;
  uint64_t findings_ = 0;
};

// --watch: the screen, and then the wait that was asked for.
void ShowScreen(ShadowWatch& watch, Kernel& kernel, std::string_view step, double seconds) {
  fmt::print("{}", watch.Screen(kernel, step));
  std::fflush(stdout);
  if (seconds > 0) {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  } else {
    std::string line;
    std::getline(std::cin, line);
  }
}

// Runs one file; its exit status.
int RunFile(const Request& request, const std::string& file) {
  absl::StatusOr<std::unique_ptr<scenario::Scenario>> scenario = scenario::Scenario::Open(file);
  if (!scenario.ok()) {
    PrintError(scenario.status());
    return kExitCannot;
  }
  scenario::RunnerOptions options;
  options.kernel.arch = request.arch == "arm64" ? Arch::kArm64 : Arch::kX86_64;
  if (!(*scenario)->RunsOn(options.kernel.arch)) {
    fmt::print("{}: not for {}: {}\n", file, request.arch, (*scenario)->arch_reason());
    return kExitOk;
  }
  const std::string profile(request.profile.empty() ? (*scenario)->profile()
                                                    : std::string_view(request.profile));
  if (!profile.empty()) options.kernel.profile = profile;
  if (FindProfile(options.kernel.profile, options.kernel.arch) == nullptr) {
    PrintError(
        absl::InvalidArgumentError(fmt::format("{}: there is no kernel profile named {}", file, profile)));
    return kExitCannot;
  }
  options.kernel.open_world = (*scenario)->is_log();
  options.kernel.without_hooks = WithoutHooks(request);
  std::unique_ptr<scenario::Runner> runner;  // outlives who audits it
  Auditor auditor(file);
  if (request.audit) options.audit = [&](Kernel& kernel) { auditor.AfterStep(kernel); };
  runner = std::make_unique<scenario::Runner>(**scenario, options);
  if (request.audit) auditor.Watch(runner->kernel());
  const uint32_t what = ObserveMask(request.observe);
  scenario::KernelObserver observer(runner->kernel(), what);
  ShadowWatch watch(isatty(STDOUT_FILENO) != 0);
  const absl::Status status = runner->RunAll([&](const scenario::Step& step, const guest::Outcome& outcome) {
    const std::string_view text = step.Text();
    const std::string line = fmt::format("{}: {} {}", step.first_line, text.substr(0, text.find('\n')),
                                         scenario::OutcomeText(outcome));
    if (request.watch_seconds >= 0) ShowScreen(watch, runner->kernel(), line, request.watch_seconds);
    if (request.observe.empty() || request.at_end) return;
    fmt::print("{}\n", line);
    PrintState(observer.Observe(), what, request.json);
    if (ObservesShadow(request)) fmt::print("{}", scenario::ShadowStateText(runner->kernel()));
  });
  if (!status.ok()) {
    PrintError(status);
    return kExitCannot;
  }
  if (what != 0 && request.at_end) PrintState(observer.Observe(), what, request.json);
  if (ObservesShadow(request) && request.at_end) {
    fmt::print("{}", scenario::ShadowStateText(runner->kernel()));
  }
  for (const scenario::Mismatch& m : runner->mismatches()) PrintMismatch(m);
  if (auditor.findings() != 0) return kExitCannot;
  return runner->mismatches().empty() ? kExitOk : kExitDiffers;
}

int RunFiles(const Request& request) {
  int worst = kExitOk, failed = 0;
  for (const std::string& file : request.files) {
    const int status = RunFile(request, file);
    worst = std::max(worst, status);
    failed += status != kExitOk;
  }
  if (request.files.size() > 1 && request.observe.empty()) {
    fmt::print("{} files, {} failed\n", request.files.size(), failed);
  }
  return worst;
}

}  // namespace

void AddRunCommand(CLI::App& app, int& exit_status) {
  auto request = std::make_shared<Request>();
  CLI::App* command =
      app.add_subcommand("run", "carries scenarios or strace logs out and checks what they say");
  command->footer("Example: mmsim run --observe maps --at-end scenarios/first/touch.scn");
  command->add_option("FILE", request->files, "scenario files or strace logs")->required();
  command->add_option("--arch", request->arch, "x86_64 or arm64")->check(CLI::IsMember({"x86_64", "arm64"}));
  command->add_option("--profile", request->profile, "the kernel to model (default: the file's, else 6.12)");
  command->add_option("--observe", request->observe,
                      "what to print: maps, smaps, pagemap, shadow, comma-separated");
  command
      ->add_option("--watch", request->watch_seconds,
                   "redraw a shadow page table after each step, and wait so many seconds (0: for Enter)")
      ->expected(0, 1)
      ->default_str("1");
  command->add_flag("--at-end", request->at_end, "observe at the end alone, not after each step");
  command->add_flag("--json", request->json, "observations as JSON, a line each");
  command->add_flag(
      "--audit", request->audit,
      "run the validator after each step, and compare a shadow page table's entries between them");
  command
      ->add_option("--without-hook", request->without_hooks,
                   "shadowpt is not called at this hook point: shows what its absence would be noticed by")
      ->allow_extra_args(false)
      ->check(CLI::IsMember(HookNames()));
  command->callback([request, &exit_status] { exit_status = RunFiles(*request); });
}

}  // namespace mmsim::cli
