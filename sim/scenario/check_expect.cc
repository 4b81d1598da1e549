// SPDX-License-Identifier: Apache-2.0
// Whether an expectation holds in the simulated kernel as it is now.
#include <optional>

#include "fmt/format.h"
#include "sim/kernel/procfs.h"
#include "sim/mm/gup.h"
#include "sim/mm/task_mmu.h"
#include "sim/scenario/runner.h"

namespace mmsim::scenario {
namespace {

bool Wildcard(std::string_view field) {
  return field.empty() || field == "*";
}

std::string Hex(uint64_t value) {
  return fmt::format("{:08x}", value);
}

// A page's frame, or nothing when none is mapped there.
std::optional<uint64_t> FrameAt(const Task& task, uint64_t address) {
  const uint64_t entry = Pagemap(task, VirtAddr(address & kPageMask), 1)[0];
  if (!(entry & kPmPresent)) return std::nullopt;
  return entry & kPmPfnMask;
}

// The value of "Rss:   4 kB" in the smaps block of the VMA that holds `address`.
std::string SmapsField(const std::string& smaps, uint64_t address, std::string_view name) {
  bool inside = false;
  for (size_t at = 0; at < smaps.size();) {
    const size_t end = smaps.find('\n', at);
    const std::string_view line = std::string_view(smaps).substr(at, end - at);
    at = end == std::string::npos ? smaps.size() : end + 1;
    MapsLine head;
    if (ParseMapsLine(line, &head)) {
      inside = head.start <= address && address < head.end;
    } else if (inside && line.starts_with(name) && line.substr(name.size()).starts_with(":")) {
      std::string_view value = line.substr(name.size() + 1);
      while (value.starts_with(' ')) value.remove_prefix(1);
      while (value.ends_with(' ')) value.remove_suffix(1);
      return std::string(value);
    }
  }
  return "(no such field)";
}

bool LineHolds(const MapsLine& line, const ExpectMapsLine& expected, uint64_t start, uint64_t end) {
  if (line.start != start || line.end != end) return false;
  if (!Wildcard(expected.perms) && expected.perms != line.perms) return false;
  if (!Wildcard(expected.offset) && expected.offset != Hex(line.offset_bytes)) return false;
  return !expected.compares_path || expected.path == line.name;
}

}  // namespace

absl::Status Runner::CheckExpect(const Step& step) {
  const Expect& expect = scenario_.ExpectOf(step);
  const int pid = expect.pid == 0 ? first_pid_ : expect.pid;
  Task* task = kernel_->FindTask(pid);
  if (expect.subject == Subject::kFrame) return CheckFrame(step, expect);
  if (expect.subject == Subject::kSignal || expect.subject == Subject::kErrorCode) {
    CheckLastSignal(step, expect, pid);
    return absl::OkStatus();
  }
  if (task == nullptr || task->mm == nullptr) {
    return scenario_.ErrorAt(step.text, fmt::format("there is no live process {}", pid));
  }
  if (expect.subject == Subject::kMaps) return CheckMaps(step, expect, *task);
  absl::StatusOr<uint64_t> address = Eval(scenario_, expect.address, kernel_->arch(), names_);
  if (!address.ok()) return address.status();
  if (expect.subject == Subject::kShadow) return CheckShadow(step, expect, *task, *address);
  const std::optional<uint64_t> frame = FrameAt(*task, *address);
  switch (expect.subject) {
    case Subject::kSmaps: {
      const std::string smaps = SmapsText(*kernel_, *task);
      for (const ExpectField& field : expect.fields) {
        const std::string actual = SmapsField(smaps, *address, field.name);
        if (actual != field.value) AddMismatch(step, fmt::format("{}: {}", field.name, field.value), actual);
      }
      return absl::OkStatus();
    }
    case Subject::kBytes: {
      std::string bytes(expect.bytes.size(), '\0');
      AccessRemoteVm(*task->mm, VirtAddr(*address), bytes.data(), bytes.size(), false, true);
      if (bytes != expect.bytes) AddMismatch(step, expect.bytes, bytes);
      return absl::OkStatus();
    }
    case Subject::kPageCount: {
      const uint64_t count = frame ? KpageCount(*kernel_, Pfn(*frame)) : 0;
      if (count != expect.number)
        AddMismatch(step, fmt::format("{}", expect.number), fmt::format("{}", count));
      return absl::OkStatus();
    }
    default:
      return scenario_.ErrorAt(step.text, "this kind of expectation is not checked by this version");
  }
}

absl::Status Runner::CheckMaps(const Step& step, const Expect& expect, const Task& task) {
  uint64_t from = 0, to = ~uint64_t{0};
  if (!expect.address.empty()) {
    absl::StatusOr<uint64_t> start = EvalMapsAddress(scenario_, expect.address, kernel_->arch(), names_);
    if (!start.ok()) return start.status();
    from = *start;
    to = from + 1;
    if (!expect.end.empty()) {
      absl::StatusOr<uint64_t> end = EvalMapsAddress(scenario_, expect.end, kernel_->arch(), names_);
      if (!end.ok()) return end.status();
      to = *end;
    }
  }
  std::vector<MapsLine> actual;
  for (const MapsLine& line : MapsLines(*kernel_, *task.mm)) {
    if (line.start < to && line.end > from) actual.push_back(line);
  }
  std::string actual_text;
  for (const MapsLine& line : actual) AppendMapsLine(line, &actual_text);
  size_t next = 0;
  for (const ExpectMapsLine& line : expect.lines) {
    absl::StatusOr<uint64_t> start = EvalMapsAddress(scenario_, line.start, kernel_->arch(), names_);
    if (!start.ok()) return start.status();
    absl::StatusOr<uint64_t> end = EvalMapsAddress(scenario_, line.end, kernel_->arch(), names_);
    if (!end.ok()) return end.status();
    while (expect.others_allowed && next < actual.size() && !LineHolds(actual[next], line, *start, *end))
      ++next;
    if (next < actual.size() && LineHolds(actual[next], line, *start, *end)) {
      ++next;
      continue;
    }
    AddMismatch(step,
                fmt::format("{}-{} {} {} {}", Hex(*start), Hex(*end), line.perms, line.offset, line.path),
                "\n" + actual_text);
    return absl::OkStatus();
  }
  if (!expect.others_allowed && next != actual.size()) {
    AddMismatch(step, fmt::format("{} lines of maps", expect.lines.size()), "\n" + actual_text);
  }
  return absl::OkStatus();
}

// The frame that an operand stands for now; nothing where no page is, or a name has none yet.
absl::StatusOr<std::optional<uint64_t>> Runner::FrameOf(const Step& step, const ExpectFrame& side,
                                                        uint64_t offset_bytes) {
  if (side.kind == ExpectFrame::Kind::kZero) return kernel_->system().zero_page.value;
  if (side.kind == ExpectFrame::Kind::kName) {
    const auto known = frame_names_.find(std::string(side.name));
    return known == frame_names_.end() ? std::optional<uint64_t>() : known->second;
  }
  Task* task = kernel_->FindTask(side.pid == 0 ? first_pid_ : side.pid);
  if (task == nullptr || task->mm == nullptr) {
    return scenario_.ErrorAt(step.text, "there is no such live process");
  }
  absl::StatusOr<uint64_t> address = Eval(scenario_, side.address, kernel_->arch(), names_);
  if (!address.ok()) return address.status();
  return FrameAt(*task, *address + offset_bytes);
}

absl::Status Runner::CheckFrame(const Step& step, const Expect& expect) {
  std::optional<uint64_t> frames[2];
  const ExpectFrame* sides[2] = {&expect.left, &expect.right};
  for (int i = 0; i < 2; ++i) {
    if (sides[i]->kind == ExpectFrame::Kind::kName) continue;
    absl::StatusOr<std::optional<uint64_t>> frame = FrameOf(step, *sides[i]);
    if (!frame.ok()) return frame.status();
    frames[i] = *frame;
  }
  for (int i = 0; i < 2; ++i) {
    if (sides[i]->kind != ExpectFrame::Kind::kName) continue;
    const std::string name(sides[i]->name);
    if (const auto known = frame_names_.find(name); known != frame_names_.end()) {
      frames[i] = known->second;
    } else if (frames[1 - i]) {
      frame_names_[name] = *frames[1 - i];
      return absl::OkStatus();
    }
  }
  const bool equal = frames[0].has_value() && frames[0] == frames[1];
  if (equal != expect.equal) {
    AddMismatch(step, std::string(expect.text),
                fmt::format("{:#x} and {:#x} (0: none)", frames[0].value_or(0), frames[1].value_or(0)));
  }
  return absl::OkStatus();
}

void Runner::CheckLastSignal(const Step& step, const Expect& expect, int pid) {
  const auto last = last_access_.find(pid);
  const SigInfo signal = last == last_access_.end() ? SigInfo() : last->second.signal;
  if (expect.subject == Subject::kErrorCode) {
    const bool trapped = last != last_access_.end() && !last->second.traps.empty();
    const uint64_t code = trapped ? last->second.traps.back().error_code : 0;
    if (!trapped || code != expect.number) {
      AddMismatch(step, fmt::format("{:#x}", expect.number),
                  trapped ? fmt::format("{:#x}", code) : "no fault");
    }
    return;
  }
  unsettled_.erase(pid);
  const std::string actual =
      signal.signo == 0 ? "none" : SignalName(signal.signo) + " " + SignalCodeName(signal.signo, signal.code);
  const bool same = expect.signal == "none"
                        ? signal.signo == 0
                        : SignalNumber(expect.signal) == signal.signo &&
                              (expect.signal_code.empty() ||
                               expect.signal_code == SignalCodeName(signal.signo, signal.code));
  if (!same) AddMismatch(step, std::string(expect.text), actual);
}

}  // namespace mmsim::scenario
