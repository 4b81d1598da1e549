// SPDX-License-Identifier: Apache-2.0
// get_user_pages (gup.h): look whether the tables have the page as it is asked for, fault until they have.
// Linux: mm/gup.c
//
// Invariants: kFollPin on a small page adds kGupPinCountingBias references, on a huge one a pin and a
// reference each; an anonymous page is pinned only when it is exclusive. The zero page is neither counted nor
// pinned. Not modelled: the lockless path, retries, hugetlb, device memory, protection keys of the caller.
#include "sim/mm/gup.h"

#include <algorithm>
#include <cstring>

#include "sim/mm/fault.h"
#include "sim/mm/filemap.h"
#include "sim/mm/folio.h"
#include "sim/mm/lru.h"
#include "sim/mm/verbs.h"

namespace mmsim {
namespace {

// What the tables say. Linux: the return values of follow_page_mask()
struct Follow {
  enum class Kind { kPage, kFault, kUnshare, kNoPage } kind = Kind::kFault;
  Pfn page{};
  uint64_t page_mask = 0;  // pages of a huge mapping, less one
};

// Linux: mm/gup.c gup_must_unshare()
bool GupMustUnshare(const System& system, const Vma& vma, GupFlags flags, Pfn page) {
  if ((flags & (kFollWrite | kFollPin)) != kFollPin) return false;
  if (!system.pages[system.pages.HeadOf(page)].IsAnon()) {
    return (flags & kFollLongterm) != 0 && IsCowMapping(vma.flags);
  }
  return !system.pages[page].Has(kPgAnonExclusive);
}

// FOLL_FORCE can write to entries that are not writable, once COW is broken. Linux: mm/gup.c
// can_follow_write_pte(), can_follow_write_pmd()
bool CanFollowWrite(const System& system, const Vma& vma, Pte entry, Pfn page, GupFlags flags) {
  if (PteWrite(system.arch, entry)) return true;
  if ((flags & kFollForce) == 0 || vma.Has(kVmMayShare | kVmShared) || !vma.Has(kVmMayWrite) ||
      vma.Has(kVmWrite)) {
    return false;
  }
  if (page.value == 0 || !system.pages[system.pages.HeadOf(page)].IsAnon() ||
      !system.pages[page].Has(kPgAnonExclusive)) {
    return false;
  }
  return !(VmaSoftDirtyEnabled(system, vma) && !PteSoftDirty(system.arch, entry));
}

// Linux: mm/gup.c try_grab_folio()
void TryGrabFolio(System& system, Pfn page, GupFlags flags, int32_t refs) {
  const Pfn folio = system.pages.HeadOf(page);
  if (system.pages[folio].Has(kPgReserved) || (flags & (kFollGet | kFollPin)) == 0) return;
  const bool small_pin = (flags & kFollPin) != 0 && !system.pages[folio].IsLarge();
  system.gup_refs[folio.value] += small_pin ? refs * kGupPinCountingBias : refs;
  if ((flags & kFollGet) != 0) GetFolio(system, folio, refs);
  if ((flags & kFollPin) == 0) return;
  if (system.pages[folio].IsLarge()) {
    LargeFolio large(system.pages, folio);
    large.SetPincount(large.Pincount() + refs);
    GetFolio(system, folio, refs);
  } else {
    GetFolio(system, folio, refs * kGupPinCountingBias);
  }
}

// Linux: mm/gup.c gup_put_folio()
void GupPutFolio(System& system, Pfn folio, int32_t refs) {
  const auto it = system.gup_refs.find(folio.value);
  MMSIM_CHECK(it != system.gup_refs.end());
  if ((it->second -= refs) == 0) system.gup_refs.erase(it);
  PutFolio(system, folio, refs);
}

// Linux: mm/gup.c follow_page_pte()
Follow FollowPagePte(Vma& vma, VirtAddr address, EntryPtr pmd, GupFlags flags) {
  System& system = vma.mm->system;
  const Arch arch = system.arch;
  const Pte pte = ReadEntry(Descend(system, pmd, address, kLevelPte));
  if (!PtePresent(arch, pte)) return {};
  Pfn page = VmNormalPage(system, pte);
  if ((flags & kFollWrite) != 0 && !CanFollowWrite(system, vma, pte, page, flags)) return {};
  if (page.value == 0) {
    if (!IsZeroPfn(system, PtePfn(arch, pte))) return {.kind = Follow::Kind::kNoPage};
    page = system.zero_page;
  }
  if (!PteWrite(arch, pte) && GupMustUnshare(system, vma, flags, page) && page != system.zero_page) {
    return {.kind = Follow::Kind::kUnshare};
  }
  TryGrabFolio(system, page, flags, 1);
  if ((flags & kFollTouch) != 0) {
    const Pfn folio = system.pages.HeadOf(page);
    if ((flags & kFollWrite) != 0 && !PteDirty(arch, pte)) system.pages[folio].Set(kPgDirty);
    if (page != system.zero_page) FolioMarkAccessed(system, folio);
  }
  return {.kind = Follow::Kind::kPage, .page = page};
}

// Linux: mm/gup.c follow_huge_pmd()
Follow FollowHugePmd(Vma& vma, VirtAddr address, EntryPtr pmd, GupFlags flags) {
  System& system = vma.mm->system;
  const Arch arch = system.arch;
  const Pte value = ReadEntry(pmd);
  const Pfn folio = VmNormalPagePmd(system, value);
  if ((flags & kFollWrite) != 0 && !CanFollowWrite(system, vma, value, folio, flags)) return {};
  const Pfn head = PmdPfn(arch, value);
  if (!PteWrite(arch, value) && folio.value != 0 && GupMustUnshare(system, vma, flags, folio)) {
    return {.kind = Follow::Kind::kUnshare};
  }
  TryGrabFolio(system, head, flags, 1);
  if ((flags & kFollTouch) != 0) {
    Pte entry = PteMkYoung(arch, value);
    if ((flags & kFollWrite) != 0) entry = PteMkDirty(arch, entry);
    if (entry != value && ((flags & kFollWrite) != 0 || !ArchHasHwAccessFlagAlways(arch))) {
      StoreEntry(*vma.mm, address, kLevelPmd, pmd, entry.value, "touch_pmd");
    }
  }
  return {.kind = Follow::Kind::kPage,
          .page = head + ((address.value & ~kHugeMask) >> kPageShift),
          .page_mask = kHugePages - 1};
}

// Linux: mm/gup.c follow_page_mask()
Follow FollowPageMask(Vma& vma, VirtAddr address, GupFlags flags) {
  EntryPtr pmd = FindEntry(*vma.mm, address, kLevelPmd);
  if (pmd == nullptr || *pmd == 0) return {};
  if (PmdIsTable(vma.mm->system, pmd)) return FollowPagePte(vma, address, pmd, flags);
  return FollowHugePmd(vma, address, pmd, flags);
}

// Whether the caller's protection keys allow it; they bind nobody from outside. Linux:
// arch/x86/include/asm/mmu_context.h arch_vma_access_permitted()
bool ArchVmaAccessPermitted(const Vma& vma, GupFlags flags, uint32_t pkru) {
  const VmFlags key = (vma.flags & kVmPkeyMask) >> kVmPkeyShift;
  if (key == 0 || (flags & kFollRemote) != 0) return true;
  const uint32_t bits = pkru >> (2 * key);
  return (bits & 1) == 0 && ((flags & kFollWrite) == 0 || (bits & 2) == 0);
}

// Linux: mm/gup.c check_vma_flags()
Status CheckVmaFlags(const Vma& vma, GupFlags flags, uint32_t pkru) {
  if (vma.Has(kVmIo | kVmPfnMap)) return Errno::kEFAULT;
  if ((flags & kFollWrite) != 0) {
    if ((flags & (kFollPin | kFollLongterm)) == (kFollPin | kFollLongterm) && vma.ops == VmOps::kFile &&
        vma.Has(kVmShared)) {
      return Errno::kEFAULT;
    }
    if (!vma.Has(kVmWrite) && ((flags & kFollForce) == 0 || !IsCowMapping(vma.flags))) return Errno::kEFAULT;
  } else if (!vma.Has(kVmRead) && ((flags & kFollForce) == 0 || !vma.Has(kVmMayRead))) {
    return Errno::kEFAULT;
  }
  return ArchVmaAccessPermitted(vma, flags, pkru) ? Status() : Status(Errno::kEFAULT);
}

// Linux: mm/gup.c faultin_page(), include/linux/mm.h vm_fault_to_errno()
Status FaultinPage(Vma& vma, VirtAddr address, GupFlags flags, bool unshare) {
  FaultFlags fault_flags = 0;
  if ((flags & kFollWrite) != 0) fault_flags |= kFaultWrite;
  if ((flags & kFollRemote) != 0) fault_flags |= kFaultRemote;
  if (unshare) fault_flags |= kFaultUnshare;
  const VmFaultResult ret = HandleMmFault(vma, address, fault_flags);
  if ((ret & kVmFaultOom) != 0) return Errno::kENOMEM;
  return (ret & kVmFaultError) != 0 ? Status(Errno::kEFAULT) : Status();
}

// The VMA for the next page, checked. Linux: the first part of the loop of __get_user_pages()
Status LookupForGup(Mm& mm, VirtAddr address, GupFlags flags, uint32_t pkru, Vma** vma) {
  *vma = mm.vmas.Lookup(address);
  if ((flags & kFollMadvPopulate) != 0) {
    if (*vma == nullptr) return Errno::kENOMEM;
    return CheckVmaFlags(**vma, flags, pkru).ok() ? Status() : Status(Errno::kEINVAL);
  }
  return *vma == nullptr ? Status(Errno::kEFAULT) : CheckVmaFlags(**vma, flags, pkru);
}

}  // namespace

int64_t GetUserPages(Mm& mm, VirtAddr start, uint64_t nr_pages, GupFlags flags, std::vector<Pfn>* pages,
                     uint32_t pkru) {
  System& system = mm.system;
  if ((flags & kFollPin) != 0) mm.has_pinned = true;
  uint64_t done = 0;
  Vma* vma = nullptr;
  while (done < nr_pages) {
    const VirtAddr address = start + done * kPageSize;
    const auto result = [&](Status s) { return done != 0 ? static_cast<int64_t>(done) : s.AsReturn(); };
    if (vma == nullptr || address >= vma->end) {
      if (const Status s = LookupForGup(mm, address, flags, pkru, &vma); !s.ok()) return result(s);
    }
    const Follow follow = FollowPageMask(*vma, address, flags);
    if (follow.kind == Follow::Kind::kFault || follow.kind == Follow::Kind::kUnshare) {
      const Status s = FaultinPage(*vma, address, flags, follow.kind == Follow::Kind::kUnshare);
      if (!s.ok()) return result(s);
      continue;
    }
    if (follow.kind == Follow::Kind::kNoPage && pages != nullptr) return result(Errno::kEEXIST);
    const uint64_t step = std::min(1 + (~(address.value >> kPageShift) & follow.page_mask), nr_pages - done);
    if (pages != nullptr) {
      if (step > 1) TryGrabFolio(system, follow.page, flags, static_cast<int32_t>(step - 1));
      for (uint64_t i = 0; i < step; ++i) pages->push_back(follow.page + i);
    }
    done += step;
  }
  return static_cast<int64_t>(done);
}

void UnpinUserPages(System& system, const std::vector<Pfn>& pages, bool dirty) {
  for (const Pfn page : pages) {
    const Pfn folio = system.pages.HeadOf(page);
    if (system.pages[folio].Has(kPgReserved)) continue;
    if (dirty) FolioMarkDirty(system, folio);
    if (system.pages[folio].IsLarge()) {
      LargeFolio large(system.pages, folio);
      large.SetPincount(large.Pincount() - 1);
      GupPutFolio(system, folio, 1);
    } else {
      GupPutFolio(system, folio, kGupPinCountingBias);
    }
  }
}

void PutUserPage(System& system, Pfn page) {
  const Pfn folio = system.pages.HeadOf(page);
  if (!system.pages[folio].Has(kPgReserved)) GupPutFolio(system, folio, 1);
}

int64_t PopulateVmaPageRange(Vma& vma, VirtRange range, uint32_t pkru) {
  if (vma.Has(kVmLockOnFault)) return static_cast<int64_t>(range.NrPages());
  if (!vma.Has(kVmAccessFlags)) return Status(Errno::kEFAULT).AsReturn();
  GupFlags flags = kFollTouch;
  flags |= (vma.flags & (kVmWrite | kVmShared)) == kVmWrite ? kFollWrite : kFollForce;
  const int64_t ret = GetUserPages(*vma.mm, range.start, range.NrPages(), flags, nullptr, pkru);
  LruAddDrain(vma.mm->system);
  return ret;
}

Status MmPopulate(Mm& mm, VirtAddr start, uint64_t len_bytes, bool ignore_errors, uint32_t pkru) {
  const VirtAddr end = start + len_bytes;
  VirtAddr next;
  for (VirtAddr at = start; at < end; at = next) {
    Vma* vma = mm.vmas.FindIntersection(at, end);
    if (vma == nullptr) break;
    next = std::min<VirtAddr>(end, vma->end);
    if (vma->Has(kVmIo | kVmPfnMap)) continue;
    at = std::max<VirtAddr>(at, vma->start);
    const int64_t ret = PopulateVmaPageRange(*vma, {at, next}, pkru);
    if (ret < 0) {
      if (ignore_errors) continue;
      return static_cast<Errno>(-ret);
    }
    next = at + static_cast<uint64_t>(ret) * kPageSize;
  }
  return {};
}

int64_t MadvisePopulate(Mm& mm, VirtAddr start, uint64_t len_bytes, bool write, uint32_t pkru) {
  const VirtAddr end = start + len_bytes;
  const GupFlags flags = kFollTouch | kFollMadvPopulate | (write ? kFollWrite : 0);
  while (start < end) {
    const int64_t ret = GetUserPages(mm, start, (end - start) >> kPageShift, flags, nullptr, pkru);
    LruAddDrain(mm.system);
    if (ret < 0) return ret;
    start += static_cast<uint64_t>(ret) * kPageSize;
  }
  return 0;
}

uint64_t AccessRemoteVm(Mm& mm, VirtAddr address, void* buffer, uint64_t len_bytes, bool write, bool force,
                        const Current* current) {
  System& system = mm.system;
  const GupFlags flags =
      kFollGet | kFollTouch | kFollRemote | (write ? kFollWrite : 0) | (force ? kFollForce : 0);
  auto* bytes = static_cast<uint8_t*>(buffer);
  uint64_t done = 0;
  while (done < len_bytes) {
    const VirtAddr at = address + done;
    if (mm.vmas.Lookup(at) == nullptr) {
      Vma* next = mm.vmas.Find(at);
      if (current == nullptr || next == nullptr || !next->Has(kVmGrowsDown) ||
          !ExpandDownwards(*next, *current, at.PageFloor()).ok()) {
        break;
      }
    }
    std::vector<Pfn> pages;
    if (GetUserPages(mm, at.PageFloor(), 1, flags, &pages) != 1) break;
    const uint64_t n = std::min(len_bytes - done, kPageSize - at.PageOffset());
    const PhysAddr where = pages[0].Base() + at.PageOffset();
    if (write) {
      system.phys.WriteBytes(where, {bytes + done, n});
      FolioMarkDirty(system, system.pages.HeadOf(pages[0]));
    } else {
      system.phys.ReadBytes(where, {bytes + done, n});
    }
    PutUserPage(system, pages[0]);
    done += n;
  }
  return done;
}

}  // namespace mmsim
