// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/run.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "fmt/format.h"
#include "sim/cli/progress.h"
#include "sim/cli/report.h"
#include "sim/cli/run_files.h"
#include "sim/cli/scenario_files.h"
#include "sim/mm/hooks.h"

namespace mmsim::cli {

uint32_t RunRequest::ObserveMask() const {
  uint32_t what = 0;
  for (const std::string& word : observe) {
    if (word == "maps") what |= OBSERVE_MAPS;
    if (word == "smaps") what |= OBSERVE_SMAPS;
    if (word == "pagemap") what |= OBSERVE_PAGES | OBSERVE_FRAMES;
  }
  return what;
}

bool RunRequest::ObservesShadow() const {
  return std::find(observe.begin(), observe.end(), "shadow") != observe.end();
}

namespace {

std::vector<std::string> HookNames() {
  std::vector<std::string> names;
  for (const HookPointInfo& info : kHookPoints) names.emplace_back(info.function);
  return names;
}

// What --watch waits for; more than an hour is a slip of the pen.
std::string CheckSeconds(const std::string& text) {
  double seconds = -1;
  if (absl::SimpleAtod(text, &seconds) && seconds >= 0 && seconds <= 3600) return "";
  return fmt::format("expected seconds from 0 to 3600, not \"{}\" (before a file: --watch=1)", text);
}

// Options that ask for nothing together; and what only the simulator can do is not asked of a guest.
absl::Status CheckOptions(const RunRequest& request) {
  if (request.changes && (request.json || request.at_end || request.observe.empty())) {
    return absl::InvalidArgumentError(
        "--changes is about text after each step: expected --observe, no --json or --at-end");
  }
  const bool simulator = request.ObservesShadow() || request.watch_seconds >= 0 || request.audit ||
                         !request.without_hooks.empty();
  if (request.on != "guest" || !simulator) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "--audit, --watch, --without-hook and --observe shadow are the simulator's: expected --on sim");
}

// One file; its exit status.
int RunFile(const RunRequest& request, guest::Guest* guest, const std::string& file) {
  const absl::StatusOr<std::unique_ptr<scenario::Scenario>> scenario = scenario::Scenario::Open(file);
  if (!scenario.ok()) {
    PrintError(scenario.status());
    return kExitCannot;
  }
  if (!(*scenario)->RunsOn(request.arch_value())) {
    fmt::print("{}: not for {}: {}\n", file, request.arch, (*scenario)->arch_reason());
    return kExitOk;
  }
  if (const absl::Status s = scenario::Check(**scenario, request.arch_value()); !s.ok()) {
    PrintError(s);
    return kExitCannot;
  }
  return guest == nullptr ? RunOnSimulator(request, **scenario) : RunOnGuest(request, *guest, **scenario);
}

int RunFiles(const RunRequest& request) {
  if (const absl::Status s = CheckOptions(request); !s.ok()) {
    PrintError(s);
    return kExitCannot;
  }
  const absl::StatusOr<std::vector<std::string>> files = ExpandPaths(request.paths);
  if (!files.ok()) {
    PrintError(files.status());
    return kExitCannot;
  }
  std::unique_ptr<guest::Guest> guest;
  if (request.on == "guest") {
    absl::StatusOr<std::unique_ptr<guest::Guest>> booted =
        guest::Guest::Boot({.arch = request.arch_value(), .image = {}});
    if (!booted.ok()) {
      PrintError(booted.status());
      return kExitCannot;
    }
    guest = *std::move(booted);
  }
  int worst = kExitOk, failed = 0;
  {
    Progress progress(request.observe.empty() ? files->size() : 0);
    for (const std::string& file : *files) {
      progress.Next(file);
      const int status = RunFile(request, guest.get(), file);
      worst = std::max(worst, status);
      failed += status != kExitOk;
    }
  }
  if (files->size() > 1 && request.observe.empty()) {
    fmt::print("{} files, {} failed\n", files->size(), failed);
  }
  return worst;
}

}  // namespace

void AddRunCommand(CLI::App& app, int& exit_status) {
  auto request = std::make_shared<RunRequest>();
  CLI::App* command =
      app.add_subcommand("run", "carries scenarios or strace logs out and checks what they say");
  command->footer(
      "Examples: mmsim run --observe maps,pagemap --changes scenarios/first/touch.scn\n"
      "          mmsim run --on guest --arch arm64 scenarios/first\n"
      "          mmsim run --watch scenarios/shadowpt/session.scn");
  command->add_option("FILE", request->paths, "scenario files, strace logs, or folders of scenarios")
      ->required();
  command->add_option("--arch", request->arch, "x86_64 or arm64")->check(CLI::IsMember({"x86_64", "arm64"}));
  command->add_option("--on", request->on, "sim (the simulator) or guest (Debian's 6.12 in QEMU)")
      ->check(CLI::IsMember({"sim", "guest"}));
  command->add_option("--profile", request->profile, "the kernel to model (default: the file's, else 6.12)");
  command
      ->add_option("--observe", request->observe,
                   "what to print: maps, smaps, pagemap, shadow, comma-separated")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"maps", "smaps", "pagemap", "shadow"}));
  command
      ->add_option(
          "--watch", request->watch_seconds,
          "redraw a shadow page table after each step, fitted to the window, and wait so many seconds "
          "(0: for Enter; an address before it shows that row of the map in full, all: every row)")
      ->expected(0, 1)
      ->default_str("1")
      ->check(CLI::Validator(CheckSeconds, ""));
  command->add_flag("--at-end", request->at_end, "observe at the end alone, not after each step");
  command->add_flag("--changes", request->changes,
                    "of the state, print only the lines that came (+) or went (-)");
  command->add_flag("--json", request->json, "observations as JSON, a line each");
  command->add_flag(
      "--audit", request->audit,
      "run the validator after each step, and compare a shadow page table's entries between them "
      "(with --watch the findings are below the map, and again at the end)");
  command
      ->add_option("--without-hook", request->without_hooks,
                   "shadowpt is not called at this hook point: shows what its absence would be noticed by")
      ->allow_extra_args(false)
      ->check(CLI::IsMember(HookNames()));
  command->callback([request, &exit_status] { exit_status = RunFiles(*request); });
}

}  // namespace mmsim::cli
