// SPDX-License-Identifier: Apache-2.0
// expect PID maps [START-END] { lines }
#include <charconv>

#include "fmt/format.h"
#include "sim/kernel/procfs.h"
#include "sim/scenario/check_expect.h"

namespace mmsim::scenario {
namespace {

bool Wildcard(std::string_view field) {
  return field.empty() || field == "*";
}

// The field, a number in this base, is `value`.
bool IsNumber(std::string_view field, int base, uint64_t value) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), number, base);
  return error == std::errc() && end == field.data() + field.size() && number == value;
}

bool DeviceIs(std::string_view field, const MapsLine& line) {
  const size_t colon = field.find(':');
  return colon != std::string_view::npos && IsNumber(field.substr(0, colon), 16, line.dev_major) &&
         IsNumber(field.substr(colon + 1), 16, line.dev_minor);
}

// An expected line with its addresses.
struct Wanted {
  uint64_t start, end;
  const ExpectMapsLine& fields;

  bool Is(const MapsLine& line) const {
    return line.start == start && line.end == end && (Wildcard(fields.perms) || fields.perms == line.perms) &&
           (Wildcard(fields.offset) || IsNumber(fields.offset, 16, line.offset_bytes)) &&
           (Wildcard(fields.dev) || DeviceIs(fields.dev, line)) &&
           (Wildcard(fields.inode) || IsNumber(fields.inode, 10, line.inode)) &&
           (!fields.compares_path || fields.path == line.name);
  }
  std::string Text() const {
    std::string text = fmt::format("{:08x}-{:08x} {}", start, end, fields.perms);
    for (const std::string_view field : {fields.offset, fields.dev, fields.inode, fields.path}) {
      if (!field.empty()) text += fmt::format(" {}", field);
    }
    return text;
  }
};

// The lines of the text that overlap [from, to).
std::vector<MapsLine> Overlapping(std::string_view text, uint64_t from, uint64_t to) {
  std::vector<MapsLine> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    MapsLine line;
    if (ParseMapsLine(text.substr(0, end), &line) && line.start < to && line.end > from) {
      lines.push_back(line);
    }
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

std::string Listing(const std::vector<MapsLine>& lines) {
  std::string text = lines.empty() ? "nothing is mapped" : "\n";
  for (const MapsLine& line : lines) AppendMapsLine(line, &text);
  return text;
}

}  // namespace

absl::Status ExpectChecker::Maps(const Asked& a) {
  const Expect& expect = a.expect;
  uint64_t from = 0, to = ~uint64_t{0};
  if (!expect.address.empty()) {
    const absl::StatusOr<uint64_t> start = MapsNumber(expect.address), end = MapsNumber(expect.end);
    if (!start.ok()) return start.status();
    if (!end.ok()) return end.status();
    from = *start;
    to = *end;
  }
  const absl::StatusOr<std::string> text = a.witness.Maps(a.pid);
  if (!text.ok()) return text.status();
  const std::vector<MapsLine> actual = Overlapping(*text, from, to);
  size_t next = 0;
  for (const ExpectMapsLine& line : expect.lines) {
    const absl::StatusOr<uint64_t> start = MapsNumber(line.start), end = MapsNumber(line.end);
    if (!start.ok()) return start.status();
    if (!end.ok()) return end.status();
    const Wanted wanted{*start, *end, line};
    while (expect.others_allowed && next < actual.size() && !wanted.Is(actual[next])) ++next;
    if (next == actual.size() || !wanted.Is(actual[next])) {
      a.Add(wanted.Text(), Listing(actual));
      return absl::OkStatus();
    }
    ++next;
  }
  if (!expect.others_allowed && next != actual.size()) {
    a.Add(fmt::format("{} lines of maps", expect.lines.size()), Listing(actual));
  }
  return absl::OkStatus();
}

}  // namespace mmsim::scenario
