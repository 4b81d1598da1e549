// SPDX-License-Identifier: Apache-2.0
// smaps and pagemap (task_mmu.h).
#include "sim/mm/task_mmu.h"

#include <algorithm>

#include "sim/mm/folio.h"
#include "sim/mm/huge_memory.h"
#include "sim/mm/page_table.h"
#include "sim/mm/swap.h"

namespace mmsim {
namespace {

constexpr uint64_t kPssPage = kPageSize << kPssShift;

struct Smaps {
  const Vma& vma;
  const System& system;
  const Arch arch;
  MemSizeStats& mss;
  const bool shmem_holes;  // swapped-out pages of the file count where nothing is mapped
};

// Linux: fs/proc/task_mmu.c smaps_page_accumulate()
void PageAccumulate(const Smaps& s, const Page& folio, uint64_t size, uint64_t pss, bool dirty,
                    bool is_private) {
  MemSizeStats& mss = s.mss;
  mss.pss += pss;
  (folio.IsAnon() ? mss.pss_anon : folio.Has(kPgSwapBacked) ? mss.pss_shmem : mss.pss_file) += pss;
  if (s.vma.Has(kVmLocked)) mss.pss_locked += pss;
  if (dirty || folio.Has(kPgDirty)) {
    mss.pss_dirty += pss;
    (is_private ? mss.private_dirty : mss.shared_dirty) += size;
  } else {
    (is_private ? mss.private_clean : mss.shared_clean) += size;
  }
}

// Linux: fs/proc/task_mmu.c smaps_account()
void Account(const Smaps& s, Pfn page, uint64_t nr, bool young, bool dirty) {
  const Page& folio = s.system.pages[s.system.pages.HeadOf(page)];
  const uint64_t size = nr << kPageShift;
  MemSizeStats& mss = s.mss;
  if (folio.IsAnon()) {
    mss.anonymous += size;
    if (!folio.Has(kPgSwapBacked) && !dirty && !folio.Has(kPgDirty)) mss.lazyfree += size;
  }
  mss.resident += size;
  if (young || folio.Has(kPgReferenced)) mss.referenced += size;
  if (folio.refcount == 1) {
    PageAccumulate(s, folio, size, size << kPssShift, dirty, /*is_private=*/true);
    return;
  }
  for (uint64_t i = 0; i < nr; ++i) {
    const uint64_t mapcount = KpagecountOf(s.system, page + i);
    const uint64_t pss = mapcount >= 2 ? kPssPage / mapcount : kPssPage;
    PageAccumulate(s, folio, kPageSize, pss, dirty, mapcount < 2);
  }
}

// Linux: mm/shmem.c shmem_partial_swap_usage()
uint64_t ShmemPartialSwapUsage(const Inode& inode, uint64_t first, uint64_t end) {
  uint64_t swapped = 0;
  for (auto it = inode.i_pages.lower_bound(first); it != inode.i_pages.end() && it->first < end; ++it) {
    swapped += it->second.IsSwap();
  }
  return swapped << kPageShift;
}

void Hole(const Smaps& s, VirtRange range) {
  if (!s.shmem_holes) return;
  s.mss.swap +=
      ShmemPartialSwapUsage(*s.vma.file->inode, s.vma.PgoffOf(range.start), s.vma.PgoffOf(range.end));
}

// Linux: fs/proc/task_mmu.c smaps_pte_entry()
void PteEntry(const Smaps& s, VirtAddr address, Pte pte) {
  if (PteNone(s.arch, pte)) {
    Hole(s, {address, address + kPageSize});
  } else if (PtePresent(s.arch, pte)) {
    const Pfn page = VmNormalPage(s.system, pte);
    if (page.value != 0) Account(s, page, 1, PteYoung(s.arch, pte), PteDirty(s.arch, pte));
  } else {
    s.mss.swap += kPageSize;
    const uint64_t count = s.system.swap->Count(PteSwap(s.arch, pte).offset);
    s.mss.swap_pss += count >= 2 ? kPssPage / count : kPssPage;
  }
}

// Linux: fs/proc/task_mmu.c smaps_pmd_entry()
void PmdEntry(const Smaps& s, Pte pmd) {
  const Pfn folio = VmNormalPagePmd(s.system, pmd);
  if (folio.value == 0) return;
  s.mss.anonymous_thp += kHugeSize;
  Account(s, folio, kHugePages, PteYoung(s.arch, pmd), PteDirty(s.arch, pmd));
}

// Calls pmd(entry, range) for each part of the range up to a PMD's size; entry is null or empty where no
// table is, and the part then is what the lowest table that is there leaves out.
template <typename OnPmd>
void ForEachPmd(const Vma& vma, VirtRange range, OnPmd on_pmd) {
  const Mm& mm = *vma.mm;
  const bool hole = vma.Has(kVmPfnMap);  // to the kernel's walker too: mm/pagewalk.c walk_page_test()
  for (VirtAddr address = range.start, next; address < range.end; address = next) {
    EntryPtr pmd = FindEntry(mm, address, kLevelPmd);
    int level = kLevelPmd;
    while (level < kLevelPgd && FindEntry(mm, address, level) == nullptr) ++level;
    next = LevelEnd(address, range.end, level);
    on_pmd(pmd != nullptr && *pmd != 0 && !hole ? pmd : nullptr, VirtRange{address, next});
  }
}

// Linux: fs/proc/task_mmu.c pte_to_pagemap_entry()
uint64_t PteToPagemapEntry(const System& system, Pte pte) {
  const Arch arch = system.arch;
  if (PteNone(arch, pte)) return 0;
  if (!PtePresent(arch, pte)) {
    const SwapEntry swap = PteSwap(arch, pte);
    const uint64_t soft = SwpSoftDirty(arch, pte) && system.profile.soft_dirty ? kPmSoftDirty : 0;
    return kPmSwap | soft | ((uint64_t{swap.type} | swap.offset << 5) & kPmPfnMask);
  }
  uint64_t entry = kPmPresent | (PtePfn(arch, pte).value & kPmPfnMask);
  if (PteSoftDirty(arch, pte) && system.profile.soft_dirty) entry |= kPmSoftDirty;
  const Pfn page = VmNormalPage(system, pte);
  if (page.value == 0) return entry;
  if (!system.pages[system.pages.HeadOf(page)].IsAnon()) entry |= kPmFile;
  if (KpagecountOf(system, page) == 1) entry |= kPmMmapExclusive;
  return entry;
}

// Linux: the huge part of fs/proc/task_mmu.c pagemap_pmd_range(), for one of the 512
uint64_t PmdToPagemapEntry(const System& system, Pte pmd, uint64_t index) {
  const Arch arch = system.arch;
  const Pfn head = PmdPfn(arch, pmd);
  uint64_t entry = kPmPresent | (head.value + index);
  if (PteSoftDirty(arch, pmd) && system.profile.soft_dirty) entry |= kPmSoftDirty;
  if (!system.pages[head].IsAnon()) entry |= kPmFile;
  if (KpagecountOf(system, head + index) == 1) entry |= kPmMmapExclusive;
  return entry;
}

// The entries of a part of a VMA, at most a PMD's size.
void PagemapPart(const System& system, EntryPtr pmd, VirtRange range, uint64_t vma_flag, uint64_t* out) {
  const uint64_t nr = range.NrPages();
  if (pmd == nullptr) {
    std::fill_n(out, nr, vma_flag);
    return;
  }
  if (!PmdIsTable(system, pmd)) {
    const uint64_t first = IndexAt(range.start, kLevelPte);
    for (uint64_t i = 0; i < nr; ++i) {
      out[i] = vma_flag | PmdToPagemapEntry(system, ReadEntry(pmd), first + i);
    }
    return;
  }
  EntryPtr pte = Descend(system, pmd, range.start, kLevelPte);
  for (uint64_t i = 0; i < nr; ++i) out[i] = vma_flag | PteToPagemapEntry(system, ReadEntry(pte + i));
}

}  // namespace

MemSizeStats SmapGatherStats(const Vma& vma) {
  MemSizeStats mss;
  const Mm& mm = *vma.mm;
  bool holes = false;
  if (vma.file != nullptr && vma.file->inode->kind == InodeKind::kShmem) {
    const uint64_t swapped = ShmemPartialSwapUsage(*vma.file->inode, vma.pgoff, vma.pgoff + vma.NrPages());
    if (swapped == 0 || vma.Has(kVmShared) || !vma.Has(kVmWrite)) {
      mss.swap += swapped;
    } else {
      holes = true;
    }
  }
  const Smaps s{vma, mm.system, mm.system.arch, mss, holes};
  ForEachPmd(vma, vma.Range(), [&](EntryPtr pmd, VirtRange part) {
    if (pmd == nullptr) {
      Hole(s, part);
    } else if (!PmdIsTable(s.system, pmd)) {
      PmdEntry(s, ReadEntry(pmd));
    } else {
      EntryPtr pte = Descend(s.system, pmd, part.start, kLevelPte);
      for (VirtAddr a = part.start; a < part.end; a += kPageSize, ++pte) PteEntry(s, a, ReadEntry(pte));
    }
  });
  return mss;
}

bool ThpEligible(const Vma& vma) {
  if (!vma.IsAnonymous() || !ThpEnabled(vma)) return false;
  // Below 2 MiB the subtraction wraps around, in the kernel too.
  const VirtAddr last = vma.end - kHugeSize;
  return ThpVmaSuitable(vma, VirtAddr(last.value & kHugeMask));
}

std::vector<uint64_t> PagemapRange(const Mm& mm, VirtAddr start, uint64_t nr_pages) {
  std::vector<uint64_t> out(nr_pages);
  const VirtRange range{start, start + nr_pages * kPageSize};
  for (Vma* vma = mm.vmas.Find(start); vma != nullptr && vma->start < range.end; vma = vma->Next()) {
    const VirtRange part{std::max<VirtAddr>(range.start, vma->start),
                         std::min<VirtAddr>(range.end, vma->end)};
    const uint64_t flag = vma->Has(kVmSoftDirty) && mm.system.profile.soft_dirty ? kPmSoftDirty : 0;
    ForEachPmd(*vma, part, [&](EntryPtr pmd, VirtRange r) {
      PagemapPart(mm.system, pmd, r, flag, out.data() + ((r.start - start) >> kPageShift));
    });
  }
  return out;
}

void ForEachPagemapEntry(const Vma& vma, absl::FunctionRef<void(VirtAddr, uint64_t)> visit) {
  const System& system = vma.mm->system;
  const uint64_t flag = vma.Has(kVmSoftDirty) && system.profile.soft_dirty ? kPmSoftDirty : 0;
  std::vector<uint64_t> entries(kHugePages);
  ForEachPmd(vma, vma.Range(), [&](EntryPtr pmd, VirtRange part) {
    if (pmd == nullptr) return;
    PagemapPart(system, pmd, part, flag, entries.data());
    for (uint64_t i = 0; i < part.NrPages(); ++i) visit(part.start + i * kPageSize, entries[i]);
  });
}

void MincoreRange(const Vma& vma, VirtRange range, std::vector<uint8_t>* out) {
  const System& system = vma.mm->system;
  const Arch arch = system.arch;
  const auto unmapped = [&](VirtAddr address) {
    if (vma.file == nullptr) return uint8_t{0};
    const auto& pages = vma.file->inode->i_pages;
    const auto it = pages.find(vma.PgoffOf(address));
    if (it == pages.end()) return uint8_t{0};
    // Linux: mm/swap_state.c filemap_get_incore_folio()
    const Pfn page = it->second.IsSwap() ? system.swap->Cached(it->second.swap_offset()) : it->second.page();
    return static_cast<uint8_t>(page.value != 0 && system.pages[page].Has(kPgUptodate));
  };
  ForEachPmd(vma, range, [&](EntryPtr pmd, VirtRange part) {
    if (pmd != nullptr && !PmdIsTable(system, pmd)) {
      out->insert(out->end(), part.NrPages(), 1);
      return;
    }
    for (VirtAddr a = part.start; a < part.end; a += kPageSize) {
      const Pte pte = pmd == nullptr ? Pte{0} : ReadEntry(Descend(system, pmd, a, kLevelPte));
      if (PteNone(arch, pte)) {
        out->push_back(unmapped(a));
      } else if (PtePresent(arch, pte)) {
        out->push_back(1);
      } else {
        out->push_back(system.swap->Cached(PteSwap(arch, pte).offset).value != 0);
      }
    }
  });
}

}  // namespace mmsim
