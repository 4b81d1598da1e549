// SPDX-License-Identifier: Apache-2.0
#include "sim/guest/machine.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "sim/guest/arch/command.h"
#include "sim/guest/embedded.h"
#include "sim/guest/initramfs.h"

namespace mmsim::guest {
namespace {

constexpr size_t kConsoleBytes = 16384;  // of its end, that are kept

absl::StatusOr<UniqueFd> InMemory(const std::string& bytes) {
  UniqueFd fd(memfd_create("initramfs", MFD_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus("memfd_create");
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t n = write(fd.get(), bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return ErrnoStatus("writing the initramfs");
    done += static_cast<size_t>(n);
  }
  return fd;
}

// The RAM disk's module; empty when the folder has none.
std::string ModuleIn(const std::string& folder) {
  std::ifstream file(folder + "/brd.ko.xz", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void SetNonBlocking(int fd) {
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

std::vector<std::string> CommandLine(const Options& options, const std::string& image, bool accelerated,
                                     int initramfs, int port) {
  const ArchCommand arch = CommandFor(options.arch, accelerated);
  std::vector<std::string> argv{
      arch.program, "-nodefaults", "-no-user-config",          "-no-reboot", "-display", "none", "-smp",
      "1",          "-accel",      accelerated ? "kvm" : "tcg"};
  argv.insert(argv.end(), arch.machine.begin(), arch.machine.end());
  for (std::string a : {
           std::string("-m"),
           fmt::format("{}M", options.memory_mib),
           std::string("-kernel"),
           image,
           std::string("-initrd"),
           fmt::format("/dev/fd/{}", initramfs),
           std::string("-append"),
           // Memory that is not zeroed twice, code without mitigations, grace periods that wait for no tick:
           // nothing that can be observed, but time. An oops ends the guest at once.
           absl::StrCat(arch.kernel_arguments,
                        " loglevel=5 panic=-1 oops=panic rdinit=/init init_on_alloc=0 "
                        "mitigations=off audit=0 rcupdate.rcu_expedited=1"),
           std::string("-serial"),
           std::string("stdio"),
           std::string("-chardev"),
           fmt::format("socket,id=executor,fd={}", port),
           std::string("-device"),
           std::string("virtio-serial-pci"),
           std::string("-device"),
           std::string("virtserialport,chardev=executor,name=executor"),
       })
    argv.push_back(std::move(a));
  return argv;
}

// Whether the kernel says there that something is wrong with it, or QEMU that it goes no further.
bool Complains(std::string_view console) {
  constexpr std::string_view kComplaints[] = {"BUG:",
                                              "WARNING:",
                                              "INFO: task",
                                              "INFO: rcu",
                                              "Bad page",
                                              "Bad rss",
                                              "list_add corruption",
                                              "list_del corruption",
                                              "KVM internal error"};
  return std::ranges::any_of(kComplaints,
                             [&](std::string_view c) { return console.find(c) != console.npos; });
}

}  // namespace

bool MayAccelerate(Arch arch) {
  return IsHost(arch) && access("/dev/kvm", R_OK | W_OK) == 0;
}

absl::StatusOr<std::unique_ptr<Machine>> Machine::Start(const Options& options, const std::string& image,
                                                        bool accelerated) {
  const ArchCommand arch = CommandFor(options.arch, accelerated);
  if (FindProgram(arch.program).empty())
    return absl::NotFoundError(
        absl::StrCat(arch.program, " is not installed: apt-get install ", arch.package));
  const std::string_view executor = EmbeddedExecutor(options.arch);
  if (executor.empty())
    return absl::FailedPreconditionError(absl::StrCat("built without the executor for ",
                                                      DebianName(options.arch), ": apt-get install ",
                                                      CompilerPackages(options.arch), ", and build again"));
  absl::StatusOr<UniqueFd> initramfs = InMemory(MakeInitramfs(executor, ModuleIn(options.modules)));
  if (!initramfs.ok()) return initramfs.status();
  int sockets[2], pipes[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) return ErrnoStatus("socketpair");
  UniqueFd ours(sockets[0]), theirs(sockets[1]);
  if (pipe2(pipes, O_CLOEXEC) != 0) return ErrnoStatus("pipe");
  UniqueFd console(pipes[0]), writing(pipes[1]);
  absl::StatusOr<pid_t> pid =
      StartProgram(CommandLine(options, image, accelerated, initramfs->get(), theirs.get()),
                   {.in = -1, .out = writing.get(), .inherited = {initramfs->get(), theirs.get()}});
  if (!pid.ok()) return pid.status();
  SetNonBlocking(ours.get());
  SetNonBlocking(console.get());
  std::unique_ptr<Machine> machine(new Machine);
  machine->pid_ = *pid;
  machine->port_ = std::move(ours);
  machine->console_fd_ = std::move(console);
  return machine;
}

Machine::~Machine() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void Machine::ReadConsole() {
  char chunk[4096];
  ssize_t n;
  while ((n = read(console_fd_.get(), chunk, sizeof(chunk))) > 0)
    console_.append(chunk, static_cast<size_t>(n));
  if (n == 0) console_fd_.Reset();
  if (console_.size() > kConsoleBytes) console_.erase(0, console_.size() - kConsoleBytes);
}

// Whatever the console still has says why the guest is to end.
void Machine::DrainConsole() {
  while (console_fd_.valid()) {
    pollfd rest{console_fd_.get(), POLLIN, 0};
    if (poll(&rest, 1, 1000) <= 0) break;
    ReadConsole();
  }
}

Machine::Event Machine::Exchange(std::string_view out, size_t* sent, std::string* in,
                                 absl::Duration timeout) {
  *sent = 0;
  pollfd fds[2] = {{port_.get(), static_cast<int16_t>(POLLIN | (out.empty() ? 0 : POLLOUT)), 0},
                   {console_fd_.get(), POLLIN, 0}};
  const int ready = poll(fds, 2, static_cast<int>(absl::ToInt64Milliseconds(timeout)));
  if (ready < 0 && errno != EINTR) return Event::kEnded;
  if (ready == 0) return Event::kTimedOut;
  if (fds[1].revents) {
    ReadConsole();
    if (Complains(console_)) {
      DrainConsole();
      return Event::kEnded;
    }
  }
  if (fds[0].revents & (POLLIN | POLLHUP | POLLERR)) {
    char chunk[65536];
    const ssize_t n = read(port_.get(), chunk, sizeof(chunk));
    if (n > 0) in->append(chunk, static_cast<size_t>(n));
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
      DrainConsole();
      return Event::kEnded;
    }
  }
  if (fds[0].revents & POLLOUT && !out.empty()) {
    const ssize_t n = send(port_.get(), out.data(), out.size(), MSG_NOSIGNAL);
    if (n > 0) *sent = static_cast<size_t>(n);
  }
  return Event::kMoved;
}

}  // namespace mmsim::guest
