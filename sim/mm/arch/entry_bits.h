// SPDX-License-Identifier: Apache-2.0
// The bits of a table entry by name: what the manuals call them, and Linux's own. Intel SDM vol. 3A, 4.5;
// Arm ARM (DDI 0487), D8.3.
#pragma once

#include <span>
#include <string_view>

#include "sim/hw/geometry.h"
#include "sim/mm/arch/arm64.h"
#include "sim/mm/arch/x86_64.h"

namespace mmsim {

struct EntryBit {
  std::string_view name;
  uint64_t mask;
  bool in_ptes = true, in_tables = true,
       in_huge = true;  // entries that have it: PTEs, to tables, huge leaves
};

inline constexpr EntryBit kEntryBitsX86_64[] = {
    {"P", linux_x86_64::kPresent},
    {"RW", linux_x86_64::kRw},
    {"US", linux_x86_64::kUser},
    {"PWT", linux_x86_64::kPwt},
    {"PCD", linux_x86_64::kPcd},
    {"A", linux_x86_64::kAccessed},
    {"D", linux_x86_64::kDirty},
    {"PS", linux_x86_64::kPse, false, false, true},
    {"PAT", uint64_t{1} << 7, true, false, false},   // SDM table 4-20
    {"PAT", uint64_t{1} << 12, false, false, true},  // table 4-18
    {"G", linux_x86_64::kGlobal},
    {"NX", linux_x86_64::kNx},
};
inline constexpr EntryBit kEntryBitsArm64[] = {
    {"VALID", linux_arm64::kValid},   {"TABLE", linux_arm64::kTable}, {"USER", linux_arm64::kUser},
    {"RDONLY", linux_arm64::kRdOnly}, {"AF", linux_arm64::kAf},       {"NG", linux_arm64::kNg},
    {"DBM", linux_arm64::kWrite},     {"PXN", linux_arm64::kPxn},     {"UXN", linux_arm64::kUxn},
    {"DIRTY", linux_arm64::kDirty},   {"WRITE", linux_arm64::kWrite}, {"SPECIAL", linux_arm64::kSpecial},
};
constexpr std::span<const EntryBit> EntryBits(Arch arch) {
  if (arch == Arch::kX86_64) return kEntryBitsX86_64;
  return kEntryBitsArm64;
}

// What an entry that points to a table leaves allowed below it. SDM 4.6; Arm ARM D8.3.1, the hierarchical
// controls APTable, UXNTable.
struct TableRights {
  bool write, user, exec, accessed;
};
constexpr TableRights TableRightsOf(Arch arch, uint64_t entry) {
  if (arch == Arch::kX86_64) {
    return {(entry & linux_x86_64::kRw) != 0, (entry & linux_x86_64::kUser) != 0,
            (entry & linux_x86_64::kNx) == 0, (entry & linux_x86_64::kAccessed) != 0};
  }
  constexpr uint64_t kUxnTable = uint64_t{1} << 60, kNoUser = uint64_t{1} << 61,
                     kReadOnly = uint64_t{1} << 62;
  return {(entry & kReadOnly) == 0, (entry & kNoUser) == 0, (entry & kUxnTable) == 0, false};
}
// Whether a program may use the page of a leaf at all: US; AP[1].
constexpr bool LeafIsUsers(Arch arch, uint64_t entry) {
  return (entry & (arch == Arch::kX86_64 ? linux_x86_64::kUser : linux_arm64::kUser)) != 0;
}

}  // namespace mmsim
