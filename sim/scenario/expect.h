// SPDX-License-Identifier: Apache-2.0
// What a scenario expects to find, as data. Addresses stay expressions (`$a+0x1000`): their names get a value
// when the scenario runs (EvalAddress in lower.h). Every view points into the scenario's text, so that a
// failed expectation can show the line and the word that failed. scenarios/README.md is the language's page.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mmsim::scenario {

enum class Subject : uint8_t {
  kMaps,       // maps: the lines of /proc/PID/maps, of a range or of all
  kSmaps,      // fields of the VMA at an address
  kPte,        // the entries of the walk to an address, level by level
  kPagemap,    // bits of /proc/PID/pagemap at an address
  kPageFlags,  // bits of /proc/kpageflags of the frame at an address
  kPageCount,  // /proc/kpagecount of the frame at an address
  kFrame,      // two pages have the same frame, or not
  kBytes,      // contents at an address
  kSignal,     // the signal of the process's last step, or none
  kErrorCode,  // the x86-64 error code or the arm64 ESR of its last fault
  kShadow,     // entries of a shadow page table, as the process reads them at an address
  kCounters,   // fields of /proc/PID/status and map_count, or, without a PID, of /proc/meminfo
};

// START-END PERMS [OFFSET [DEV [INODE]]] [PATH]; a field that is "*" or empty is not compared, but the path
// is when the inode or it was written: a line that ends in an inode is a mapping without a path.
struct ExpectMapsLine {
  std::string_view start, end;  // expressions
  std::string_view perms, offset, dev, inode, path;
  bool compares_path = false;
};

// NAME: VALUE [kB], or NAME: WORDS (VmFlags).
struct ExpectField {
  std::string_view name, value;
};

// A word that must hold, or (with !) must not.
struct ExpectFlag {
  std::string_view name;
  bool negated = false;
};

// LEVEL: [=] FLAGS..., or LEVEL: NUMBER[/MASK].
struct ExpectLevel {
  std::string_view level;  // pgd, pud, pmd, pte
  bool exact = false;      // `=`: the entry has these flags and no others
  std::vector<ExpectFlag> flags;
  std::optional<uint64_t> raw;
  uint64_t mask = ~uint64_t{0};
};

// PID:ADDRESS, `zero`, or $name (bound by the first comparison with a page).
struct ExpectFrame {
  enum class Kind : uint8_t { kPage, kZero, kName } kind = Kind::kPage;
  int32_t pid = 0;
  std::string_view address, name;
};

// VADDR: WORDS [@ FRAME], one entry; START-END: ..., one a page of the range. The words are all that hold.
struct ExpectShadowRow {
  std::string_view start, end;  // expressions; end is empty for one entry
  std::vector<std::string_view> words;
  enum class Pfn : uint8_t { kAny, kNone, kFrame } pfn = Pfn::kAny;
  ExpectFrame frame;  // of the first entry; the others' are those of the pages behind it
};

struct Expect {
  Subject subject = Subject::kMaps;
  int32_t pid = 0;                // 0: none given (frame, counters)
  std::string_view text;          // all of it
  std::string_view address, end;  // expressions; empty when none. `end` for a range of maps
  bool others_allowed = false;    // maps: a line `...` allows lines that are not listed
  std::vector<ExpectMapsLine> lines;
  std::vector<ExpectField> fields;
  std::vector<ExpectLevel> levels;
  std::vector<ExpectFlag> flags;  // pagemap, pageflags
  std::vector<ExpectShadowRow> shadow;
  ExpectFrame left, right;
  bool equal = true;             // frame: == or !=
  uint64_t number = 0;           // pagecount, error_code
  std::string bytes;             // decoded
  std::string_view signal;       // "none" or SIGSEGV
  std::string_view signal_code;  // SEGV_ACCERR; empty: not compared
  std::string_view signal_address;
};

}  // namespace mmsim::scenario
