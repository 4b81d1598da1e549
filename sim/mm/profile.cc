// SPDX-License-Identifier: Apache-2.0
#include "sim/mm/profile.h"

namespace mmsim {
namespace {

// Debian's 6.12. x86-64: arch/x86/entry/vdso/vdso-layout.lds.S (four data pages). arm64:
// arch/arm64/include/asm/vdso.h
// (__VVAR_PAGES); CONFIG_MEM_SOFT_DIRTY is not there before 6.19.
constexpr KernelProfile k612X86{.name = "6.12", .vvar_pages = 4, .vvar_clock_pages = 0, .vdso_pages = 2};
constexpr KernelProfile k612Arm64{.name = "6.12",
                                  .vvar_pages = 2,
                                  .vvar_clock_pages = 0,
                                  .vdso_pages = 2,
                                  .soft_dirty = false,
                                  .hw_afdbm = true};
// 6.18: the paravirtual clocks' pages became a mapping of their own below the vdso (6.15, x86/vdso "switch to
// generic storage"); the data store has four pages on both.
constexpr KernelProfile k618X86{.name = "6.18",
                                .vvar_pages = 4,
                                .vvar_clock_pages = 2,
                                .vdso_pages = 2,
                                .vsyscall = true,
                                .soft_dirty = false,
                                .pkey_alloc_needs_pkeys = false,
                                .merges_unfaulted = true,
                                .dontunmap_merges_itself = true};
constexpr KernelProfile k618Arm64{.name = "6.18",
                                  .vvar_pages = 4,
                                  .vvar_clock_pages = 0,
                                  .vdso_pages = 2,
                                  .soft_dirty = false,
                                  .merges_unfaulted = true,
                                  .dontunmap_merges_itself = true};

}  // namespace

const KernelProfile* FindProfile(std::string_view name, Arch arch) {
  const bool x86 = arch == Arch::kX86_64;
  if (name == "6.12") return x86 ? &k612X86 : &k612Arm64;
  if (name == "6.18") return x86 ? &k618X86 : &k618Arm64;
  return nullptr;
}

std::span<const std::string_view> ProfileNames() {
  static constexpr std::string_view kNames[] = {"6.12", "6.18"};
  return kNames;
}

}  // namespace mmsim
