// SPDX-License-Identifier: Apache-2.0
// What a paging geometry is: how many levels, how a virtual address falls into indices, where leaves may be.
// One constexpr value a geometry; the walker (walk.h) is instantiated with it, so that nothing here costs
// anything.
//
// Levels are counted from the last one, on every architecture: 0 holds the entries of 4 KiB pages, 1 those of
// the tables above (2 MiB), and so on up to levels-1, where the root is. Arm counts the other way; ArmLevel()
// turns one into the other.
//
// Not modelled: geometries whose levels differ in width (the 52-bit ones of arm64, x86 without PAE),
// concatenated roots.
#pragma once

#include <cstdint>

#include "mmsim/types.h"

namespace mmsim {

// The levels of a four-level geometry, by the names that kernels give them.
inline constexpr int kLevelPte = 0;
inline constexpr int kLevelPmd = 1;
inline constexpr int kLevelPud = 2;
inline constexpr int kLevelPgd = 3;

struct Geometry {
  int levels;
  int bits_per_level;
  int page_shift;
  int va_bits;           // of one half of the address space, or of both with the sign bit (x86: 48)
  uint32_t leaf_levels;  // bit n: a leaf may stand at level n
  bool sign_extended;    // one root; bits 63:va_bits-1 are equal (x86). Otherwise two roots, told apart by a
                         // high bit

  constexpr int LevelShift(int level) const { return page_shift + level * bits_per_level; }
  // Bytes that one entry of this level translates.
  constexpr uint64_t LevelSize(int level) const { return uint64_t{1} << LevelShift(level); }
  constexpr uint64_t LevelMask(int level) const { return ~(LevelSize(level) - 1); }
  constexpr uint64_t EntriesPerTable() const { return uint64_t{1} << bits_per_level; }
  constexpr uint64_t Index(VirtAddr va, int level) const {
    return (va.value >> LevelShift(level)) & (EntriesPerTable() - 1);
  }
  constexpr bool MayBeLeaf(int level) const { return (leaf_levels >> level) & 1; }
  constexpr int RootLevel() const { return levels - 1; }
  // The number by which the Arm ARM calls a level: 3 for the last one.
  static constexpr int ArmLevel(int level) { return 3 - level; }
  // Whether the address is one that the geometry can translate at all: the sign extension of its low bits.
  constexpr bool IsCanonical(VirtAddr va) const {
    const int bits = sign_extended ? va_bits - 1 : va_bits;
    const uint64_t high = va.value >> bits;
    return high == 0 || high == (~uint64_t{0} >> bits);
  }
};

}  // namespace mmsim
