// SPDX-License-Identifier: Apache-2.0
// A machine for tests of sim/mm: physical memory, one processor, address spaces driven by the system calls'
// own functions, and a trap loop of a few lines. After each step that a test calls Check() for, the validator
// has nothing to say.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "sim/audit/validator.h"
#include "sim/hw/cpu.h"
#include "sim/mm/fault.h"
#include "sim/mm/filemap.h"
#include "sim/mm/folio.h"
#include "sim/mm/gup.h"
#include "sim/mm/lru.h"
#include "sim/mm/mman.h"
#include "sim/mm/page_table.h"
#include "sim/mm/swap.h"
#include "sim/mm/task_mmu.h"
#include "sim/mm/verbs.h"

namespace mmsim::testing {

using namespace mman;  // NOLINT(google-build-using-namespace): the calls' constants

class Machine {
 public:
  explicit Machine(Arch arch, uint64_t frames = uint64_t{1} << 16)
      : system(arch, KernelProfile{.soft_dirty = arch == Arch::kX86_64}, uint64_t{1} << 18, frames),
        cpu(system.phys, arch) {
    system.cpus.push_back(&cpu);
    current.rlimits = &rlimits;
    system.phys.AddressMask();
    if (system.swap == nullptr) system.swap = std::make_unique<SwapArea>(system, 4096);
  }

  Mm* NewMm() {
    Mm* mm = Mm::Alloc(system);
    EXPECT_NE(mm, nullptr);
    PickMmapLayout(*mm, current);
    return mm;
  }
  // The child of a fork.
  Mm* Fork(Mm& parent) {
    Mm* child = Mm::Alloc(system);
    EXPECT_TRUE(DupMmap(*child, parent, current).ok());
    return child;
  }
  VirtAddr Map(Mm& mm, uint64_t pages, uint64_t prot = kProtRead | kProtWrite,
               uint64_t flags = kMapPrivate | kMapAnonymous, uint64_t addr = 0, const FileRef& file = nullptr,
               uint64_t offset_pages = 0) {
    const int64_t ret = SysMmap(mm, current, addr, pages * kPageSize, prot, flags | (addr ? kMapFixed : 0),
                                file, offset_pages * kPageSize);
    EXPECT_GE(ret, 0) << "mmap failed: " << ret;
    return VirtAddr(static_cast<uint64_t>(ret));
  }
  // An open file, its contents a byte a page: page i holds '0' + i.
  FileRef NewFile(InodeKind kind, uint64_t pages) {
    FileRef file(new File);
    file->inode = NewInode(system, kind, pages * kPageSize);
    file->inode->noreserve = true;
    file->path = "/f";
    file->mode = kFmodeRead | kFmodeWrite;
    if (kind == InodeKind::kDisk) {
      for (uint64_t i = 0; i < pages; ++i)
        file->inode->backing += std::string(kPageSize, static_cast<char>('0' + i));
    }
    return file;
  }

  struct Outcome {
    VmFaultResult error = 0;  // kVmFaultSigsegv for an access that the VMA forbids
    int faults = 0;
    PhysAddr phys;
    bool ok() const { return error == 0; }
  };
  Outcome Access(Mm& mm, VirtAddr address, AccessKind kind) {
    cpu.SetRoot(mm.pgd, mm.asid);
    Outcome outcome;
    for (; outcome.faults < 10; ++outcome.faults) {
      const WalkResult walk = cpu.Translate(address, {kind, Privilege::kUser});
      if (walk.ok()) {
        outcome.phys = walk.phys();
        return outcome;
      }
      Vma* vma = mm.vmas.Lookup(address);
      const VmFlags needed = kind == AccessKind::kWrite   ? kVmWrite
                             : kind == AccessKind::kFetch ? kVmExec
                                                          : kVmRead;
      if (vma == nullptr || !vma->Has(needed)) {
        outcome.error = kVmFaultSigsegv;
        return outcome;
      }
      const VmFaultResult ret =
          HandleMmFault(*vma, address, kFaultUser | (kind == AccessKind::kWrite ? kFaultWrite : 0));
      if ((ret & kVmFaultError) != 0) {
        outcome.error = ret & kVmFaultError;
        return outcome;
      }
    }
    ADD_FAILURE() << "the fault comes back";
    return outcome;
  }
  Outcome Load(Mm& mm, VirtAddr address) { return Access(mm, address, AccessKind::kRead); }
  Outcome Store(Mm& mm, VirtAddr address, uint8_t byte) {
    const Outcome outcome = Access(mm, address, AccessKind::kWrite);
    if (outcome.ok()) system.phys.WriteBytes(outcome.phys, {&byte, 1});
    return outcome;
  }
  uint8_t Byte(Mm& mm, VirtAddr address) {
    const Outcome outcome = Load(mm, address);
    EXPECT_TRUE(outcome.ok());
    uint8_t byte = 0;
    system.phys.ReadBytes(outcome.phys, {&byte, 1});
    return byte;
  }

  // The PTE of an address; 0 where there is none.
  Pte PteOf(Mm& mm, VirtAddr address) {
    EntryPtr pte = FindEntry(mm, address, kLevelPte);
    return pte == nullptr ? Pte{0} : ReadEntry(pte);
  }
  Pfn PageOf(Mm& mm, VirtAddr address) { return PtePfn(system.arch, PteOf(mm, address)); }
  Page& RecordOf(Mm& mm, VirtAddr address) { return system.pages[PageOf(mm, address)]; }
  void Check() { EXPECT_THAT(Validate(system), ::testing::IsEmpty()); }

  System system;
  Cpu cpu;
  Rlimits rlimits;
  Current current;
};

// Each test on both architectures.
class PagesTest : public ::testing::TestWithParam<Arch> {
 protected:
  PagesTest() : m(std::make_unique<Machine>(GetParam())), free_frames(m->system.pages.allocated()) {}
  // After the last exit nothing is left but what the machine had.
  void TearDown() override {
    LruAddDrain(m->system);
    m->Check();
    EXPECT_EQ(m->system.pages.allocated(), free_frames);
    EXPECT_EQ(m->system.swap->used(), 0u);
  }
  Arch arch() const { return GetParam(); }
  std::unique_ptr<Machine> m;
  uint64_t free_frames;
};

inline std::string ArchOfTest(const ::testing::TestParamInfo<Arch>& info) {
  return std::string(ArchName(info.param));
}
#define MMSIM_BOTH_ARCHS(suite) \
  INSTANTIATE_TEST_SUITE_P(Archs, suite, ::testing::Values(Arch::kX86_64, Arch::kArm64), ArchOfTest)

}  // namespace mmsim::testing
