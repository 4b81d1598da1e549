// SPDX-License-Identifier: Apache-2.0
// A machine with one address space, as a program sees it after exec: limits, calls, and its map as text.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

#include "sim/mm/mm.h"
#include "sim/mm/mman.h"
#include "sim/mm/rmap.h"
#include "sim/mm/verbs.h"
#include "sim/mm/vma_ops.h"

namespace mmsim {

using namespace mman;  // NOLINT(google-build-using-namespace): the calls' constants

inline constexpr int64_t kEinval = -22, kEnomem = -12, kEperm = -1, kEexist = -17, kEacces = -13,
                         kEagain = -11, kEfault = -14, kEoverflow = -75, kEopnotsupp = -95, kEnodev = -19,
                         kEbusy = -16;
inline constexpr uint64_t kRw = kProtRead | kProtWrite, kAnon = kMapPrivate | kMapAnonymous,
                          kFixedAnon = kAnon | kMapFixed;

struct MmFixture {
  explicit MmFixture(Arch arch = Arch::kX86_64)
      : system(arch, KernelProfile{.soft_dirty = arch == Arch::kX86_64}, uint64_t{1} << 18,
               uint64_t{1} << 20) {
    rlimits[Rlimit::kStack].cur = 8 << 20;
    rlimits[Rlimit::kMemlock].cur = 8 << 20;
    current.rlimits = &rlimits;
    mm = Mm::Alloc(system);
    PickMmapLayout(*mm, current);
    mm->start_brk = mm->brk = VirtAddr(0x10000000);
  }
  ~MmFixture() {
    if (mm != nullptr) mm->Put();
    EXPECT_EQ(system.vm_committed_as, 0);
  }
  MmFixture(const MmFixture&) = delete;

  int64_t Mmap(uint64_t addr, uint64_t len, uint64_t prot = kRw, uint64_t flags = kAnon,
               const FileRef& file = nullptr, uint64_t offset = 0) {
    return Checked(SysMmap(*mm, current, addr, len, prot, flags, file, offset));
  }
  int64_t MmapFixed(uint64_t addr, uint64_t len, uint64_t prot = kRw, uint64_t flags = kAnon) {
    return Mmap(addr, len, prot, flags | kMapFixed);
  }
  int64_t Munmap(uint64_t addr, uint64_t len) { return Checked(SysMunmap(*mm, addr, len)); }
  int64_t Mprotect(uint64_t addr, uint64_t len, uint64_t prot, int pkey = -1) {
    return Checked(SysMprotect(*mm, current, addr, len, prot, pkey));
  }
  int64_t Mremap(uint64_t addr, uint64_t old_len, uint64_t new_len, uint64_t flags = 0, uint64_t to = 0) {
    return Checked(SysMremap(*mm, current, addr, old_len, new_len, flags, to));
  }
  int64_t Brk(uint64_t brk) { return Checked(SysBrk(*mm, current, brk)); }
  int64_t Madvise(uint64_t addr, uint64_t len, int advice) {
    return Checked(SysMadvise(*mm, current, addr, len, advice));
  }

  // A file of zeros.
  FileRef NewFile(InodeKind kind, uint64_t size, uint32_t mode = kFmodeRead | kFmodeWrite,
                  std::string path = "/file") {
    FileRef file(new File);
    file->inode = NewInode(system, kind, size);
    file->path = std::move(path);
    file->mode = mode;
    return file;
  }

  // "10000-12000 rw-p 0" a VMA, joined by "; ". Offsets of anonymous memory are left out.
  std::string Map() const {
    std::string out;
    for (const Vma& v : mm->vmas) {
      const bool shared = v.Has(kVmMayShare);
      if (!out.empty()) out += "; ";
      out += fmt::format("{:x}-{:x} {}{}{}{}", v.start.value, v.end.value, v.Has(kVmRead) ? 'r' : '-',
                         v.Has(kVmWrite) ? 'w' : '-', v.Has(kVmExec) ? 'x' : '-', shared ? 's' : 'p');
      if (v.file != nullptr) out += fmt::format(" {:x}", v.pgoff << kPageShift);
    }
    return out;
  }
  Vma& At(uint64_t addr) const {
    Vma* vma = mm->vmas.Lookup(VirtAddr(addr));
    MMSIM_CHECK(vma != nullptr);
    return *vma;
  }
  // What a write to it would do first.
  void Touch(uint64_t addr) { ASSERT_TRUE(AnonVmaPrepare(At(addr)).ok()); }

  // Every sum over the VMAs, computed afresh.
  void Check() const {
    mm->vmas.CheckInvariants();
    int count = 0;
    uint64_t total = 0, locked = 0, data = 0, exec = 0, stack = 0;
    for (const Vma& v : mm->vmas) {
      ++count;
      const uint64_t n = v.NrPages();
      total += n;
      if (v.Has(kVmLocked)) locked += n;
      if (IsExecMapping(v.flags)) {
        exec += n;
      } else if (IsStackMapping(v.flags)) {
        stack += n;
      } else if (IsDataMapping(v.flags)) {
        data += n;
      }
    }
    EXPECT_EQ(mm->map_count, count);
    EXPECT_EQ(mm->total_vm, total);
    EXPECT_EQ(mm->locked_vm, locked);
    EXPECT_EQ(mm->data_vm, data);
    EXPECT_EQ(mm->exec_vm, exec);
    EXPECT_EQ(mm->stack_vm, stack);
  }
  int64_t Checked(int64_t result) const {
    Check();
    return result;
  }

  System system;
  Rlimits rlimits;
  Current current;
  Mm* mm = nullptr;
};

class MmTest : public testing::Test, public MmFixture {};

}  // namespace mmsim
