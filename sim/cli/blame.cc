// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/blame.h"

#include <charconv>

#include "fmt/format.h"
#include "sim/cli/replay.h"
#include "sim/cli/report.h"
#include "sim/cli/terminal.h"
#include "sim/scenario/history.h"
#include "sim/scenario/words.h"

namespace mmsim::cli {
namespace {

struct Request {
  std::string file, what, arch = "x86_64", profile, colour = "auto";
  int process = 0;
};

absl::StatusOr<scenario::HistoryQuery> ParseQuery(const Request& request) {
  constexpr std::string_view kFrame = "frame:";
  scenario::HistoryQuery query{request.process, request.what, 0};
  if (!std::string_view(request.what).starts_with(kFrame)) return query;
  const std::optional<uint64_t> frame = scenario::ParseNumber(request.what.substr(kFrame.size()));
  if (!frame) return absl::InvalidArgumentError(fmt::format("{}: expected frame:N", request.what));
  query.address.clear();
  query.frame = *frame;
  return query;
}

int Blame(const Request& request) {
  const Arch arch = ArchOf(request.arch);
  const auto cannot = [](const absl::Status& status) {
    PrintError(status);
    return kExitCannot;
  };
  const absl::StatusOr<scenario::HistoryQuery> query = ParseQuery(request);
  if (!query.ok()) return cannot(query.status());
  const absl::StatusOr<std::unique_ptr<scenario::Scenario>> scenario = OpenFor(request.file, arch);
  if (!scenario.ok()) return cannot(scenario.status());
  const absl::StatusOr<scenario::RunnerOptions> options = OptionsFor(**scenario, arch, request.profile);
  if (!options.ok()) return cannot(options.status());
  const absl::StatusOr<scenario::History> history = scenario::TellHistory(**scenario, *options, *query);
  if (!history.ok()) return cannot(history.status());
  const scenario::Ink ink(request.colour == "always" || (request.colour == "auto" && StdoutIsTerminal()));
  fmt::print("{}", scenario::HistoryText(*history, ink));
  return kExitOk;
}

}  // namespace

void AddBlameCommand(CLI::App& app, int& exit_status) {
  auto request = std::make_shared<Request>();
  CLI::App* command = app.add_subcommand(
      "blame",
      "tells all that ever happened to a page or a frame: the step, the kernel function, the bits, "
      "the reason for a copy or a reuse, and who shares it");
  command->footer(
      "Examples: mmsim blame scenarios/first/fork.scn --process 101 '$a'\n"
      "          mmsim blame scenarios/first/fork.scn frame:0x10f");
  command->add_option("FILE", request->file, "a scenario file or an strace log")->required();
  command
      ->add_option("WHAT", request->what,
                   "an address (0x7ffff7ff7000, or '$a+0x1000' in the file's words), or frame:N")
      ->required();
  command->add_option("--process", request->process, "whose address (default: the first process's)");
  command->add_option("--arch", request->arch, "x86_64 or arm64")->check(CLI::IsMember({"x86_64", "arm64"}));
  command->add_option("--profile", request->profile, "the kernel to model (default: the file's, else 6.12)");
  command->add_option("--color", request->colour, "auto (on a terminal), always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  command->callback([request, &exit_status] { exit_status = Blame(*request); });
}

}  // namespace mmsim::cli
