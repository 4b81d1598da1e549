// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/verify.h"

#include <memory>
#include <string>
#include <vector>

#include "fmt/format.h"
#include "sim/cli/progress.h"
#include "sim/cli/record_env.h"
#include "sim/cli/replay.h"
#include "sim/cli/report.h"
#include "sim/scenario/verify.h"

namespace mmsim::cli {
namespace {

struct Request {
  std::vector<std::string> dirs;
  std::string arch;
  scenario::VerifyOptions options;
  bool verbose = false;
};

int RunVerify(Request& request) {
  uint64_t processes = 0, identical = 0, mismatches = 0;
  bool cannot = false, unsound = false;
  request.options.host_env = DescribeHost();
  if (!request.arch.empty()) request.options.arch = ArchOf(request.arch);
  Progress progress(request.verbose ? 0 : request.dirs.size());
  for (const std::string& dir : request.dirs) {
    progress.Next(dir);
    absl::StatusOr<scenario::VerifyResult> result = scenario::Verify(dir, request.options);
    progress.Clear();
    if (!result.ok()) {
      PrintError(result.status());
      cannot = true;
      continue;
    }
    if (!result->note.empty()) fmt::print(stderr, "{}: {}\n", dir, result->note);
    processes += result->processes;
    identical += result->identical;
    mismatches += result->mismatches.size();
    for (const scenario::Mismatch& m : result->mismatches) PrintMismatch(m, "the model differs");
    for (const std::string& difference : result->differences) fmt::print("{}: {}\n", dir, difference);
    for (const std::string& place : result->untouched) fmt::print(stderr, "{}: {}\n", dir, place);
    for (const std::string& finding : result->audit) fmt::print(stderr, "{}: validator: {}\n", dir, finding);
    unsound |= !result->audit.empty();
    if (request.verbose) {
      fmt::print("{}: {} of {} processes identical{}{}{}\n", dir, result->identical, result->processes,
                 result->pages == 0 ? "" : fmt::format(", the pages of {} compared", result->pages),
                 result->skipped.empty() ? "" : "; not modelled: ", result->skipped);
    }
  }
  fmt::print("{} of {} processes identical, {} mismatches\n", identical, processes, mismatches);
  if (cannot || unsound) return kExitCannot;
  return identical == processes && processes > 0 && mismatches == 0 ? kExitOk : kExitDiffers;
}

}  // namespace

void AddVerifyCommand(CLI::App& app, int& exit_status) {
  auto request = std::make_shared<Request>();
  CLI::App* command =
      app.add_subcommand("verify", "replays recordings and compares the final address spaces");
  command->footer("Example: mmsim verify scenarios/recorded/*/");
  command->add_option("DIR", request->dirs, "folders that `mmsim record` wrote")->required();
  command->add_option("--arch", request->arch, "x86_64 or arm64 (default: the recording's)")
      ->check(CLI::IsMember({"x86_64", "arm64"}));
  command->add_option("--profile", request->options.profile,
                      "the kernel to model (default: the recording's)");
  command->add_flag("--audit", request->options.audit, "run the validator after each step");
  command->add_flag("-v,--verbose", request->verbose, "a line a recording, with the calls that were skipped");
  command->callback([request, &exit_status] { exit_status = RunVerify(*request); });
}

}  // namespace mmsim::cli
