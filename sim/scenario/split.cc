// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/split.h"

#include "sim/scenario/grammar.h"
#include "tao/pegtl/contrib/limit_depth.hpp"

namespace mmsim::scenario {
namespace {

namespace p = tao::pegtl;
namespace g = grammar;

struct Splitting {
  ElementList& elements;
  std::string_view key;
};

template <typename Rule>
struct Action : p::nothing<Rule> {};
template <>
struct Action<g::Group> : p::limit_depth<64> {};
template <>
struct Action<g::Angle> : p::limit_depth<64> {};
template <>
struct Action<g::ElementKey> {
  template <typename In>
  static void apply(const In& in, Splitting& s) {
    s.key = {in.begin(), in.size()};
  }
};
template <>
struct Action<g::ElementText> {
  template <typename In>
  static void apply(const In& in, Splitting& s) {
    std::string_view value(in.begin(), in.size());
    while (!value.empty() && value.back() == ' ') value.remove_suffix(1);
    s.elements.push_back({s.key, value});
    s.key = {};
  }
};

}  // namespace

bool SplitElements(std::string_view inside, ElementList* elements) {
  elements->clear();
  Splitting splitting{*elements, {}};
  g::Input in(inside.data(), inside.data() + inside.size(), "");
  try {
    return p::parse<g::Elements, Action, g::Control>(in, splitting);
  } catch (const p::parse_error&) {
    return false;
  }
}

bool StripQuotes(std::string_view text, std::string_view* inside, bool* truncated) {
  *truncated = text.ends_with("...");
  if (*truncated) text.remove_suffix(3);
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return false;
  *inside = text.substr(1, text.size() - 2);
  return true;
}

}  // namespace mmsim::scenario
