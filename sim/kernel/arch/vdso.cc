// SPDX-License-Identifier: Apache-2.0
#include "sim/kernel/arch/vdso.h"

#include "sim/mm/verbs.h"

namespace mmsim {
namespace {

// `pages`: how many of the first pages a fault finds; the others are SIGBUS (the paravirtual clocks' and,
// outside of time namespaces, theirs).
constexpr SpecialMapping kVdso{"[vdso]", ~uint64_t{0}, SpecialMapping::Kind::kVdso};
constexpr SpecialMapping kVvar{"[vvar]", 1, SpecialMapping::Kind::kVvar};
constexpr SpecialMapping kVvarClock{"[vvar_vclock]", 0, SpecialMapping::Kind::kVvarClock};

struct Layout {
  VirtAddr vvar, clock, text;
  uint64_t vvar_bytes, clock_bytes, text_bytes;
};

Status Install(Task& task, VirtAddr at, uint64_t len_bytes, const SpecialMapping& mapping) {
  if (len_bytes == 0) return {};
  const VmFlags flags = SpecialMappingFlags(task.mm->system.arch, mapping);
  Result<Vma*> vma = InstallSpecialMapping(*task.mm, task.AsCurrent(), at, len_bytes, flags, &mapping);
  return vma.ok() ? Status() : Status(vma.error());
}

// Linux: arch/x86/entry/vdso/vma.c map_vdso(): the text first, taken back when the data does not fit.
Status MapX86(Task& task, const Layout& l) {
  Status status = Install(task, l.text, l.text_bytes, kVdso);
  if (!status.ok()) return status;
  status = Install(task, l.vvar, l.vvar_bytes, kVvar);
  if (status.ok()) status = Install(task, l.clock, l.clock_bytes, kVvarClock);
  if (!status.ok()) {
    SysMunmap(*task.mm, l.vvar.value, l.text + l.text_bytes - l.vvar);
    return status;
  }
  task.mm->vdso_base = l.text.value;
  return {};
}

// Linux: arch/arm64/kernel/vdso.c __setup_additional_pages(): the data first, and it stays when the text
// fails.
Status MapArm64(Task& task, const Layout& l) {
  Status status = Install(task, l.vvar, l.vvar_bytes, kVvar);
  if (!status.ok()) return status;
  task.mm->vdso_base = l.text.value;
  status = Install(task, l.text, l.text_bytes, kVdso);
  if (!status.ok()) task.mm->vdso_base = 0;
  return status;
}

}  // namespace

const SpecialMapping* SpecialMappingByName(std::string_view name) {
  for (const SpecialMapping* m : {&kVdso, &kVvar, &kVvarClock}) {
    if (m->name == name) return m;
  }
  return nullptr;
}

VmFlags SpecialMappingFlags(Arch arch, const SpecialMapping& mapping) {
  if (mapping.kind == SpecialMapping::Kind::kVdso) {
    return kVmRead | kVmExec | kVmMayRead | kVmMayWrite | kVmMayExec;
  }
  const VmFlags data = kVmRead | kVmMayRead | kVmPfnMap;
  return arch == Arch::kX86_64 ? data | kVmIo | kVmDontDump : data;
}

Status SetupAdditionalPages(Task& task) {
  Mm& mm = *task.mm;
  const KernelProfile& profile = mm.system.profile;
  Layout l{};
  l.vvar_bytes = profile.vvar_pages * kPageSize;
  l.clock_bytes = profile.vvar_clock_pages * kPageSize;
  l.text_bytes = profile.vdso_pages * kPageSize;
  const uint64_t total = l.vvar_bytes + l.clock_bytes + l.text_bytes;
  const int64_t at = GetUnmappedArea(mm, task.AsCurrent(), nullptr, 0, total, 0, 0, 0);
  if (at < 0) return static_cast<Errno>(-at);
  l.vvar = VirtAddr(static_cast<uint64_t>(at));
  l.clock = l.vvar + l.vvar_bytes;
  l.text = l.clock + l.clock_bytes;
  return mm.system.arch == Arch::kX86_64 ? MapX86(task, l) : MapArm64(task, l);
}

}  // namespace mmsim
