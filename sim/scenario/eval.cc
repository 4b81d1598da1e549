// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/eval.h"

#include <vector>

#include "absl/container/inlined_vector.h"
#include "fmt/format.h"
#include "sim/scenario/expression.h"
#include "sim/scenario/words.h"
#include "tao/pegtl/contrib/limit_depth.hpp"

namespace mmsim::scenario {
namespace {

namespace p = tao::pegtl;
namespace g = grammar;

constexpr size_t kMaxDepth = 64;

struct Symbol {
  uint64_t value[2];  // by Arch
  bool has[2];
};

const absl::flat_hash_map<std::string_view, Symbol>& Symbols() {
  static const auto* const kSymbols = [] {
    auto* map = new absl::flat_hash_map<std::string_view, Symbol>();
    constexpr uint64_t kLacking = 0x6c61636b696e6721;  // no constant has this value
    const auto add = [map](std::string_view name, uint64_t x86_64, uint64_t arm64) {
      map->emplace(name, Symbol{{x86_64, arm64}, {x86_64 != kLacking, arm64 != kLacking}});
    };
#define X(name, value) add(#name, value, value);
#define X2(name, x86_64, arm64) add(#name, x86_64, arm64);
#include "sim/scenario/symbols.def"
#undef X2
#undef X
    return map;
  }();
  return *kSymbols;
}

const std::vector<std::string_view>& SymbolWords() {
  static const auto* const kWords = new std::vector<std::string_view>{
#define X(name, value) #name,
#define X2(name, x86_64, arm64) #name,
#include "sim/scenario/symbols.def"
#undef X2
#undef X
  };
  return *kWords;
}

struct Rejected {
  const char* at;
  std::string message;
};

struct Evaluation {
  Arch arch;
  const Names& names;
  bool quiet;
  absl::InlinedVector<uint64_t, 8> stack;

  uint64_t Pop() {
    const uint64_t top = stack.back();
    stack.pop_back();
    return top;
  }
};

template <typename Rule>
struct Action : p::nothing<Rule> {};
template <>
struct Action<g::ExprGroup> : p::limit_depth<kMaxDepth> {};
template <>
struct Action<g::Unary> : p::limit_depth<kMaxDepth> {};

#define MMSIM_ACTION(Rule)                          \
  template <>                                       \
  struct Action<g::Rule> {                          \
    template <typename In>                          \
    static void apply(const In& in, Evaluation& e); \
  };                                                \
  template <typename In>                            \
  void Action<g::Rule>::apply([[maybe_unused]] const In& in, Evaluation& e)

MMSIM_ACTION(ExprNumber) {
  const auto value = ParseNumber({in.begin(), in.size()});
  if (!value) throw Rejected{in.begin(), "expected a number of at most 64 bits"};
  e.stack.push_back(*value);
}
MMSIM_ACTION(ExprName) {
  const std::string_view name(in.begin() + 1, in.size() - 1);
  const auto it = e.names.find(std::string(name));
  if (it == e.names.end())
    throw Rejected{in.begin(), fmt::format("${} has no value here", name.substr(0, 40))};
  e.stack.push_back(it->second);
}
MMSIM_ACTION(ExprSymbol) {
  const std::string_view symbol(in.begin(), in.size());
  const auto it = Symbols().find(symbol);
  if (it == Symbols().end()) {
    if (e.quiet) throw Rejected{in.begin(), {}};
    throw Rejected{in.begin(), fmt::format("unknown constant '{}'{}", symbol.substr(0, 40),
                                           DidYouMean(symbol, SymbolWords()))};
  }
  const auto arch = static_cast<size_t>(e.arch);
  if (!it->second.has[arch]) {
    throw Rejected{in.begin(), fmt::format("{} does not exist on {}", symbol, ArchName(e.arch))};
  }
  e.stack.push_back(it->second.value[arch]);
}
MMSIM_ACTION(Negated) {
  e.stack.back() = -e.stack.back();
}
MMSIM_ACTION(Inverted) {
  e.stack.back() = ~e.stack.back();
}
MMSIM_ACTION(Times) {
  const uint64_t right = e.Pop();
  e.stack.back() *= right;
}
MMSIM_ACTION(Plus) {
  const uint64_t right = e.Pop();
  e.stack.back() += right;
}
MMSIM_ACTION(Minus) {
  const uint64_t right = e.Pop();
  e.stack.back() -= right;
}
MMSIM_ACTION(ShiftLeft) {
  const uint64_t right = e.Pop();
  e.stack.back() = right < 64 ? e.stack.back() << right : 0;
}
MMSIM_ACTION(OrElse) {
  const uint64_t right = e.Pop();
  e.stack.back() |= right;
}

bool IsWord(std::string_view text) {
  for (const char c : text) {
    if (!(c == '_' || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
      return false;
  }
  return !text.empty() && !(text[0] >= '0' && text[0] <= '9');
}

enum class Quick : uint8_t { kDone, kUnknownWord, kElse };

// PROT_READ|PROT_WRITE and the like: what most arguments are. kElse: the grammar has to look at it.
Quick EvaluateFlags(std::string_view text, Arch arch, uint64_t* value) {
  uint64_t sum = 0;
  for (;;) {
    const size_t bar = text.find('|');
    const std::string_view word = text.substr(0, bar);
    const auto it = Symbols().find(word);
    if (it == Symbols().end()) return IsWord(word) ? Quick::kUnknownWord : Quick::kElse;
    if (!it->second.has[static_cast<size_t>(arch)]) return Quick::kUnknownWord;
    sum |= it->second.value[static_cast<size_t>(arch)];
    if (bar == std::string_view::npos) break;
    text.remove_prefix(bar + 1);
  }
  *value = sum;
  return Quick::kDone;
}

}  // namespace

std::optional<uint64_t> SymbolValue(std::string_view symbol, Arch arch) {
  const auto it = Symbols().find(symbol);
  if (it == Symbols().end() || !it->second.has[static_cast<size_t>(arch)]) return std::nullopt;
  return it->second.value[static_cast<size_t>(arch)];
}

bool Evaluate(std::string_view expression, Arch arch, const Names& names, uint64_t* value, LineError* error) {
  if (const auto number = ParseNumber(expression)) {
    *value = *number;
    return true;
  }
  const Quick quick = EvaluateFlags(expression, arch, value);
  if (quick == Quick::kDone) return true;
  if (quick == Quick::kUnknownWord && error == nullptr) return false;
  const char* begin = expression.data();
  g::Input in(begin, begin + expression.size(), "");
  Evaluation evaluation{arch, names, error == nullptr, {}};
  try {
    p::parse<g::WholeExpression, Action, g::Control>(in, evaluation);
    *value = evaluation.Pop();
    return true;
  } catch (const p::parse_error& e) {
    const std::string_view message = e.message();
    if (error == nullptr) return false;
    *error = {begin + e.positions().front().byte, message.starts_with("maximum")
                                                      ? fmt::format("brackets nest deeper than {}", kMaxDepth)
                                                      : std::string(message)};
  } catch (const Rejected& r) {
    if (error != nullptr) *error = {r.at, r.message};
  }
  return false;
}

}  // namespace mmsim::scenario
