// SPDX-License-Identifier: Apache-2.0
// See recording.h. `env` is read by recording_env.cc.
#include "sim/scenario/recording.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>

#include "fmt/format.h"
#include "sim/scenario/source.h"

namespace mmsim::scenario {
namespace {

namespace fs = std::filesystem;

// A line of maps is short; what is longer is no listing.
constexpr size_t kShownBytes = 100;

absl::Status ListingError(const std::string& file, size_t line_number, std::string_view line) {
  std::string shown(line.substr(0, kShownBytes));
  for (char& c : shown) {
    if (c < ' ' || c > '~') c = '?';
  }
  return absl::InvalidArgumentError(fmt::format(
      "{}:{}:1: expected a line as in /proc/PID/maps: START-END PERMS OFFSET MAJOR:MINOR INODE PATH\n"
      "  {}\n  ^",
      file, line_number, shown));
}

// A whole file, small ones like these; the error is one line.
absl::StatusOr<std::string> ReadFile(const std::string& path) {
  Source source;
  const absl::Status status = OpenSource(path, &source);
  if (!status.ok()) return status;
  std::string text(source.text);
  CloseSource(&source);
  return text;
}

// "start.12.3": the role "start", process 12, exec 3. Role empty: no file of a recording.
struct ListingName {
  std::string_view role;
  int pid = 0, nth = 1;
};

ListingName ParseName(std::string_view name) {
  ListingName out;
  const auto take = [&name](int* number) {
    const auto [rest, error] = std::from_chars(name.data(), name.data() + name.size(), *number);
    if (error != std::errc() || *number <= 0) return false;
    name.remove_prefix(static_cast<size_t>(rest - name.data()));
    return true;
  };
  const std::string_view role = name.substr(0, name.find('.'));
  if (role != "start" && role != "end" && role != "pagemap") return out;
  name.remove_prefix(std::min(role.size() + 1, name.size()));
  if (!take(&out.pid)) return out;
  if (role == "start" && name.size() > 1 && name[0] == '.') {
    name.remove_prefix(1);
    if (!take(&out.nth)) return out;
  }
  if (name.empty()) out.role = role;
  return out;
}

absl::StatusOr<RecordedListing> LoadListing(const std::string& path) {
  RecordedListing listing;
  listing.file = path;
  absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return text.status();
  listing.text = *std::move(text);
  absl::StatusOr<std::vector<MapsLine>> lines = ParseListing(listing.text, path);
  if (!lines.ok()) return lines.status();
  listing.lines = *std::move(lines);
  return listing;
}

// The names in the folder, in order, so that the first error is always the same one.
absl::StatusOr<std::vector<std::string>> NamesIn(const std::string& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    return absl::NotFoundError(fmt::format("{}: no such folder", folder));
  }
  std::vector<std::string> names;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  if (error) return absl::PermissionDeniedError(fmt::format("{}: {}", folder, error.message()));
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

const RecordedListing* Recording::Start(int pid, int nth) const {
  const auto process = processes.find(pid);
  if (process == processes.end()) return nullptr;
  const auto listing = process->second.starts.find(nth);
  return listing == process->second.starts.end() ? nullptr : &listing->second;
}

const RecordedListing* Recording::End(int pid) const {
  const auto process = processes.find(pid);
  return process == processes.end() || !process->second.end ? nullptr : &*process->second.end;
}

absl::StatusOr<std::vector<MapsLine>> ParseListing(std::string_view text, const std::string& file) {
  std::vector<MapsLine> lines;
  for (size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.empty()) continue;
    MapsLine parsed;
    if (!ParseMapsLine(line, &parsed)) return ListingError(file, number, line);
    lines.push_back(std::move(parsed));
  }
  return lines;
}

absl::StatusOr<Recording> LoadRecording(const std::string& folder) {
  const absl::StatusOr<std::vector<std::string>> names = NamesIn(folder);
  if (!names.ok()) return names.status();
  Recording recording;
  recording.folder = folder;
  for (const std::string& name : *names) {
    const std::string path = (fs::path(folder) / name).string();
    // Where both are there the plain one counts: someone may have unpacked it to change it.
    if (name == "strace.log" || (name == "strace.log.gz" && recording.log.empty())) recording.log = path;
    if (name == "env") {
      const absl::StatusOr<std::string> text = ReadFile(path);
      if (!text.ok()) return text.status();
      recording.env = ParseEnv(*text, path);
      recording.has_env = true;
    }
    if (name == "faults") {
      const absl::StatusOr<std::string> text = ReadFile(path);
      if (!text.ok()) return text.status();
      absl::StatusOr<std::vector<RecordedFault>> faults = ParseFaults(*text, path);
      if (!faults.ok()) return faults.status();
      recording.faults = *std::move(faults);
    }
    const ListingName parts = ParseName(name);
    if (parts.role.empty()) continue;
    if (parts.role == "pagemap") {
      const absl::StatusOr<std::string> text = ReadFile(path);
      if (!text.ok()) return text.status();
      absl::StatusOr<std::vector<RecordedPages>> pages = ParsePagemap(*text, path);
      if (!pages.ok()) return pages.status();
      recording.processes[parts.pid].pages = *std::move(pages);
      continue;
    }
    absl::StatusOr<RecordedListing> listing = LoadListing(path);
    if (!listing.ok()) return listing.status();
    RecordedProcess& process = recording.processes[parts.pid];
    if (parts.role == "end") {
      process.end = *std::move(listing);
    } else {
      process.starts[parts.nth] = *std::move(listing);
    }
  }
  if (recording.log.empty()) {
    return absl::NotFoundError(fmt::format("{}: no strace.log or strace.log.gz in it", folder));
  }
  return recording;
}

}  // namespace mmsim::scenario
