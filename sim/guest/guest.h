// SPDX-License-Identifier: Apache-2.0
// A real kernel in a virtual machine, as an executor of scenarios. Fetches Debian's packaged 6.12 kernel on
// first use, boots it once, and runs any number of programs in that boot. A guest that panics or hangs is
// reported with the step it happened at and booted again, and the run goes on. The virtual machine never
// outlives the Guest nor its process.
//
// Not thread-safe; two Guests (of one architecture or two) run side by side.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "mmsim/types.h"
#include "sim/guest/program.h"

namespace mmsim::guest {

// A kernel image on this machine.
struct Kernel {
  Arch arch = Arch::kX86_64;
  std::string image;    // path of the image that QEMU boots
  std::string version;  // "6.12.x+debN-cloud-..."
  std::string modules;  // folder of its modules; empty when there is none
};

// The newest packaged 6.12 kernel for `arch`, from the cache ($XDG_CACHE_HOME/mmsim, ~/.cache/mmsim) or else
// downloaded into it (seconds; root is not needed). What is missing on the machine is an error of one line
// that says what to install.
absl::StatusOr<Kernel> FetchKernel(Arch arch);

struct Options {
  Arch arch = Arch::kX86_64;
  uint64_t memory_mib = 1024;
  absl::Duration boot_timeout = absl::Seconds(60);
  absl::Duration step_timeout = absl::Seconds(10);  // without any report: the guest hangs
  std::string image = {};                           // boots this image instead of the packaged kernel
  std::string modules = {};  // folder of its modules; where it has no brd.ko.xz, there is no swap area
};

// How the run of one program ended.
struct Ending {
  enum Kind {
    kDone,      // every step was reported
    kPanicked,  // the guest ended, or its kernel complained, while it carried out `step`
    kHung,      // nothing came back for step_timeout; `step` was being carried out
  };
  Kind kind = kDone;
  uint32_t step = 0;
  std::string console;  // the last lines of the guest's console, for kPanicked and kHung
};

// Called after every step that came back. `state` is what the victims look like now.
using OnOutcome = absl::FunctionRef<void(size_t program, const Outcome& outcome, const State& state)>;
// Called once after the last step of each program that came back.
using OnEnding = absl::FunctionRef<void(size_t program, const Ending& ending)>;

class Guest {
 public:
  // Fetches if need be, and boots.
  static absl::StatusOr<std::unique_ptr<Guest>> Boot(const Options& options);
  ~Guest();
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;

  // Runs every program, each from a clean state, in order; steps are sent ahead of the reports. An error
  // means that there is no guest any more (it could not be booted again) or that a program is malformed; what
  // a program did to the guest is an Ending, not an error.
  absl::Status Run(absl::Span<const Program> programs, OnOutcome on_outcome, OnEnding on_ending);

  const std::string& release() const;  // the running kernel's, as uname says
  uint32_t scratch_bytes() const;      // for the IN and OUT buffers of one CALL step, each rounded up to 16
  uint32_t features() const;           // OBSERVE_*: what can be observed in this guest
  bool accelerated() const;            // KVM, not emulation

 private:
  class Impl;
  explicit Guest(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mmsim::guest
