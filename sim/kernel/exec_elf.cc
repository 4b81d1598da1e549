// SPDX-License-Identifier: Apache-2.0
// Loading an ELF program: where its segments, its interpreter's, the vdso and the heap come to lie. Linux:
// fs/binfmt_elf.c Not modelled: randomisation, GNU properties (BTI), 32-bit programs, FDPIC.
#include <algorithm>
#include <bit>

#include "sim/kernel/arch/abi.h"
#include "sim/kernel/arch/vdso.h"
#include "sim/kernel/bprm.h"
#include "sim/kernel/mm_ref.h"
#include "sim/kernel/uaccess.h"
#include "sim/kernel/uapi.h"
#include "sim/mm/gup.h"
#include "sim/mm/verbs.h"

namespace mmsim {
namespace {

uint64_t PageAlign(uint64_t value) {
  return VirtAddr(value).PageCeil().value;
}
uint64_t PageStart(uint64_t value) {
  return value & kPageMask;
}
uint64_t PageOffset(uint64_t value) {
  return value & ~kPageMask;
}

// An address, or a negative errno, as the kernel's own unsigned longs are.
bool IsError(int64_t address) {
  return address < 0 && address >= -4095;
}
bool BadAddr(const Bprm& bprm, int64_t address) {
  return static_cast<uint64_t>(address) >= bprm.mm->task_size;
}
int64_t Err(Errno e) {
  return -int64_t{static_cast<int32_t>(e)};
}
Errno ErrnoOf(int64_t address) {
  return IsError(address) ? static_cast<Errno>(-address) : Errno::kEINVAL;
}

uint64_t ProtOf(uint32_t p_flags) {
  uint64_t prot = 0;
  if (p_flags & kPfR) prot |= kProtRead;
  if (p_flags & kPfW) prot |= kProtWrite;
  if (p_flags & kPfX) prot |= kProtExec;
  return prot;
}

// Linux: mm/util.c vm_mmap()
int64_t VmMmap(Bprm& bprm, const FileRef& file, uint64_t addr, uint64_t len, uint64_t prot, uint64_t flags,
               uint64_t offset) {
  if (offset + PageAlign(len) < offset || PageOffset(offset) != 0) return Err(Errno::kEINVAL);
  uint64_t populate = 0;
  const int64_t at = DoMmap(*bprm.mm, bprm.task.AsCurrent(), file, addr, len, prot, flags, 0,
                            offset >> kPageShift, &populate);
  if (populate != 0) {
    Status ignored = MmPopulate(*bprm.mm, VirtAddr(static_cast<uint64_t>(at)), populate, true);
    static_cast<void>(ignored);  // mm_populate() does not tell either
  }
  return at;
}

// Linux: fs/binfmt_elf.c elf_map()
int64_t ElfMap(Bprm& bprm, const FileRef& file, uint64_t addr, const ElfPhdr& p, uint64_t prot, uint64_t type,
               uint64_t total_size) {
  const uint64_t size = PageAlign(p.filesz + PageOffset(p.vaddr));
  const uint64_t offset = p.offset - PageOffset(p.vaddr);
  addr = PageStart(addr);
  if (size == 0) return static_cast<int64_t>(addr);
  if (total_size == 0) return VmMmap(bprm, file, addr, size, prot, type, offset);
  // The whole image first, so that all of it fits; what is beyond this segment goes again.
  total_size = PageAlign(total_size);
  const int64_t at = VmMmap(bprm, file, addr, total_size, prot, type, offset);
  if (!BadAddr(bprm, at)) SysMunmap(*bprm.mm, static_cast<uint64_t>(at) + size, total_size - size);
  return at;
}

// Linux: fs/binfmt_elf.c elf_load()
int64_t ElfLoad(Bprm& bprm, const FileRef& file, uint64_t addr, const ElfPhdr& p, uint64_t prot,
                uint64_t type, uint64_t total_size) {
  int64_t map_addr;
  uint64_t zero_start, zero_end;
  if (p.filesz != 0) {
    map_addr = ElfMap(bprm, file, addr, p, prot, type, total_size);
    if (BadAddr(bprm, map_addr)) return map_addr;
    zero_start = static_cast<uint64_t>(map_addr) + PageOffset(p.vaddr) + p.filesz;
    zero_end = static_cast<uint64_t>(map_addr) + PageOffset(p.vaddr) + p.memsz;
    if (p.memsz > p.filesz && PageOffset(zero_start) != 0) {  // padzero()
      const uint64_t n = kPageSize - PageOffset(zero_start);
      if (ClearUser(bprm.kernel, bprm.task, VirtAddr(zero_start), n) != n && (prot & kProtWrite)) {
        return Err(Errno::kEFAULT);
      }
    }
  } else {
    zero_start = PageStart(addr);
    map_addr = static_cast<int64_t>(zero_start);
    zero_end = zero_start + PageOffset(p.vaddr) + p.memsz;
  }
  if (p.memsz > p.filesz) {
    zero_start = PageAlign(zero_start);
    zero_end = PageAlign(zero_end);
    Status status = VmBrkFlags(*bprm.mm, bprm.task.AsCurrent(), zero_start, zero_end - zero_start,
                               prot & kProtExec ? kVmExec : 0);
    if (!status.ok()) map_addr = status.AsReturn();
  }
  return map_addr;
}

// Linux: fs/binfmt_elf.c total_mapping_size()
uint64_t TotalMappingSize(const ElfImage& image) {
  uint64_t min = ~uint64_t{0}, max = 0;
  for (const ElfPhdr& p : image.phdrs) {
    if (p.type != kPtLoad) continue;
    min = std::min(min, PageStart(p.vaddr));
    max = std::max(max, p.vaddr + p.memsz);
  }
  return min == ~uint64_t{0} ? 0 : max - min;
}

// Linux: fs/binfmt_elf.c maximum_alignment()
uint64_t MaximumAlignment(const ElfImage& image) {
  uint64_t alignment = 0;
  for (const ElfPhdr& p : image.phdrs) {
    if (p.type == kPtLoad && std::has_single_bit(p.align)) alignment = std::max(alignment, p.align);
  }
  return PageAlign(alignment);
}

bool SegmentTooLarge(const Bprm& bprm, const ElfPhdr& p, uint64_t at) {
  const uint64_t task_size = bprm.mm->task_size;
  return at >= task_size || p.filesz > p.memsz || p.memsz > task_size || task_size - p.memsz < at;
}

// The interpreter's segments; its load address, or a negative errno. Linux: fs/binfmt_elf.c load_elf_interp()
int64_t LoadElfInterp(Bprm& bprm, const FileRef& file, const ElfImage& image, uint64_t no_base) {
  if (image.type != kEtExec && image.type != kEtDyn) return -1;  // ~0UL: -EPERM to the caller
  uint64_t total_size = TotalMappingSize(image);
  if (total_size == 0) return Err(Errno::kEINVAL);
  uint64_t load_addr = 0;
  bool load_addr_set = false;
  for (const ElfPhdr& p : image.phdrs) {
    if (p.type != kPtLoad) continue;
    uint64_t type = kMapPrivate;
    if (image.type == kEtExec || load_addr_set) {
      type |= kMapFixed;
    } else if (no_base != 0) {
      load_addr = -p.vaddr;
    }
    const int64_t at = ElfLoad(bprm, file, load_addr + p.vaddr, p, ProtOf(p.flags), type, total_size);
    total_size = 0;
    if (BadAddr(bprm, at)) return at;
    if (!load_addr_set && image.type == kEtDyn) {
      load_addr = static_cast<uint64_t>(at) - PageStart(p.vaddr);
      load_addr_set = true;
    }
    if (SegmentTooLarge(bprm, p, load_addr + p.vaddr)) return Err(Errno::kENOMEM);
  }
  return static_cast<int64_t>(load_addr);
}

// What load_elf_binary() keeps in its locals.
struct ElfLoadState {
  ElfImage image;
  FileRef interpreter;  // null: none
  ElfImage interp_image;
  ExecutableStack executable_stack = ExecutableStack::kDefault;
  uint64_t load_bias = 0, phdr_addr = 0, elf_brk = 0;
  uint64_t start_code = ~uint64_t{0}, end_code = 0, start_data = 0, end_data = 0;
};

// Where the first segment of a position-independent program goes; *flags gets what mmap is told.
Result<uint64_t> ChooseLoadBias(Bprm& bprm, const ElfLoadState& s, const ElfPhdr& first, uint64_t prot,
                                uint64_t total_size, uint64_t* flags) {
  const uint64_t alignment = MaximumAlignment(s.image);
  uint64_t bias = 0;
  if (s.interpreter != nullptr) {
    bias = abi::ElfEtDynBase(bprm.kernel.arch());
    if (alignment != 0) bias &= ~(alignment - 1);
    *flags |= kMapFixedNoreplace;
  } else if (alignment > kPageSize) {
    // A loader with a large alignment: map it once to see where, and again below that.
    const int64_t at = ElfLoad(bprm, bprm.file, 0, first, prot, *flags, total_size);
    if (BadAddr(bprm, at)) return ErrnoOf(at);
    bias = static_cast<uint64_t>(at);
    SysMunmap(*bprm.mm, bias, total_size);
    bias &= ~(alignment - 1);
    *flags |= kMapFixedNoreplace;
  }
  return PageStart(bias - first.vaddr);
}

Status LoadSegment(Bprm& bprm, ElfLoadState& s, const ElfPhdr& p, bool first) {
  const uint64_t prot = ProtOf(p.flags);
  uint64_t flags = kMapPrivate, total_size = 0;
  if (!first) {
    flags |= kMapFixed;
  } else if (s.image.type == kEtExec) {
    flags |= kMapFixedNoreplace;
  } else {
    total_size = TotalMappingSize(s.image);
    if (total_size == 0) return Errno::kEINVAL;
    Result<uint64_t> bias = ChooseLoadBias(bprm, s, p, prot, total_size, &flags);
    if (!bias.ok()) return bias.error();
    s.load_bias = *bias;
  }
  const int64_t at = ElfLoad(bprm, bprm.file, s.load_bias + p.vaddr, p, prot, flags, total_size);
  if (BadAddr(bprm, at)) return ErrnoOf(at);
  if (first && s.image.type == kEtDyn)
    s.load_bias += static_cast<uint64_t>(at) - PageStart(s.load_bias + p.vaddr);

  if (p.offset <= s.image.phoff && s.image.phoff < p.offset + p.filesz) {
    s.phdr_addr = s.image.phoff - p.offset + p.vaddr;
  }
  if ((p.flags & kPfX) && p.vaddr < s.start_code) s.start_code = p.vaddr;
  s.start_data = std::max(s.start_data, p.vaddr);
  if (SegmentTooLarge(bprm, p, p.vaddr)) return Errno::kEINVAL;
  if (p.flags & kPfX) s.end_code = std::max(s.end_code, p.vaddr + p.filesz);
  s.end_data = std::max(s.end_data, p.vaddr + p.filesz);
  s.elf_brk = std::max(s.elf_brk, p.vaddr + p.memsz);
  return {};
}

// The headers of program and interpreter, and their checks, before anything is destroyed.
Status ReadHeaders(Bprm& bprm, ElfLoadState& s) {
  const uint16_t machine = abi::ElfMachine(bprm.kernel.arch());
  const std::string& bytes = bprm.file->inode->backing;
  Result<ElfImage> image = ReadElf(bytes);
  if (!image.ok()) return image.error();
  s.image = std::move(*image);
  if (s.image.type != kEtExec && s.image.type != kEtDyn) return Errno::kENOEXEC;
  if (s.image.machine != machine) return Errno::kENOEXEC;
  Result<std::string> path = ElfInterpreter(s.image, bytes);
  if (!path.ok()) return path.error();
  for (const ElfPhdr& p : s.image.phdrs) {
    if (p.type != kPtGnuStack) continue;
    s.executable_stack = (p.flags & kPfX) ? ExecutableStack::kEnableX : ExecutableStack::kDisableX;
  }
  if (path->empty()) return {};
  Result<FileRef> file = OpenExec(bprm.kernel, bprm.task, *path);
  if (!file.ok()) return file.error();
  s.interpreter = *file;
  const std::string& interp_bytes = s.interpreter->inode->backing;
  constexpr uint64_t kEhdrBytes = 64;
  if (interp_bytes.size() < kEhdrBytes) return Errno::kEIO;
  Result<ElfImage> interp = ReadElf(interp_bytes);
  if (!interp.ok() || interp->machine != machine) return Errno::kELIBBAD;
  s.interp_image = std::move(*interp);
  return {};
}

// Linux: fs/binfmt_elf.c load_elf_binary(), from the segments to the end
Status MapProgram(Bprm& bprm, ElfLoadState& s) {
  bool first = true;
  for (const ElfPhdr& p : s.image.phdrs) {
    if (p.type != kPtLoad) continue;
    Status status = LoadSegment(bprm, s, p, first);
    if (!status.ok()) return status;
    first = false;
  }
  ElfTables tables;
  tables.entry = s.image.entry + s.load_bias;
  tables.phdr_addr = s.phdr_addr + s.load_bias;
  tables.phnum = s.image.phdrs.size();
  uint64_t start = tables.entry;
  if (s.interpreter != nullptr) {
    const int64_t at = LoadElfInterp(bprm, s.interpreter, s.interp_image, s.load_bias);
    if (IsError(at)) return static_cast<Errno>(-at);
    tables.interp_load_addr = static_cast<uint64_t>(at);
    start = tables.interp_load_addr + s.interp_image.entry;
  }
  if (BadAddr(bprm, static_cast<int64_t>(start))) return Errno::kEINVAL;
  Status status = SetupAdditionalPages(bprm.task);
  if (!status.ok()) return status;
  status = CreateElfTables(bprm, tables);
  if (!status.ok()) return status;
  bprm.task.entry = start;
  bprm.task.stack_pointer = bprm.p;

  Mm& mm = *bprm.mm;
  mm.start_code = VirtAddr(s.start_code + s.load_bias);
  mm.end_code = VirtAddr(s.end_code + s.load_bias);
  mm.start_data = VirtAddr(s.start_data + s.load_bias);
  mm.end_data = VirtAddr(s.end_data + s.load_bias);
  mm.start_stack = VirtAddr(bprm.p);
  uint64_t brk = s.elf_brk + s.load_bias;
  // A loader run by itself lies among the mappings: its heap goes where programs go.
  if (s.image.type == kEtDyn && s.interpreter == nullptr) brk = abi::ElfEtDynBase(bprm.kernel.arch());
  mm.start_brk = mm.brk = VirtAddr(PageAlign(brk));
  return {};
}

}  // namespace

Status LoadElfBinary(Bprm& bprm) {
  ElfLoadState s;
  Status status = ReadHeaders(bprm, s);
  if (status.ok()) status = BeginNewExec(bprm);
  if (status.ok()) {
    bprm.task.personality &= ~kReadImpliesExec;  // SET_PERSONALITY2 of a 64-bit program
    SetupNewExec(bprm);
    status = SetupArgPages(bprm, abi::StackTop(bprm.kernel.arch()), s.executable_stack);
  }
  if (status.ok()) status = MapProgram(bprm, s);
  if (s.interpreter != nullptr) AllowWriteAccess(*s.interpreter->inode);
  if (!status.ok() || !(bprm.task.personality & kMmapPageZero)) return status;
  if (!IsError(VmMmap(bprm, nullptr, 0, kPageSize, kProtRead | kProtExec, kMapFixed | kMapPrivate, 0))) {
    SysMseal(*bprm.mm, 0, kPageSize, 0);
  }
  return {};
}

}  // namespace mmsim
