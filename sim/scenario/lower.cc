// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/lower.h"

#include <algorithm>
#include <cstring>

#include "fmt/format.h"
#include "sim/scenario/eval.h"
#include "sim/scenario/literal.h"
#include "sim/scenario/shapes.h"
#include "sim/scenario/split.h"
#include "sim/scenario/words.h"

namespace mmsim::scenario {
namespace {

constexpr uint64_t kMaxBufferBytes = uint64_t{1}
                                     << 24;  // of an argument; longer ones are known by their length alone

// Lowers the arguments of one call.
class Lowering {
 public:
  Lowering(const Scenario& scenario, const Step& step, Arch arch, const Names& names, LoweredCall* call)
      : scenario_(scenario), step_(step), arch_(arch), names_(names), call_(*call) {}

  // False: error() has the place and the reason.
  bool Run() {
    call_.args.clear();
    call_.bytes.clear();
    call_.sys = step_.sys;
    if (step_.sys == kSysByNumber && step_.number >= 0) {
      if (const auto sys = ByNumber(step_.number)) call_.sys = *sys;
    }
    call_.number = call_.sys == kSysByNumber ? step_.number : SysNumberOn(call_.sys);
    if (call_.number < 0 && !scenario_.is_log()) return Stand();
    const CallShape& shape = ShapeOf(call_.sys);
    strict_ = !scenario_.is_log() || (shape.maps_memory && step_.sys != kSysByNumber);
    if (!CheckCount(shape)) return false;
    if (call_.sys == Sys::k_clone) return Clone();
    const absl::Span<const TextRef> refs = scenario_.Args(step_);
    call_.args.resize(std::min<size_t>(refs.size(), 6));
    for (size_t i = 0; i < call_.args.size(); ++i) {
      if (!One(step_.View(refs[i]), shape.args[i], i, &call_.args[i])) return false;
    }
    return true;
  }
  const LineError& error() const { return error_; }

 private:
  static int Number(Sys sys, Arch arch) {
    static constexpr int16_t kNumbers[][2] = {
#define X(name, x86_64, arm64) {x86_64, arm64},
#include "sim/kernel/syscalls.def"
#undef X
    };
    return kNumbers[static_cast<size_t>(sys)][static_cast<size_t>(arch)];
  }
  int SysNumberOn(Sys sys) const {
    return Number(sys, arch_);
  }
  std::optional<Sys> ByNumber(int number) const {
    // Of two calls that claim a number, Debian's kernel has the earlier one, and a log is of such a kernel;
    // what people write is about the later one (syscalls.def).
    std::optional<Sys> found;
    for (uint16_t i = 0; i < static_cast<uint16_t>(Sys::kCount); ++i) {
      if (Number(static_cast<Sys>(i), arch_) != number) continue;
      if (!found || !scenario_.is_log()) found = static_cast<Sys>(i);
    }
    return found;
  }

  // What a C library makes of a call that the architecture lacks: fork and vfork are clone there.
  bool Stand() {
    const bool is_vfork = call_.sys == Sys::k_vfork;
    if (call_.sys != Sys::k_fork && !is_vfork) {
      error_ = {step_.text, fmt::format("{} does not exist on {}", SysName(call_.sys), ArchName(arch_))};
      return false;
    }
    call_.sys = Sys::k_clone;
    call_.number = SysNumberOn(call_.sys);
    call_.args.resize(5);
    call_.args[0].value = SymbolValue("SIGCHLD", arch_).value_or(0);
    if (!is_vfork) return true;
    for (const std::string_view flag : {"CLONE_VM", "CLONE_VFORK"})
      call_.args[0].value |= SymbolValue(flag, arch_).value_or(0);
    return true;
  }

  bool CheckCount(const CallShape& shape) {
    if (shape.min_args < 0 || step_.partial || step_.sys == kSysByNumber) return true;
    if (step_.nr_args >= shape.min_args && step_.nr_args <= shape.max_args) return true;
    const std::string_view name = step_.Text().substr(0, step_.Text().find('('));
    error_ = {step_.text, fmt::format("{} takes {} arguments, not {}", name, shape.min_args, step_.nr_args)};
    return false;
  }

  // Numbers, constants and descriptors. What is none of these is kUnknown, or an error where that must not
  // be.
  bool Value(std::string_view text, LoweredArg* arg) {
    arg->kind = ArgKind::kValue;
    const size_t angle = text.find('<');
    if (angle != std::string_view::npos && angle > 0 && angle + 1 < text.size() && text[angle + 1] != '<') {
      // 3</lib/x.so>, AT_FDCWD</srv/x>, 3</tmp/x>(deleted)
      const size_t end = text.rfind('>');
      if (end != std::string_view::npos && end > angle && text.find('|') > angle) {
        arg->path = text.substr(angle + 1, end - angle - 1);
        text = text.substr(0, angle);
      }
    }
    if (Evaluate(text, arch_, names_, &arg->value, strict_ ? &error_ : nullptr)) return true;
    if (strict_) return false;
    *arg = {};
    arg->kind = ArgKind::kUnknown;
    return true;
  }

  bool One(std::string_view text, Shape shape, size_t index, LoweredArg* arg) {
    std::string_view inside;
    if (text.front() == '"' && StripQuotes(text, &inside, &arg->truncated)) {
      return Text(inside, shape == Shape::kOutBytes, index, arg);
    }
    if (text.front() == '[' || text.front() == '{' || text.starts_with("~["))
      return Structure(text, shape, arg);
    if (shape == Shape::kEnvironment) return Environment(text, arg);
    return Value(text, arg);
  }

  bool Text(std::string_view inside, bool out, size_t index, LoweredArg* arg) {
    Place(arg);
    AppendUnescaped(inside, &call_.bytes);
    EndPlace(arg);
    call_.bytes.push_back('\0');
    arg->kind = ArgKind::kIn;
    if (!out) return true;
    arg->kind = ArgKind::kOut;
    arg->seen = true;
    // The buffer is as long as the next argument says; the bytes are those that came back.
    uint64_t len = 0;
    if (index + 1 < step_.nr_args &&
        Evaluate(scenario_.Arg(step_, static_cast<int>(index) + 1), arch_, names_, &len, nullptr) &&
        len > arg->len && len <= kMaxBufferBytes) {
      call_.bytes.resize(arg->offset + len, '\0');
      arg->truncated |= step_.result != ResultKind::kValue || static_cast<uint64_t>(step_.value) > arg->len;
      arg->len = static_cast<uint32_t>(len);
    }
    return true;
  }

  // {...}, [...], ~[...], and `{...} => {...}`, whose left side went in.
  bool Structure(std::string_view text, Shape shape, LoweredArg* arg) {
    arg->kind = ArgKind::kUnknown;
    if (shape == Shape::kBySyntax || shape == Shape::kOutBytes) return true;
    const char open = text.front(), close = open == '{' ? '}' : ']';
    const size_t arrow = text.find(" => ");
    const std::string_view in = arrow == std::string_view::npos ? text : text.substr(0, arrow);
    const size_t end = in.rfind(close);
    if (open == '~' || end == std::string_view::npos || !SplitElements(in.substr(1, end - 1), &elements_)) {
      return Unclear(text);
    }
    switch (shape) {
      case Shape::kRlimitIn:
        return Layout(kRlimitLayout, 16, ArgKind::kIn, arg);
      case Shape::kRlimitOut:
        arg->seen = true;
        return Layout(kRlimitLayout, 16, ArgKind::kOut, arg);
      case Shape::kCloneArgs:
        return CloneArgs(arg);
      case Shape::kOpenHow:
        return Layout(kOpenHowLayout, 24, ArgKind::kIn, arg);
      case Shape::kStrings:
      case Shape::kEnvironment:
        return Strings(text, arg);
      case Shape::kIovecs:
        return Iovecs(arg);
      case Shape::kShadowTable:
        return Layout(kShadowTableLayout, 24, ArgKind::kInOut, arg);
      case Shape::kOutInts:
        return Numbers(4, arg);
      case Shape::kOutChars:
        return Numbers(1, arg);
      case Shape::kBySyntax:
      case Shape::kOutBytes:
        return true;
    }
    return true;
  }

  bool Unclear(std::string_view text) {
    if (!strict_) return true;
    error_ = {text.data(), "expected a structure or an array"};
    return false;
  }

  void Place(LoweredArg* arg) {
    arg->offset = static_cast<uint32_t>(call_.bytes.size());
  }
  void EndPlace(LoweredArg* arg) {
    arg->len = static_cast<uint32_t>(call_.bytes.size() - arg->offset);
  }

  // Writes `elements_` into `size` bytes by their keys.
  bool Layout(absl::Span<const FieldLayout> layout, size_t size, ArgKind kind, LoweredArg* arg) {
    Place(arg);
    call_.bytes.resize(call_.bytes.size() + size, '\0');
    EndPlace(arg);
    arg->kind = kind;
    return Fill(layout, arg->offset, size, arg);
  }

  bool Fill(absl::Span<const FieldLayout> layout, size_t offset, size_t size, LoweredArg* arg) {
    for (const Element& e : elements_) {
      if (e.value == "...") continue;
      const auto field =
          std::find_if(layout.begin(), layout.end(), [&](const FieldLayout& f) { return f.name == e.key; });
      if (field == layout.end() || field->offset + size_t{field->size} > size) {
        if (!strict_) continue;
        error_ = {e.value.data(), e.key.empty()
                                      ? std::string("expected FIELD=VALUE")
                                      : fmt::format("the structure has no field '{}'", e.key.substr(0, 40))};
        return false;
      }
      uint64_t value = 0;
      if (!Evaluate(e.value, arch_, names_, &value, strict_ ? &error_ : nullptr)) {
        if (e.value.front() == '"' || e.value.front() == '[')
          continue;  // a pointer; strace shows what is behind it
        if (strict_) return false;
        arg->kind = ArgKind::kUnknown;
        return true;
      }
      for (size_t i = 0; i < field->size; ++i) {
        call_.bytes[offset + field->offset + i] = static_cast<char>(value >> (8 * i));
      }
    }
    return true;
  }

  bool CloneArgs(LoweredArg* arg) {
    uint64_t size = 88;
    if (step_.nr_args > 1 && !Evaluate(scenario_.Arg(step_, 1), arch_, names_, &size, nullptr)) size = 88;
    if (size < 64 || size > 4096) size = 88;
    return Layout(kCloneArgsLayout, size, ArgKind::kInOut, arg);
  }

  bool Strings(std::string_view whole, LoweredArg* arg) {
    Place(arg);
    for (const Element& e : elements_) {
      std::string_view inside;
      bool cut = false;
      if (e.value == "..." || e.value == "NULL") {
        arg->truncated |= e.value == "...";
        continue;
      }
      if (!StripQuotes(e.value, &inside, &cut)) return Unclear(whole);
      AppendUnescaped(inside, &call_.bytes);
      call_.bytes.push_back('\0');
      arg->truncated |= cut;
      ++arg->value;
    }
    EndPlace(arg);
    arg->kind = ArgKind::kStrings;
    return true;
  }

  bool Iovecs(LoweredArg* arg) {
    const ElementList vectors = elements_;
    Place(arg);
    for (const Element& v : vectors) {
      if (v.value.size() < 2 || v.value.front() != '{' ||
          !SplitElements(v.value.substr(1, v.value.size() - 2), &elements_)) {
        arg->truncated |= v.value == "...";
        if (v.value != "..." && !Unclear(v.value)) return false;
        continue;
      }
      const size_t offset = call_.bytes.size();
      call_.bytes.resize(offset + 16, '\0');
      if (!Fill(kIovecLayout, offset, 16, arg)) return false;
    }
    EndPlace(arg);
    arg->kind = ArgKind::kIn;
    return true;
  }

  // [3</x>, 4</y>] as int[], [1, 0] as unsigned char[]: what came back.
  bool Numbers(size_t size, LoweredArg* arg) {
    Place(arg);
    for (const Element& e : elements_) {
      if (e.value == "...") {
        arg->truncated = true;
        continue;
      }
      uint64_t value = 0;
      if (!Evaluate(e.value.substr(0, e.value.find('<')), arch_, names_, &value,
                    strict_ ? &error_ : nullptr)) {
        return !strict_;
      }
      for (size_t i = 0; i < size; ++i) call_.bytes.push_back(static_cast<char>(value >> (8 * i)));
    }
    EndPlace(arg);
    arg->kind = ArgKind::kOut;
    arg->seen = true;
    return true;
  }

  // 0x7ffe... /* 41 vars */
  bool Environment(std::string_view text, LoweredArg* arg) {
    if (!Value(text, arg)) return false;
    if (arg->value != 0) arg->kind = ArgKind::kUnknown;
    return true;
  }

  // strace names and orders the arguments of clone as it likes: clone(child_stack=NULL, flags=...,
  // child_tidptr=...).
  bool Clone() {
    const absl::Span<const TextRef> refs = scenario_.Args(step_);
    call_.args.resize(5);
    for (size_t i = 0; i < refs.size(); ++i) {
      std::string_view text = step_.View(refs[i]);
      const size_t equals = text.find('=');
      int position = static_cast<int>(i);
      if (equals != std::string_view::npos) {
        position = CloneArgPosition(text.substr(0, equals), arch_);
        text.remove_prefix(equals + 1);
      }
      if (position < 0 || position > 4 || text.empty()) {
        if (!strict_) continue;
        error_ = {step_.View(refs[i]).data(),
                  "clone takes flags, child_stack, parent_tid, child_tidptr and tls"};
        return false;
      }
      LoweredArg& arg = call_.args[position];
      if (text.front() == '[' || text.front() == '{') {
        if (text.back() != ']' || !SplitElements(text.substr(1, text.size() - 2), &elements_)) continue;
        if (!Numbers(4, &arg)) return false;
      } else if (!Value(text, &arg)) {
        return false;
      }
    }
    return true;
  }

  const Scenario& scenario_;
  const Step& step_;
  const Arch arch_;
  const Names& names_;
  LoweredCall& call_;
  LineError error_;
  ElementList elements_;
  bool strict_ = true;
};

}  // namespace

absl::Status Lower(const Scenario& scenario, const Step& step, Arch arch, const Names& names,
                   LoweredCall* call) {
  Lowering lowering(scenario, step, arch, names, call);
  if (lowering.Run()) return absl::OkStatus();
  return scenario.ErrorAt(lowering.error().at, lowering.error().message);
}

std::string PointersAndStrings(std::string_view strings, uint64_t count, uint64_t address) {
  std::string bytes((count + 1) * 8, '\0');
  size_t at = 0;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t pointer = address + bytes.size() + at;
    std::memcpy(bytes.data() + i * 8, &pointer, sizeof(pointer));
    at = strings.find('\0', at) + 1;
  }
  bytes += strings;
  return bytes;
}

absl::StatusOr<uint64_t> Eval(const Scenario& scenario, std::string_view expression, Arch arch,
                              const Names& names) {
  uint64_t value = 0;
  LineError error;
  if (Evaluate(expression, arch, names, &value, &error)) return value;
  return scenario.ErrorAt(error.at, error.message);
}

absl::StatusOr<uint64_t> EvalMapsAddress(const Scenario& scenario, std::string_view expression, Arch arch,
                                         const Names& names) {
  uint64_t value = 0;
  const bool bare = !expression.starts_with("0x") && expression.size() <= 16 &&
                    std::all_of(expression.begin(), expression.end(), [](char c) {
                      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
                    });
  if (!bare) return Eval(scenario, expression, arch, names);
  for (const char c : expression)
    value = value * 16 + static_cast<uint64_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
  return value;
}

absl::Status LowerAccess(const Scenario& scenario, const Step& step, Arch arch, const Names& names,
                         LoweredAccess* access) {
  static constexpr std::string_view kForms[] = {"store(ADDRESS, \"BYTES\")", "load(ADDRESS, LENGTH)",
                                                "fetch(ADDRESS)"};
  access->kind = step.access;
  access->bytes.clear();
  access->checks_bytes = false;
  const int wanted = step.access == AccessKind::kFetch ? 1 : 2;
  if (step.nr_args != wanted) {
    return scenario.ErrorAt(step.text, fmt::format("expected {}", kForms[static_cast<size_t>(step.access)]));
  }
  absl::StatusOr<uint64_t> address = Eval(scenario, scenario.Arg(step, 0), arch, names);
  if (!address.ok()) return address.status();
  access->address = *address;
  access->len = 1;
  std::string_view inside;
  bool cut = false;
  if (step.access == AccessKind::kStore) {
    if (!StripQuotes(scenario.Arg(step, 1), &inside, &cut) || cut) {
      return scenario.ErrorAt(scenario.Arg(step, 1).data(), "expected the bytes to store, as a string");
    }
    AppendUnescaped(inside, &access->bytes);
    access->len = access->bytes.size();
  } else if (step.access == AccessKind::kLoad) {
    absl::StatusOr<uint64_t> len = Eval(scenario, scenario.Arg(step, 1), arch, names);
    if (!len.ok()) return len.status();
    if (*len == 0 || *len > kMaxBufferBytes) {
      return scenario.ErrorAt(scenario.Arg(step, 1).data(), "expected a length from 1 to 16 MiB");
    }
    access->len = *len;
    if (step.result == ResultKind::kBytes && StripQuotes(scenario.ResultToken(step), &inside, &cut)) {
      AppendUnescaped(inside, &access->bytes);
      access->checks_bytes = true;
      if (access->bytes.size() != access->len) {
        return scenario.ErrorAt(
            scenario.ResultToken(step).data(),
            fmt::format("expected a string of {} bytes, not {}", access->len, access->bytes.size()));
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<LoweredSignal> LowerSignal(const Scenario& scenario, const Step& step, Arch arch,
                                          const Names& names) {
  LoweredSignal signal;
  signal.name = step.Name();
  if (step.nr_args == 0) return signal;
  ElementList elements;
  const std::string_view info = scenario.Arg(step, 0);
  if (!SplitElements(info, &elements)) return scenario.ErrorAt(info.data(), "expected FIELD=VALUE, ...");
  for (const Element& e : elements) {
    if (e.key == "si_code") signal.code = e.value;
    if (e.key != "si_addr") continue;
    absl::StatusOr<uint64_t> address = Eval(scenario, e.value, arch, names);
    if (!address.ok()) return address.status();
    signal.address = *address;
  }
  return signal;
}

}  // namespace mmsim::scenario
