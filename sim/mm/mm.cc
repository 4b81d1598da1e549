// SPDX-License-Identifier: Apache-2.0
// An address space comes and goes. Linux: kernel/fork.c mm_init(), mmput(), mmdrop()
#include "sim/mm/mm.h"

#include <algorithm>

#include "sim/mm/arch/layout.h"
#include "sim/mm/arch/task_size.h"
#include "sim/mm/page_table.h"
#include "sim/mm/tlb_flush.h"
#include "sim/mm/verbs.h"

namespace mmsim {
namespace {

// The lowest identifier that no live address space has; 0 when there is none.
uint16_t TakeAsid(System& system) {
  if (!system.free_asids.empty()) {
    const uint16_t asid = system.free_asids.back();
    system.free_asids.pop_back();
    return asid;
  }
  return system.next_asid == UINT16_MAX ? uint16_t{0} : system.next_asid++;
}

}  // namespace

Mm::Mm(System& s) : system(s), id(s.next_id++) {
  system.mms.push_back(this);
}

Mm::~Mm() {
  system.mms.erase(std::find(system.mms.begin(), system.mms.end(), this));
}

Mm* Mm::Alloc(System& system) {
  if (system.failures.ShouldFail(Seam::kMm)) return nullptr;
  const PhysAddr pgd = PgdAlloc(system);
  if (pgd.value == 0) return nullptr;
  Mm* mm = new Mm(system);
  mm->pgd = pgd;
  mm->asid = TakeAsid(system);
  MMSIM_CHECK(mm->asid != 0);
  mm->task_size = ArchTaskSize(system.arch);
  // Linux: arch/x86/include/asm/mmu_context.h init_new_context(), which without keys leaves both zero
  if (ArchMaxPkey(system.arch, system.profile) == 1) mm->pkey_allocation_map = mm->execute_only_pkey = 0;
  return mm;
}

void Mm::Put() {
  MMSIM_CHECK(mm_users > 0);
  if (--mm_users != 0) return;
  ExitMmap(*this);
  exe_file = nullptr;
  Drop();
}

void Mm::Drop() {
  MMSIM_CHECK(mm_count > 0);
  if (--mm_count != 0) return;
  MMSIM_CHECK(map_count == 0 && pgtables_bytes == 0);  // check_mm()
  for (int64_t pages : rss) MMSIM_CHECK(pages == 0);
  FlushTlbMm(*this);
  system.free_asids.push_back(asid);
  PgdFree(system, pgd);
  delete this;
}

}  // namespace mmsim
