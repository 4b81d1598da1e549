// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/compare.h"

#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "fmt/format.h"
#include "sim/cli/progress.h"
#include "sim/cli/reference.h"
#include "sim/cli/replay.h"
#include "sim/cli/report.h"
#include "sim/cli/scenario_files.h"
#include "sim/scenario/lockstep.h"

namespace mmsim::cli {
namespace {

struct Request {
  std::vector<std::string> paths, archs = {"x86_64"};
  std::string differences;
  ReferenceChoice reference;
  bool audit = false;
  uint32_t smaps_every = 1;
};

using Scenarios = std::vector<std::unique_ptr<scenario::Scenario>>;

// The guest's kernel is a 6.12: what another profile is about has nothing there to be compared with.
void LeaveOtherKernelsOut(Scenarios* scenarios) {
  std::erase_if(*scenarios, [](const auto& scenario) {
    const std::string_view profile = scenario->profile();
    const bool other = !profile.empty() && profile != KernelProfile().name;
    if (other) fmt::print(stderr, "{}: about kernel {}, not compared\n", scenario->file(), profile);
    return other;
  });
}

// A guest is a machine with a clock and a memory of its own: what differs is carried out again, and what then
// does not is counted apart.
absl::Status CompareAgain(const scenario::Reference& reference, const std::vector<std::string>& files,
                          scenario::LockstepOptions options, scenario::ComparisonCount* count) {
  absl::StatusOr<Scenarios> scenarios = OpenAll(files);
  if (!scenarios.ok()) return scenarios.status();
  std::vector<bool> differs(files.size());
  options.on_difference = [&](const scenario::StepDifference& d) { differs[d.scenario] = true; };
  options.on_scenario_done = nullptr;
  const absl::StatusOr<scenario::ComparisonCount> again = scenario::Lockstep(reference, *scenarios, options);
  if (!again.ok()) return again.status();
  for (size_t i = 0; i < files.size(); ++i) {
    if (differs[i]) continue;
    fmt::print("{}: does not differ when it is carried out again\n", files[i]);
    --count->differences;
    ++count->unsteady;
  }
  return absl::OkStatus();
}

absl::Status CompareOn(Arch arch, const Request& request, const Scenarios& scenarios,
                       scenario::KnownDifferences* known, scenario::ComparisonCount* total) {
  const absl::StatusOr<scenario::Reference> reference = Boot(arch, request.reference);
  if (!reference.ok()) return reference.status();
  scenario::LockstepOptions options;
  options.arch = arch;
  options.audit = request.audit;
  options.known = known;
  options.observe = ObservedWith(request.reference);
  options.smaps_every = request.smaps_every;
  Progress progress(scenarios.size());
  progress.Next(ArchName(arch));
  std::vector<std::string> differing;
  options.on_difference = [&](const scenario::StepDifference& d) {
    progress.Clear();
    PrintStepDifference(arch, d);
    differing.push_back(scenarios[d.scenario]->file());
  };
  options.on_scenario_done = [&](size_t i) { progress.Next(scenarios[i]->file()); };
  absl::StatusOr<scenario::ComparisonCount> count = scenario::Lockstep(*reference, scenarios, options);
  if (!count.ok()) return count.status();
  if (!differing.empty()) {
    absl::Status status = CompareAgain(*reference, differing, options, &*count);
    if (!status.ok()) return status;
  }
  for (const std::unique_ptr<scenario::Scenario>& s : scenarios) {
    if (s->RunsOn(arch)) known->NoteCompared(s->file());
  }
  total->Add(*count);
  return absl::OkStatus();
}

int Compare(const Request& request) {
  absl::StatusOr<Scenarios> scenarios = OpenAll(request.paths);
  if (!scenarios.ok()) {
    PrintError(scenarios.status());
    return kExitCannot;
  }
  LeaveOtherKernelsOut(&*scenarios);
  scenario::KnownDifferences known;
  if (!request.differences.empty()) {
    std::ifstream in(request.differences, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    if (!in) {
      fmt::print(stderr, "{}: cannot be read\n", request.differences);
      return kExitCannot;
    }
    absl::StatusOr<scenario::KnownDifferences> parsed =
        scenario::KnownDifferences::Parse(text, request.differences);
    if (!parsed.ok()) {
      PrintError(parsed.status());
      return kExitCannot;
    }
    known = *std::move(parsed);
  }
  scenario::ComparisonCount total;
  for (const std::string& name : request.archs) {
    const absl::Status status = CompareOn(ArchOf(name), request, *scenarios, &known, &total);
    if (!status.ok()) {
      PrintError(status);
      return kExitCannot;
    }
  }
  for (const std::string& id : known.Unmatched()) {
    fmt::print(stderr, "{}: {} matched nothing\n", request.differences, id);
  }
  fmt::print("{}", total.LastLines());
  return !known.Unmatched().empty() && total.ExitStatus() == kExitOk ? kExitDiffers : total.ExitStatus();
}

}  // namespace

void AddCompareCommand(CLI::App& app, int& exit_status) {
  auto request = std::make_shared<Request>();
  CLI::App* command = app.add_subcommand(
      "compare", "carries scenarios out in the simulator and on a real kernel, and compares every step");
  command->footer("Example: mmsim compare --arch x86_64,arm64 scenarios/first");
  command->add_option("FILE", request->paths, "scenario files, or folders of them")->required();
  command->add_option("--arch", request->archs, "x86_64, arm64 or both, comma-separated")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"x86_64", "arm64"}));
  AddReferenceOptions(*command, &request->reference);
  command->add_option(
      "--differences", request->differences,
      "a file of deliberate differences; one whose scenario was compared must match something");
  command->add_flag("--audit", request->audit, "run the validator after each step");
  command
      ->add_option("--smaps-every", request->smaps_every,
                   "compare smaps, which take half the time, after so many steps alone, and after the last")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->callback([request, &exit_status] { exit_status = Compare(*request); });
}

}  // namespace mmsim::cli
