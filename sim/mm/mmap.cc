// SPDX-License-Identifier: Apache-2.0
// mmap: what a new mapping must satisfy, in the kernel's order, and its making. Linux: mm/mmap.c
//
// A call that fails after it has unmapped what lay in its way (MAP_FIXED) leaves a hole. Not modelled:
// hugetlbfs, append-only files, MTE, memory-deny-write-execute.
#include "sim/base/check.h"
#include "sim/mm/arch/layout.h"
#include "sim/mm/gup.h"
#include "sim/mm/hooks.h"
#include "sim/mm/mman.h"
#include "sim/mm/shm_segment.h"
#include "sim/mm/verbs.h"
#include "sim/mm/vma_ops.h"

namespace mmsim {

namespace {

constexpr int64_t Err(Errno e) {
  return -static_cast<int64_t>(e);
}

// Linux: mm/mmap.c round_hint_to_min()
uint64_t RoundHintToMin(const System& system, uint64_t hint) {
  hint &= kPageMask;
  if (hint != 0 && hint < system.sysctl.mmap_min_addr) {
    return VirtAddr(system.sysctl.mmap_min_addr).PageCeil().value;
  }
  return hint;
}

// Linux: include/linux/mman.h calc_vm_prot_bits()
VmFlags CalcVmProtBits(const System& system, uint64_t prot, unsigned pkey) {
  return (prot & (kVmRead | kVmWrite | kVmExec)) |
         ArchCalcVmProtBits(system.arch, system.profile, prot, pkey);
}

// Linux: include/linux/mman.h calc_vm_flag_bits()
VmFlags CalcVmFlagBits(const System& system, uint64_t flags) {
  VmFlags vm_flags = 0;
  if (flags & mman::kMapGrowsDown) vm_flags |= kVmGrowsDown;
  if (flags & mman::kMapLocked) vm_flags |= kVmLocked;
  if (flags & mman::kMapSync) vm_flags |= kVmSync;
  if ((flags & mman::kMapStack) && system.profile.thp) vm_flags |= kVmNoHugepage;
  return vm_flags;
}

uint64_t LegacyMapMask(Arch arch) {
  using namespace mman;  // NOLINT(google-build-using-namespace): the flags' names
  return kMapShared | kMapPrivate | kMapFixed | kMapAnonymous | kMapDenyWrite | kMapExecutable |
         kMapGrowsDown | kMapLocked | kMapNoReserve | kMapPopulate | kMapNonblock | kMapStack | kMapHugetlb |
         kMapHuge2Mb | kMapHuge1Gb | ArchLegacyMapFlags(arch);
}

// Linux: mm/mmap.c file_mmap_ok(): MAX_LFS_FILESIZE for what has blocks
bool FileMmapOk(const File& file, uint64_t pgoff, uint64_t len) {
  const uint64_t max = file.inode->kind == InodeKind::kDisk || file.inode->kind == InodeKind::kShmem
                           ? uint64_t{1} << 63
                           : ~uint64_t{0};
  // MAX_LFS_FILESIZE is LLONG_MAX.
  const uint64_t size_max = max == ~uint64_t{0} ? max : max - 1;
  if (len > size_max) return false;
  return pgoff <= (size_max - len) >> kPageShift;
}

// Linux: mm/memfd.c memfd_check_seals_mmap()
Status CheckSeals(const File& file, VmFlags* vm_flags) {
  const bool sealed = file.inode->kind == InodeKind::kShmem &&
                      (file.inode->seals & (mman::kSealWrite | mman::kSealFutureWrite)) != 0;
  if (!sealed || (*vm_flags & kVmShared) == 0) return {};
  if ((*vm_flags & kVmWrite) != 0) return Errno::kEPERM;
  *vm_flags &= ~kVmMayWrite;
  return {};
}

// What do_mmap() asks of a file, by MAP_TYPE; completes the flags.
Status CheckFile(const System& system, const File& file, uint64_t len, uint64_t prot, uint64_t flags,
                 uint64_t pgoff, VmFlags* vm_flags) {
  if (!FileMmapOk(file, pgoff, len)) return Errno::kEOVERFLOW;
  uint64_t mask = LegacyMapMask(system.arch);
  if (file.inode->kind == InodeKind::kDisk) mask |= mman::kMapSync;  // FOP_MMAP_SYNC
  switch (flags & mman::kMapType) {
    case mman::kMapShared:
      flags &= LegacyMapMask(system.arch);
      [[fallthrough]];
    case mman::kMapSharedValidate:
      if ((flags & ~mask) != 0) return Errno::kEOPNOTSUPP;
      if ((prot & mman::kProtWrite) != 0 && (file.mode & kFmodeWrite) == 0) return Errno::kEACCES;
      *vm_flags |= kVmShared | kVmMayShare;
      if ((file.mode & kFmodeWrite) == 0) *vm_flags &= ~(kVmMayWrite | kVmShared);
      [[fallthrough]];
    case mman::kMapPrivate:
      if ((file.mode & kFmodeRead) == 0) return Errno::kEACCES;
      if (file.inode->noexec) {
        if ((*vm_flags & kVmExec) != 0) return Errno::kEPERM;
        *vm_flags &= ~kVmMayExec;
      }
      if (file.inode->kind == InodeKind::kOther) return Errno::kENODEV;
      if ((*vm_flags & kVmGrowsDown) != 0) return Errno::kEINVAL;
      break;
    default:
      return Errno::kEINVAL;
  }
  return CheckSeals(file, vm_flags);
}

// The same without a file.
Status CheckAnonymous(uint64_t addr, uint64_t flags, uint64_t* pgoff, VmFlags* vm_flags) {
  switch (flags & mman::kMapType) {
    case mman::kMapShared:
      if ((*vm_flags & kVmGrowsDown) != 0) return Errno::kEINVAL;
      *pgoff = 0;
      *vm_flags |= kVmShared | kVmMayShare;
      return {};
    case mman::kMapDroppable:
      if ((flags & (mman::kMapLocked | mman::kMapHugetlb)) != 0) return Errno::kEINVAL;
      if ((*vm_flags & kVmGrowsDown) != 0) return Errno::kEINVAL;
      *vm_flags |= kVmDroppable | kVmNoReserve | kVmWipeOnFork | kVmDontDump;
      [[fallthrough]];
    case mman::kMapPrivate:
      *pgoff = addr >> kPageShift;
      return {};
    default:
      return Errno::kEINVAL;
  }
}

// Linux: mm/shmem.c shmem_zero_setup()
Status ShmemZeroSetup(Vma& vma, const Current& current) {
  Mm& mm = *vma.mm;
  const uint64_t pages = vma.NrPages();
  const bool noreserve = vma.Has(kVmNoReserve);
  if (!noreserve && !VmEnoughMemory(mm, current, pages).ok()) return Errno::kENOMEM;
  InodeRef inode = mm.system.failures.ShouldFail(Seam::kFile)
                       ? nullptr
                       : NewInode(mm.system, InodeKind::kShmem, pages << kPageShift);
  if (inode == nullptr) {
    if (!noreserve) VmUnacctMemory(mm.system, pages);
    return Errno::kENOMEM;
  }
  inode->noreserve = noreserve;
  inode->accounted_pages = noreserve ? 0 : pages;
  inode->nlink = 0;
  inode->dev_minor = 1;  // the kernel's own mount of tmpfs
  FileRef file(new File);
  file->inode = std::move(inode);
  file->path = "/dev/zero";
  file->deleted = true;
  file->mode = kFmodeRead | kFmodeWrite;
  VmaEdit(mm).SetFile(vma, std::move(file), VmOps::kShmem);
  return {};
}

// f_op->mmap of the kinds of files. Linux: mm/shmem.c shmem_mmap(), ipc/shm.c shm_mmap(), drivers/char/mem.c
// mmap_zero(), fs/ext4/file.c ext4_file_mmap()
Status MmapFile(Vma& vma, const FileRef& file, const Current& current) {
  VmaEdit edit(*vma.mm);
  switch (file->inode->kind) {
    case InodeKind::kDisk:
      if (vma.Has(kVmSync)) return Errno::kEOPNOTSUPP;  // no DAX
      edit.SetFile(vma, file, VmOps::kFile);
      return {};
    case InodeKind::kShmem:
      if (file->shm != nullptr) {
        ShmOpen(*file->shm);
        vma.shm = file->shm;
      }
      edit.SetFile(vma, file, file->shm != nullptr ? VmOps::kSysvShm : VmOps::kShmem);
      return {};
    case InodeKind::kDevZero:
      if (vma.Has(kVmShared)) return ShmemZeroSetup(vma, current);
      edit.SetFile(vma, file, VmOps::kNone);
      return {};
    case InodeKind::kOther:
      break;
  }
  return Errno::kENODEV;
}

// Linux: mm/mmap.c accountable_mapping()
bool AccountableMapping(VmFlags flags) {
  return (flags & (kVmNoReserve | kVmShared | kVmWrite)) == kVmWrite;
}

// A VMA of its own for the range, in the tree; null and the errno when it could not be made.
Result<Vma*> NewMapping(Mm& mm, const Current& current, const FileRef& file, const VmaMerge& vmg) {
  Vma* vma = VmAreaAlloc(mm);
  if (vma == nullptr) return Errno::kENOMEM;
  VmaEdit edit(mm);
  edit.SetRange(*vma, vmg.start, vmg.end, vmg.pgoff);
  edit.SetFlags(*vma, vmg.flags);
  Status status;
  if (mm.system.failures.ShouldFail(Seam::kVmaTree)) {
    status = Errno::kENOMEM;
  } else if (file != nullptr) {
    status = MmapFile(*vma, file, current);
  } else if ((vmg.flags & kVmShared) != 0) {
    status = ShmemZeroSetup(*vma, current);
  }
  if (!status.ok()) {
    VmAreaFree(vma);
    return status.error();
  }
  edit.Attach(*vma);
  ++mm.map_count;
  VmaLinkFile(*vma);
  Hook(HookPoint::kMmapRegion, mm, vma->start, vma->end);
  return vma;
}

// Limits, and memory that is to be promised: `*charged` pages. Completes the flags.
Status ChargeMapping(Mm& mm, const Current& current, uint64_t nr_pages, VmaMunmap& vms, VmaMerge& vmg,
                     uint64_t* charged) {
  if (!MayExpandVm(mm, current, vmg.flags, nr_pages - vms.nr_pages)) return Errno::kENOMEM;
  if (!AccountableMapping(vmg.flags)) return {};
  *charged = nr_pages - vms.nr_accounted;
  if (*charged != 0) {
    // What is unmapped may have been promised more than is wanted now; the difference is given back.
    if (!VmEnoughMemory(mm, current, *charged).ok()) {
      *charged = 0;
      return Errno::kENOMEM;
    }
  }
  vms.nr_accounted = 0;
  vmg.flags |= kVmAccount;
  return {};
}

// Linux: mm/mmap.c __mmap_region()
int64_t MmapRegionLocked(Mm& mm, const Current& current, const FileRef& file, VirtAddr addr, uint64_t len,
                         VmFlags vm_flags, uint64_t pgoff) {
  const VirtAddr end = addr + len;
  const uint64_t nr_pages = len >> kPageShift;
  VmaMerge vmg{.mm = mm, .start = addr, .end = end, .flags = vm_flags, .pgoff = pgoff, .file = file.get()};
  VmaMunmap vms(mm, mm.vmas.FindIntersection(addr, end), addr, end);
  if (vms.vma != nullptr) {
    Status status = VmsGatherMunmapVmas(vms);
    if (!status.ok()) return status.AsReturn();
    vmg.next = vms.next;
    vmg.prev = vms.prev;
  } else {
    vmg.next = mm.vmas.FindPrev(addr, &vmg.prev);
  }
  uint64_t charged = 0;
  const uint64_t old_accounted = vms.nr_accounted;
  Status status = ChargeMapping(mm, current, nr_pages, vms, vmg, &charged);
  if (!status.ok()) {
    VmsAbortMunmapVmas(vms);
    return status.AsReturn();
  }
  // Pages go while the old VMAs are still in the tree; there is no way back after that.
  VmsCleanUpArea(vms);
  Vma* vma = VmaMergeNewRange(vmg);
  if (vma == nullptr) {
    Result<Vma*> made = NewMapping(mm, current, file, vmg);
    if (!made.ok()) {
      VmUnacctMemory(mm.system, charged);
      // The promise to the old mappings was taken over, and nobody gives it back now.
      mm.system.committed_for_good += static_cast<int64_t>(old_accounted - vms.nr_accounted);
      VmsAbortMunmapVmas(vms);
      return Err(made.error());
    }
    vma = *made;
  }
  VmsCompleteMunmapVmas(vms);
  VmStatAccount(mm, vmg.flags, static_cast<int64_t>(nr_pages));
  VmaEdit edit(mm);
  if ((vmg.flags & kVmLocked) != 0) {
    if (VmaSupportsMlock(*vma)) {
      mm.locked_vm += nr_pages;
    } else {
      edit.ClearFlags(*vma, kVmLockedMask);
    }
  }
  edit.AddFlags(*vma, mm.system.SoftDirtyFlag());
  edit.SetPageProt(*vma);
  return static_cast<int64_t>(addr.value);
}

// Linux: mm/mmap.c mmap_region()
int64_t MmapRegion(Mm& mm, const Current& current, const FileRef& file, VirtAddr addr, uint64_t len,
                   VmFlags vm_flags, uint64_t pgoff) {
  if (MapDenyWriteExec(mm, vm_flags, vm_flags)) return Err(Errno::kEACCES);
  const bool writable =
      file != nullptr && (vm_flags & (kVmShared | kVmMayWrite)) == (kVmShared | kVmMayWrite);
  if (writable) {
    if (file->inode->i_mmap_writable < 0) return Err(Errno::kEPERM);
    ++file->inode->i_mmap_writable;
  }
  const int64_t result = MmapRegionLocked(mm, current, file, addr, len, vm_flags, pgoff);
  if (writable) --file->inode->i_mmap_writable;
  return result;
}

}  // namespace

// Linux: mm/mmap.c do_mmap()
int64_t DoMmap(Mm& mm, const Current& current, const FileRef& file, uint64_t addr, uint64_t len,
               uint64_t prot, uint64_t flags, VmFlags vm_flags, uint64_t pgoff, uint64_t* populate_bytes) {
  *populate_bytes = 0;
  System& system = mm.system;
  if (len == 0) return Err(Errno::kEINVAL);
  if ((prot & mman::kProtRead) != 0 && (current.personality & kReadImpliesExec) != 0 &&
      !(file != nullptr && file->inode->noexec)) {
    prot |= mman::kProtExec;
  }
  if ((flags & mman::kMapFixedNoreplace) != 0) flags |= mman::kMapFixed;
  if ((flags & mman::kMapFixed) == 0) addr = RoundHintToMin(system, addr);
  len = VirtAddr(len).PageCeil().value;
  if (len == 0) return Err(Errno::kENOMEM);
  if (pgoff + (len >> kPageShift) < pgoff) return Err(Errno::kEOVERFLOW);
  if (mm.map_count > system.sysctl.max_map_count) return Err(Errno::kENOMEM);
  int pkey = 0;
  if (prot == mman::kProtExec) pkey = std::max(ExecuteOnlyPkey(mm, current), 0);
  vm_flags |= CalcVmProtBits(system, prot, static_cast<unsigned>(pkey)) | CalcVmFlagBits(system, flags) |
              mm.def_flags | kVmMayRead | kVmMayWrite | kVmMayExec;
  const int64_t area = GetUnmappedArea(mm, current, file, addr, len, pgoff, flags, vm_flags);
  if (area < 0 && area >= -kMaxErrno) return area;
  const VirtAddr at(static_cast<uint64_t>(area));
  if ((flags & mman::kMapFixedNoreplace) != 0 && mm.vmas.FindIntersection(at, at + len) != nullptr) {
    return Err(Errno::kEEXIST);
  }
  if ((flags & mman::kMapLocked) != 0 && !CanDoMlock(current)) return Err(Errno::kEPERM);
  if (!MlockFutureOk(mm, current, vm_flags, len)) return Err(Errno::kEAGAIN);
  const Status status = file != nullptr ? CheckFile(system, *file, len, prot, flags, pgoff, &vm_flags)
                                        : CheckAnonymous(at.value, flags, &pgoff, &vm_flags);
  if (!status.ok()) return status.AsReturn();
  // Honoured where overcommit is allowed.
  if ((flags & mman::kMapNoReserve) != 0 && system.sysctl.overcommit_memory != 2) vm_flags |= kVmNoReserve;
  const int64_t result = MmapRegion(mm, current, file, at, len, vm_flags, pgoff);
  if (result >= 0 && ((vm_flags & kVmLocked) != 0 ||
                      (flags & (mman::kMapPopulate | mman::kMapNonblock)) == mman::kMapPopulate)) {
    *populate_bytes = len;
  }
  return result;
}

// Linux: mm/util.c vm_mmap_pgoff()
int64_t SysMmap(Mm& mm, const Current& current, uint64_t addr, uint64_t len, uint64_t prot, uint64_t flags,
                const FileRef& file, uint64_t offset_bytes) {
  uint64_t populate = 0;
  const int64_t result =
      DoMmap(mm, current, file, addr, len, prot, flags, 0, offset_bytes >> kPageShift, &populate);
  if (populate != 0) {
    static_cast<void>(
        MmPopulate(mm, VirtAddr(static_cast<uint64_t>(result)), populate, true, current.pkru).ok());
  }
  return result;
}

// Linux: mm/mmap.c _install_special_mapping()
Result<Vma*> InstallSpecialMapping(Mm& mm, const Current& current, VirtAddr addr, uint64_t len, VmFlags flags,
                                   const SpecialMapping* mapping) {
  Vma* vma = VmAreaAlloc(mm);
  if (vma == nullptr) return Errno::kENOMEM;
  VmaEdit edit(mm);
  edit.SetRange(*vma, addr, addr + len, 0);
  edit.SetFlags(*vma, (flags | mm.def_flags | kVmDontExpand | mm.system.SoftDirtyFlag()) & ~kVmLockedMask);
  edit.SetFile(*vma, nullptr, VmOps::kSpecial);
  edit.SetPageProt(*vma);
  vma->special = mapping;
  Status status = InsertVmStruct(mm, current, vma);
  if (!status.ok()) {
    VmAreaFree(vma);
    return status.error();
  }
  VmStatAccount(mm, vma->flags, static_cast<int64_t>(len >> kPageShift));
  return vma;
}

}  // namespace mmsim
