// SPDX-License-Identifier: Apache-2.0
#include "sim/mm/entry_words.h"

#include <algorithm>

namespace mmsim {
namespace {

struct Words {
  std::vector<std::string_view> held;
  void AddIf(std::string_view word, bool holds) {
    if (holds) held.push_back(word);
  }
};

void TableWords(Arch arch, uint64_t entry, Words* words) {
  const TableRights rights = TableRightsOf(arch, entry);
  words->AddIf("present", true);
  words->AddIf("table", true);
  words->AddIf("write", rights.write);
  words->AddIf("user", rights.user);
  words->AddIf("exec", rights.exec);
  words->AddIf("accessed", rights.accessed);
}

void LeafWords(const System& system, int level, Pte leaf, Words* words) {
  const Arch arch = system.arch;
  const Pfn pfn = LeafPfn(system, level, leaf.value);
  words->AddIf("present", true);
  words->AddIf("huge", level > kLevelPte);
  words->AddIf("write", PteWrite(arch, leaf));
  words->AddIf("user", LeafIsUsers(arch, leaf.value));
  words->AddIf("exec", PteExec(arch, leaf));
  words->AddIf("accessed", PteYoung(arch, leaf));
  words->AddIf("dirty", PteDirty(arch, leaf));
  words->AddIf("soft_dirty", PteSoftDirty(arch, leaf));
  words->AddIf("special", PteSpecial(arch, leaf));
  words->AddIf("protnone", PteProtNone(arch, leaf));
  const bool zero = pfn == system.zero_page || (pfn == system.huge_zero && pfn.value != 0);
  words->AddIf("exclusive", !zero && system.pages[pfn].Has(kPgAnonExclusive));
  words->AddIf("zero", zero);
}

bool IsPresentLeaf(Arch arch, int level, uint64_t entry) {
  return level == kLevelPte ? !PteNone(arch, {entry}) && PtePresent(arch, {entry})
                            : entry != 0 && PmdTransHuge(arch, {entry});
}

bool IsNone(Arch arch, int level, uint64_t entry) {
  return level == kLevelPte ? PteNone(arch, {entry}) : entry == 0;
}

}  // namespace

bool IsTableEntry(const System& system, int level, uint64_t entry) {
  if (level == kLevelPte || entry == 0) return false;
  return level > kLevelPmd || !PmdTransHuge(system.arch, {entry});
}

Pfn LeafPfn(const System& system, int level, uint64_t entry) {
  if (!IsPresentLeaf(system.arch, level, entry)) return Pfn(0);
  return level == kLevelPte ? PtePfn(system.arch, {entry}) : PmdPfn(system.arch, {entry});
}

std::vector<std::string_view> EntryWordsOf(const System& system, int level, uint64_t entry) {
  const Arch arch = system.arch;
  Words words;
  if (IsNone(arch, level, entry)) {
    words.AddIf("none", true);
  } else if (IsTableEntry(system, level, entry)) {
    TableWords(arch, entry, &words);
  } else if (IsPresentLeaf(arch, level, entry)) {
    LeafWords(system, level, {entry}, &words);
  } else {
    words.AddIf("soft_dirty", SwpSoftDirty(arch, {entry}));
    words.AddIf("swap", true);
    words.AddIf("exclusive", SwpExclusive(arch, {entry}));
  }
  return words.held;
}

std::vector<std::string_view> EntryBitsOf(Arch arch, int level, uint64_t entry) {
  const bool huge = level > kLevelPte && PmdTransHuge(arch, {entry});
  std::vector<std::string_view> set;
  for (const EntryBit& bit : EntryBits(arch)) {
    const bool there = level == kLevelPte ? bit.in_ptes : huge ? bit.in_huge : bit.in_tables;
    if (there && (entry & bit.mask) != 0) set.push_back(bit.name);
  }
  return set;
}

bool IsEntryBit(Arch arch, std::string_view name) {
  const auto bits = EntryBits(arch);
  return std::any_of(bits.begin(), bits.end(), [&](const EntryBit& bit) { return bit.name == name; });
}

}  // namespace mmsim
