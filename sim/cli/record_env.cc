// SPDX-License-Identifier: Apache-2.0
// See record_env.h.
#include "sim/cli/record_env.h"

#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <string_view>

#include "fmt/format.h"
#include "sim/cli/text.h"

namespace mmsim::cli {
namespace {

// The first line of a file; empty when there is none.
std::string FirstLine(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

void AppendFile(std::string_view name, const std::string& path, std::string* out) {
  const std::string value = FirstLine(path);
  if (!value.empty()) *out += fmt::format("{} {}\n", name, value);
}

// "always [madvise] never" says madvise.
void AppendChosenWord(std::string_view name, const std::string& path, std::string* out) {
  const std::string line = FirstLine(path);
  for (std::string_view rest = line; !rest.empty();) {
    const std::string_view word = TakePart(&rest, ' ');
    if (word.starts_with('[')) *out += fmt::format("{} {}\n", name, word.substr(1, word.size() - 2));
  }
}

void AppendLimits(std::string* out) {
  static constexpr struct {
    std::string_view name;
    int number;
  } kLimits[] = {{"RLIMIT_AS", RLIMIT_AS},       {"RLIMIT_DATA", RLIMIT_DATA},
                 {"RLIMIT_STACK", RLIMIT_STACK}, {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
                 {"RLIMIT_FSIZE", RLIMIT_FSIZE}, {"RLIMIT_NOFILE", RLIMIT_NOFILE},
                 {"RLIMIT_NPROC", RLIMIT_NPROC}};
  const auto text = [](rlim_t value) {
    return value == RLIM_INFINITY ? std::string("unlimited") : fmt::format("{}", value);
  };
  for (const auto& limit : kLimits) {
    rlimit value;
    if (getrlimit(static_cast<__rlimit_resource>(limit.number), &value) != 0) continue;
    *out += fmt::format("{} {} {}\n", limit.name, text(value.rlim_cur), text(value.rlim_max));
  }
}

void AppendMeminfo(std::string* out) {
  const std::string meminfo = ReadText("/proc/meminfo");
  for (std::string_view field : {"MemTotal", "SwapTotal", "CommitLimit", "Committed_AS", "HugePages_Total"}) {
    const std::string_view value = FieldOf(meminfo, field);
    if (!value.empty()) *out += fmt::format("{} {}\n", field, value);
  }
}

// x86-64's "46 bits physical, 48 bits virtual", and the flags that change what calls return.
void AppendCpu(std::string* out) {
  static constexpr std::string_view kFlags[] = {"la57", "pku", "ospke", "user_shstk",
                                                "mte",  "bti", "gcs",   "poe"};
  const std::string cpuinfo = ReadText("/proc/cpuinfo");
  const std::string_view sizes = FieldOf(cpuinfo, "address sizes");
  if (!sizes.empty()) *out += fmt::format("address_sizes {}\n", sizes);
  std::string_view flags = FieldOf(cpuinfo, "flags");
  if (flags.empty()) flags = FieldOf(cpuinfo, "Features");
  *out += "cpu_flags";
  while (!flags.empty()) {
    const std::string_view flag = TakePart(&flags, ' ');
    if (std::find(std::begin(kFlags), std::end(kFlags), flag) != std::end(kFlags)) {
      *out += fmt::format(" {}", flag);
    }
  }
  *out += "\n";
}

// The kinds of mounted filesystems by device, as maps print it ("fe:00"): some place large mappings
// otherwise. Where they are mounted is nobody's business.
void AppendFilesystems(std::string* out) {
  std::set<std::string> lines;
  const std::string mounts = ReadText("/proc/self/mountinfo");
  for (std::string_view rest = mounts; !rest.empty();) {
    // 36 35 98:0 /root /mount rw,noatime master:1 - ext3 /dev/root rw
    std::string_view line = TakePart(&rest, '\n');
    const size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) continue;
    std::string_view tail = line.substr(dash + 3);
    TakePart(&line, ' '), TakePart(&line, ' ');
    std::string_view device = TakePart(&line, ' ');
    unsigned major = 0, minor = 0;
    if (!ParseDecimal(TakePart(&device, ':'), &major) || !ParseDecimal(device, &minor)) continue;
    const std::string_view type = TakePart(&tail, ' ');
    // Nobody maps files of these.
    static constexpr std::string_view kPseudo =
        " proc sysfs cgroup cgroup2 devpts mqueue debugfs tracefs securityfs "
        "bpf pstore configfs fusectl binfmt_misc autofs efivarfs ";
    if (kPseudo.find(fmt::format(" {} ", type)) != std::string_view::npos) continue;
    lines.insert(fmt::format("filesystem {:02x}:{:02x} {}\n", major, minor, type));
  }
  for (const std::string& line : lines) *out += line;
}

}  // namespace

std::string DescribeHost() {
  utsname name;
  uname(&name);
  std::string out = fmt::format("architecture {}\nkernel {}\nkernel_version {}\npage_size {}\n", name.machine,
                                name.release, name.version, sysconf(_SC_PAGESIZE));
  out += fmt::format("personality 0x{:x}\n",
                     static_cast<unsigned>(personality(0xffffffff)) | unsigned{ADDR_NO_RANDOMIZE});
  AppendLimits(&out);
  for (const char* knob :
       {"overcommit_memory", "overcommit_ratio", "overcommit_kbytes", "max_map_count", "mmap_min_addr",
        "legacy_va_layout", "admin_reserve_kbytes", "user_reserve_kbytes"}) {
    AppendFile(knob, fmt::format("/proc/sys/vm/{}", knob), &out);
  }
  for (const char* knob : {"shmmax", "shmall", "shmmni"}) {
    AppendFile(knob, fmt::format("/proc/sys/kernel/{}", knob), &out);
  }
  AppendChosenWord("thp", "/sys/kernel/mm/transparent_hugepage/enabled", &out);
  AppendChosenWord("thp_shmem", "/sys/kernel/mm/transparent_hugepage/shmem_enabled", &out);
  AppendMeminfo(&out);
  AppendCpu(&out);
  AppendFilesystems(&out);
  out += fmt::format("capabilities {}\n", FieldOf(ReadText("/proc/self/status"), "CapEff"));
  return out;
}

}  // namespace mmsim::cli
