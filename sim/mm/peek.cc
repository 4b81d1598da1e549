// SPDX-License-Identifier: Apache-2.0
#include "sim/mm/peek.h"

#include <algorithm>

#include "sim/mm/page_table.h"
#include "sim/mm/swap.h"

namespace mmsim {
namespace {

// Of a page that no entry maps: the file's. False past its end.
bool PeekFile(const System& system, const Inode& inode, uint64_t index, uint64_t offset,
              std::span<uint8_t> out) {
  if ((index << kPageShift) >= inode.size_bytes) return false;
  std::fill(out.begin(), out.end(), uint8_t{0});
  const auto cached = inode.i_pages.find(index);
  if (cached == inode.i_pages.end()) {
    const uint64_t at = (index << kPageShift) + offset;
    if (at < inode.backing.size()) inode.backing.copy(reinterpret_cast<char*>(out.data()), out.size(), at);
  } else if (cached->second.IsSwap()) {
    system.swap->Read(cached->second.swap_offset(), offset, out);
  } else {
    system.phys.ReadBytes(cached->second.page().Base() + offset, out);
  }
  return true;
}

// Within one page.
bool PeekPage(const Vma& vma, VirtAddr address, std::span<uint8_t> out) {
  const System& system = vma.mm->system;
  const Arch arch = system.arch;
  const EntryPtr pmd = FindEntry(*vma.mm, address, kLevelPmd);
  if (pmd != nullptr && *pmd != 0 && !PmdIsTable(system, pmd)) {
    system.phys.ReadBytes(PmdPfn(arch, ReadEntry(pmd)).Base() + (address.value & ~kHugeMask), out);
    return true;
  }
  const EntryPtr entry = FindEntry(*vma.mm, address, kLevelPte);
  const Pte pte = entry == nullptr ? Pte{0} : ReadEntry(entry);
  if (!PteNone(arch, pte) && PtePresent(arch, pte)) {
    system.phys.ReadBytes(PtePfn(arch, pte).Base() + address.PageOffset(), out);
    return true;
  }
  if (!PteNone(arch, pte)) {
    system.swap->Read(PteSwap(arch, pte).offset, address.PageOffset(), out);
    return true;
  }
  if (vma.file != nullptr && !vma.IsAnonymous()) {
    return PeekFile(system, *vma.file->inode, vma.PgoffOf(address), address.PageOffset(), out);
  }
  std::fill(out.begin(), out.end(), uint8_t{0});
  return true;
}

}  // namespace

uint64_t PeekMemory(const Mm& mm, VirtAddr address, std::span<uint8_t> out) {
  uint64_t done = 0;
  while (done < out.size()) {
    const VirtAddr at = address + done;
    const Vma* vma = mm.vmas.Lookup(at);
    const uint64_t n = std::min(out.size() - done, kPageSize - at.PageOffset());
    if (vma == nullptr || !PeekPage(*vma, at, out.subspan(done, n))) break;
    done += n;
  }
  return done;
}

}  // namespace mmsim
