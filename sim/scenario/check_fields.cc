// SPDX-License-Identifier: Apache-2.0
// expect PID smaps ADDRESS { fields }, expect [PID] counters { fields }
#include <optional>
#include <set>

#include "fmt/format.h"
#include "sim/kernel/procfs.h"
#include "sim/scenario/check_expect.h"
#include "sim/scenario/split.h"

namespace mmsim::scenario {
namespace {

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// The value of the line "NAME:   VALUE"; nothing when there is no such line.
std::optional<std::string_view> FieldOf(std::string_view text, std::string_view name) {
  while (!text.empty()) {
    const std::string_view line = TakeLine(&text);
    if (line.starts_with(name) && line.substr(name.size()).starts_with(":")) {
      return Trim(line.substr(name.size() + 1));
    }
  }
  return std::nullopt;
}

// The lines of smaps between the heading of the VMA that holds `address` and the next one.
std::optional<std::string_view> SmapsOf(std::string_view text, uint64_t address) {
  std::optional<const char*> begin;
  while (!text.empty()) {
    const std::string_view line = TakeLine(&text);
    MapsLine head;
    if (!ParseMapsLine(line, &head)) continue;
    if (begin) return std::string_view(*begin, static_cast<size_t>(line.data() - *begin));
    if (head.start <= address && address < head.end) begin = text.data();
  }
  if (!begin) return std::nullopt;
  return std::string_view(*begin, static_cast<size_t>(text.data() - *begin));
}

// Values are words, with any number of spaces between them; those of VmFlags in any order.
bool SameValue(std::string_view name, std::string_view left, std::string_view right) {
  const auto words = [](std::string_view text) {
    std::vector<std::string_view> out;
    for (text = Trim(text); !text.empty(); text = Trim(text)) {
      const size_t end = std::min(text.find_first_of(" \t"), text.size());
      out.push_back(text.substr(0, end));
      text.remove_prefix(end);
    }
    return out;
  };
  const std::vector<std::string_view> l = words(left), r = words(right);
  if (name != "VmFlags") return l == r;
  return std::set<std::string_view>(l.begin(), l.end()) == std::set<std::string_view>(r.begin(), r.end());
}

}  // namespace

absl::Status ExpectChecker::Smaps(const Asked& a) {
  const absl::StatusOr<uint64_t> address = Number(a.expect.address);
  if (!address.ok()) return address.status();
  const absl::StatusOr<std::string> smaps = a.witness.Smaps(a.pid);
  if (!smaps.ok()) return smaps.status();
  const std::optional<std::string_view> of_vma = SmapsOf(*smaps, *address);
  if (!of_vma) return absl::NotFoundError(fmt::format("nothing is mapped at {:#x}", *address));
  for (const ExpectField& field : a.expect.fields) {
    const std::optional<std::string_view> actual = FieldOf(*of_vma, field.name);
    if (!actual) return scenario_.ErrorAt(field.name.data(), "expected a field of /proc/PID/smaps");
    if (!SameValue(field.name, field.value, *actual)) {
      a.Add(fmt::format("{}: {}", field.name, field.value), std::string(*actual));
    }
  }
  return absl::OkStatus();
}

absl::Status ExpectChecker::Counters(const Asked& a) {
  const bool of_process = a.expect.pid != 0;
  const absl::StatusOr<std::string> text = of_process ? a.witness.Counters(a.pid) : a.witness.Meminfo();
  if (!text.ok()) return text.status();
  for (const ExpectField& field : a.expect.fields) {
    const std::optional<std::string_view> actual = FieldOf(*text, field.name);
    if (!actual) {
      return scenario_.ErrorAt(field.name.data(),
                               of_process
                                   ? "expected a field of /proc/PID/status that the model knows, map_count, "
                                     "total_vm, locked_vm, data_vm, exec_vm or stack_vm"
                                   : "expected a field of /proc/meminfo that the model knows");
    }
    if (!SameValue(field.name, field.value, *actual)) {
      a.Add(fmt::format("{}: {}", field.name, field.value), std::string(*actual));
    }
  }
  return absl::OkStatus();
}

}  // namespace mmsim::scenario
