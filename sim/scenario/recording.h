// SPDX-License-Identifier: Apache-2.0
// A recording: the folder that `mmsim record` makes of a real program and that `mmsim verify` replays.
//
//   strace.log or strace.log.gz   what `strace -f -y` wrote, unmodified
//   start.PID, start.PID.N        /proc/PID/maps just after the first, the Nth exec of process PID
//   end.PID                       /proc/PID/maps while PID was held at its exit_group; none for a process
//                                 that died of a signal
//   faults, pagemap.PID           page faults, and the pages that were there at the end (recorded_faults.h)
//   env                           the machine, a line a fact: `NAME VALUE...`
//
// A process that never executed anything has no start: it continues from its parent. Everything but the log
// may be missing. Other files in the folder are nobody's business.
//
// `env` is meant to be written by people and shells too: NAME may end in `:` or `=`, its case and a path or a
// prefix before it do not matter (`vm.overcommit_memory = 0`, `/proc/sys/vm/overcommit_memory:0`), and lines
// of `uname -a`, `ulimit -a` and /proc/PID/limits are understood. The names are the kernel's: architecture,
// kernel, page_size, personality, RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_MEMLOCK, RLIMIT_NOFILE,
// RLIMIT_FSIZE, RLIMIT_NPROC (soft and hard, bytes or `unlimited`), overcommit_memory, overcommit_ratio,
// overcommit_kbytes, max_map_count, mmap_min_addr, legacy_va_layout, admin_reserve_kbytes,
// user_reserve_kbytes, shmmax, shmall, shmmni, thp, thp_shmem, MemTotal, SwapTotal (kB), capabilities
// (effective, hexadecimal), cpu_flags, address_sizes, and `filesystem MAJOR:MINOR TYPE` for the filesystems
// that files of maps may lie on. A line that is none of these is ignored.
//
// Threads: immutable once loaded.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "mmsim/types.h"
#include "sim/kernel/procfs.h"
#include "sim/scenario/recorded_faults.h"

namespace mmsim::scenario {

struct RecordedLimit {
  static constexpr uint64_t kUnlimited = ~uint64_t{0};
  uint64_t soft = kUnlimited, hard = kUnlimited;
  bool operator==(const RecordedLimit&) const = default;
};

// What `env` says; absent: it does not say.
struct RecordedEnv {
  std::optional<Arch> arch;
  std::string machine;  // "x86_64"; also where the model has no such architecture
  std::string kernel;   // "6.12.117+deb12-cloud-amd64"
  std::string thp, thp_shmem;
  std::map<std::string, RecordedLimit, std::less<>> limits;  // by "RLIMIT_AS"
  std::map<std::string, uint64_t, std::less<>> numbers;  // by "max_map_count", "memtotal" (kB): lower case
  std::map<std::string, std::string, std::less<>> filesystems;  // "ext4" by "fe:00"
  std::set<std::string, std::less<>> cpu_flags;
  bool has_cpu_flags = false;  // they may be none
  // Lines whose name is known and whose value is not, each with "FILE:LINE: " before it.
  std::vector<std::string> warnings;

  // The number of that name (lower case), if `env` has it.
  std::optional<uint64_t> Number(std::string_view name) const;
  std::optional<RecordedLimit> Limit(std::string_view name) const;
};

// A listing of /proc/PID/maps.
struct RecordedListing {
  std::string file;  // its path
  std::string text;
  std::vector<MapsLine> lines;
};

struct RecordedProcess {
  std::map<int, RecordedListing> starts;  // by the number of the exec, from 1
  std::optional<RecordedListing> end;
  std::optional<std::vector<RecordedPages>> pages;  // at the end
};

struct Recording {
  std::string folder;
  std::string log;  // the path of strace.log or strace.log.gz
  bool has_env = false;
  std::optional<std::vector<RecordedFault>> faults;
  RecordedEnv env;
  std::map<int, RecordedProcess> processes;  // those with a start or an end

  // The listing just after the `nth` exec of `pid`; null when none was recorded.
  const RecordedListing* Start(int pid, int nth) const;
  const RecordedListing* End(int pid) const;
};

// Reads everything but the log. NotFound: no such folder, or no log in it; InvalidArgument,
// "FILE:LINE:COLUMN: ...": a listing that is none.
absl::StatusOr<Recording> LoadRecording(const std::string& folder);

// The parts of it, for tests and other callers. `file` is the name that messages print.
RecordedEnv ParseEnv(std::string_view text, const std::string& file);
absl::StatusOr<std::vector<MapsLine>> ParseListing(std::string_view text, const std::string& file);

}  // namespace mmsim::scenario
