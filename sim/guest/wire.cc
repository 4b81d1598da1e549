// SPDX-License-Identifier: Apache-2.0
#include "sim/guest/wire.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace mmsim::guest {
namespace {

constexpr size_t kMaxReportBytes = size_t{1} << 30;

template <typename T>
void AppendRaw(const T& value, std::string& stream) {
  stream.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

template <typename T>
T ReadRaw(std::string_view bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

template <typename T>
std::vector<T> ReadArray(std::string_view bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

bool IsBuffer(const Arg& a) {
  return a.kind == OBSERVE_ARG_IN || a.kind == OBSERVE_ARG_OUT;
}

absl::Status CheckValue(const Arg& a, const Step& step, size_t index) {
  if ((a.kind == OBSERVE_ARG_RESULT || a.kind == OBSERVE_ARG_LOADED) && a.ref >= index)
    return absl::InvalidArgumentError("refers to the result of a step that is not before it");
  if (a.kind == OBSERVE_ARG_BUFFER && (a.ref >= step.args.size() || !IsBuffer(step.args[a.ref])))
    return absl::InvalidArgumentError("refers to an argument that has no buffer");
  if (a.kind > OBSERVE_ARG_LOADED) return absl::InvalidArgumentError("has an argument of no known kind");
  return absl::OkStatus();
}

absl::Status CheckStep(const Step& step, size_t index) {
  if (step.kind == OBSERVE_STEP_RESET || step.kind == OBSERVE_STEP_OFF)
    return absl::InvalidArgumentError("is a step of the run, not of a program");
  if (step.args.size() > OBSERVE_MAX_ARGS) return absl::InvalidArgumentError("has too many arguments");
  if (step.patches.size() > 0xffff) return absl::InvalidArgumentError("has too many patches");
  for (const Arg& a : step.args)
    if (absl::Status s = CheckValue(a, step, index); !s.ok()) return s;
  for (const Patch& p : step.patches) {
    if (p.arg >= step.args.size() || step.args[p.arg].kind != OBSERVE_ARG_IN ||
        p.offset > step.args[p.arg].bytes.size() || step.args[p.arg].bytes.size() - p.offset < 8)
      return absl::InvalidArgumentError("has a patch outside of its buffer");
    if (IsBuffer(p.value)) return absl::InvalidArgumentError("has a patch without a value");
    if (absl::Status s = CheckValue(p.value, step, index); !s.ok()) return s;
  }
  return absl::OkStatus();
}

// Merges what changed into an ascending list.
void Merge(const std::vector<observe_page>& changes, std::vector<observe_page>& pages) {
  std::vector<observe_page> merged;
  merged.reserve(pages.size() + changes.size());
  auto old = pages.begin();
  for (const observe_page& change : changes) {
    while (old != pages.end() && old->vaddr < change.vaddr) merged.push_back(*old++);
    if (old != pages.end() && old->vaddr == change.vaddr) ++old;
    if (change.entry != 0) merged.push_back(change);
  }
  merged.insert(merged.end(), old, pages.end());
  pages = std::move(merged);
}

void NoteChanged(uint32_t space, State& state) {
  auto& changed = state.changed_spaces;
  auto at = std::lower_bound(changed.begin(), changed.end(), space);
  if (at == changed.end() || *at != space) changed.insert(at, space);
}

void TakeLive(std::string_view bytes, State& state) {
  state.live = ReadArray<observe_live>(bytes);
  std::erase_if(state.live, [](const observe_live& l) { return l.process == 0; });
  std::erase_if(state.spaces, [&](const auto& entry) {
    return std::none_of(state.live.begin(), state.live.end(),
                        [&](const observe_live& l) { return l.space == entry.first; });
  });
  for (const observe_live& l : state.live) state.spaces.try_emplace(l.space);
}

void TakeFrames(std::string_view bytes, State& state) {
  for (const observe_frame& f : ReadArray<observe_frame>(bytes)) {
    if (f.count == OBSERVE_FRAME_GONE)
      state.frames.erase(f.pfn);
    else
      state.frames[f.pfn] = f;
  }
  state.frames_changed = true;
}

void TakeShadow(uint32_t nr_entries, std::string_view bytes, State& state) {
  state.shadow.resize(nr_entries);
  for (const observe_shadow& e : ReadArray<observe_shadow>(bytes)) {
    if (e.index < nr_entries) state.shadow[e.index] = {e.vaddr, e.pfn, e.state_flags};
  }
}

absl::Status TakeText(std::string_view bytes, std::string& text) {
  if (bytes.size() < sizeof(observe_text)) return absl::DataLossError("the guest sent half a text");
  const auto kept = ReadRaw<observe_text>(bytes, 0);
  if (size_t{kept.front} + kept.back > text.size())
    return absl::DataLossError("the guest sent a text that does not fit the one before");
  text.replace(kept.front, text.size() - kept.front - kept.back, bytes.substr(sizeof(kept)));
  return absl::OkStatus();
}

absl::Status TakeChunk(const observe_chunk& chunk, std::string_view bytes, Outcome& outcome, State& state) {
  switch (chunk.kind) {
    case OBSERVE_CHUNK_OUT:
      outcome.out[chunk.id] = std::string(bytes);
      break;
    case OBSERVE_CHUNK_LIVE:
      TakeLive(bytes, state);
      break;
    case OBSERVE_CHUNK_MAPS:
      NoteChanged(chunk.id, state);
      return TakeText(bytes, state.spaces[chunk.id].maps);
    case OBSERVE_CHUNK_SMAPS:
      NoteChanged(chunk.id, state);
      return TakeText(bytes, state.spaces[chunk.id].smaps);
    case OBSERVE_CHUNK_PAGES:
      Merge(ReadArray<observe_page>(bytes), state.spaces[chunk.id].pages);
      NoteChanged(chunk.id, state);
      break;
    case OBSERVE_CHUNK_FRAMES:
      TakeFrames(bytes, state);
      break;
    case OBSERVE_CHUNK_FAULTS:
      outcome.faults = ReadArray<observe_fault>(bytes);
      break;
    case OBSERVE_CHUNK_DIED:
      outcome.died = ReadArray<observe_died>(bytes);
      break;
    case OBSERVE_CHUNK_SHADOW:
      TakeShadow(chunk.id, bytes, state);
      break;
    default:  // of a newer executor
      break;
  }
  return absl::OkStatus();
}

// Calls take(chunk, bytes) for each chunk, until one fails.
template <typename Take>
absl::Status ForEachChunk(std::string_view record, Take take) {
  size_t at = sizeof(observe_report);
  while (at < record.size()) {
    if (record.size() - at < sizeof(observe_chunk)) return absl::DataLossError("the guest sent half a chunk");
    const auto chunk = ReadRaw<observe_chunk>(record, at);
    at += sizeof(chunk);
    const uint64_t padded = (chunk.bytes + 7) & ~uint64_t{7};
    if (chunk.bytes > record.size() || padded > record.size() - at)
      return absl::DataLossError("the guest sent a chunk that is longer than its record");
    if (absl::Status status = take(chunk, record.substr(at, chunk.bytes)); !status.ok()) return status;
    at += padded;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckProgram(const Program& program) {
  for (size_t i = 0; i < program.steps.size(); ++i) {
    if (absl::Status s = CheckStep(program.steps[i], i); !s.ok())
      return absl::InvalidArgumentError(absl::StrCat(program.name, ": step ", i, " ", s.message()));
  }
  return absl::OkStatus();
}

void AppendStep(const Step& step, uint16_t more_flags, std::string& stream) {
  const size_t start = stream.size();
  observe_step head{};
  head.kind = static_cast<uint16_t>(step.kind);
  head.flags = step.flags | more_flags;
  head.process = step.process;
  head.child = step.child;
  head.observe = step.observe;
  head.nargs = static_cast<uint16_t>(step.args.size());
  head.npatches = static_cast<uint16_t>(step.patches.size());
  head.number = step.number;
  AppendRaw(head, stream);
  for (const Arg& a : step.args)
    AppendRaw(observe_arg{a.kind, 0, a.ref, a.kind == OBSERVE_ARG_IN ? a.bytes.size() : a.value}, stream);
  for (const Patch& p : step.patches)
    AppendRaw(observe_patch{p.arg, p.value.kind, p.value.ref, p.value.value, p.offset}, stream);
  for (const Arg& a : step.args) {
    if (a.kind != OBSERVE_ARG_IN) continue;
    stream += a.bytes;
    stream.append((8 - a.bytes.size() % 8) % 8, '\0');
  }
  const uint32_t size = static_cast<uint32_t>(stream.size() - start);
  std::memcpy(stream.data() + start + offsetof(observe_step, size), &size, sizeof(size));
}

absl::StatusOr<size_t> RecordSize(std::string_view stream) {
  if (stream.size() < sizeof(observe_report)) return 0;
  const auto head = ReadRaw<observe_report>(stream, 0);
  if (head.size < sizeof(head) || head.size % 8 != 0 || head.size > kMaxReportBytes)
    return absl::DataLossError("the guest sent something that is no report");
  return stream.size() < head.size ? 0 : head.size;
}

absl::Status TakeReport(std::string_view record, observe_report& head, Outcome& outcome, State& state) {
  head = ReadRaw<observe_report>(record, 0);
  outcome = Outcome();
  outcome.step = head.step;
  outcome.ending = static_cast<observe_ending>(head.ending);
  outcome.result = head.result;
  outcome.made = head.made;
  outcome.signo = head.signo;
  outcome.signal_code = head.signal_code;
  outcome.fault_address = head.fault_address;
  outcome.wait_status = head.wait_status;
  state.changed_spaces.clear();
  state.frames_changed = false;
  return ForEachChunk(record, [&](const observe_chunk& chunk, std::string_view bytes) {
    return TakeChunk(chunk, bytes, outcome, state);
  });
}

absl::StatusOr<Hello> TakeHello(std::string_view record) {
  Hello hello;
  bool found = false;
  absl::Status status = ForEachChunk(record, [&](const observe_chunk& chunk, std::string_view bytes) {
    if (chunk.kind != OBSERVE_CHUNK_HELLO || bytes.size() < sizeof(observe_hello)) return absl::OkStatus();
    hello.fields = ReadRaw<observe_hello>(bytes, 0);
    hello.release = std::string(bytes.substr(sizeof(observe_hello)));
    found = true;
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  if (!found) return absl::DataLossError("the guest's first report is no greeting");
  if (hello.fields.version != OBSERVE_VERSION)
    return absl::FailedPreconditionError(absl::StrCat(
        "the guest's executor speaks version ", hello.fields.version, ", this program ", OBSERVE_VERSION));
  return hello;
}

}  // namespace mmsim::guest
