// SPDX-License-Identifier: Apache-2.0
// Steps are sent ahead of the reports. When a guest goes, the reports that it had not sent yet went with it;
// so the program is carried out once more from its start in the next boot, each step reported before the next
// begins, and the outcomes that the caller has had already are left out. That finds the step, or shows that
// it was no step's fault.
#include "sim/guest/guest.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "sim/guest/machine.h"
#include "sim/guest/wire.h"

namespace mmsim::guest {
namespace {

constexpr size_t kSendAhead = 1 << 20;  // bytes of steps that wait to be sent
constexpr absl::Duration kAcceleratedBoot = absl::Seconds(15);

const Step& ResetStep() {
  static const Step step{.kind = OBSERVE_STEP_RESET, .observe = 0, .args = {}, .patches = {}};
  return step;
}

}  // namespace

class Guest::Impl {
 public:
  explicit Impl(Options options) : options_(std::move(options)) {}

  absl::Status Boot();
  absl::Status Run(absl::Span<const Program> programs, OnOutcome on_outcome, OnEnding on_ending);

  Hello hello_;
  bool accelerated_ = false;

 private:
  enum class Stop { kAllDone, kPanicked, kHung };
  // What is sent and what is awaited, as positions in the programs.
  struct Progress {
    size_t sending = 0, awaited = 0;            // programs
    size_t sending_step = 0, awaited_step = 0;  // 0: the RESET, then steps from 1 on
    size_t delivered = 0;                       // outcomes of the awaited program that the caller has had
    bool repeated = false;                      // the awaited program is carried out once more, step by step
  };

  absl::Status BootOnce(bool accelerated);
  void FillOut(absl::Span<const Program> programs, Progress& at);
  absl::Status TakeRecords(absl::Span<const Program> programs, OnOutcome on_outcome, OnEnding on_ending,
                           Progress& at);
  absl::StatusOr<Stop> RunUntilStop(absl::Span<const Program> programs, OnOutcome on_outcome,
                                    OnEnding on_ending, Progress& at);

  Options options_;
  std::string image_;
  std::unique_ptr<Machine> machine_;
  std::string out_, in_;
  size_t out_start_ = 0;  // of what is not sent yet
  State state_;
  uint32_t boots_ = 0;
};

absl::Status Guest::Impl::Boot() {
  if (image_.empty()) {
    if (options_.image.empty()) {
      absl::StatusOr<Kernel> kernel = FetchKernel(options_.arch);
      if (!kernel.ok()) return kernel.status();
      image_ = kernel->image;
      options_.modules = kernel->modules;
    } else {
      image_ = options_.image;
    }
    accelerated_ = MayAccelerate(options_.arch);
  }
  if (accelerated_) {
    if (BootOnce(true).ok()) return absl::OkStatus();
    accelerated_ = false;  // the device is there, and does not work
  }
  return BootOnce(false);
}

absl::Status Guest::Impl::BootOnce(bool accelerated) {
  machine_.reset();
  out_.clear();
  in_.clear();
  out_start_ = 0;
  absl::StatusOr<std::unique_ptr<Machine>> machine = Machine::Start(options_, image_, accelerated);
  if (!machine.ok()) return machine.status();
  // With KVM it is a matter of a second or two, or does not come about at all.
  const absl::Duration patience =
      accelerated ? std::min(options_.boot_timeout, kAcceleratedBoot) : options_.boot_timeout;
  const absl::Time deadline = absl::Now() + patience;
  for (;;) {
    const absl::Duration left = deadline - absl::Now();
    size_t sent;
    Machine::Event event = left <= absl::ZeroDuration() ? Machine::Event::kTimedOut
                                                        : (*machine)->Exchange("", &sent, &in_, left);
    if (event != Machine::Event::kMoved) {
      return absl::UnavailableError(
          absl::StrCat(event == Machine::Event::kEnded ? "the guest ended while it booted"
                                                       : "the guest did not boot in time",
                       "; its console's end:\n", absl::StripAsciiWhitespace((*machine)->console())));
    }
    absl::StatusOr<size_t> size = RecordSize(in_);
    if (!size.ok()) return size.status();
    if (*size == 0) continue;
    absl::StatusOr<Hello> hello = TakeHello(std::string_view(in_).substr(0, *size));
    if (!hello.ok()) return hello.status();
    in_.erase(0, *size);
    hello_ = *std::move(hello);
    machine_ = *std::move(machine);
    ++boots_;
    return absl::OkStatus();
  }
}

void Guest::Impl::FillOut(absl::Span<const Program> programs, Progress& at) {
  if (out_start_ == out_.size()) {
    out_.clear();
    out_start_ = 0;
  }
  while (out_.size() - out_start_ < kSendAhead && at.sending < programs.size()) {
    const Program& program = programs[at.sending];
    const bool step_by_step = at.repeated && at.sending == at.awaited;
    // The last step's report is sent at once, so that a guest that goes takes no other program's reports with
    // it.
    const bool flush = step_by_step || at.sending_step == program.steps.size();
    AppendStep(at.sending_step == 0 ? ResetStep() : program.steps[at.sending_step - 1],
               flush ? OBSERVE_STEP_FLUSH : 0, out_);
    if (at.sending_step++ < program.steps.size()) continue;
    at.sending_step = 0;
    ++at.sending;
    // The next program is sent when it is known that this one can be passed.
    if (step_by_step) break;
  }
}

absl::Status Guest::Impl::TakeRecords(absl::Span<const Program> programs, OnOutcome on_outcome,
                                      OnEnding on_ending, Progress& at) {
  size_t used = 0;
  for (;;) {
    absl::StatusOr<size_t> size = RecordSize(std::string_view(in_).substr(used));
    if (!size.ok()) return size.status();
    if (*size == 0) break;
    observe_report head;
    Outcome outcome;
    absl::Status status = TakeReport(std::string_view(in_).substr(used, *size), head, outcome, state_);
    if (!status.ok()) return status;
    used += *size;
    if (at.awaited >= programs.size())
      return absl::DataLossError("the guest reported more steps than it was given");
    if (at.awaited_step == 0) {
      if (head.kind != OBSERVE_STEP_RESET) return absl::DataLossError("the guest's reports are out of step");
      state_ = State();
      state_.boot = boots_;
    } else if (head.step + 1 != at.awaited_step) {
      return absl::DataLossError("the guest's reports are out of step");
    } else if (at.awaited_step > at.delivered) {
      at.delivered = at.awaited_step;
      on_outcome(at.awaited, outcome, state_);
    }
    if (at.awaited_step++ < programs[at.awaited].steps.size()) continue;
    on_ending(at.awaited, Ending());
    ++at.awaited;
    at.awaited_step = at.delivered = 0;
    at.repeated = false;
  }
  in_.erase(0, used);
  return absl::OkStatus();
}

absl::StatusOr<Guest::Impl::Stop> Guest::Impl::RunUntilStop(absl::Span<const Program> programs,
                                                            OnOutcome on_outcome, OnEnding on_ending,
                                                            Progress& at) {
  absl::Time last_report = absl::Now();
  while (at.awaited < programs.size()) {
    FillOut(programs, at);
    const absl::Duration left = options_.step_timeout - (absl::Now() - last_report);
    size_t sent = 0;
    const size_t had = in_.size();
    const Machine::Event event =
        left <= absl::ZeroDuration()
            ? Machine::Event::kTimedOut
            : machine_->Exchange(std::string_view(out_).substr(out_start_), &sent, &in_, left);
    out_start_ += sent;
    if (in_.size() != had) last_report = absl::Now();
    if (absl::Status status = TakeRecords(programs, on_outcome, on_ending, at); !status.ok()) return status;
    if (event == Machine::Event::kEnded) return Stop::kPanicked;
    if (event == Machine::Event::kTimedOut) return Stop::kHung;
  }
  return Stop::kAllDone;
}

absl::Status Guest::Impl::Run(absl::Span<const Program> programs, OnOutcome on_outcome, OnEnding on_ending) {
  for (const Program& program : programs)
    if (absl::Status status = CheckProgram(program); !status.ok()) return status;
  if (!machine_)
    if (absl::Status status = Boot(); !status.ok()) return status;
  Progress at;
  for (;;) {
    absl::StatusOr<Stop> stop = RunUntilStop(programs, on_outcome, on_ending, at);
    if (!stop.ok()) machine_.reset();
    if (!stop.ok() || *stop == Stop::kAllDone) return stop.status();
    const std::string console(absl::StripAsciiWhitespace(machine_->console()));
    machine_.reset();
    if (at.repeated) {
      const uint32_t step = at.awaited_step == 0 ? 0 : static_cast<uint32_t>(at.awaited_step - 1);
      on_ending(at.awaited, {.kind = *stop == Stop::kHung ? Ending::kHung : Ending::kPanicked,
                             .step = step,
                             .console = console});
      ++at.awaited;
      at.delivered = 0;
      at.repeated = false;
    } else {
      at.repeated = true;
    }
    at.sending = at.awaited;
    at.sending_step = at.awaited_step = 0;
    if (at.awaited == programs.size()) return absl::OkStatus();  // booted again when there is more to run
    if (absl::Status status = Boot(); !status.ok()) return status;
  }
}

Guest::Guest(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Guest::~Guest() = default;

absl::StatusOr<std::unique_ptr<Guest>> Guest::Boot(const Options& options) {
  auto impl = std::make_unique<Impl>(options);
  if (absl::Status status = impl->Boot(); !status.ok()) return status;
  return std::unique_ptr<Guest>(new Guest(std::move(impl)));
}

absl::Status Guest::Run(absl::Span<const Program> programs, OnOutcome on_outcome, OnEnding on_ending) {
  return impl_->Run(programs, on_outcome, on_ending);
}

const std::string& Guest::release() const {
  return impl_->hello_.release;
}
uint32_t Guest::scratch_bytes() const {
  return impl_->hello_.fields.scratch_bytes;
}
uint32_t Guest::features() const {
  return impl_->hello_.fields.features;
}
bool Guest::accelerated() const {
  return impl_->accelerated_;
}

}  // namespace mmsim::guest
