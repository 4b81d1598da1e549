// SPDX-License-Identifier: Apache-2.0
#include "sim/guest/embedded.h"

// MMSIM_EXECUTOR_X86_64 and _ARM64 are the paths of the compiled executors, from sim/executor/CMakeLists.txt.
#define MMSIM_EMBED(symbol, path)                                                    \
  __asm__(".pushsection .rodata\n" #symbol "_start:\n.incbin \"" path "\"\n" #symbol \
          "_end:\n.popsection\n");                                                   \
  extern "C" const char symbol##_start[] __attribute__((visibility("hidden")));      \
  extern "C" const char symbol##_end[] __attribute__((visibility("hidden")))

#ifdef MMSIM_EXECUTOR_X86_64
MMSIM_EMBED(mmsim_executor_x86_64, MMSIM_EXECUTOR_X86_64);
#endif
#ifdef MMSIM_EXECUTOR_ARM64
MMSIM_EMBED(mmsim_executor_arm64, MMSIM_EXECUTOR_ARM64);
#endif

namespace mmsim::guest {

std::string_view EmbeddedExecutor(Arch arch) {
  switch (arch) {
    case Arch::kX86_64:
#ifdef MMSIM_EXECUTOR_X86_64
      return {mmsim_executor_x86_64_start,
              static_cast<size_t>(mmsim_executor_x86_64_end - mmsim_executor_x86_64_start)};
#else
      break;
#endif
    case Arch::kArm64:
#ifdef MMSIM_EXECUTOR_ARM64
      return {mmsim_executor_arm64_start,
              static_cast<size_t>(mmsim_executor_arm64_end - mmsim_executor_arm64_start)};
#else
      break;
#endif
  }
  return {};
}

}  // namespace mmsim::guest
