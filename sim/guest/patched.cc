// SPDX-License-Identifier: Apache-2.0
#include "sim/guest/patched.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sim/guest/subprocess.h"

namespace mmsim::guest {
namespace {

namespace fs = std::filesystem;

// In the source tree that this program was built in or is run in.
std::string BuildScript() {
  std::error_code error;
  for (fs::path from : {fs::read_symlink("/proc/self/exe", error), fs::current_path(error)}) {
    for (; from.has_relative_path(); from = from.parent_path()) {
      const fs::path script = from / "tests/differential/build.sh";
      if (fs::exists(script, error)) return script;
    }
  }
  return "";
}

// Calls take(line) for each line that the program prints; its exit status.
template <typename Take>
absl::StatusOr<int> EachLine(const std::vector<std::string>& argv, Take take) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus("pipe");
  UniqueFd reading(ends[0]), writing(ends[1]);
  absl::StatusOr<pid_t> child = StartProgram(argv, {.in = -1, .out = writing.get(), .inherited = {}});
  if (!child.ok()) return child.status();
  writing.Reset();
  std::string text;
  for (char chunk[4096];;) {
    const ssize_t n = read(reading.get(), chunk, sizeof(chunk));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    text.append(chunk, static_cast<size_t>(n));
    for (size_t end; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1)) {
      take(std::string_view(text).substr(0, end));
    }
  }
  int status = 0;
  while (waitpid(*child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

using OnLine = std::function<void(std::string_view)>;

// What build.sh says of the kernel's place, when it is asked with these options too.
absl::StatusOr<std::string> AskBuildScript(Arch arch, const std::vector<std::string>& options,
                                           const OnLine& on_line) {
  const std::string script = BuildScript();
  if (script.empty()) {
    return absl::NotFoundError(
        "tests/differential/build.sh, which builds the patched kernel, is in none of the folders around this "
        "program");
  }
  const std::string name = arch == Arch::kX86_64 ? "x86-64" : "arm64";
  std::vector<std::string> argv = {"bash", script, "--arch", name, "--kernel", "--no-install"};
  argv.insert(argv.end(), options.begin(), options.end());
  const std::string head = absl::StrCat("kernel ", name, " ");
  std::string image, last;
  const absl::StatusOr<int> status = EachLine(argv, [&](std::string_view line) {
    last = std::string(line);
    if (line.starts_with(head)) {
      image = std::string(line.substr(head.size()));
    } else if (on_line) {
      on_line(line);
    }
  });
  if (!status.ok()) return status.status();
  if (*status != 0) return absl::FailedPreconditionError(last);
  if (image.empty()) return absl::InternalError(absl::StrCat(script, " does not say where the kernel is"));
  return image;
}

}  // namespace

absl::StatusOr<std::string> PatchedKernel(Arch arch, const PatchedVariant& variant, const OnLine& on_line) {
  std::vector<std::string> options;
  if (variant.debug) options.push_back("--debug");
  if (!variant.mutant.empty()) options.insert(options.end(), {"--mutant", variant.mutant});
  return AskBuildScript(arch, options, on_line);
}

absl::StatusOr<std::string> BuiltPatchedKernel(Arch arch) {
  absl::StatusOr<std::string> image = AskBuildScript(arch, {"--paths"}, nullptr);
  if (!image.ok()) return image;
  std::error_code error;
  if (!fs::exists(*image, error)) return absl::NotFoundError("./dev diff build makes the patched kernel");
  return image;
}

}  // namespace mmsim::guest
