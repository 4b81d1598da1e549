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
#include "sim/kernel/syscall.h"
#include "sim/scenario/expect.h"
#include "sim/scenario/source.h"

namespace mmsim::scenario {

enum class StepKind : uint8_t {
  kCall,    // a system call: sys, args, result
  kAccess,  // store, load, fetch: access, args, result
  kSignal,  // --- SIGSEGV {...} ---: name; args[0] is the inside of the braces, absent for `stopped by`
  kExit,    // +++ exited with 0 +++ and its kin: exit, value, name
  kSpawn,   // `pid 100`: a new process that is no one's child: a tiny victim; args: words (`privileged`)
  kExpect,  // expect ...: Scenario::ExpectOf
  kLet,     // let $NAME = EXPRESSION: name (with the $), args[0]
  kSet,     // set NAME VALUE: name, args[0]
  kLimit,   // limit RLIMIT_AS CURRENT [MAXIMUM] of processes that are spawned later: name, args
  kInject,  // inject SEAM N, inject off: name, args[0]
};

enum class AccessKind : uint8_t { kStore, kLoad, kFetch };

enum class ExitKind : uint8_t {
  kExited,      // value: the status
  kKilled,      // name: the signal
  kSuperseded,  // value: the thread whose execve took over this process id
};

enum class ResultKind : uint8_t {
  kUnfinished,  // none in the file: in flight when the log ended, or when its process was killed
  kValue,       // value
  kErrno,       // -1 ENOMEM: error
  kUnknown,     // `= ?` (with error where strace says which: ERESTARTSYS): any result will do
  kBytes,       // load: a string literal (Scenario::ResultToken)
  kName,        // `= $a`: bind the result to a name (Scenario::ResultToken, with the $)
};

// The process of a file whose lines name none.
inline constexpr int32_t kNoPid = 0;
// What that process is called.
inline constexpr int32_t kDefaultPid = 100;

// A system call that no table names (`syscall_0x1ce(...)`; its number is in Step::number) or that strace
// could not tell (`???`; number is -1).
inline constexpr Sys kSysByNumber = Sys::kCount;

// A view into Step::text.
struct TextRef {
  uint32_t offset = 0, len = 0;
};

struct Step {
  const char* text = nullptr;  // the event, without pid and time columns; in the file or in a joined text
  int64_t value = 0;           // the recorded result (kValue); see ExitKind; the index of an expectation
  uint32_t text_len = 0;
  uint32_t first_line = 0, last_line = 0;
  int32_t pid = kNoPid;
  uint32_t args_begin = 0;  // see Scenario::Args
  int32_t number = 0;       // kSysByNumber
  TextRef name;             // signal, exit, set, limit, inject
  TextRef result_text;      // from after "= " up to the end of the line, the time of -T included
  Sys sys = kSysByNumber;   // kCall
  int16_t error = 0;        // kErrno, kUnknown: positive; 0 when unknown
  uint8_t nr_args = 0;
  StepKind kind = StepKind::kCall;
  ResultKind result = ResultKind::kUnfinished;
  AccessKind access = AccessKind::kStore;
  ExitKind exit = ExitKind::kExited;
  uint8_t arch_mask = 3;  // bit (1 << Arch): `on x86_64 ...` leaves the other architecture out
  bool partial = false;   // some arguments are missing: never resumed, or only its resumption was seen

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
  // Reads a file, a pipe too; gzip is inflated, whatever the name. At most kMaxTextBytes, and kMaxLineBytes a
  // line.
  static absl::StatusOr<std::unique_ptr<Scenario>> Open(const std::string& path);
  // Parses `text` under the name `file` that errors print.
  static absl::StatusOr<std::unique_ptr<Scenario>> FromText(std::string text, std::string file);
  ~Scenario();
  Scenario(const Scenario&) = delete;
  Scenario& operator=(const Scenario&) = delete;

  const std::string& file() const { return file_; }
  std::string_view text() const { return source_.text; }
  // The comment lines that open the file, with their #.
  std::string_view header() const { return header_; }
  // True when nothing but what strace prints occurs: no $name, access, expectation or directive.
  bool is_log() const { return is_log_; }
  // The architectures for which the file is meant (`arch x86_64 "reason"`), as in Step::arch_mask, and why.
  uint8_t arch_mask() const { return arch_mask_; }
  bool RunsOn(Arch arch) const { return (arch_mask_ >> static_cast<int>(arch)) & 1; }
  std::string_view arch_reason() const { return arch_reason_; }
  // `profile NAME`; empty when the file names none.
  std::string_view profile() const { return profile_; }

  absl::Span<const Step> steps() const { return steps_; }
  absl::Span<const TextRef> Args(const Step& s) const {
    return absl::MakeConstSpan(args_).subspan(s.args_begin, s.nr_args);
  }
  // Precondition: i < s.nr_args. Without surrounding spaces.
  std::string_view Arg(const Step& s, int i) const { return s.View(args_[s.args_begin + i]); }
  // The first word behind "=": `0x7ffff7fc0000`, `-1`, `?`, `$a`, `"abc"`; empty when unfinished.
  std::string_view ResultToken(const Step& s) const;
  // The path of `= 3</lib/x.so>`; empty when there is none.
  std::string_view ResultPath(const Step& s) const;
  const Expect& ExpectOf(const Step& s) const { return expects_[s.value]; }

  // "FILE:LINE:COLUMN: message", the line (shortened) and a caret under `at`, which points into this
  // scenario's text or into a joined text of it. InvalidArgument.
  absl::Status ErrorAt(const char* at, std::string_view message) const;
  Location Locate(const char* at) const;
  // Where a step begins: the same, without counting the lines before it.
  Location LocateStep(const Step& step) const;
  // The file's line at `at`, without its newline.
  std::string_view LineAt(const char* at) const;

 private:
  friend class Loader;
  Scenario() = default;

  // The text of a call in two pieces: bytes before `split` come from `first`, the others from `second`.
  // Either may point into an earlier Joined.
  struct Joined {
    std::string text;
    size_t split;
    const char* first;
    const char* second;
  };
  // The place in the file's text that `at` stands for.
  const char* InFile(const char* at) const;

  std::string file_;
  Source source_;
  std::string_view header_, arch_reason_, profile_;
  uint8_t arch_mask_ = 3;
  bool is_log_ = true;
  std::vector<Step> steps_;
  std::vector<TextRef> args_;
  std::vector<Expect> expects_;
  std::vector<std::unique_ptr<Joined>> joined_;
};

inline constexpr size_t kMaxLineBytes = size_t{16} << 20;
inline constexpr size_t kMaxTextBytes = size_t{4}
                                        << 30;  // of a plain file; a quarter of it for a .gz or a pipe

}  // namespace mmsim::scenario
