// SPDX-License-Identifier: Apache-2.0
// Tables: reachable once, counted, and with nothing in them that their VMA would not put there.
#include "sim/audit/census.h"
#include "sim/hw/cpu.h"
#include "sim/mm/huge_memory.h"
#include "sim/mm/rmap.h"
#include "sim/mm/swap.h"

namespace mmsim::audit {
namespace {

struct Tables {
  Census& census;
  Mm& mm;
  System& system;
  const Arch arch;
  std::array<int64_t, static_cast<size_t>(RssType::kCount)> rss{};
  uint64_t tables = 0;
};

// An anonymous page must be found by rmap: its anon_vma is one of the VMA's, its index the VMA's at this
// place.
void CheckAnonPage(Tables& t, const Vma& vma, VirtAddr address, Pfn page, bool writable) {
  const Pfn head = t.system.pages.HeadOf(page);
  const Page& folio = t.system.pages[head];
  const auto* anon_vma = reinterpret_cast<const AnonVma*>(folio.mapping & ~uint64_t{1});
  bool chained = false;
  for (const AnonVmaChain& chain : vma.anon_vma_chain) chained |= chain.anon_vma == anon_vma;
  if (!chained) t.census.Complain("{:x}: the page's anon_vma is none of its VMA's", address.value);
  if (folio.Index() + (page - head) != vma.PgoffOf(address)) {
    t.census.Complain("{:x}: the page's index is {:x}, the VMA's {:x}", address.value,
                      folio.Index() + (page - head), vma.PgoffOf(address));
  }
  if (writable && !t.system.pages[page].Has(kPgAnonExclusive)) {
    t.census.Complain("{:x}: writable, but the page is not exclusive", address.value);
  }
  if (vma.Has(kVmShared)) t.census.Complain("{:x}: an anonymous page in a shared mapping", address.value);
}

void CheckFilePage(Tables& t, const Vma& vma, VirtAddr address, Pfn page, bool writable) {
  const Page& record = t.system.pages[page];
  if (vma.ops == VmOps::kSpecial) {
    if (!record.Has(kPgReserved)) t.census.Complain("{:x}: no page of the kernel's image", address.value);
    return;
  }
  if (vma.file == nullptr || record.mapping != reinterpret_cast<uint64_t>(vma.file->inode.get())) {
    t.census.Complain("{:x}: a page of another file, or of none", address.value);
  } else if (record.Index() != vma.PgoffOf(address)) {
    t.census.Complain("{:x}: page {:x} of the file, not {:x}", address.value, record.Index(),
                      vma.PgoffOf(address));
  }
  if (writable && !vma.Has(kVmShared)) {
    t.census.Complain("{:x}: a file's page is writable in a private mapping", address.value);
  }
}

// The bits that follow from the VMA alone. Accessed, dirty, soft-dirty and the right to write may differ.
void CheckProtection(Tables& t, const Vma& vma, VirtAddr address, Pte pte, bool huge) {
  const PgProt prot = PageProtOf(vma);
  const Pte expected = PteModify(t.arch, pte, prot);
  if (PteWrProtect(t.arch, expected) != PteWrProtect(t.arch, pte)) {
    t.census.Complain("{:x}: entry {:x} does not have its VMA's protection ({:x})", address.value, pte.value,
                      prot.value);
  }
  if (PteWrite(t.arch, pte) && !vma.Has(kVmWrite)) {
    t.census.Complain("{:x}: writable in a VMA that is not{}", address.value, huge ? " (huge)" : "");
  }
}

void CheckPresentPte(Tables& t, const Vma& vma, VirtAddr address, Pte pte) {
  CheckProtection(t, vma, address, pte, false);
  const Pfn page = VmNormalPage(t.system, pte);
  const bool writable = PteWrite(t.arch, pte);
  if (page.value == 0) {
    const bool zero = IsZeroPfn(t.system, PtePfn(t.arch, pte));
    if (writable) t.census.Complain("{:x}: the zero page or a special one is writable", address.value);
    if (!zero && !vma.Has(kVmPfnMap)) t.census.Complain("{:x}: a special page", address.value);
    if (t.system.pages[PtePfn(t.arch, pte)].refcount == 0) {
      t.census.Complain("{:x}: frame {:x} is free and can be reached", address.value,
                        PtePfn(t.arch, pte).value);
    }
    return;
  }
  const Page& folio = t.system.pages[t.system.pages.HeadOf(page)];
  ++t.rss[static_cast<size_t>(RssTypeOf(folio))];
  Holders& holders = t.census.frames[page.value];
  ++holders.pte_maps;
  t.census.AddRefs(page, 1);
  if (folio.IsAnon()) {
    CheckAnonPage(t, vma, address, page, writable);
  } else {
    CheckFilePage(t, vma, address, page, writable);
  }
}

void CheckPte(Tables& t, VirtAddr address, Pte pte, const Vma*& vma) {
  if (vma == nullptr || address >= vma->end || address < vma->start) vma = t.mm.vmas.Lookup(address);
  if (vma == nullptr) {
    t.census.Complain("{:x}: entry {:x} outside every VMA", address.value, pte.value);
    return;
  }
  if (PtePresent(t.arch, pte)) {
    CheckPresentPte(t, *vma, address, pte);
    return;
  }
  const SwapEntry entry = PteSwap(t.arch, pte);
  ++t.rss[static_cast<size_t>(RssType::kSwap)];
  if (t.system.swap == nullptr || entry.type != SwapArea::kType ||
      entry.offset >= t.system.swap->nr_slots()) {
    t.census.Complain("{:x}: no swap entry: {:x}", address.value, pte.value);
    return;
  }
  ++t.census.swap_slots[entry.offset];
}

void CheckHugePmd(Tables& t, VirtAddr address, EntryPtr pmd) {
  const Pte value = ReadEntry(pmd);
  const Vma* vma = t.mm.vmas.Lookup(address);
  if (vma == nullptr || vma->start > address || vma->end < address + kHugeSize) {
    t.census.Complain("{:x}: a huge page that does not lie in one VMA", address.value);
    return;
  }
  CheckProtection(t, *vma, address, value, true);
  const Pfn folio = VmNormalPagePmd(t.system, value);
  if (folio.value == 0) return;
  t.rss[static_cast<size_t>(RssType::kAnon)] += kHugePages;
  ++t.census.frames[folio.value].pmd_maps;
  t.census.AddRefs(folio, 1);
  if (!t.system.pages[folio].IsLarge()) t.census.Complain("{:x}: maps no huge folio", address.value);
  CheckAnonPage(t, *vma, address, folio, PteWrite(t.arch, value));
}

bool EnterTable(Tables& t, Pfn table, VirtAddr address) {
  if (table.value >= t.system.pages.frames() || !t.system.pages[table].Has(kPgTable)) {
    t.census.Complain("{:x}: frame {:x} is no table", address.value, table.value);
    return false;
  }
  Holders& holders = t.census.frames[table.value];
  if (++holders.refs != 1) t.census.Complain("table {:x} is reached twice", table.value);
  ++t.census.tables;
  return true;
}

// `table` holds entries of `level` for addresses from `base` on.
void CheckTable(Tables& t, Pfn table, int level, uint64_t base) {
  if (!EnterTable(t, table, VirtAddr(base))) return;
  if (level != kLevelPgd) ++t.tables;
  const uint64_t entries =
      level == kLevelPgd && t.arch == Arch::kX86_64 ? kEntriesPerTable / 2 : kEntriesPerTable;
  EntryPtr entry = t.system.phys.TableAt(table);
  const Vma* vma = nullptr;
  uint64_t huge = 0;
  for (uint64_t i = 0; i < entries; ++i, ++entry) {
    const VirtAddr address(base + i * LevelSize(level));
    if (*entry == 0) continue;
    if (level == kLevelPte) {
      if (!PteNone(t.arch, {*entry})) CheckPte(t, address, {*entry}, vma);
    } else if (level == kLevelPmd && !PmdIsTable(t.system, entry)) {
      ++huge;
      CheckHugePmd(t, address, entry);
    } else {
      CheckTable(t, TablePfn(*entry), level - 1, address.value);
    }
  }
  if (level != kLevelPmd) return;
  // The tables put aside for the huge entries of this one.
  for (uint64_t next = t.system.pages[table].mapping; next != 0; next = t.system.pages[Pfn(next)].mapping) {
    if (huge-- == 0)
      t.census.Complain("PMD table {:x} has more tables put aside than huge pages", table.value);
    if (!EnterTable(t, Pfn(next), VirtAddr(base))) break;
    ++t.tables;
  }
  if (huge != 0 && huge < kEntriesPerTable) {
    t.census.Complain("PMD table {:x} lacks tables put aside for {} huge pages", table.value, huge);
  }
}

// The table that a processor would begin a walk at is the one that the tables lead to.
void CheckTableOfTlb(Tables& t, const Cpu& cpu) {
  const Tlb::Table& kept = cpu.tlb().table();
  if (kept.tag == 0 || Tlb::AsidOf(kept.tag) != t.mm.asid) return;
  const VirtAddr first = Tlb::FirstOfTable(kept.tag);
  if (FindEntry(t.mm, first, kLevelPte) == kept.entries) return;
  t.census.Complain("a TLB holds a stale table of {:x}", first.value);
}

// No processor may hold a translation that the tables no longer give, nor one that permits more.
void CheckTlbs(Tables& t) {
  for (Cpu* cpu : t.system.cpus) {
    CheckTableOfTlb(t, *cpu);
    Cpu walker = *cpu;
    walker.SetRoot(t.mm.pgd, t.mm.asid);
    cpu->tlb().ForEach([&](const Tlb::Entry& e) {
      if (e.asid != t.mm.asid || e.global) return;
      for (const Access access : {kUserRead, kUserWrite, kUserFetch}) {
        if (!cpu->Serves(e, access)) continue;
        const WalkResult walk = walker.Look(VirtAddr(e.page), access);
        // The access flag is taken away without a flush, by design.
        if (walk.kind() == TrapKind::kAccessFlag) continue;
        if (walk.ok() && walk.phys().value == e.frame) continue;
        t.census.Complain("a TLB holds a stale translation of {:x}", e.page);
        return;
      }
    });
  }
}

}  // namespace

void CheckTables(Census& census) {
  for (Mm* mm : census.system.mms) {
    Tables t{.census = census, .mm = *mm, .system = census.system, .arch = census.system.arch};
    CheckTable(t, Pfn::Of(mm->pgd), kLevelPgd, 0);
    static constexpr std::array<std::string_view, 4> kNames = {"file rss", "anon rss", "swap entries",
                                                               "shmem rss"};
    for (size_t i = 0; i < t.rss.size(); ++i) census.ExpectEqual(mm->rss[i], t.rss[i], kNames[i]);
    census.ExpectEqual(mm->pgtables_bytes, t.tables * kPageSize, "pgtables_bytes");
    CheckTlbs(t);
  }
}

}  // namespace mmsim::audit
