// SPDX-License-Identifier: Apache-2.0
// The lexis that the grammars of lines, expectations and expressions share (PEGTL rules).
#pragma once

#include <array>
#include <string_view>
#include <tao/pegtl.hpp>

namespace mmsim::scenario::grammar {

namespace p = tao::pegtl;

// A run of one or more characters of a class, by table: what most of a log consists of.
template <typename Class>
struct Run {
  using rule_t = Run;
  using subs_t = p::empty_list;
  static constexpr std::array<bool, 256> kTable = [] {
    std::array<bool, 256> t{};
    for (int c = 0; c < 256; ++c) t[c] = Class::Has(c);
    return t;
  }();
  template <typename Input>
  static bool match(Input& in) {
    const char* at = in.current();
    while (at != in.end() && kTable[static_cast<unsigned char>(*at)]) ++at;
    const size_t n = static_cast<size_t>(at - in.current());
    in.bump_in_this_line(n);
    return n != 0;
  }
};
constexpr bool In(std::string_view set, int c) {
  return set.find(static_cast<char>(c)) != std::string_view::npos;
}
constexpr bool IsPrint(int c) {
  return c > ' ' && c < 0x7f;
}

struct Blank : p::one<' ', '\t'> {};
struct Sp : p::star<Blank> {};
struct Sp1 : p::plus<Blank> {};
struct Digits : p::plus<p::digit> {};
struct Word : p::identifier {};

struct Escape : p::seq<p::one<'\\'>, p::not_one<'\n'>> {};
struct QuoteEnd : p::one<'"'> {};
struct StringClass {
  static constexpr bool Has(int c) { return c >= ' ' && c != 0x7f && !In("\"\\", c); }
};
struct StringChars : p::star<p::sor<Run<StringClass>, Escape>> {};
struct String : p::seq<p::one<'"'>, StringChars, QuoteEnd> {};
struct CommentEnd : p::string<'*', '/'> {};
struct Comment
    : p::seq<p::string<'/', '*'>, p::star<p::not_at<p::string<'*', '/'>>, p::not_one<'\0'>>, CommentEnd> {};
struct Hex : p::seq<p::one<'0'>, p::one<'x'>, p::plus<p::xdigit>> {};
struct Number : p::sor<Hex, Digits> {};
struct Name : p::seq<p::one<'$'>, Word> {};

// What the user reads where a rule had to match and did not; nullptr: the rule may fail.
template <typename Rule>
inline constexpr const char* kMessage = nullptr;
template <>
inline constexpr const char* kMessage<QuoteEnd> = "expected '\"' to close the string";
template <>
inline constexpr const char* kMessage<CommentEnd> = "expected '*/' to close the comment";

struct Messages {
  template <typename Rule>
  static constexpr const char* message = kMessage<Rule>;
};
template <typename Rule>
using Control = p::must_if<Messages, p::normal, false>::control<Rule>;

// A line, or the lines of a block, in memory; a position is computed only for an error.
using Input = p::memory_input<p::tracking_mode::lazy, p::eol::lf, const char*>;

}  // namespace mmsim::scenario::grammar
