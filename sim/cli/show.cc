// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/show.h"

#include "fmt/format.h"
#include "sim/cli/replay.h"
#include "sim/cli/report.h"
#include "sim/cli/terminal.h"
#include "sim/cli/text.h"
#include "sim/scenario/observation.h"
#include "sim/scenario/picture.h"

namespace mmsim::cli {
namespace {

struct Request {
  std::string file, at, arch = "x86_64", profile, colour = "auto";
  int process = 0;
};

// --at: after what stands at a line, or after the Nth step that is carried out.
struct Moment {
  uint32_t line = ~uint32_t{0};
  uint64_t step = ~uint64_t{0};
};

absl::StatusOr<Moment> ParseMoment(std::string_view text) {
  Moment moment;
  if (text.empty()) return moment;
  constexpr std::string_view kStep = "step:";
  const bool is_step = text.starts_with(kStep);
  if (is_step) text.remove_prefix(kStep.size());
  const bool parsed = is_step ? ParseDecimal(text, &moment.step) : ParseDecimal(text, &moment.line);
  if (!parsed || moment.step == 0 || moment.line == 0) {
    return absl::InvalidArgumentError(
        "--at: expected a line of the file (12), or the number of a step (step:3)");
  }
  return moment;
}

// The process that was asked for, or the first that lives.
absl::StatusOr<Task*> FindProcess(Kernel& kernel, int pid) {
  std::string alive;
  for (const auto& [id, task] : kernel.tasks()) {
    if (task->mm == nullptr || !task->IsLeader()) continue;
    if (pid == 0 || pid == id) return task.get();
    alive += fmt::format("{}{}", alive.empty() ? "" : ", ", id);
  }
  return absl::InvalidArgumentError(
      fmt::format("{} lives at that moment{}", pid == 0 ? "no process" : fmt::format("no process {}", pid),
                  alive.empty() ? "; --at shows an earlier one" : ": " + alive + (pid == 0 ? "" : " do")));
}

int Show(const Request& request) {
  const Arch arch = ArchOf(request.arch);
  const auto cannot = [](const absl::Status& status) {
    PrintError(status);
    return kExitCannot;
  };
  const absl::StatusOr<Moment> moment = ParseMoment(request.at);
  if (!moment.ok()) return cannot(moment.status());
  const absl::StatusOr<std::unique_ptr<scenario::Scenario>> scenario = OpenFor(request.file, arch);
  if (!scenario.ok()) return cannot(scenario.status());
  absl::StatusOr<scenario::RunnerOptions> options = OptionsFor(**scenario, arch, request.profile);
  if (!options.ok()) return cannot(options.status());
  options->last_line = moment->line;
  scenario::Runner runner(**scenario, *options);
  uint64_t steps = 0;
  std::string last = "before the first step";
  const absl::Status status = runner.RunAll([&](const scenario::Step& step, const guest::Outcome& outcome) {
    last = fmt::format("after line {}, step {}: {}", step.first_line, ++steps,
                       scenario::EventText(step, outcome));
    if (steps == moment->step) runner.Stop();
  });
  if (!status.ok()) return cannot(status);
  const absl::StatusOr<Task*> task = FindProcess(runner.kernel(), request.process);
  if (!task.ok()) return cannot(task.status());
  const scenario::Ink ink(request.colour == "always" || (request.colour == "auto" && StdoutIsTerminal()));
  fmt::print("{}\n\n{}\n{}",
             ink.Cyan(fmt::format("process {} ({}, kernel {}), {}", (*task)->pid, request.arch,
                                  options->kernel.profile, last)),
             scenario::VmaPicture(runner.kernel(), **task, ink),
             scenario::TablePicture(runner.kernel(), **task, ink));
  return kExitOk;
}

}  // namespace

void AddShowCommand(CLI::App& app, int& exit_status) {
  auto request = std::make_shared<Request>();
  CLI::App* command =
      app.add_subcommand("show", "draws the VMAs and page tables of a process, at any moment of a scenario");
  command->footer(
      "Examples: mmsim show scenarios/first/fork.scn --at 7 --process 101\n"
      "          mmsim show scenarios/first/fork.scn --at step:3 --arch arm64");
  command->add_option("FILE", request->file, "a scenario file or an strace log")->required();
  command->add_option(
      "--at", request->at,
      "the moment: after what stands at this line, or step:N, after the Nth step (default: the "
      "end)");
  command->add_option("--process", request->process, "which process (default: the first that lives)");
  command->add_option("--arch", request->arch, "x86_64 or arm64")->check(CLI::IsMember({"x86_64", "arm64"}));
  command->add_option("--profile", request->profile, "the kernel to model (default: the file's, else 6.12)");
  command->add_option("--color", request->colour, "auto (on a terminal), always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  command->callback([request, &exit_status] { exit_status = Show(*request); });
}

}  // namespace mmsim::cli
