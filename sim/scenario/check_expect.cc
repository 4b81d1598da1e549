// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/check_expect.h"

#include "fmt/format.h"
#include "sim/kernel/signal.h"

namespace mmsim::scenario {

std::string Quoted(std::string_view bytes) {
  std::string out = "\"";
  for (const char c : bytes) {
    if (c >= ' ' && c <= '~' && c != '"' && c != '\\') {
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return out + '"';
}

absl::StatusOr<bool> ExpectChecker::Check(const Step& step, int default_pid, Witness& witness,
                                          std::vector<Finding>* findings) {
  const Expect& expect = scenario_.ExpectOf(step);
  const Asked asked{step, expect, default_pid, expect.pid == 0 ? default_pid : expect.pid, witness, findings};
  const absl::Status status = One(asked);
  if (absl::IsUnimplemented(status)) return false;
  if (absl::IsNotFound(status)) {
    const std::string_view text = expect.text;
    asked.Add(std::string(text.substr(0, text.find('\n'))), std::string(status.message()));
    return true;
  }
  if (!status.ok()) return status;
  return true;
}

absl::Status ExpectChecker::One(const Asked& a) {
  switch (a.expect.subject) {
    case Subject::kMaps:
      return Maps(a);
    case Subject::kSmaps:
      return Smaps(a);
    case Subject::kPte:
      return Entries(a);
    case Subject::kPagemap:
      return Pagemap(a);
    case Subject::kPageFlags:
      return PageFlags(a);
    case Subject::kPageCount:
      return PageCount(a);
    case Subject::kFrame:
      return Frame(a);
    case Subject::kBytes:
      return Bytes(a);
    case Subject::kSignal:
      return Signal(a);
    case Subject::kErrorCode:
      return ErrorCode(a);
    case Subject::kCounters:
      return Counters(a);
    case Subject::kShadow:
      return Shadow(a);
  }
  return absl::OkStatus();
}

absl::Status ExpectChecker::Bytes(const Asked& a) {
  const absl::StatusOr<uint64_t> address = Number(a.expect.address);
  if (!address.ok()) return address.status();
  const absl::StatusOr<std::string> bytes = a.witness.Bytes(a.pid, *address, a.expect.bytes.size());
  if (!bytes.ok()) return bytes.status();
  if (*bytes == a.expect.bytes) return absl::OkStatus();
  a.Add(Quoted(a.expect.bytes), bytes->size() == a.expect.bytes.size()
                                    ? Quoted(*bytes)
                                    : fmt::format("{}, and no memory behind it", Quoted(*bytes)));
  return absl::OkStatus();
}

absl::Status ExpectChecker::Signal(const Asked& a) {
  const Expect& e = a.expect;
  const absl::StatusOr<LastSignal> last = a.witness.Signal(a.pid);
  if (!last.ok()) return last.status();
  if (e.signal == "none") {
    if (last->signo != 0) a.Add("no signal", SignalName(last->signo));
    return absl::OkStatus();
  }
  const std::string name = last->signo == 0 ? "none" : SignalName(last->signo);
  const std::string code = last->signo == 0 ? "" : SignalCodeName(last->signo, last->code);
  if (name != e.signal) a.Add(std::string(e.signal), name);
  if (name != e.signal) return absl::OkStatus();
  if (!e.signal_code.empty() && code != e.signal_code) a.Add(fmt::format("si_code={}", e.signal_code), code);
  if (e.signal_address.empty()) return absl::OkStatus();
  const absl::StatusOr<uint64_t> address = Number(e.signal_address);
  if (!address.ok()) return address.status();
  if (last->address != *address) {
    a.Add(fmt::format("si_addr={:#x}", *address), fmt::format("{:#x}", last->address));
  }
  return absl::OkStatus();
}

absl::Status ExpectChecker::ErrorCode(const Asked& a) {
  const absl::StatusOr<uint64_t> code = a.witness.ErrorCode(a.pid);
  if (!code.ok()) return code.status();
  if (*code != a.expect.number) a.Add(fmt::format("{:#x}", a.expect.number), fmt::format("{:#x}", *code));
  return absl::OkStatus();
}

}  // namespace mmsim::scenario
