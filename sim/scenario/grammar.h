// SPDX-License-Identifier: Apache-2.0
// The grammar of one line of a scenario (PEGTL): what strace prints, and what people write in the same
// syntax. The columns before an event, the event, its arguments split at the commas, its result. What an
// argument means is not decided here (lower.h); that its brackets and quotes close is.
//
// A rule with a message (below) must match where it stands: its failure is the error that the user sees.
// Included by line.cc alone.
#pragma once

#include "sim/scenario/lexis.h"

namespace mmsim::scenario::grammar {

// ---- what an argument is made of. Brackets, quotes and comments nest and close; what is between them is
// free.
struct PlainClass {
  static constexpr bool Has(int c) { return IsPrint(c) && !In("\"'(),/<[]{}\\", c); }
};
struct Plain : Run<PlainClass> {};
struct CharEnd : p::one<'\''> {};
struct Char : p::seq<p::one<'\''>, p::sor<Escape, p::not_one<'\'', '\0'>>, CharEnd> {};
// What -y adds to a descriptor: 3</lib/x.so>, 3<TCP:[127.0.0.1:1->127.0.0.1:2]>, 1</dev/null<char 1:3>>; and
// restart_syscall(<... resuming interrupted nanosleep ...>). strace escapes < and > in names.
struct AngleEnd : p::one<'>'> {};
struct Angle;
struct AngleClass {
  static constexpr bool Has(int c) { return c >= ' ' && c != 0x7f && !In("<>\\-", c); }
};
struct AngleChars : p::star<p::sor<Run<AngleClass>, p::string<'-', '>'>, p::one<'-'>, Escape, Angle>> {};
struct Angle : p::seq<p::one<'<'>, AngleChars, AngleEnd> {};
struct Shift : p::string<'<', '<'> {};
struct Unfinished
    : p::string<'<', 'u', 'n', 'f', 'i', 'n', 'i', 's', 'h', 'e', 'd', ' ', '.', '.', '.', '>'> {};

struct ParenEnd : p::one<')'> {};
struct BracketEnd : p::one<']'> {};
struct BraceEnd : p::one<'}'> {};
struct Inside;
struct Paren : p::seq<p::one<'('>, Inside, ParenEnd> {};
struct Bracket : p::seq<p::one<'['>, Inside, BracketEnd> {};
struct Brace : p::seq<p::one<'{'>, Inside, BraceEnd> {};
struct Group : p::sor<Paren, Bracket, Brace> {};
struct Piece : p::sor<Plain, p::plus<Blank>, String, Shift, Group, p::seq<p::not_at<Unfinished>, Angle>,
                      Comment, p::one<'/'>, Char> {};
struct Inside : p::star<p::sor<Piece, p::one<','>>> {};

struct Arg : p::seq<p::not_at<Blank>, p::plus<Piece>> {};
struct ExpectedArg : Arg {};
struct FirstArg : Arg {};
struct Comma : p::seq<p::one<','>, Sp> {};
struct ArgList : p::opt<FirstArg, p::star<Comma, ExpectedArg>> {};
struct CloseCall : p::one<')'> {};

// ---- the result
struct Value : p::seq<p::opt<p::one<'-'>>, Number> {};
struct ErrorName : p::seq<p::one<'E'>, p::plus<p::ranges<'A', 'Z', '0', '9', '_'>>> {};
struct ErrorNumber : Digits {};
struct Minus1 : p::string<'-', '1'> {};
struct Failed
    : p::seq<Minus1, Sp1,
             p::sor<ErrorName, p::seq<p::string<'(', 'e', 'r', 'r', 'n', 'o', ' '>, ErrorNumber, ParenEnd>>> {
};
struct Unknown : p::seq<p::one<'?'>, p::opt<Sp1, ErrorName>> {};
struct NameResult : Name {};
struct StringResult : p::seq<String, p::opt<p::string<'.', '.', '.'>>> {};
struct Result : p::sor<Unknown, Failed, Value, NameResult, StringResult> {};
struct ExpectedResult : Result {};
// What may follow: a path, (Text), (flags ...), (DELAYED), a comment, the time of -T, a comment of our own.
struct Hash : p::seq<p::one<'#'>, p::star<p::not_one<'\0'>>> {};
struct ResultTail : p::seq<p::opt<Angle>, p::star<Sp, p::sor<Angle, Paren, Comment, Hash>>, Sp> {};
struct Equals : p::seq<p::one<'='>, Sp> {};
struct End : p::eof {};

// ---- system calls and accesses
struct UnknownCall : p::string<'?', '?', '?'> {};
struct CallName : p::sor<Word, UnknownCall> {};
struct OpenCall : p::one<'('> {};
struct CallTail : p::seq<p::opt<Unfinished>, CloseCall, Sp, Equals, ExpectedResult, ResultTail, End> {};
struct CallHead : p::seq<CallName, OpenCall, Sp> {};
struct Call : p::seq<CallHead, ArgList, Sp, CallTail> {};
// A call without its end: before `<unfinished ...>`, or exit_group held by a tracer on the last line.
struct PartialCall
    : p::seq<CallHead, p::opt<FirstArg, p::star<Comma, p::opt<Arg>>>, Sp, p::opt<p::one<')'>>, Sp> {};
struct ResumedName : CallName {};
struct ResumedEnd : p::string<' ', 'r', 'e', 's', 'u', 'm', 'e', 'd', '>'> {};
struct ResumedHead : p::seq<p::string<'<', '.', '.', '.', ' '>, ResumedName, ResumedEnd> {};
struct ResumedRest : p::star<p::any> {};
struct Resumed : p::seq<ResumedHead, ResumedRest> {};

// ---- signals and ends
struct SignalName : p::seq<p::string<'S', 'I', 'G'>, p::plus<p::ranges<'A', 'Z', '0', '9', '_'>>> {};
struct ExpectedSignal : SignalName {};
struct SignalInfo : Inside {};
struct SignalEnd : p::seq<p::string<'-', '-', '-'>, Sp, p::opt<Hash>> {};
struct Stopped : p::seq<p::string<'s', 't', 'o', 'p', 'p', 'e', 'd', ' ', 'b', 'y', ' '>, ExpectedSignal> {};
struct Signal : p::seq<p::string<'-', '-', '-', ' '>,
                       p::sor<Stopped, p::seq<ExpectedSignal, Sp, p::opt<p::one<'{'>, SignalInfo, BraceEnd>>>,
                       Sp, SignalEnd, End> {};
struct ExitStatus : Digits {};
struct ExitSignal : SignalName {};
struct SupersededBy : Digits {};
struct ExitHow
    : p::sor<
          p::seq<p::string<'e', 'x', 'i', 't', 'e', 'd', ' ', 'w', 'i', 't', 'h', ' '>, ExitStatus>,
          p::seq<p::string<'k', 'i', 'l', 'l', 'e', 'd', ' ', 'b', 'y', ' '>, ExitSignal, p::opt<Sp, Paren>>,
          p::seq<p::string<'s', 'u', 'p', 'e', 'r', 's', 'e', 'd', 'e', 'd', ' ', 'b', 'y', ' ', 'e', 'x',
                           'e', 'c', 'v', 'e', ' ', 'i', 'n', ' ', 'p', 'i', 'd', ' '>,
                 SupersededBy>> {};
struct ExitEnd : p::seq<p::string<'+', '+', '+'>, Sp, p::opt<Hash>> {};
struct Exit : p::seq<p::string<'+', '+', '+', ' '>, ExitHow, Sp, ExitEnd, End> {};

// ---- what strace says of itself
struct AttachedPid : Digits {};
struct Attached : p::seq<p::string<'P', 'r', 'o', 'c', 'e', 's', 's', ' '>, AttachedPid,
                         p::string<' ', 'a', 't', 't', 'a', 'c', 'h', 'e', 'd'>, p::opt<p::until<p::eof>>> {};
struct Note
    : p::sor<p::seq<p::string<'s', 't', 'r', 'a', 'c', 'e', ':', ' '>, p::sor<Attached, p::until<p::eof>>>,
             p::seq<p::string<'[', ' ', 'P', 'r', 'o', 'c', 'e', 's', 's', ' ', 'P', 'I', 'D', '='>,
                    p::until<p::eof>>> {};

// ---- the columns before an event: -f, -o with -f, -Y, -t, -tt, -ttt, -r, -n, -i
struct PlainPid : p::seq<Digits, p::at<p::one<' ', '\t', '<'>>> {};
struct BracketPid : Digits {};
struct Columns;
struct PidColumn
    : p::sor<p::seq<PlainPid, p::opt<Angle>, Sp1>,
             p::seq<p::string<'[', 'p', 'i', 'd'>, Sp1, BracketPid, p::opt<Angle>, p::one<']'>, Sp1>> {};
struct Clock : p::seq<Digits, p::one<':'>, p::rep<2, p::digit>, p::one<':'>, p::rep<2, p::digit>,
                      p::opt<p::one<'.'>, Digits>> {};
struct Seconds : p::seq<Digits, p::one<'.'>, Digits> {};
struct Since : p::seq<p::string<'(', '+'>, Sp, Seconds, p::one<')'>> {};
struct CallNumber : p::seq<p::one<'['>, Sp, p::plus<p::sor<p::xdigit, p::one<'?'>>>, p::one<']'>> {};
struct Columns : p::seq<Sp, p::opt<PidColumn>, p::star<p::sor<Clock, Seconds, Since, CallNumber>, Sp1>> {};

// ---- what people write beside it
struct OnArch : Word {};
struct On : p::seq<p::string<'o', 'n'>, Sp1, OnArch, Sp1> {};
struct SpawnPid : Digits {};
struct Option : p::plus<p::sor<p::alnum, p::one<'_', '.', '-', '+', '*', '<', '|', '$'>>> {};
struct ExpectedOption : Option {};
struct LineEnd : p::seq<Sp, p::opt<Hash>, p::eof> {};
struct Key : Word {};
struct Spawn : p::seq<p::string<'p', 'i', 'd'>, Sp1, SpawnPid, p::star<Sp1, Option>, LineEnd> {};
struct Set : p::seq<p::string<'s', 'e', 't'>, Sp1, Key, Sp, ExpectedOption, LineEnd> {};
struct Limit
    : p::seq<p::string<'l', 'i', 'm', 'i', 't'>, Sp1, Key, Sp, ExpectedOption, p::opt<Sp1, Option>, LineEnd> {
};
struct Inject : p::seq<p::string<'i', 'n', 'j', 'e', 'c', 't'>, Sp1, Key, p::opt<Sp1, Option>, LineEnd> {};
struct ArchName : Word {};
struct Reason : p::seq<p::one<'"'>, StringChars, QuoteEnd> {};
struct ArchLine : p::seq<p::string<'a', 'r', 'c', 'h'>, Sp1, ArchName, Sp, p::opt<Reason>, LineEnd> {};
struct ProfileName : Option {};
struct Profile : p::seq<p::string<'p', 'r', 'o', 'f', 'i', 'l', 'e'>, Sp1, ProfileName, LineEnd> {};
struct ExpectLine : p::seq<p::string<'e', 'x', 'p', 'e', 'c', 't'>, Sp1, p::until<p::eof>> {};

struct ByHand;
struct ExpectedEvent : p::sor<Note, Signal, Exit, Resumed, Call> {};
struct Line : p::sor<ByHand, p::seq<p::opt<On>, Columns, ExpectedEvent>> {};
// A line that ends in `<unfinished ...>`, without these words.
struct UnfinishedLine : p::seq<Columns, p::sor<Resumed, CallHead>> {};
// The last line of a log, without newline.
struct HeldLine : p::seq<Columns, PartialCall, p::eof> {};

// ---- let $name = EXPRESSION
struct LetName : Name {};
struct LetEquals : p::one<'='> {};
struct LetValue : Arg {};
struct Let : p::seq<p::string<'l', 'e', 't'>, Sp1, LetName, Sp, LetEquals, Sp, LetValue, LineEnd> {};

struct ByHand : p::seq<p::opt<On>, p::sor<Spawn, Let, Set, Limit, Inject, ArchLine, Profile, ExpectLine>> {};

// ---- the inside of a {structure} or an [array], split at its commas
struct ElementKey : p::seq<Word, p::at<p::one<'='>>> {};
struct ElementText : p::seq<p::not_at<Blank>, p::plus<Piece>> {};
struct Element : p::seq<Sp, p::opt<ElementKey, p::one<'='>>, ElementText> {};
struct Elements : p::seq<p::opt<Element, p::star<p::one<','>, Element>>, Sp, p::eof> {};

// ---- messages
template <>
inline constexpr const char* kMessage<CharEnd> = "expected ' to close the character";
template <>
inline constexpr const char* kMessage<AngleEnd> = "expected '>' to close the path of the descriptor";
template <>
inline constexpr const char* kMessage<ParenEnd> = "expected ')'";
template <>
inline constexpr const char* kMessage<BracketEnd> = "expected ']'";
template <>
inline constexpr const char* kMessage<BraceEnd> = "expected '}'";
template <>
inline constexpr const char* kMessage<ExpectedArg> = "expected an argument";
template <>
inline constexpr const char* kMessage<CloseCall> = "expected ')' or ','";
template <>
inline constexpr const char* kMessage<Equals> = "expected '=' and the result (`= ?` when any will do)";
template <>
inline constexpr const char* kMessage<ExpectedResult> =
    "expected a result: a number, -1 and an errno, ?, a $name or a string";
template <>
inline constexpr const char* kMessage<End> = "expected the end of the line";
template <>
inline constexpr const char* kMessage<OpenCall> = "expected '(' after the name of a system call or access";
template <>
inline constexpr const char* kMessage<ExpectedSignal> = "expected the name of a signal, as SIGSEGV";
template <>
inline constexpr const char* kMessage<SignalEnd> = "expected '---' at the end of the signal";
template <>
inline constexpr const char* kMessage<ExitHow> =
    "expected 'exited with STATUS', 'killed by SIGNAL' or 'superseded by execve in pid PID'";
template <>
inline constexpr const char* kMessage<ExitEnd> = "expected '+++'";
template <>
inline constexpr const char* kMessage<ResumedEnd> = "expected ' resumed>'";
template <>
inline constexpr const char* kMessage<OnArch> = "expected x86_64 or arm64";
template <>
inline constexpr const char* kMessage<ArchName> = "expected x86_64 or arm64";
template <>
inline constexpr const char* kMessage<SpawnPid> = "expected a process id";
template <>
inline constexpr const char* kMessage<Key> = "expected a name";
template <>
inline constexpr const char* kMessage<ExpectedOption> = "expected a value";
template <>
inline constexpr const char* kMessage<ProfileName> = "expected the name of a profile";
template <>
inline constexpr const char* kMessage<LetName> = "expected a $name";
template <>
inline constexpr const char* kMessage<LetEquals> = "expected '='";
template <>
inline constexpr const char* kMessage<LetValue> = "expected a number, a constant or a $name";
template <>
inline constexpr const char* kMessage<LineEnd> = "expected the end of the line";
template <>
inline constexpr const char* kMessage<ExpectedEvent> =
    "expected a system call, an access, a signal (---), an exit (+++), or expect, pid, let, set, limit, "
    "inject, "
    "arch, profile";

}  // namespace mmsim::scenario::grammar
