// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/line.h"

#include <iterator>
#include <limits>
#include <optional>

#include "fmt/format.h"
#include "sim/base/errno.h"
#include "sim/scenario/grammar.h"
#include "sim/scenario/words.h"
#include "tao/pegtl/contrib/limit_depth.hpp"

namespace mmsim::scenario {
namespace {

namespace p = tao::pegtl;
namespace g = grammar;

constexpr size_t kMaxDepth = 64;
constexpr size_t kMaxArgs = 32;

// Thrown where what was matched makes no sense; caught in ParseLine.
struct Rejected {
  const char* at;
  std::string message;
};

template <typename In>
std::string_view View(const In& in) {
  return {in.begin(), in.size()};
}
template <typename In>
TextRef Ref(const In& in, const ParsedLine& line) {
  return {static_cast<uint32_t>(in.begin() - line.step.text), static_cast<uint32_t>(in.size())};
}
template <typename In>
int32_t Pid(const In& in) {
  const std::string_view text = View(in);
  int64_t pid = 0;
  for (const char c : text) {
    pid = pid * 10 + (c - '0');
    if (pid > std::numeric_limits<int32_t>::max())
      throw Rejected{text.data(), "expected a process id below 2^31"};
  }
  return static_cast<int32_t>(pid);
}
template <typename In>
int64_t Integer(const In& in) {
  const std::optional<uint64_t> value = ParseNumber(View(in));
  if (!value)
    throw Rejected{in.begin(),
                   fmt::format("expected a number of at most 64 bits, not '{}'", View(in).substr(0, 40))};
  return static_cast<int64_t>(*value);
}
template <typename In>
uint8_t ArchMask(const In& in) {
  if (View(in) == "x86_64") return 1 << static_cast<int>(Arch::kX86_64);
  if (View(in) == "arm64") return 1 << static_cast<int>(Arch::kArm64);
  throw Rejected{in.begin(),
                 fmt::format("unknown architecture '{}', expected x86_64 or arm64", View(in).substr(0, 40))};
}
template <typename In>
void RequireWord(const In& in, std::string_view what, absl::Span<const std::string_view> words) {
  if (IsOneOf(View(in), words)) return;
  throw Rejected{in.begin(),
                 fmt::format("unknown {} '{}'{}", what, View(in).substr(0, 40), DidYouMean(View(in), words))};
}

template <typename Rule>
struct Action : p::nothing<Rule> {};

// Makes an Action whose body sees `in` and `line`.
#define MMSIM_ACTION(Rule)                             \
  template <>                                          \
  struct Action<g::Rule> {                             \
    template <typename In>                             \
    static void apply(const In& in, ParsedLine& line); \
  };                                                   \
  template <typename In>                               \
  void Action<g::Rule>::apply([[maybe_unused]] const In& in, [[maybe_unused]] ParsedLine& line)

template <>
struct Action<g::Group> : p::limit_depth<kMaxDepth> {};
template <>
struct Action<g::Angle> : p::limit_depth<kMaxDepth> {};

// ---- columns
MMSIM_ACTION(Columns) {
  line.step.text = in.begin() + in.size();
}
MMSIM_ACTION(PlainPid) {
  line.step.pid = Pid(in);
  line.pid_form = PidForm::kPlain;
}
MMSIM_ACTION(BracketPid) {
  line.step.pid = Pid(in);
  line.pid_form = PidForm::kBracket;
}
MMSIM_ACTION(OnArch) {
  line.step.arch_mask = ArchMask(in);
  line.by_hand = true;
}

// ---- calls
// Fills in which call or access a name is; false when it is none.
bool NameCall(std::string_view name, ParsedLine* line) {
  Step& s = line->step;
  s.kind = StepKind::kCall;
  if (const std::optional<Sys> sys = SysByName(name)) {
    s.sys = *sys;
    return true;
  }
  if (name == "store" || name == "load" || name == "fetch") {
    s.kind = StepKind::kAccess;
    s.access = name == "store" ? AccessKind::kStore : name == "load" ? AccessKind::kLoad : AccessKind::kFetch;
    line->by_hand = true;
    return true;
  }
  s.sys = kSysByNumber;
  s.number = -1;
  if (name == "???") return true;
  if (!name.starts_with("syscall_")) return false;
  const std::optional<uint64_t> number = ParseNumber(name.substr(8));
  if (!number || *number > 0x7fffffff) return false;
  s.number = static_cast<int32_t>(*number);
  return true;
}
MMSIM_ACTION(CallName) {
  if (NameCall(View(in), &line)) return;
  if (IsOneOf(View(in), CallWords()))
    throw Rejected{in.begin(), fmt::format("expected more after '{}'", View(in))};
  const bool call = in.begin() + in.size() != line.end && in.begin()[in.size()] == '(';
  throw Rejected{in.begin(), fmt::format("unknown {} '{}'{}", call ? "system call" : "word",
                                         View(in).substr(0, 40), DidYouMean(View(in), CallWords()))};
}
MMSIM_ACTION(ResumedName) {
  if (NameCall(View(in), &line)) return;
  throw Rejected{in.begin(), fmt::format("unknown system call '{}'", View(in).substr(0, 40))};
}
MMSIM_ACTION(CallHead) {
  line.kind = LineKind::kCallHead;
}
template <typename In>
void AddArg(const In& in, ParsedLine& line) {
  TextRef ref = Ref(in, line);
  while (ref.len > 0 && (in.begin()[ref.len - 1] == ' ' || in.begin()[ref.len - 1] == '\t')) --ref.len;
  if (line.args.size() == kMaxArgs) throw Rejected{in.begin(), "a call has at most 32 arguments"};
  line.args.push_back(ref);
}
MMSIM_ACTION(FirstArg) {
  AddArg(in, line);
}
MMSIM_ACTION(ExpectedArg) {
  AddArg(in, line);
}
MMSIM_ACTION(Arg) {
  AddArg(in, line);
}
MMSIM_ACTION(Call) {
  line.kind = LineKind::kStep;
}
MMSIM_ACTION(ResumedRest) {
  line.kind = LineKind::kResumed;
  line.rest = in.begin();
}

// ---- results
MMSIM_ACTION(ErrorName) {
  line.step.error = static_cast<int16_t>(ErrnoNumber(View(in)));
}
MMSIM_ACTION(ErrorNumber) {
  const int64_t number = Integer(in);
  if (number < 0 || number > 4095) throw Rejected{in.begin(), "expected an errno from 1 to 4095"};
  line.step.error = static_cast<int16_t>(number);
}
MMSIM_ACTION(Unknown) {
  line.step.result = ResultKind::kUnknown;
}
MMSIM_ACTION(Failed) {
  line.step.result = ResultKind::kErrno;
}
MMSIM_ACTION(Value) {
  line.step.value = Integer(in);
  line.step.result = ResultKind::kValue;
}
MMSIM_ACTION(NameResult) {
  line.step.result = ResultKind::kName;
  line.by_hand = true;
}
MMSIM_ACTION(StringResult) {
  line.step.result = ResultKind::kBytes;
  if (line.step.kind != StepKind::kAccess)
    throw Rejected{in.begin(), "only a load has a string as its result"};
}
MMSIM_ACTION(ExpectedResult) {
  line.result_at = in.begin();
}

// ---- signals, exits, strace itself
MMSIM_ACTION(ExpectedSignal) {
  line.step.name = Ref(in, line);
}
MMSIM_ACTION(SignalInfo) {
  line.args.push_back(Ref(in, line));
}
MMSIM_ACTION(Signal) {
  line.step.kind = StepKind::kSignal;
  line.kind = LineKind::kStep;
}
MMSIM_ACTION(ExitStatus) {
  line.step.exit = ExitKind::kExited;
  line.step.value = Integer(in);
}
MMSIM_ACTION(ExitSignal) {
  line.step.exit = ExitKind::kKilled;
  line.step.name = Ref(in, line);
}
MMSIM_ACTION(SupersededBy) {
  line.step.exit = ExitKind::kSuperseded;
  line.step.value = Pid(in);
}
MMSIM_ACTION(Exit) {
  line.step.kind = StepKind::kExit;
  line.kind = LineKind::kStep;
}
MMSIM_ACTION(AttachedPid) {
  line.attached = Pid(in);
}
MMSIM_ACTION(Attached) {
  line.kind = LineKind::kAttached;
}

// ---- what people write
MMSIM_ACTION(SpawnPid) {
  line.step.pid = Pid(in);
}
MMSIM_ACTION(Key) {
  line.step.name = Ref(in, line);
}
MMSIM_ACTION(Option) {
  AddArg(in, line);
}
MMSIM_ACTION(ExpectedOption) {
  AddArg(in, line);
}
void ByHand(StepKind kind, ParsedLine& line) {
  line.step.kind = kind;
  line.kind = LineKind::kStep;
  line.by_hand = true;
}
template <typename Check>
void RequireKey(std::string_view what, Check words, ParsedLine& line) {
  const std::string_view key = line.step.Name();
  if (!IsOneOf(key, words)) {
    throw Rejected{key.data(),
                   fmt::format("unknown {} '{}'{}", what, key.substr(0, 40), DidYouMean(key, words))};
  }
}
MMSIM_ACTION(Spawn) {
  ByHand(StepKind::kSpawn, line);
  for (const TextRef& arg : line.args) {
    if (line.step.View(arg) != "privileged") {
      throw Rejected{line.step.View(arg).data(), "expected 'privileged' or the end of the line"};
    }
  }
}
MMSIM_ACTION(Set) {
  ByHand(StepKind::kSet, line);
  RequireKey("setting", SettingWords(), line);
}
MMSIM_ACTION(LetName) {
  line.step.name = Ref(in, line);
}
MMSIM_ACTION(LetValue) {
  AddArg(in, line);
}
MMSIM_ACTION(Let) {
  ByHand(StepKind::kLet, line);
}
MMSIM_ACTION(Limit) {
  ByHand(StepKind::kLimit, line);
}
MMSIM_ACTION(Inject) {
  ByHand(StepKind::kInject, line);
  RequireKey("seam", SeamWords(), line);
  if ((line.step.Name() == "off") != line.args.empty()) {
    throw Rejected{line.step.Name().data(),
                   "expected 'inject SEAM N' (the Nth allocation from here fails) or 'inject off'"};
  }
}
MMSIM_ACTION(ArchName) {
  line.word = View(in);
  line.step.arch_mask = ArchMask(in);
}
MMSIM_ACTION(Reason) {
  line.reason = View(in).substr(1, in.size() - 2);
}
MMSIM_ACTION(ArchLine) {
  ByHand(StepKind::kSet, line);
  line.kind = LineKind::kArch;
}
MMSIM_ACTION(ProfileName) {
  line.word = View(in);
}
MMSIM_ACTION(Profile) {
  ByHand(StepKind::kSet, line);
  line.kind = LineKind::kProfile;
}
MMSIM_ACTION(ExpectLine) {
  ByHand(StepKind::kExpect, line);
  line.kind = LineKind::kExpect;
  line.rest = in.begin();
}

template <typename Rule>
bool Run(const char* begin, const char* end, ParsedLine* line, LineError* error) {
  g::Input in(begin, end, "");
  try {
    if (p::parse<Rule, Action, g::Control>(in, *line)) return true;
    *error = {in.current(), g::kMessage<g::ExpectedEvent>};
  } catch (const p::parse_error& e) {
    const char* at = begin + e.positions().front().byte;
    std::string message(e.message());
    if (message.starts_with("maximum")) message = fmt::format("brackets nest deeper than {}", kMaxDepth);
    if (at != end && !g::IsPrint(*at) && *at != ' ' && *at != '\t') {
      fmt::format_to(std::back_inserter(message), "; a scenario is text, this is byte 0x{:02x}",
                     static_cast<unsigned char>(*at));
    }
    *error = {at, std::move(message)};
  } catch (const Rejected& r) {
    *error = {r.at, r.message};
  }
  return false;
}

}  // namespace

bool ParseLine(LineForm form, const char* begin, const char* end, ParsedLine* line, LineError* error) {
  line->kind = LineKind::kNothing;
  line->pid_form = PidForm::kNone;
  line->by_hand = false;
  line->args.clear();
  line->step = Step{};
  line->step.text = begin;
  line->end = end;
  line->result_at = nullptr;
  line->rest = nullptr;
  line->reason = {};
  bool ok = false;
  switch (form) {
    case LineForm::kWhole:
      ok = Run<g::Line>(begin, end, line, error);
      break;
    case LineForm::kUnfinished:
      ok = Run<g::UnfinishedLine>(begin, end, line, error);
      break;
    case LineForm::kHeld:
      ok = Run<g::HeldLine>(begin, end, line, error);
      break;
    case LineForm::kJoined:
      ok = Run<p::seq<g::Call>>(begin, end, line, error);
      break;
    case LineForm::kJoinedPart:
      ok = Run<g::PartialCall>(begin, end, line, error);
      break;
  }
  Step& s = line->step;
  s.text_len = static_cast<uint32_t>(end - s.text);
  s.nr_args = static_cast<uint8_t>(line->args.size());
  if (line->result_at != nullptr) {
    s.result_text = {static_cast<uint32_t>(line->result_at - s.text),
                     static_cast<uint32_t>(end - line->result_at)};
  }
  return ok;
}

}  // namespace mmsim::scenario
