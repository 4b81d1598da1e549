// SPDX-License-Identifier: Apache-2.0
// shadowpt_page_contents(pfn, buffer): a page of the target's, if its tables map it in the range at this
// moment. They decide, not the entries: those may tell of a frame that has become somebody else's.
#include <vector>

#include "sim/kernel/call.h"
#include "sim/kernel/shadowpt.h"
#include "sim/mm/page_table.h"

namespace mmsim {

// A present leaf for which vm_normal_page() names a page, the zero page or the huge zero page.
bool ShadowPt::MapsFrame(Pfn pfn) const {
  const System& system = mm_->system;
  const Arch arch = system.arch;
  for (VirtAddr address = range_.start; address < range_.end; address += kPageSize) {
    const EntryPtr pmd = FindEntry(*mm_, address, kLevelPmd);
    if (pmd == nullptr || *pmd == 0) continue;
    if (!PmdIsTable(system, pmd)) {
      const Pte value = ReadEntry(pmd);
      if (PmdPresent(arch, value) && PmdPfn(arch, value) + IndexAt(address, kLevelPte) == pfn) return true;
      continue;
    }
    const Pte pte = ReadEntry(Descend(system, pmd, address, kLevelPte));
    if (PteNone(arch, pte) || !PtePresent(arch, pte) || PtePfn(arch, pte) != pfn) continue;
    if (VmNormalPage(system, pte).value != 0 || IsZeroPfn(system, pfn)) return true;
  }
  return false;
}

int64_t Do_shadowpt_page_contents(Call& call) {
  if (!call.task.cred.cap_sys_admin) return Call::Err(Errno::kEPERM);
  const ShadowPt& shadow = call.kernel.shadowpt();
  const Pfn pfn(call.U(0));
  if (!shadow.IsTracking() || !shadow.MapsFrame(pfn)) return Call::Err(Errno::kEINVAL);
  std::vector<uint8_t> copy(kPageSize);  // under the page-table lock; from here on the frame may go
  call.kernel.system().phys.ReadBytes(pfn.Base(), copy);
  return call.CopyOut(1, copy.data(), copy.size()) ? 0 : Call::Err(Errno::kEFAULT);
}

}  // namespace mmsim
