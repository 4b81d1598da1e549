// SPDX-License-Identifier: Apache-2.0
// One QEMU process with its serial port (to the executor) and its console. It is killed when this object
// goes, and when the thread that made it ends, however that comes about.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "sim/guest/guest.h"
#include "sim/guest/subprocess.h"

namespace mmsim::guest {

class Machine {
 public:
  // Starts QEMU on the image; the guest has not booted when this returns.
  static absl::StatusOr<std::unique_ptr<Machine>> Start(const Options& options, const std::string& image,
                                                        bool accelerated);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  enum class Event { kMoved, kTimedOut, kEnded };
  // Sends as much of `out` as goes (*sent bytes), and appends what came to `in`. Waits for one
  // of the two at most `timeout`. kEnded: the guest is gone, or its kernel complains on the console (a
  // warning, lockdep, KASAN, ...), after which nothing that it says counts.
  Event Exchange(std::string_view out, size_t* sent, std::string* in, absl::Duration timeout);

  // The end of what the guest's console, and QEMU itself, printed.
  const std::string& console() const { return console_; }

 private:
  Machine() = default;
  void ReadConsole();
  void DrainConsole();

  pid_t pid_ = -1;
  UniqueFd port_, console_fd_;
  std::string console_;
};

// Whether /dev/kvm can be tried for this architecture.
bool MayAccelerate(Arch arch);

}  // namespace mmsim::guest
