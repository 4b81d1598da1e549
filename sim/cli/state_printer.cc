// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/state_printer.h"

#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "fmt/format.h"
#include "nlohmann/json.hpp"
#include "sim/cli/text.h"
#include "sim/scenario/observation.h"

namespace mmsim::cli {
namespace {

// A line, with what tells it from an equal one: the mapping whose field of smaps it is.
struct StateLine {
  std::string_view mapping, text;
  auto operator<=>(const StateLine&) const = default;
};

using Block = std::vector<StateLine>;

// The lines below each heading ("process 100:"), by heading.
std::map<std::string_view, Block> BlocksOf(std::string_view text) {
  std::map<std::string_view, Block> blocks;
  Block* block = nullptr;
  std::string_view mapping;
  while (!text.empty()) {
    const std::string_view line = TakePart(&text, '\n');
    if (line.starts_with("process ")) {
      block = &blocks[line];
      mapping = {};
      continue;
    }
    const std::string_view first_word = line.substr(0, line.find(' '));
    const bool is_field = first_word.ends_with(':');
    if (!is_field) mapping = line;
    if (block != nullptr) block->push_back({is_field ? mapping : std::string_view(), line});
  }
  return blocks;
}

// Both have the order of addresses; what stays is what they are lined up by.
std::string ChangesOf(const Block& before, const Block& after) {
  const std::set<StateLine> had(before.begin(), before.end()), has(after.begin(), after.end());
  std::string out;
  std::string_view shown;  // the mapping that stays, whose changed fields are being listed
  const auto print = [&](char mark, const StateLine& line) {
    const bool stays = had.contains({{}, line.mapping}) && has.contains({{}, line.mapping});
    if (stays && line.mapping != shown) out += fmt::format("  {}\n", shown = line.mapping);
    out += fmt::format("{} {}\n", mark, line.text);
  };
  auto old = before.begin();
  const auto take_gone = [&] {
    for (; old != before.end() && !has.contains(*old); ++old) print('-', *old);
  };
  for (const StateLine& line : after) {
    take_gone();
    if (!had.contains(line)) {
      print('+', line);
    } else if (old != before.end()) {
      ++old;
    }
  }
  take_gone();
  return out;
}

}  // namespace

std::string ChangedLines(std::string_view before, std::string_view after) {
  const auto had = BlocksOf(before), has = BlocksOf(after);
  std::string out;
  for (const auto& [heading, block] : had) {
    if (!has.contains(heading)) out += fmt::format("- {}\n", heading);
  }
  for (const auto& [heading, block] : has) {
    const auto old = had.find(heading);
    const std::string changes = ChangesOf(old == had.end() ? Block() : old->second, block);
    if (!changes.empty() || old == had.end()) out += fmt::format("{}\n{}", heading, changes);
  }
  return out;
}

void StatePrinter::PrintStep(const scenario::Step& step, const guest::Outcome& outcome,
                             const guest::State& state) {
  if (!request_.json) {
    fmt::print("{}: {}\n", step.first_line, scenario::EventText(step, outcome));
    return PrintState(state);
  }
  nlohmann::json json = scenario::StateJson(state, request_.ObserveMask());
  json["line"] = step.first_line;
  json["step"] = scenario::EventText(step, outcome);
  fmt::print("{}\n", json.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
}

void StatePrinter::PrintState(const guest::State& state) {
  const uint32_t what = request_.ObserveMask();
  if (request_.json) {
    const nlohmann::json json = scenario::StateJson(state, what);
    fmt::print("{}\n", json.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
    return;
  }
  std::string text = scenario::StateText(state, what);
  if (!request_.changes) {
    fmt::print("{}", text);
    return;
  }
  fmt::print("{}", ChangedLines(last_, text));
  last_ = std::move(text);
}

}  // namespace mmsim::cli
