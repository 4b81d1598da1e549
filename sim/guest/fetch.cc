// SPDX-License-Identifier: Apache-2.0
// FetchKernel: the packaged kernel, from the cache or through the machine's own apt. Lists of packages are
// kept apart from the machine's, so that neither root nor a foreign architecture is needed; what is
// downloaded is unpacked beside the cache and renamed into it when it is complete.
#include <dirent.h>
#include <fcntl.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "sim/guest/arch/command.h"
#include "sim/guest/guest.h"
#include "sim/guest/subprocess.h"

namespace mmsim::guest {
namespace {

namespace fs = std::filesystem;

// Of the kernel that the model is written against.
constexpr absl::string_view kPackagePrefix = "linux-image-";
constexpr absl::string_view kSeries = "6.12.";

absl::StatusOr<fs::path> CacheFolder() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  fs::path folder;
  if (cache && *cache == '/')
    folder = fs::path(cache) / "mmsim";
  else if (home && *home)
    folder = fs::path(home) / ".cache" / "mmsim";
  else
    return absl::FailedPreconditionError("neither XDG_CACHE_HOME nor HOME says where the kernel can be kept");
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return absl::PermissionDeniedError(absl::StrCat(folder.string(), ": ", error.message()));
  return folder;
}

std::string VersionSuffix(Arch arch) {
  return absl::StrCat("-cloud-", DebianName(arch));
}

bool IsWanted(absl::string_view version, Arch arch) {
  return absl::StartsWith(version, kSeries) && absl::EndsWith(version, VersionSuffix(arch));
}

// As strverscmp: runs of digits compare as numbers.
bool Older(const std::string& a, const std::string& b) {
  return strverscmp(a.c_str(), b.c_str()) < 0;
}

Kernel KernelIn(const fs::path& folder, Arch arch) {
  return {.arch = arch,
          .image = (folder / "vmlinuz").string(),
          .version = folder.filename().string(),
          .modules = (folder / "modules").string()};
}

// The newest complete kernel of the cache; an empty image when there is none.
Kernel Cached(const fs::path& cache, Arch arch) {
  std::string newest;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(cache, error)) {
    const std::string name = entry.path().filename().string();
    if (IsWanted(name, arch) && fs::exists(entry.path() / "vmlinuz", error) &&
        (newest.empty() || Older(newest, name)))
      newest = name;
  }
  return newest.empty() ? Kernel{.arch = arch, .image = "", .version = "", .modules = ""}
                        : KernelIn(cache / newest, arch);
}

// Removed with everything in it.
class ScratchFolder {
 public:
  static absl::StatusOr<std::unique_ptr<ScratchFolder>> Make(const fs::path& parent) {
    std::string name = (parent / "fetch.XXXXXX").string();
    if (!mkdtemp(name.data())) return ErrnoStatus(name);
    return std::unique_ptr<ScratchFolder>(new ScratchFolder(name));
  }
  ~ScratchFolder() {
    std::error_code error;
    fs::remove_all(path_, error);
  }
  const fs::path& path() const { return path_; }

 private:
  explicit ScratchFolder(fs::path path) : path_(std::move(path)) {}
  fs::path path_;
};

std::vector<std::string> Apt(const std::string& program, const fs::path& scratch, Arch arch) {
  return {program,
          "-q",
          absl::StrCat("-oAPT::Architecture=", DebianName(arch)),
          absl::StrCat("-oAPT::Architectures=", DebianName(arch)),
          absl::StrCat("-oDir::State::Lists=", (scratch / "lists").string()),
          absl::StrCat("-oDir::Cache=", (scratch / "cache").string()),
          "-oAPT::Sandbox::User=",
          "-oAcquire::Languages=none",
          "-oDebug::NoLocking=1"};
}

absl::StatusOr<ProgramResult> Run(std::vector<std::string> argv, const std::vector<std::string>& more,
                                  const fs::path& folder) {
  argv.insert(argv.end(), more.begin(), more.end());
  return RunProgram(argv, folder.string());
}

std::string LastLine(const std::string& text) {
  std::vector<std::string> lines = absl::StrSplit(absl::StripAsciiWhitespace(text), '\n');
  return lines.empty() ? "" : lines.back();
}

// The newest version that the machine's package sources have.
absl::StatusOr<std::string> NewestPackaged(const fs::path& scratch, Arch arch) {
  // A source that cannot be reached may not be the one that matters: what counts is whether the package is
  // found.
  absl::StatusOr<ProgramResult> update = Run(Apt("apt-get", scratch, arch), {"update"}, scratch);
  if (!update.ok()) return update.status();
  absl::StatusOr<ProgramResult> names =
      Run(Apt("apt-cache", scratch, arch), {"pkgnames", absl::StrCat(kPackagePrefix, kSeries)}, scratch);
  if (!names.ok()) return names.status();
  std::string newest;
  for (absl::string_view name : absl::StrSplit(names->output, '\n')) {
    if (!absl::ConsumePrefix(&name, kPackagePrefix)) continue;
    const std::string version(name);
    if (IsWanted(version, arch) && (newest.empty() || Older(newest, version))) newest = version;
  }
  if (newest.empty())
    return absl::NotFoundError(
        absl::StrCat("no package ", kPackagePrefix, kSeries, "*", VersionSuffix(arch),
                     " in this machine's package sources; apt-get said: ", LastLine(update->output)));
  return newest;
}

// Keeps of an unpacked package the image and the modules of the block devices.
absl::Status Arrange(const fs::path& unpacked, const std::string& version, const fs::path& result) {
  std::error_code error;
  fs::create_directories(result / "modules", error);
  fs::rename(unpacked / "boot" / absl::StrCat("vmlinuz-", version), result / "vmlinuz", error);
  if (error) return absl::NotFoundError(absl::StrCat("the package has no image: ", error.message()));
  fs::rename(unpacked / "boot" / absl::StrCat("config-", version), result / "config", error);
  static constexpr std::string_view kModules[] = {"zram.", "brd.", "zsmalloc.",     "lzo-rle.",
                                                  "lzo.",  "lz4.", "lzo_compress.", "lz4_compress."};
  for (const fs::directory_entry& entry :
       fs::recursive_directory_iterator(unpacked / "lib" / "modules" / version, error)) {
    const std::string name = entry.path().filename().string();
    const bool wanted = std::any_of(std::begin(kModules), std::end(kModules),
                                    [&](std::string_view module) { return name.starts_with(module); });
    std::error_code ignored;
    if (wanted && entry.is_regular_file()) fs::rename(entry.path(), result / "modules" / name, ignored);
  }
  return absl::OkStatus();
}

absl::StatusOr<Kernel> Download(const fs::path& cache, Arch arch) {
  for (const char* program : {"apt-get", "apt-cache", "dpkg-deb"})
    if (FindProgram(program).empty())
      return absl::NotFoundError(
          absl::StrCat(program, " is not installed: the kernel is fetched as a Debian package"));
  absl::StatusOr<std::unique_ptr<ScratchFolder>> scratch = ScratchFolder::Make(cache);
  if (!scratch.ok()) return scratch.status();
  const fs::path folder = (*scratch)->path();
  std::error_code error;
  for (const char* name : {"lists/partial", "cache/archives/partial", "unpacked"})
    fs::create_directories(folder / name, error);
  absl::StatusOr<std::string> version = NewestPackaged(folder, arch);
  if (!version.ok()) return version.status();
  absl::StatusOr<ProgramResult> download =
      Run(Apt("apt-get", folder, arch), {"download", absl::StrCat(kPackagePrefix, *version)}, folder);
  if (!download.ok()) return download.status();
  std::string package;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error))
    if (entry.path().extension() == ".deb") package = entry.path().string();
  if (download->exit_status != 0 || package.empty())
    return absl::UnavailableError(
        absl::StrCat("apt-get download ", kPackagePrefix, *version, ": ", LastLine(download->output)));
  absl::StatusOr<ProgramResult> unpack =
      RunProgram({"dpkg-deb", "-x", package, (folder / "unpacked").string()}, folder.string());
  if (!unpack.ok()) return unpack.status();
  if (unpack->exit_status != 0)
    return absl::DataLossError(absl::StrCat("dpkg-deb: ", LastLine(unpack->output)));
  if (absl::Status s = Arrange(folder / "unpacked", *version, folder / "result"); !s.ok()) return s;
  fs::rename(folder / "result", cache / *version, error);  // fails when another process was quicker
  Kernel kernel = Cached(cache, arch);
  if (kernel.image.empty())
    return absl::InternalError(absl::StrCat("the cache cannot be written: ", error.message()));
  return kernel;
}

}  // namespace

absl::StatusOr<Kernel> FetchKernel(Arch arch) {
  absl::StatusOr<fs::path> cache = CacheFolder();
  if (!cache.ok()) return cache.status();
  Kernel kernel = Cached(*cache, arch);
  if (!kernel.image.empty()) return kernel;
  return Download(*cache, arch);
}

}  // namespace mmsim::guest
