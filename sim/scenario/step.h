// SPDX-License-Identifier: Apache-2.0
// What a scenario file says, as steps: an strace log and a file written by hand come to the same thing.
//
// A Scenario owns the text of its file (a memory mapping, or the inflated text of a .gz) and the steps that
// point into it. Everything a step says is a view; nothing is copied or allocated per step or argument. A
// call that strace split
// (`<unfinished ...>`, `<... mmap resumed>`) is one step, at the place of its first line, over a joined text
// that the Scenario owns; [first_line, last_line] is the interval in which it was in flight and may have
// taken effect.
//
// Line numbers are 1-based; a column is computed only when an error needs it (Scenario::ErrorAt).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "mmsim/types.h"
#include "sim/kernel/syscall_number.h"
#include "sim/scenario/expect.h"

namespace mmsim::scenario {

enum class StepKind : uint8_t {
  kCall,    // a system call: sys, args, result
  kAccess,  // store, load, fetch: access, args, result
  kSignal,  // --- SIGSEGV {...} ---: name, args[0] is the inside of the braces (absent for "stopped by")
  kExit,    // +++ exited with 0 +++, +++ killed by SIGSEGV +++: value, name
  kSpawn,   // `pid 100`: a new process that is no one's child: a tiny victim
  kExpect,  // expect ...: index into Scenario::expects()
  kSet,     // set NAME VALUE: name, args[0]; args[1] where there is a second value
  kInject,  // inject SEAM N: name ("frame", "table", "vma", "off"), args[0]
};

enum class AccessKind : uint8_t { kStore, kLoad, kFetch };

enum class ResultKind : uint8_t {
  kUnfinished,  // no result in the file: in flight when the log ended, or its process was killed in it
  kValue,       // value
  kErrno,       // -1 ENOMEM: error
  kUnknown,     // `= ?` (with error where strace says which: ERESTARTSYS): any result will do
  kBytes,       // load: a string literal (Scenario::ResultText)
  kName,        // `= $a`: bind the result to a name (Scenario::ResultText, with the $)
};

// What the first process of an strace log without pids is called.
inline constexpr int32_t kNoPid = 0;

// A system call that no table names (`syscall_0x1ce(...)`): its number is in Step::value.
inline constexpr Sys kSysByNumber = static_cast<Sys>(0xffff);

// A view into Step::text.
struct TextRef {
  uint32_t offset = 0, len = 0;
};

struct Step {
  const char* text = nullptr;  // the event, without pid and time columns; in the file or in a joined text
  uint32_t text_len = 0;
  uint32_t first_line = 0, last_line = 0;
  int32_t pid = kNoPid;
  uint32_t args_begin = 0;  // into the Scenario's pool; see Scenario::Args
  uint8_t nr_args = 0;
  StepKind kind = StepKind::kCall;
  ResultKind result = ResultKind::kUnfinished;
  AccessKind access = AccessKind::kStore;
  Sys sys = kSysByNumber;  // kCall
  int16_t error = 0;       // kErrno, kUnknown: the errno's number, positive; 0 when unknown
  uint8_t arch_mask = 3;   // bit (1 << Arch): `on x86_64 ...` leaves the other architectures out
  bool killed = false;     // kExit: killed by a signal (name), else exited with value
  // The recorded result (kValue); the exit status (kExit); the number of kSysByNumber when it is unfinished
  // or `?`; the index into expects() (kExpect).
  int64_t value = 0;
  uint32_t number = 0;  // kSysByNumber: the number
  TextRef name;         // signal, exit signal, set, inject
  TextRef result_text;  // from after "= " up to the end of the line, a -T time included

  std::string_view Text() const { return {text, text_len}; }
  std::string_view View(TextRef r) const { return {text + r.offset, r.len}; }
  std::string_view Name() const { return View(name); }
  bool RunsOn(Arch arch) const { return (arch_mask >> static_cast<int>(arch)) & 1; }
};

// Where something stands in a file.
struct Location {
  std::string file;
  uint32_t line = 0, column = 0;  // 1-based; column in bytes
};

class Scenario {
 public:
  // Reads a file; a name that ends in .gz is inflated. "-" is not special.
  static absl::StatusOr<std::unique_ptr<Scenario>> Open(const std::string& path);
  // Parses `text` under the name `file` that errors print.
  static absl::StatusOr<std::unique_ptr<Scenario>> FromText(std::string text, std::string file);
  ~Scenario();
  Scenario(const Scenario&) = delete;
  Scenario& operator=(const Scenario&) = delete;

  const std::string& file() const { return file_; }
  // The comment lines that open the file, without the #.
  std::string_view header() const { return header_; }
  // True when the text is strace's alone: no name, access, expectation or directive occurs.
  bool is_log() const { return is_log_; }

  absl::Span<const Step> steps() const { return steps_; }
  absl::Span<const TextRef> Args(const Step& s) const {
    return absl::MakeConstSpan(args_).subspan(s.args_begin, s.nr_args);
  }
  // Precondition: i < s.nr_args. Without surrounding spaces.
  std::string_view Arg(const Step& s, int i) const { return s.View(args_[s.args_begin + i]); }
  // The token behind "=": `0x7ffff7fc0000`, `-1`, `?`, `$a`, `"abc"`; empty when unfinished.
  std::string_view ResultText(const Step& s) const;
  // The path of `= 3</lib/x.so>`; empty when there is none.
  std::string_view ResultPath(const Step& s) const;
  const Expect& ExpectOf(const Step& s) const { return expects_[s.value]; }

  // "FILE:LINE:COLUMN: message", the line (shortened) and a caret under `at`, which points into this
  // scenario's text or into a joined text of it. InvalidArgument.
  absl::Status ErrorAt(const char* at, std::string_view message) const;
  Location Locate(const char* at) const;
  // The whole first line of a step as the file has it, for reports.
  std::string_view LineOf(const Step& s) const;

 private:
  friend class Loader;
  Scenario() = default;

  // A joined text of a split call: bytes from `split` on come from `second`, those before it from `first`.
  struct Joined {
    std::string text;
    size_t split;
    const char* first;
    const char* second;
  };
  // The place in the file's text that `at` stands for; nullptr when it is no place of this scenario.
  const char* InFile(const char* at) const;

  std::string file_;
  std::string owned_;        // the text, when it is not mapped
  void* mapping_ = nullptr;  // the mapped file
  size_t mapping_len_ = 0;
  std::string_view text_;
  std::string_view header_;
  bool is_log_ = true;
  std::vector<Step> steps_;
  std::vector<TextRef> args_;
  std::vector<Expect> expects_;
  std::vector<std::unique_ptr<Joined>> joined_;
};

}  // namespace mmsim::scenario
