// SPDX-License-Identifier: Apache-2.0
// A machine's memory at boot: the zero page and the pages of the kernel image that programs see.
#include "sim/mm/system.h"

#include "sim/mm/swap.h"

namespace mmsim {
namespace {

Pfn ReservedPage(System& system) {
  const Pfn pfn = system.pages.Alloc();
  MMSIM_CHECK(pfn.value != 0);
  system.pages[pfn].Set(kPgReserved | kPgUptodate);
  return pfn;
}

}  // namespace

System::System(Arch a, const KernelProfile& p, uint64_t ram_pages, uint64_t arena_frames)
    : arch(a), profile(p), total_ram_pages(ram_pages), phys(arena_frames), pages(phys) {
  if (arch == Arch::kArm64) {  // CONFIG_LSM_MMAP_MIN_ADDR, CONFIG_DEFAULT_MMAP_MIN_ADDR of Debian's kernels
    sysctl.lsm_mmap_min_addr = 32768;
    sysctl.SetMmapMinAddr(4096);
  }
  zero_page = ReservedPage(*this);
  for (uint64_t i = 0; i < profile.vdso_pages; ++i) vdso_pages.push_back(ReservedPage(*this));
  for (uint64_t i = 0; i < profile.vvar_pages + profile.vvar_clock_pages; ++i) {
    vvar_pages.push_back(ReservedPage(*this));
  }
}

System::~System() = default;

}  // namespace mmsim
