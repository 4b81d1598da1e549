// SPDX-License-Identifier: Apache-2.0
// From the lines of a file to the steps of a Scenario: joins what strace split, gives each line its process,
// and sets apart what stands before and around the steps.
//
// A call is one step, at the place of its first line. strace splits a line in two ways: `<unfinished ...>`
// with a later `<... resumed>`, and, on a terminal's stderr, by a line of its own (`strace: Process N
// attached`) in the midst.
#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "fmt/format.h"
#include "sim/scenario/line.h"
#include "sim/scenario/step.h"

namespace mmsim::scenario {
namespace {

constexpr std::string_view kUnfinishedMark = "<unfinished ...>";
constexpr std::string_view kDetachedMark = "<detached ...>";
constexpr std::string_view kPidChangedMark =
    "<pid changed to ";  // execve of a thread: `<pid changed to 12 ...>`
constexpr std::string_view kAttachedMark = " attached";
constexpr std::string_view kSummaryMark = "% time     seconds";  // -C: the rest is a table
constexpr std::string_view kStraceMark = "strace: Process ";

std::string_view TrimEnd(std::string_view s) {
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t' || s.back() == '\r')) s.remove_suffix(1);
  return s;
}

size_t Indent(std::string_view s) {
  return std::min(s.find_first_not_of(" \t"), s.size());
}

}  // namespace

class Loader {
 public:
  explicit Loader(Scenario* scenario) : s_(*scenario) {}

  absl::Status Run() {
    const std::string_view text = s_.text();
    s_.steps_.reserve(text.size() / 96 + 8);
    s_.args_.reserve(text.size() / 24 + 8);
    FindHeader();
    const char* at = text.data();
    const char* const end = at + text.size();
    while (at != end) {
      const auto limit = std::min(static_cast<size_t>(end - at), kMaxLineBytes + 1);
      const char* newline = static_cast<const char*>(std::memchr(at, '\n', limit));
      if (newline == nullptr && limit > kMaxLineBytes) {
        return s_.ErrorAt(at, fmt::format("the line is longer than {} MiB", kMaxLineBytes >> 20));
      }
      ++line_no_;
      last_without_newline_ = newline == nullptr;
      const char* line_end = newline == nullptr ? end : newline;
      if (absl::Status s = TakeLine({at, static_cast<size_t>(line_end - at)}); !s.ok()) return s;
      at = newline == nullptr ? end : newline + 1;
    }
    return Finish();
  }

 private:
  // A call that was left unfinished: its step, and its text so far.
  struct Pending {
    size_t step;
    std::string_view text;
  };

  absl::Status Error(const LineError& e) { return s_.ErrorAt(e.at, e.message); }

  void FindHeader() {
    const std::string_view text = s_.text();
    size_t at = 0;
    while (at < text.size() && text[at] == '#') at = std::min(text.find('\n', at), text.size() - 1) + 1;
    s_.header_ = text.substr(0, at);
  }

  std::string_view Join(std::string_view first, std::string_view second) {
    auto joined = std::make_unique<Scenario::Joined>();
    joined->text.reserve(first.size() + second.size());
    joined->text.append(first).append(second);
    joined->split = first.size();
    joined->first = first.data();
    joined->second = second.data();
    s_.joined_.push_back(std::move(joined));
    return s_.joined_.back()->text;
  }

  absl::Status TakeLine(std::string_view line) {
    if (in_block_) return TakeBlockLine(line);
    if (summary_ || line.starts_with(kSummaryMark)) {
      summary_ = true;
      return absl::OkStatus();
    }
    if (carried_.empty()) {
      first_no_ = line_no_;
    } else {
      line = Join(std::exchange(carried_, {}), line);
    }
    line = TrimEnd(line);
    const size_t indent = Indent(line);
    if (indent == line.size() || line[indent] == '#') return absl::OkStatus();
    if (line.back() == '>') {
      for (const std::string_view mark : {kUnfinishedMark, kDetachedMark}) {
        if (line.ends_with(mark)) return TakeUnfinished(line.substr(0, line.size() - mark.size()));
      }
      const size_t angle = line.rfind('<');
      if (angle != std::string_view::npos && line.substr(angle).starts_with(kPidChangedMark)) {
        return TakeUnfinished(line.substr(0, angle));
      }
    }
    if (line.back() == 'd' && line.ends_with(kAttachedMark)) {
      const size_t mark = line.rfind(kStraceMark);
      if (mark != std::string_view::npos && mark > 0) {
        carried_ = line.substr(0, mark);
        line.remove_prefix(mark);
      }
    }
    if (!ParseLine(LineForm::kWhole, line.data(), line.data() + line.size(), &line_, &error_)) {
      if (last_without_newline_ && TakeHeld(line)) return absl::OkStatus();
      return Error(error_);
    }
    return TakeParsed(line);
  }

  absl::Status TakeParsed(std::string_view line) {
    if (line_.by_hand) s_.is_log_ = false;
    switch (line_.kind) {
      case LineKind::kNothing:
      case LineKind::kCallHead:
        return absl::OkStatus();
      case LineKind::kAttached:
        live_.insert(line_.attached);
        return absl::OkStatus();
      case LineKind::kStep:
        return TakeStep();
      case LineKind::kResumed:
        return TakeResumed(line);
      case LineKind::kArch:
        s_.arch_mask_ = line_.step.arch_mask;
        s_.arch_reason_ = line_.reason;
        return absl::OkStatus();
      case LineKind::kProfile:
        s_.profile_ = line_.word;
        return absl::OkStatus();
      case LineKind::kExpect:
        return TakeExpect(line);
    }
    return absl::OkStatus();
  }

  // Gives the line its process.
  absl::Status GivePid() {
    Step& step = line_.step;
    if (line_.pid_form == PidForm::kBracket) {
      if (!live_.contains(step.pid) && live_.contains(kNoPid)) {
        for (Step& s : s_.steps_) {
          if (s.pid == kNoPid) s.pid = step.pid;
        }
        live_.erase(kNoPid);
        if (const auto it = pending_.find(kNoPid); it != pending_.end()) {
          const Pending moved = it->second;
          pending_.erase(it);
          pending_[step.pid] = moved;
        }
      }
      live_.insert(step.pid);
    } else if (line_.pid_form == PidForm::kPlain) {
      if (unnamed_lines_ > 0)
        return s_.ErrorAt(step.text, "this line names a process, but lines before it name none");
      plain_ = true;
    } else {
      if (plain_) return s_.ErrorAt(step.text, "expected a process id before this, as in the lines above");
      ++unnamed_lines_;
      step.pid = UnnamedPid(step);
    }
    last_pid_ = step.pid;
    return absl::OkStatus();
  }

  // strace names no process while there is but one.
  int32_t UnnamedPid(const Step& step) const {
    if (live_.size() == 1) return *live_.begin();
    if (step.kind == StepKind::kExit && step.exit == ExitKind::kSuperseded && live_.size() == 2) {
      return *live_.begin() == step.value ? *live_.rbegin() : *live_.begin();
    }
    return live_.contains(kNoPid) ? kNoPid : last_pid_;
  }

  absl::Status TakeStep() {
    Step& step = line_.step;
    const bool has_process = step.kind == StepKind::kCall || step.kind == StepKind::kAccess ||
                             step.kind == StepKind::kSignal || step.kind == StepKind::kExit;
    if (has_process) {
      if (absl::Status s = GivePid(); !s.ok()) return s;
    }
    if (step.kind == StepKind::kExit) NoteExit(step);
    AddStep();
    return absl::OkStatus();
  }

  void AddStep() {
    line_.step.first_line = first_no_;
    line_.step.last_line = line_no_;
    s_.steps_.push_back(line_.step);
    StoreArgs(&s_.steps_.back());
  }

  void StoreArgs(Step* step) {
    step->args_begin = static_cast<uint32_t>(s_.args_.size());
    s_.args_.insert(s_.args_.end(), line_.args.begin(), line_.args.end());
  }

  void NoteExit(const Step& step) {
    if (step.exit != ExitKind::kSuperseded) {
      live_.erase(step.pid);
      return;
    }
    // The thread's execve goes on under the leader's id.
    const auto other = static_cast<int32_t>(step.value);
    live_.erase(other);
    if (const auto it = pending_.find(other); it != pending_.end()) {
      const Pending moved = it->second;
      pending_.erase(it);
      pending_[step.pid] = moved;
    }
  }

  absl::Status TakeUnfinished(std::string_view line) {
    if (!ParseLine(LineForm::kUnfinished, line.data(), line.data() + line.size(), &line_, &error_)) {
      return Error(error_);
    }
    if (absl::Status s = GivePid(); !s.ok()) return s;
    Step& step = line_.step;
    const auto it = pending_.find(step.pid);
    if (line_.kind == LineKind::kResumed) {
      if (it == pending_.end()) return absl::OkStatus();
      it->second.text =
          Join(it->second.text, std::string_view(line_.rest, line.data() + line.size() - line_.rest));
      return absl::OkStatus();
    }
    step.partial = true;
    pending_[step.pid] = {s_.steps_.size(), step.Text()};
    step.nr_args = 0;
    line_.args.clear();
    AddStep();
    return absl::OkStatus();
  }

  absl::Status TakeResumed(std::string_view line) {
    if (absl::Status s = GivePid(); !s.ok()) return s;
    const Step resumed = line_.step;
    const std::string_view rest(line_.rest, static_cast<size_t>(line.data() + line.size() - line_.rest));
    const auto it = pending_.find(resumed.pid);
    if (it == pending_.end()) return TakeOrphan(resumed, rest);
    const Pending pending = it->second;
    pending_.erase(it);
    const Step first = s_.steps_[pending.step];
    if (first.sys != resumed.sys || first.number != resumed.number) {
      return s_.ErrorAt(resumed.text, fmt::format("process {} left another call unfinished (line {})",
                                                  resumed.pid, first.first_line));
    }
    const std::string_view text = Join(pending.text, rest);
    if (!ParseLine(LineForm::kJoined, text.data(), text.data() + text.size(), &line_, &error_))
      return Error(error_);
    Step& step = line_.step;
    step.pid = first.pid;
    step.first_line = first.first_line;
    step.last_line = line_no_;
    s_.steps_[pending.step] = step;
    StoreArgs(&s_.steps_[pending.step]);
    return absl::OkStatus();
  }

  // Resumed, but never seen to begin: strace was attached in the middle of it. Its result is all that is
  // known.
  absl::Status TakeOrphan(const Step& resumed, std::string_view rest) {
    if (std::any_of(s_.steps_.begin(), s_.steps_.end(),
                    [&](const Step& s) { return s.pid == resumed.pid; })) {
      return s_.ErrorAt(resumed.text,
                        fmt::format("process {} has no unfinished call to resume", resumed.pid));
    }
    if (rest.rfind(" = ") == std::string_view::npos)
      return s_.ErrorAt(rest.data(), "expected '=' and the result");
    line_.step = resumed;
    line_.step.partial = true;
    line_.step.result = ResultKind::kUnknown;
    line_.step.nr_args = 0;
    line_.args.clear();
    AddStep();
    return absl::OkStatus();
  }

  // The last line of a log whose exit_group a tracer held: `5284 exit_group(0`.
  bool TakeHeld(std::string_view line) {
    LineError other;
    if (!ParseLine(LineForm::kHeld, line.data(), line.data() + line.size(), &line_, &other)) return false;
    Step& step = line_.step;
    if (line_.kind != LineKind::kCallHead || line_.args.size() != 1) return false;
    if (step.sys != Sys::k_exit_group && step.sys != Sys::k_exit) return false;
    if (!GivePid().ok()) return false;
    AddStep();
    return true;
  }

  absl::Status TakeExpect(std::string_view line) {
    expect_ = line_.step;
    expect_.first_line = line_no_;
    block_begin_ = line_.rest;
    const size_t brace = line.rfind('{');
    const size_t after = brace == std::string_view::npos ? brace : line.find_first_not_of(" \t", brace + 1);
    if (brace != std::string_view::npos && (after == std::string_view::npos || line[after] == '#')) {
      in_block_ = true;
      return absl::OkStatus();
    }
    return EndExpect(line.data() + line.size());
  }

  absl::Status TakeBlockLine(std::string_view line) {
    if (static_cast<size_t>(line.data() - block_begin_) > kMaxLineBytes) {
      return s_.ErrorAt(block_begin_, "the block is not closed by a line '}' within 16 MiB");
    }
    line = TrimEnd(line);
    const size_t indent = Indent(line);
    if (indent == line.size() || line[indent] != '}') return absl::OkStatus();
    in_block_ = false;
    return EndExpect(line.data() + line.size());
  }

  absl::Status EndExpect(const char* end) {
    Expect expect;
    if (!ParseExpect(block_begin_, end, &expect, &error_)) return Error(error_);
    Step& step = expect_;
    step.text = block_begin_;
    step.text_len = static_cast<uint32_t>(end - block_begin_);
    step.pid = expect.pid;
    step.last_line = line_no_;
    step.value = static_cast<int64_t>(s_.expects_.size());
    step.args_begin = static_cast<uint32_t>(s_.args_.size());
    s_.expects_.push_back(std::move(expect));
    s_.steps_.push_back(step);
    return absl::OkStatus();
  }

  absl::Status Finish() {
    if (in_block_)
      return s_.ErrorAt(block_begin_, "the block of this expectation is not closed by a line '}'");
    if (!carried_.empty()) return s_.ErrorAt(carried_.data(), "the call does not end");
    // What never resumed: as many of its arguments as there are.
    for (const auto& [pid, pending] : pending_) {
      LineError unused;
      const char* begin = pending.text.data();
      if (!ParseLine(LineForm::kJoinedPart, begin, begin + pending.text.size(), &line_, &unused)) continue;
      Step& step = s_.steps_[pending.step];
      step.nr_args = line_.step.nr_args;
      step.text = line_.step.text;
      step.text_len = line_.step.text_len;
      StoreArgs(&step);
    }
    return absl::OkStatus();
  }

  Scenario& s_;
  ParsedLine line_;
  LineError error_;
  uint32_t line_no_ = 0;
  uint32_t first_no_ = 0;  // where the line began that `strace: Process N attached` broke; else line_no_
  bool last_without_newline_ = false;
  std::string_view carried_;  // the beginning of a line that `strace: Process N attached` broke
  absl::btree_map<int32_t, Pending> pending_;
  // Which processes there are, for lines that name none.
  absl::btree_set<int32_t> live_ = {kNoPid};
  int32_t last_pid_ = kNoPid;
  bool plain_ = false;
  size_t unnamed_lines_ = 0;
  bool summary_ = false;  // behind the last event
  // The expectation whose block is being read.
  bool in_block_ = false;
  Step expect_;
  const char* block_begin_ = nullptr;
};

absl::StatusOr<std::unique_ptr<Scenario>> Scenario::Open(const std::string& path) {
  std::unique_ptr<Scenario> scenario(new Scenario());
  scenario->file_ = path;
  if (absl::Status s = OpenSource(path, &scenario->source_); !s.ok()) return s;
  if (absl::Status s = Loader(scenario.get()).Run(); !s.ok()) return s;
  return scenario;
}

absl::StatusOr<std::unique_ptr<Scenario>> Scenario::FromText(std::string text, std::string file) {
  std::unique_ptr<Scenario> scenario(new Scenario());
  scenario->file_ = std::move(file);
  scenario->source_.owned = std::move(text);
  scenario->source_.text = scenario->source_.owned;
  if (absl::Status s = Loader(scenario.get()).Run(); !s.ok()) return s;
  return scenario;
}

}  // namespace mmsim::scenario
