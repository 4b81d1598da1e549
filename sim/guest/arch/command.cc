// SPDX-License-Identifier: Apache-2.0
#include "sim/guest/arch/command.h"

namespace mmsim::guest {

ArchCommand CommandFor(Arch arch, bool accelerated) {
  switch (arch) {
    case Arch::kX86_64:
      // no5lvl: else user addresses have 57 bits where the processor knows them. no_timer_check: else a busy
      // host, whose emulated timer is late, has the kernel believe that there is none and panic. Without erms
      // the kernel copies in words, where the emulator takes a step a byte. Without smap it does not open and
      // close user memory around each access, which costs the emulator a return to its main loop each.
      // tsc=reliable: a busy host has the kernel find the TSC skewed, and then read a clock that is a device.
      return {.program = "qemu-system-x86_64",
              .package = "qemu-system-x86",
              .machine = {"-machine", "pc", "-cpu", accelerated ? "max" : "max,-erms,-smap"},
              .kernel_arguments = "console=ttyS0 no5lvl no_timer_check tsc=reliable"};
    case Arch::kArm64:
      // A processor without 52-bit addresses gives four levels of tables; it also boots far quicker than
      // `max`.
      return {.program = "qemu-system-aarch64",
              .package = "qemu-system-arm",
              .machine = {"-machine", accelerated ? "virt,gic-version=host" : "virt", "-cpu",
                          accelerated ? "host" : "neoverse-n1"},
              .kernel_arguments = "console=ttyAMA0"};
  }
  return {};
}

std::string DebianName(Arch arch) {
  return arch == Arch::kX86_64 ? "amd64" : "arm64";
}

std::string CompilerPackages(Arch arch) {
  return arch == Arch::kX86_64 ? "gcc-x86-64-linux-gnu libc6-dev-amd64-cross"
                               : "gcc-aarch64-linux-gnu libc6-dev-arm64-cross";
}

bool IsHost(Arch arch) {
#if defined(__x86_64__)
  return arch == Arch::kX86_64;
#elif defined(__aarch64__)
  return arch == Arch::kArm64;
#else
  return false;
#endif
}

}  // namespace mmsim::guest
