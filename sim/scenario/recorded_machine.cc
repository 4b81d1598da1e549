// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/recorded_machine.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include "fmt/format.h"
#include "sim/mm/profile.h"
#include "sim/scenario/lower.h"

namespace mmsim::scenario {
namespace {

using Version = std::pair<int, int>;

// {6, 12} of "6.12.117+deb12-cloud-amd64"; nothing of what is no version.
std::optional<Version> ParseVersion(std::string_view release) {
  Version version;
  const char* end = release.data() + release.size();
  const auto major = std::from_chars(release.data(), end, version.first);
  if (major.ec != std::errc() || major.ptr == end || *major.ptr != '.') return std::nullopt;
  if (std::from_chars(major.ptr + 1, end, version.second).ec != std::errc()) return std::nullopt;
  return version;
}

// The newest profile that is not newer than the kernel, else the oldest.
std::string_view NearestProfile(Version version) {
  std::string_view nearest = ProfileNames().front();
  for (const std::string_view name : ProfileNames()) {
    if (*ParseVersion(name) <= version) nearest = name;
  }
  return nearest;
}

// Where the file system of a kind of file system places large mappings, and how it keeps pages.
void SetKind(std::string_view type, FileFacts* facts) {
  // These have thp_get_unmapped_area in their file_operations. Linux: fs/ext4/file.c, fs/ext2/file.c, fs/xfs,
  // fs/btrfs, fs/fuse, fs/erofs, fs/bcachefs
  static constexpr std::string_view kAligning[] = {"ext4", "ext3",    "ext2",     "xfs",   "btrfs",
                                                   "fuse", "fuseblk", "virtiofs", "erofs", "bcachefs"};
  // The root of an initramfs is a tmpfs. Linux: init/do_mounts.c rootfs_init_fs_context()
  static constexpr std::string_view kMemory[] = {"tmpfs", "rootfs", "devtmpfs"};
  const auto is_one_of = [type](const auto& names) {
    return std::find(std::begin(names), std::end(names), type) != std::end(names);
  };
  facts->kind = is_one_of(kMemory) ? InodeKind::kShmem : InodeKind::kDisk;
  facts->aligns_huge = is_one_of(kAligning);
}

// What is known of the files of a device: by its kind of file system; without that, those that lie on a block
// device are taken for ext4's, those that do not (major 0: tmpfs, overlayfs, nfs) for none that aligns.
FileFacts FactsOf(const RecordedEnv& env, uint32_t major, uint32_t minor) {
  FileFacts facts;
  facts.dev_major = major;
  facts.dev_minor = minor;
  const auto type = env.filesystems.find(fmt::format("{:02x}:{:02x}", major, minor));
  if (type != env.filesystems.end()) {
    SetKind(type->second, &facts);
  } else {
    facts.aligns_huge = major != 0;
  }
  return facts;
}

// Files of which no listing shows a device are taken to lie where their nearest neighbours lie.
void MountWhatListingsShow(const Recording& recording, const RecordedEnv& env, Vfs& vfs) {
  std::map<std::pair<uint32_t, uint32_t>, size_t> lines_of_device;
  const auto mount = [&](const RecordedListing& listing) {
    for (const MapsLine& line : listing.lines) {
      const size_t slash = line.name.rfind('/');
      if (line.inode == 0 || !line.name.starts_with('/') || line.name.ends_with(" (deleted)")) continue;
      vfs.Mount(slash == 0 ? "/" : line.name.substr(0, slash), FactsOf(env, line.dev_major, line.dev_minor));
      ++lines_of_device[{line.dev_major, line.dev_minor}];
    }
  };
  for (const auto& [pid, process] : recording.processes) {
    for (const auto& [nth, start] : process.starts) mount(start);
    if (process.end) mount(*process.end);
  }
  const auto most = std::max_element(lines_of_device.begin(), lines_of_device.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most != lines_of_device.end()) vfs.Mount("/", FactsOf(env, most->first.first, most->first.second));
}

}  // namespace

absl::StatusOr<RecordedMachine> MachineOf(const RecordedEnv& env, const std::string& profile,
                                          std::optional<Arch> arch) {
  RecordedMachine machine;
  KernelOptions& options = machine.options;
  if (!arch && !env.arch && !env.machine.empty()) {
    return absl::InvalidArgumentError(
        fmt::format("recorded on {}, and there is a model of x86_64 and arm64 alone", env.machine));
  }
  options.arch = arch ? *arch : env.arch.value_or(Arch::kX86_64);
  options.open_world = true;
  if (!profile.empty()) {
    const KernelProfile* named = FindProfile(profile, options.arch);
    if (named == nullptr)
      return absl::InvalidArgumentError(fmt::format("there is no kernel profile named {}", profile));
    options.profile = named->name;
  } else if (!env.kernel.empty()) {
    const std::optional<Version> version = ParseVersion(env.kernel);
    options.profile = version ? NearestProfile(*version) : ProfileNames().front();
    if (!version || ParseVersion(options.profile) != version) {
      machine.note =
          fmt::format("there is no profile of kernel {}; {} is taken instead", env.kernel, options.profile);
    }
  }
  if (const auto total_kb = env.Number("memtotal")) options.total_ram_bytes = *total_kb * 1024;
  if (env.has_cpu_flags) {
    options.pkeys = env.cpu_flags.contains("ospke") || env.cpu_flags.contains("poe");
    options.bti = env.cpu_flags.contains("bti");
  }
  return machine;
}

// Linux: include/uapi/linux/capability.h
Credentials CredentialsOf(const RecordedEnv& env) {
  enum : uint64_t { kIpcLock = 14, kIpcOwner = 15, kSysRawio = 17, kSysAdmin = 21, kSysResource = 24 };
  Credentials cred;
  const std::optional<uint64_t> capabilities = env.Number("capabilities");
  if (!capabilities) return cred;
  const auto has = [&](uint64_t bit) { return (*capabilities >> bit & 1) != 0; };
  cred.cap_ipc_lock = has(kIpcLock);
  cred.cap_ipc_owner = has(kIpcOwner);
  cred.cap_sys_rawio = has(kSysRawio);
  cred.cap_sys_admin = has(kSysAdmin);
  cred.cap_sys_resource = has(kSysResource);
  return cred;
}

void PrepareMachine(const Recording& recording, const RecordedEnv& env, Kernel& kernel) {
  if (const auto mode = ThpModeOf(env.thp)) kernel.sysctls().transparent_hugepage = *mode;
  const auto value = [&env](const char* name, uint64_t otherwise) {
    return env.Number(name).value_or(otherwise);
  };
  Sysctls& s = kernel.sysctls();
  s.overcommit_memory = static_cast<int>(value("overcommit_memory", 0));
  s.overcommit_ratio = value("overcommit_ratio", s.overcommit_ratio);
  s.overcommit_kbytes = value("overcommit_kbytes", s.overcommit_kbytes);
  s.max_map_count = static_cast<int>(value("max_map_count", static_cast<uint64_t>(s.max_map_count)));
  s.admin_reserve_kbytes = value("admin_reserve_kbytes", s.admin_reserve_kbytes);
  s.user_reserve_kbytes = value("user_reserve_kbytes", s.user_reserve_kbytes);
  s.SetMmapMinAddr(value("mmap_min_addr", s.dac_mmap_min_addr));
  s.legacy_va_layout = value("legacy_va_layout", 0) != 0;
  static constexpr std::pair<const char*, Rlimit> kLimits[] = {
      {"RLIMIT_AS", Rlimit::kAs},         {"RLIMIT_DATA", Rlimit::kData},
      {"RLIMIT_STACK", Rlimit::kStack},   {"RLIMIT_MEMLOCK", Rlimit::kMemlock},
      {"RLIMIT_NOFILE", Rlimit::kNofile}, {"RLIMIT_FSIZE", Rlimit::kFsize},
      {"RLIMIT_NPROC", Rlimit::kNproc}};
  for (const auto& [name, which] : kLimits) {
    if (const auto limit = env.Limit(name)) kernel.default_rlimits()[which] = {limit->soft, limit->hard};
  }
  MountWhatListingsShow(recording, env, kernel.vfs());
}

}  // namespace mmsim::scenario
