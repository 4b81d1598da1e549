// SPDX-License-Identifier: Apache-2.0
// Looks at every step of a file written by hand before any is carried out.
#include "absl/container/btree_set.h"
#include "fmt/format.h"
#include "sim/mm/entry_words.h"
#include "sim/scenario/lower.h"
#include "sim/scenario/words.h"

namespace mmsim::scenario {
namespace {

constexpr uint64_t kAnyAddress = 0x10000;  // what a name stands for while only its presence matters

Arch OtherArch(Arch arch) {
  return arch == Arch::kX86_64 ? Arch::kArm64 : Arch::kX86_64;
}

class Checker {
 public:
  Checker(const Scenario& scenario, Arch arch) : scenario_(scenario), arch_(arch) {}

  absl::Status Run() {
    for (const Step& step : scenario_.steps()) {
      if (!step.RunsOn(arch_)) continue;
      if (absl::Status s = One(step); !s.ok()) return s;
      if (step.result == ResultKind::kName) Bind(scenario_.ResultToken(step));
    }
    return absl::OkStatus();
  }

 private:
  void Bind(std::string_view name) { names_[std::string(name.substr(1))] = kAnyAddress; }

  absl::Status One(const Step& step) {
    switch (step.kind) {
      case StepKind::kCall:
        return Lower(scenario_, step, arch_, names_, &call_);
      case StepKind::kAccess: {
        LoweredAccess access;
        return LowerAccess(scenario_, step, arch_, names_, &access);
      }
      case StepKind::kSignal:
        return LowerSignal(scenario_, step, arch_, names_).status();
      case StepKind::kExpect:
        return OneExpect(scenario_.ExpectOf(step));
      case StepKind::kLet: {
        absl::Status s = Value(scenario_.Arg(step, 0));
        Bind(step.Name());
        return s;
      }
      case StepKind::kLimit: {
        if (absl::Status s = Value(step.Name()); !s.ok()) return s;
        for (int i = 0; i < step.nr_args; ++i) {
          if (absl::Status s = Value(scenario_.Arg(step, i)); !s.ok()) return s;
        }
        return absl::OkStatus();
      }
      case StepKind::kSet:
        if (step.Name() != "transparent_hugepage") return Value(scenario_.Arg(step, 0));
        if (ThpModeOf(scenario_.Arg(step, 0))) return absl::OkStatus();
        return scenario_.ErrorAt(scenario_.Arg(step, 0).data(), kExpectedThpMode);
      case StepKind::kInject:
        return step.nr_args == 0 ? absl::OkStatus() : Value(scenario_.Arg(step, 0));
      case StepKind::kSpawn:
      case StepKind::kExit:
        return absl::OkStatus();
    }
    return absl::OkStatus();
  }

  absl::Status Value(std::string_view expression) {
    if (expression.empty()) return absl::OkStatus();
    return Eval(scenario_, expression, arch_, names_).status();
  }
  absl::Status MapsValue(std::string_view expression) {
    if (expression.empty()) return absl::OkStatus();
    return EvalMapsAddress(scenario_, expression, arch_, names_).status();
  }

  absl::Status OneFrame(const ExpectFrame& frame, const ExpectFrame& other) {
    if (frame.kind == ExpectFrame::Kind::kPage) return Value(frame.address);
    if (frame.kind != ExpectFrame::Kind::kName || frames_.contains(frame.name)) return absl::OkStatus();
    if (other.kind != ExpectFrame::Kind::kPage) {
      return scenario_.ErrorAt(frame.name.data(), "this name has no frame yet; compare it with a page first");
    }
    frames_.insert(frame.name);
    return absl::OkStatus();
  }

  absl::Status OneExpect(const Expect& e) {
    if (absl::Status s = e.subject == Subject::kMaps ? MapsValue(e.address) : Value(e.address); !s.ok())
      return s;
    if (absl::Status s = MapsValue(e.end); !s.ok()) return s;
    if (absl::Status s = Value(e.signal_address); !s.ok()) return s;
    for (const ExpectMapsLine& line : e.lines) {
      if (absl::Status s = MapsValue(line.start); !s.ok()) return s;
      if (absl::Status s = MapsValue(line.end); !s.ok()) return s;
    }
    for (const ExpectShadowRow& row : e.shadow) {
      if (absl::Status s = MapsValue(row.start); !s.ok()) return s;
      if (absl::Status s = MapsValue(row.end); !s.ok()) return s;
      if (row.pfn != ExpectShadowRow::Pfn::kFrame) continue;
      if (absl::Status s = OneFrame(row.frame, row.frame); !s.ok()) return s;
    }
    for (const ExpectLevel& level : e.levels) {
      for (const ExpectFlag& flag : level.flags) {
        if (IsOneOf(flag.name, kEntryWords) || IsEntryBit(arch_, flag.name)) continue;
        return scenario_.ErrorAt(flag.name.data(),
                                 fmt::format("{} is no bit of {}: put `on {}` before this", flag.name,
                                             ArchName(arch_), ArchName(OtherArch(arch_))));
      }
    }
    if (e.subject != Subject::kFrame) return absl::OkStatus();
    if (absl::Status s = OneFrame(e.left, e.right); !s.ok()) return s;
    return OneFrame(e.right, e.left);
  }

  const Scenario& scenario_;
  const Arch arch_;
  Names names_;
  absl::btree_set<std::string_view> frames_;
  LoweredCall call_;
};

}  // namespace

std::optional<ThpMode> ThpModeOf(std::string_view word) {
  if (word == "always") return ThpMode::kAlways;
  if (word == "madvise") return ThpMode::kMadvise;
  if (word == "never") return ThpMode::kNever;
  return std::nullopt;
}

absl::Status Check(const Scenario& scenario, Arch arch) {
  if (scenario.is_log()) return absl::OkStatus();
  return Checker(scenario, arch).Run();
}

}  // namespace mmsim::scenario
