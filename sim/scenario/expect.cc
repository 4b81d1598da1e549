// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/expect.h"

#include "fmt/format.h"
#include "sim/scenario/expect_grammar.h"
#include "sim/scenario/line.h"
#include "sim/scenario/literal.h"
#include "sim/scenario/words.h"

namespace mmsim::scenario {
namespace {

namespace p = tao::pegtl;
namespace g = grammar;

struct Rejected {
  const char* at;
  std::string message;
};

struct Building {
  Expect expect;
  ExpectFrame frame;
  bool negated = false;
  std::vector<ExpectFlag> flags;
};

template <typename In>
std::string_view View(const In& in) {
  std::string_view text(in.begin(), in.size());
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}
template <typename In>
uint64_t Integer(const In& in) {
  const auto value = ParseNumber(View(in));
  if (!value) throw Rejected{in.begin(), "expected a number of at most 64 bits"};
  return *value;
}
template <typename In>
int32_t Pid(const In& in) {
  const std::string_view text = View(in);
  if (text.size() > 9) throw Rejected{in.begin(), "expected a process id below 10^9"};
  int32_t pid = 0;
  for (const char c : text) pid = pid * 10 + (c - '0');
  return pid;
}
void RequireWord(std::string_view word, std::string_view what, absl::Span<const std::string_view> words) {
  if (IsOneOf(word, words)) return;
  throw Rejected{word.data(),
                 fmt::format("unknown {} '{}'{}", what, word.substr(0, 40), DidYouMean(word, words))};
}

template <typename Rule>
struct Action : p::nothing<Rule> {};

#define MMSIM_ACTION(Rule)                        \
  template <>                                     \
  struct Action<g::Rule> {                        \
    template <typename In>                        \
    static void apply(const In& in, Building& b); \
  };                                              \
  template <typename In>                          \
  void Action<g::Rule>::apply([[maybe_unused]] const In& in, [[maybe_unused]] Building& b)

MMSIM_ACTION(ExPid) {
  b.expect.pid = Pid(in);
}
MMSIM_ACTION(ExAddress) {
  b.expect.address = View(in);
}
MMSIM_ACTION(SubjectMaps) {
  b.expect.subject = Subject::kMaps;
}
MMSIM_ACTION(SubjectSmaps) {
  b.expect.subject = Subject::kSmaps;
}
MMSIM_ACTION(SubjectPte) {
  b.expect.subject = Subject::kPte;
}
MMSIM_ACTION(SubjectPagemap) {
  b.expect.subject = Subject::kPagemap;
}
MMSIM_ACTION(SubjectPageFlags) {
  b.expect.subject = Subject::kPageFlags;
}
MMSIM_ACTION(SubjectPageCount) {
  b.expect.subject = Subject::kPageCount;
}
MMSIM_ACTION(SubjectBytes) {
  b.expect.subject = Subject::kBytes;
}
MMSIM_ACTION(SubjectSignal) {
  b.expect.subject = Subject::kSignal;
}
MMSIM_ACTION(SubjectErrorCode) {
  b.expect.subject = Subject::kErrorCode;
}
MMSIM_ACTION(SubjectCounters) {
  b.expect.subject = Subject::kCounters;
}
MMSIM_ACTION(SubjectShadow) {
  b.expect.subject = Subject::kShadow;
}
MMSIM_ACTION(SubjectFrame) {
  b.expect.subject = Subject::kFrame;
}

MMSIM_ACTION(RangeStart) {
  b.expect.address = View(in);
}
MMSIM_ACTION(RangeEnd) {
  b.expect.end = View(in);
}
MMSIM_ACTION(MapsStart) {
  b.expect.lines.emplace_back();
  b.expect.lines.back().start = View(in);
}
MMSIM_ACTION(MapsEnd) {
  b.expect.lines.back().end = View(in);
}
MMSIM_ACTION(MapsPerms) {
  b.expect.lines.back().perms = View(in);
}
MMSIM_ACTION(MapsOffset) {
  b.expect.lines.back().offset = View(in);
}
MMSIM_ACTION(MapsDev) {
  b.expect.lines.back().dev = View(in);
}
MMSIM_ACTION(MapsInode) {
  b.expect.lines.back().inode = View(in);
  b.expect.lines.back().compares_path = true;
}
MMSIM_ACTION(MapsPath) {
  b.expect.lines.back().path = View(in);
  b.expect.lines.back().compares_path = View(in) != "*";
}
MMSIM_ACTION(MapsRest) {
  b.expect.others_allowed = true;
}

MMSIM_ACTION(FieldName) {
  // Also tried where a value's next word might open the next field: only Field keeps it.
}
MMSIM_ACTION(Field) {
  const std::string_view text = View(in);
  const size_t colon = text.find(':');
  std::string_view value = text.substr(colon + 1);
  value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
  b.expect.fields.push_back({text.substr(0, colon), value});
}
MMSIM_ACTION(LevelName) {
  RequireWord(View(in), "level", LevelWords());
  b.expect.levels.emplace_back();
  b.expect.levels.back().level = View(in);
  b.flags.clear();
  b.negated = false;
}
MMSIM_ACTION(EntryNot) {
  b.negated = true;
}
MMSIM_ACTION(EntryWord) {
  b.flags.push_back({View(in), b.negated});
  b.negated = false;
}
MMSIM_ACTION(EntryExact) {
  b.expect.levels.back().exact = true;
}
MMSIM_ACTION(EntryRaw) {
  b.expect.levels.back().raw = Integer(in);
}
MMSIM_ACTION(EntryMask) {
  b.expect.levels.back().mask = Integer(in);
}
MMSIM_ACTION(EntryFlags) {
  for (const ExpectFlag& f : b.flags) RequireWord(f.name, "word for a table entry", EntryWords());
  b.expect.levels.back().flags = b.flags;
}
MMSIM_ACTION(Bits) {
  const bool pagemap = b.expect.subject == Subject::kPagemap;
  for (const ExpectFlag& f : b.flags) {
    RequireWord(f.name, pagemap ? "bit of pagemap" : "page flag", pagemap ? PagemapWords() : PageFlagWords());
  }
  b.expect.flags = b.flags;
}

MMSIM_ACTION(FramePid) {
  b.frame = {ExpectFrame::Kind::kPage, Pid(in), {}, {}};
}
MMSIM_ACTION(FrameAddress) {
  b.frame.address = View(in);
}
MMSIM_ACTION(FrameZero) {
  b.frame = {ExpectFrame::Kind::kZero, 0, {}, {}};
}
MMSIM_ACTION(FrameName) {
  b.frame = {ExpectFrame::Kind::kName, 0, {}, View(in)};
}
MMSIM_ACTION(FrameLeft) {
  b.expect.left = b.frame;
}
MMSIM_ACTION(FrameRight) {
  b.expect.right = b.frame;
}
MMSIM_ACTION(FrameUnequal) {
  b.expect.equal = false;
}

MMSIM_ACTION(ShadowStart) {
  b.expect.shadow.emplace_back();
  b.expect.shadow.back().start = View(in);
}
MMSIM_ACTION(ShadowEnd) {
  b.expect.shadow.back().end = View(in);
}
MMSIM_ACTION(ShadowWord) {
  RequireWord(View(in), "word for an entry of a shadow page table", ShadowWords());
  b.expect.shadow.back().words.push_back(View(in));
}
MMSIM_ACTION(ShadowNoFrame) {
  b.expect.shadow.back().pfn = ExpectShadowRow::Pfn::kNone;
}
MMSIM_ACTION(ShadowFrame) {
  b.expect.shadow.back().pfn = ExpectShadowRow::Pfn::kFrame;
  b.expect.shadow.back().frame = b.frame;
}

MMSIM_ACTION(Bytes) {
  AppendUnescaped(View(in).substr(1, View(in).size() - 2), &b.expect.bytes);
}
MMSIM_ACTION(Count) {
  b.expect.number = Integer(in);
}
MMSIM_ACTION(NoSignal) {
  b.expect.signal = View(in);
}
MMSIM_ACTION(SignalWord) {
  b.expect.signal = View(in);
}
MMSIM_ACTION(InfoCode) {
  b.expect.signal_code = View(in);
}
MMSIM_ACTION(InfoAddress) {
  b.expect.signal_address = View(in);
}

}  // namespace

bool ParseExpect(const char* begin, const char* end, Expect* expect, LineError* error) {
  g::Input in(begin, end, "");
  Building building;
  try {
    if (p::parse<g::ExpectRule, Action, g::Control>(in, building)) {
      *expect = std::move(building.expect);
      expect->text = {begin, static_cast<size_t>(end - begin)};
      return true;
    }
    *error = {begin, "expected PID and what is expected of it, frame, or counters"};
  } catch (const p::parse_error& e) {
    const char* at = begin + e.positions().front().byte;
    // A word in the place of a subject: say which was meant.
    std::string message(e.message());
    if (message == g::kMessage<g::NeedsPid> || message == g::kMessage<g::NeedsNoPid>) {
      const char* word_end = at;
      while (word_end != end && g::IsPrint(*word_end)) ++word_end;
      const std::string_view word(at, static_cast<size_t>(word_end - at));
      if (!IsOneOf(word, SubjectWords())) message += DidYouMean(word, SubjectWords());
    }
    *error = {at, std::move(message)};
  } catch (const Rejected& r) {
    *error = {r.at, r.message};
  }
  return false;
}

}  // namespace mmsim::scenario
