// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/shrink.h"

#include <memory>
#include <string>
#include <vector>

#include "fmt/format.h"
#include "sim/cli/reference.h"
#include "sim/cli/replay.h"
#include "sim/cli/report.h"
#include "sim/scenario/lockstep.h"
#include "sim/scenario/program.h"
#include "sim/scenario/shrink.h"

namespace mmsim::cli {
namespace {

struct Request {
  std::string file, arch = "x86_64";
  ReferenceChoice reference;
};

// Runs scenarios in a guest, and tells what differs in each.
class Oracle {
 public:
  Oracle(const scenario::Reference& reference, Arch arch, uint32_t observe)
      : reference_(reference), arch_(arch), observe_(observe) {}

  // The subject of the first difference of each text, and the process it is about; "" where there is none, or
  // where the text is no scenario any more.
  absl::StatusOr<std::vector<std::string>> Subjects(const std::vector<std::string>& texts) {
    std::vector<std::string> subjects(texts.size());
    std::vector<std::unique_ptr<scenario::Scenario>> scenarios;
    std::vector<size_t> of;
    for (size_t i = 0; i < texts.size(); ++i) {
      absl::StatusOr<std::unique_ptr<scenario::Scenario>> s =
          scenario::Scenario::FromText(texts[i], "shrunk");
      if (!s.ok() || (*s)->steps().empty()) continue;
      if (!scenario::MakeProgram(**s, {.arch = arch_, .modelled_only = true}).ok()) continue;
      scenarios.push_back(*std::move(s));
      of.push_back(i);
    }
    scenario::LockstepOptions options;
    options.arch = arch_;
    options.observe = observe_;
    options.on_difference = [&](const scenario::StepDifference& d) {
      subjects[of[d.scenario]] = d.differences[0].subject;
    };
    const absl::StatusOr<scenario::ComparisonCount> count =
        scenario::Lockstep(reference_, scenarios, options);
    if (!count.ok()) return count.status();
    return subjects;
  }

 private:
  const scenario::Reference& reference_;
  const Arch arch_;
  const uint32_t observe_;
};

absl::StatusOr<std::string> ShrinkFile(const Request& request) {
  const Arch arch = ArchOf(request.arch);
  absl::StatusOr<std::unique_ptr<scenario::Scenario>> scenario = scenario::Scenario::Open(request.file);
  if (!scenario.ok()) return scenario.status();
  const absl::StatusOr<scenario::Reference> reference = Boot(arch, request.reference);
  if (!reference.ok()) return reference.status();
  Oracle oracle(*reference, arch, ObservedWith(request.reference));
  const std::string text((*scenario)->text());
  absl::StatusOr<std::vector<std::string>> whole = oracle.Subjects({text});
  if (!whole.ok()) return whole.status();
  const std::string subject = whole->front();
  if (subject.empty()) return std::string();
  absl::Status failure;
  std::string shortest = scenario::Shrink(text, [&](const std::vector<std::string>& texts) {
    std::vector<bool> differ(texts.size());
    absl::StatusOr<std::vector<std::string>> subjects = oracle.Subjects(texts);
    if (!subjects.ok()) {
      failure = subjects.status();
      return differ;
    }
    for (size_t i = 0; i < texts.size(); ++i) differ[i] = (*subjects)[i] == subject;
    return differ;
  });
  if (!failure.ok()) return failure;
  return shortest;
}

int Shrink(const Request& request) {
  absl::StatusOr<std::string> text = ShrinkFile(request);
  if (!text.ok()) {
    PrintError(text.status());
    return kExitCannot;
  }
  if (text->empty()) {
    fmt::print(stderr, "{}: nothing differs\n", request.file);
    return kExitCannot;
  }
  fmt::print("{}", *text);
  return kExitOk;
}

}  // namespace

void AddShrinkCommand(CLI::App& app, int& exit_status) {
  auto request = std::make_shared<Request>();
  CLI::App* command = app.add_subcommand(
      "shrink", "prints the shortest part of a scenario in which model and real kernel still differ");
  command->footer("Example: mmsim shrink --arch arm64 differs.scn > short.scn");
  command->add_option("FILE", request->file, "a scenario file")->required();
  command->add_option("--arch", request->arch, "x86_64 or arm64")->check(CLI::IsMember({"x86_64", "arm64"}));
  AddReferenceOptions(*command, &request->reference);
  command->callback([request, &exit_status] { exit_status = Shrink(*request); });
}

}  // namespace mmsim::cli
