// SPDX-License-Identifier: Apache-2.0
// The grammar of `expect ...` (PEGTL): on one line, or over the lines of a { block }. scenarios/README.md
// explains it.
#pragma once

#include "sim/scenario/expression.h"
#include "sim/scenario/lexis.h"

namespace mmsim::scenario::grammar {

// Space inside an expectation; a comment runs to the end of its line.
struct LineComment : p::seq<p::one<'#'>, p::star<p::not_one<'\n'>>> {};
struct Space : p::one<' ', '\t', '\r', '\n'> {};
struct W : p::star<p::sor<Space, LineComment>> {};
struct W1 : p::seq<p::at<Space>, W> {};
struct Semicolon : p::seq<W, p::one<';'>> {};

struct ExPid : Digits {};
struct ExAddress : ExpectedExpression {};
struct Open : p::one<'{'> {};
struct Close : p::one<'}'> {};

// ---- maps [START-END] { lines }
struct BareHex : p::plus<p::xdigit> {};
// A '-' is of the start's expression when the range's own follows yet.
struct MapsPlus : p::seq<p::one<'+'>, Number> {};
struct MapsStartMinus : p::seq<p::one<'-'>, Number, p::at<p::star<MapsPlus>, p::one<'-'>>> {};
struct MapsEndMinus : p::seq<p::one<'-'>, Number> {};
struct MapsStartAddress
    : p::sor<p::seq<p::sor<Name, Hex>, p::star<p::sor<MapsPlus, MapsStartMinus>>>, BareHex> {};
struct MapsEndAddress : p::sor<p::seq<p::sor<Name, Hex>, p::star<p::sor<MapsPlus, MapsEndMinus>>>, BareHex> {
};
struct MapsStart : MapsStartAddress {};
struct MapsEnd : MapsEndAddress {};
struct MapsDash : p::one<'-'> {};
struct MapsRange : p::seq<MapsStart, MapsDash, MapsEnd> {};
struct RangeStart : MapsStartAddress {};
struct RangeEnd : MapsEndAddress {};
struct Range : p::seq<RangeStart, MapsDash, RangeEnd> {};
struct Star : p::one<'*'> {};
struct MapsPerms
    : p::sor<p::seq<p::one<'r', '-'>, p::one<'w', '-'>, p::one<'x', '-'>, p::one<'p', 's'>>, Star> {};
struct MapsOffset : p::sor<p::plus<p::xdigit>, Star> {};
struct MapsDev : p::sor<p::seq<p::plus<p::xdigit>, p::one<':'>, p::plus<p::xdigit>>, Star> {};
struct MapsInode : p::sor<Digits, Star> {};
struct PathClass {
  static constexpr bool Has(int c) { return c > ' ' && c != 0x7f && c != ';' && c != '}'; }
};
struct MapsPath
    : p::seq<p::at<p::one<'/', '[', '*'>>,
             p::plus<p::sor<Run<PathClass>,
                            p::seq<p::plus<Blank>, p::not_at<p::one<'#'>>, p::at<Run<PathClass>>>>>> {};
struct MapsColumns : p::seq<Sp1, MapsOffset, p::opt<Sp1, MapsDev, p::opt<Sp1, MapsInode>>> {};
struct MapsRow : p::seq<MapsRange, Sp1, MapsPerms, p::opt<MapsColumns>, p::opt<Sp1, MapsPath>> {};
struct MapsRest : p::string<'.', '.', '.'> {};
struct MapsLineEnd : p::seq<Sp, p::at<p::sor<p::one<'\n', '\r', ';', '}', '#'>, p::eof>>> {};
struct MapsBody
    : p::seq<Open,
             p::star<W, p::not_at<p::one<'}'>>, p::sor<MapsRest, MapsRow>, MapsLineEnd, p::opt<Semicolon>>, W,
             Close> {};
struct Maps : p::seq<p::opt<W1, Range>, W, MapsBody> {};

// ---- fields, as in smaps, status and meminfo: NAME: VALUE, one a line or one after the other
struct FieldName : p::plus<p::sor<p::alnum, p::one<'_', '(', ')'>>> {};
struct FieldColon : p::one<':'> {};
struct FieldWord : p::plus<p::not_one<' ', '\t', '\r', '\n', '{', '}', ',', ';', ':', '#'>> {};
struct FieldValue : p::seq<FieldWord, p::star<Sp1, p::not_at<FieldName, p::one<':'>>, FieldWord>> {};
struct Field : p::seq<FieldName, FieldColon, Sp, FieldValue> {};
struct FieldsClose : p::one<'}'> {};
struct Fields : p::seq<Open, p::star<W, Field, W, p::opt<p::one<',', ';'>>>, W, FieldsClose> {};

// ---- entries of a walk: LEVEL: [=] WORDS or LEVEL: NUMBER[/MASK]
struct EntryWord : Word {};
struct EntryNot : p::one<'!'> {};
struct EntryFlag : p::seq<p::opt<EntryNot>, EntryWord> {};
struct EntryExact : p::one<'='> {};
struct EntryRaw : Number {};
struct EntryMask : Number {};
struct LevelName : Word {};
struct EntryFlags
    : p::seq<p::opt<EntryExact, Sp>, EntryFlag, p::star<Sp1, p::not_at<Word, p::one<':'>>, EntryFlag>> {};
struct EntryBody : p::sor<p::seq<EntryRaw, p::opt<p::one<'/'>, EntryMask>>, EntryFlags> {};
struct Level : p::seq<LevelName, FieldColon, Sp, EntryBody> {};
struct LevelsClose : p::one<'}'> {};
struct Levels : p::seq<Open, p::star<W, Level, W, p::opt<p::one<',', ';'>>>, W, LevelsClose> {};

// ---- bits of pagemap and kpageflags: WORDS
struct BitsClose : p::one<'}'> {};
struct Bits : p::seq<Open, p::star<W, EntryFlag>, W, BitsClose> {};

// ---- frames
struct FramePid : Digits {};
struct FrameZero : p::seq<p::string<'z', 'e', 'r', 'o'>, p::not_at<p::identifier_other>> {};
struct FrameName : p::seq<Name, p::not_at<p::one<'+'>>> {};
struct FrameColon : p::one<':'> {};
struct FrameAddress : ExpectedExpression {};
struct FramePage : p::seq<FramePid, FrameColon, FrameAddress> {};
struct FrameOperand : p::sor<FrameZero, FrameName, FramePage> {};
struct FrameEqual : p::string<'=', '='> {};
struct FrameUnequal : p::string<'!', '='> {};
struct FrameRelation : p::sor<FrameEqual, FrameUnequal> {};
struct FrameLeft : FrameOperand {};
struct FrameRight : FrameOperand {};
struct Frame : p::seq<W, FrameLeft, W, FrameRelation, W, FrameRight> {};

// ---- shadow ADDRESS { entries }: VADDR[-END]: WORDS [@ FRAME]
struct ShadowStart : MapsStartAddress {};
struct ShadowDash : p::one<'-'> {};
struct ShadowEnd : MapsEndAddress {};
struct ShadowWord : Word {};
struct ShadowWords : p::seq<ShadowWord, p::star<Sp1, ShadowWord>> {};
struct ShadowAt : p::one<'@'> {};
struct ShadowNoFrame : p::seq<p::string<'n', 'o', 'n', 'e'>, p::not_at<p::identifier_other>> {};
struct ShadowFrame : FrameOperand {};
struct ShadowPfn : p::sor<ShadowNoFrame, ShadowFrame> {};
struct ShadowRow : p::seq<ShadowStart, p::opt<ShadowDash, ShadowEnd>, FieldColon, Sp, ShadowWords,
                          p::opt<Sp, ShadowAt, Sp, ShadowPfn>> {};
struct ShadowLineEnd : p::seq<Sp, p::at<p::sor<p::one<'\n', '\r', ';', '}', '#'>, p::eof>>> {};
struct ShadowClose : p::one<'}'> {};
struct Shadow : p::seq<Open, p::star<W, p::not_at<p::one<'}'>>, ShadowRow, ShadowLineEnd, p::opt<Semicolon>>,
                       W, ShadowClose> {};

// ---- the others
struct Bytes : String {};
struct Count : Number {};
struct NoSignal : p::seq<p::string<'n', 'o', 'n', 'e'>, p::not_at<p::identifier_other>> {};
struct InfoCode : Word {};
struct InfoAddress : ExpectedExpression {};
struct InfoKey : Word {};
struct InfoOther : p::seq<InfoKey, p::one<'='>, p::star<p::not_one<',', '}', '\n'>>> {};
struct InfoPair : p::sor<p::seq<p::string<'s', 'i', '_', 'c', 'o', 'd', 'e', '='>, InfoCode>,
                         p::seq<p::string<'s', 'i', '_', 'a', 'd', 'd', 'r', '='>, InfoAddress>, InfoOther> {
};
struct InfoClose : p::one<'}'> {};
struct Info : p::seq<p::one<'{'>, W, InfoPair, p::star<W, p::one<','>, W, InfoPair>, W, InfoClose> {};
struct SignalWord : p::seq<p::string<'S', 'I', 'G'>, p::plus<p::ranges<'A', 'Z', '0', '9', '_'>>> {};
struct SignalSubject : p::sor<NoSignal, p::seq<SignalWord, p::opt<W, Info>>> {};

struct SubjectWord : Word {};
template <char... Cs>
struct Subject_ : p::seq<p::string<Cs...>, p::not_at<p::identifier_other>> {};
struct SubjectMaps : Subject_<'m', 'a', 'p', 's'> {};
struct SubjectSmaps : Subject_<'s', 'm', 'a', 'p', 's'> {};
struct SubjectPte : Subject_<'p', 't', 'e'> {};
struct SubjectPagemap : Subject_<'p', 'a', 'g', 'e', 'm', 'a', 'p'> {};
struct SubjectPageFlags : Subject_<'p', 'a', 'g', 'e', 'f', 'l', 'a', 'g', 's'> {};
struct SubjectPageCount : Subject_<'p', 'a', 'g', 'e', 'c', 'o', 'u', 'n', 't'> {};
struct SubjectBytes : Subject_<'b', 'y', 't', 'e', 's'> {};
struct SubjectSignal : Subject_<'s', 'i', 'g', 'n', 'a', 'l'> {};
struct SubjectErrorCode : Subject_<'e', 'r', 'r', 'o', 'r', '_', 'c', 'o', 'd', 'e'> {};
struct SubjectShadow : Subject_<'s', 'h', 'a', 'd', 'o', 'w'> {};
struct SubjectCounters : Subject_<'c', 'o', 'u', 'n', 't', 'e', 'r', 's'> {};
struct SubjectFrame : Subject_<'f', 'r', 'a', 'm', 'e'> {};
struct OfProcess
    : p::sor<p::seq<SubjectMaps, Maps>, p::seq<SubjectSmaps, W1, ExAddress, W, Fields>,
             p::seq<SubjectPte, W1, ExAddress, W, Levels>, p::seq<SubjectPagemap, W1, ExAddress, W, Bits>,
             p::seq<SubjectPageFlags, W1, ExAddress, W, Bits>,
             p::seq<SubjectPageCount, W1, ExAddress, W, Count>, p::seq<SubjectBytes, W1, ExAddress, W, Bytes>,
             p::seq<SubjectShadow, W1, ExAddress, W, Shadow>, p::seq<SubjectSignal, W1, SignalSubject>,
             p::seq<SubjectErrorCode, W1, Count>, p::seq<SubjectCounters, W, Fields>> {};
struct OfSystem : p::sor<p::seq<SubjectFrame, Frame>, p::seq<SubjectCounters, W, Fields>> {};
struct NeedsNoPid : OfSystem {};
struct NeedsPid : OfProcess {};
struct ExEnd : p::eof {};
struct ExWord : p::seq<p::string<'e', 'x', 'p', 'e', 'c', 't'>, Sp1> {};
struct ExpectRule : p::seq<ExWord, p::sor<p::seq<ExPid, Sp1, NeedsPid>, NeedsNoPid>, W, ExEnd> {};

template <>
inline constexpr const char* kMessage<ExAddress> = "expected an address";
template <>
inline constexpr const char* kMessage<Open> = "expected '{'";
template <>
inline constexpr const char* kMessage<Close> = "expected a line of maps, '...' or '}'";
template <>
inline constexpr const char* kMessage<MapsDash> = "expected '-' and the end of the range";
template <>
inline constexpr const char* kMessage<MapsEnd> = "expected the end of the range";
template <>
inline constexpr const char* kMessage<RangeEnd> = "expected the end of the range";
template <>
inline constexpr const char* kMessage<MapsPerms> = "expected permissions, as r-xp";
template <>
inline constexpr const char* kMessage<MapsLineEnd> =
    "expected the end of the line of maps (OFFSET DEV INODE PATH)";
template <>
inline constexpr const char* kMessage<FieldColon> = "expected ':'";
template <>
inline constexpr const char* kMessage<FieldValue> = "expected a value";
template <>
inline constexpr const char* kMessage<FieldsClose> = "expected NAME: VALUE or '}'";
template <>
inline constexpr const char* kMessage<EntryBody> = "expected words, as present write !dirty, or NUMBER/MASK";
template <>
inline constexpr const char* kMessage<EntryMask> = "expected a mask";
template <>
inline constexpr const char* kMessage<LevelsClose> = "expected LEVEL: WORDS (pgd, pud, pmd, pte) or '}'";
template <>
inline constexpr const char* kMessage<BitsClose> = "expected a word or '}'";
template <>
inline constexpr const char* kMessage<ShadowWords> = "expected none, allocated, anonymous or mapped";
template <>
inline constexpr const char* kMessage<ShadowPfn> = "expected none, PID:ADDRESS, zero or a $name";
template <>
inline constexpr const char* kMessage<ShadowLineEnd> = "expected '@' and a frame, or the end of the entry";
template <>
inline constexpr const char* kMessage<ShadowClose> = "expected VADDR: WORDS [@ FRAME] or '}'";
template <>
inline constexpr const char* kMessage<FrameColon> = "expected ':' and an address";
template <>
inline constexpr const char* kMessage<FrameAddress> = "expected an address";
template <>
inline constexpr const char* kMessage<FrameLeft> = "expected PID:ADDRESS, zero or a $name";
template <>
inline constexpr const char* kMessage<FrameRight> = "expected PID:ADDRESS, zero or a $name";
template <>
inline constexpr const char* kMessage<FrameRelation> = "expected == or !=";
template <>
inline constexpr const char* kMessage<Bytes> = "expected a string";
template <>
inline constexpr const char* kMessage<Count> = "expected a number";
template <>
inline constexpr const char* kMessage<InfoAddress> = "expected an address";
template <>
inline constexpr const char* kMessage<InfoClose> = "expected ',' or '}'";
template <>
inline constexpr const char* kMessage<SignalSubject> = "expected 'none' or the name of a signal";
template <>
inline constexpr const char* kMessage<NeedsNoPid> = "expected a process id, 'frame' or 'counters'";
template <>
inline constexpr const char* kMessage<NeedsPid> =
    "expected maps, smaps, pte, pagemap, pageflags, pagecount, bytes, shadow, signal, error_code or counters";
template <>
inline constexpr const char* kMessage<ExEnd> = "expected the end of the expectation";

}  // namespace mmsim::scenario::grammar
