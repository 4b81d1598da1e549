// SPDX-License-Identifier: Apache-2.0
// An address space from a listing of /proc/PID/maps: what a recording says an exec came to, when the
// program's file is not at hand. What the listing does not tell is inferred as exec would have left it: the
// flags behind the permissions, where brk begins, which pages exec itself wrote (the top of the stack, the
// last page of each data segment that .bss follows).
#include <algorithm>
#include <map>
#include <utility>

#include "sim/kernel/arch/abi.h"
#include "sim/kernel/arch/vdso.h"
#include "sim/kernel/exit.h"
#include "sim/kernel/kernel.h"
#include "sim/kernel/mm_ref.h"
#include "sim/kernel/path.h"
#include "sim/kernel/procfs.h"
#include "sim/kernel/uaccess.h"
#include "sim/kernel/uapi.h"
#include "sim/mm/arch/default_flags.h"
#include "sim/mm/verbs.h"
#include "sim/mm/vma_ops.h"

namespace mmsim {
namespace {

constexpr VmFlags kMayAll = kVmMayRead | kVmMayWrite | kVmMayExec;

VmFlags AccessFlags(const MapsLine& line) {
  VmFlags flags = 0;
  if (line.perms[0] == 'r') flags |= kVmRead;
  if (line.perms[1] == 'w') flags |= kVmWrite;
  if (line.perms[2] == 'x') flags |= kVmExec;
  return flags;
}

// The flags of a VMA that mmap, brk or exec made and that prints as this line.
VmFlags FlagsOf(Arch arch, const MapsLine& line) {
  const VmFlags access = AccessFlags(line);
  if (const SpecialMapping* special = SpecialMappingByName(line.name); special != nullptr) {
    return SpecialMappingFlags(arch, *special) | kVmDontExpand;
  }
  VmFlags flags = access | kMayAll;
  if (line.name == "[stack]") return VmStackFlags(arch, 0) | access;
  if (line.perms[3] == 's') {
    // Of a file that is open for reading alone, the kernel keeps the sharing from sight and forbids writing
    // for ever.
    return (access & kVmWrite) || line.inode == 0 ? flags | kVmShared | kVmMayShare
                                                  : (flags | kVmMayShare) & ~kVmMayWrite;
  }
  if (access & kVmWrite) flags |= kVmAccount;
  // exec makes .bss as brk makes the heap. Linux: fs/binfmt_elf.c elf_load(), mm/mmap.c vm_brk_flags()
  const bool by_brk = line.name == "[heap]" || (line.inode == 0 && line.name.empty());
  if (by_brk && arch == Arch::kArm64) flags |= kVmMteAllowed;
  return flags;
}

// Puts the lines of a listing into an empty address space.
class MapsInstaller {
 public:
  MapsInstaller(Kernel& kernel, Task& task) : kernel_(kernel), task_(task), mm_(*task.mm) {}

  Status Install(const std::vector<MapsLine>& lines) {
    for (const MapsLine& line : lines) {
      if (line.start == abi::VsyscallPage(kernel_.arch()) && line.start != 0) continue;
      Status status = InstallLine(line);
      if (!status.ok()) return status;
    }
    SetLayout(lines);
    TouchWhatExecWrote(lines);
    return {};
  }

 private:
  Status InstallLine(const MapsLine& line) {
    Vma* vma = VmAreaAlloc(mm_);
    if (vma == nullptr) return Errno::kENOMEM;
    VmaEdit edit(mm_);
    const bool file = line.inode != 0 || line.name.starts_with('/');
    edit.SetRange(*vma, VirtAddr(line.start), VirtAddr(line.end),
                  file ? line.offset_bytes >> kPageShift : line.start >> kPageShift);
    VmFlags flags = FlagsOf(kernel_.arch(), line);
    if (line.name != "[stack]") flags |= kernel_.system().SoftDirtyFlag();
    edit.SetFlags(*vma, flags);
    vma->special = SpecialMappingByName(line.name);
    if (vma->special != nullptr) {
      edit.SetRange(*vma, vma->start, vma->end, 0);
      edit.SetFile(*vma, nullptr, VmOps::kSpecial);
    } else if (file) {
      FileRef opened = OpenOnce(line, (flags & kVmMayWrite) != 0 && line.perms[3] == 's');
      const VmOps ops = opened->inode->kind == InodeKind::kShmem     ? VmOps::kShmem
                        : opened->inode->kind == InodeKind::kDevZero ? VmOps::kNone
                                                                     : VmOps::kFile;
      edit.SetFile(*vma, opened, ops);
    }
    edit.SetPageProt(*vma);
    Status status = InsertVmStruct(mm_, task_.AsCurrent(), vma);
    if (!status.ok()) {
      VmAreaFree(vma);
      return status;
    }
    VmStatAccount(mm_, flags, static_cast<int64_t>(vma->NrPages()));
    return {};
  }

  // One open file a path: the segments of a program are mapped through the same one.
  FileRef OpenOnce(const MapsLine& line, bool writable) {
    FileRef& file = files_[line.name];
    if (file == nullptr) {
      file = kernel_.vfs().OpenSeen(line.name, writable ? kORdwr : kORdonly);
      Inode& inode = *file->inode;
      inode.dev_major = line.dev_major;
      inode.dev_minor = line.dev_minor;
      inode.id = line.inode;
    }
    return file;
  }

  void SetLayout(const std::vector<MapsLine>& lines) {
    uint64_t program_end = 0;  // of the first file's segments and the .bss that follows
    for (const MapsLine& line : lines) {
      if (line.name == "[stack]") mm_.start_stack = VirtAddr(line.end - sizeof(uint64_t));
      if (line.name == "[vdso]") mm_.vdso_base = line.start;
      if (line.name == "[heap]") {
        mm_.start_brk = VirtAddr(line.start);
        mm_.brk = VirtAddr(line.end);
      }
      const bool of_program = !lines.front().name.empty() && line.name == lines.front().name;
      if (of_program || (line.name.empty() && line.start == program_end)) program_end = line.end;
    }
    if (mm_.brk.value == 0) mm_.start_brk = mm_.brk = VirtAddr(program_end);
    if (lines.empty()) return;
    mm_.start_code = mm_.start_data = VirtAddr(lines.front().start);
    mm_.end_code = mm_.end_data = mm_.start_code;
  }

  void TouchWhatExecWrote(const std::vector<MapsLine>& lines) {
    for (size_t i = 0; i < lines.size(); ++i) {
      const MapsLine& line = lines[i];
      const bool data = line.inode != 0 && line.perms[1] == 'w' && line.perms[3] == 'p';
      if (data || line.name == "[stack]") {
        TouchUser(kernel_, task_, VirtAddr(line.end - sizeof(uint64_t)), sizeof(uint64_t), true);
      }
    }
  }

  Kernel& kernel_;
  Task& task_;
  Mm& mm_;
  std::map<std::string, FileRef> files_;
};

// EINVAL: a line that is none.
Status ParseMaps(std::string_view text, std::vector<MapsLine>* lines) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    MapsLine line;
    if (end != 0) {
      if (!ParseMapsLine(text.substr(0, end), &line)) return Errno::kEINVAL;
      lines->push_back(line);
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return {};
}

}  // namespace

Status Kernel::InstallMaps(Task& task, std::string_view maps) {
  std::vector<MapsLine> lines;
  Status status = ParseMaps(maps, &lines);
  if (!status.ok()) return status;
  Mm* mm = Mm::Alloc(*system_);
  if (mm == nullptr) return Errno::kENOMEM;
  mm->task_size = abi::TaskSize(arch());
  if (task.mm != nullptr) ReleaseVforkAndTid(*this, task);
  SwitchMm(task, mm);
  task.personality &= ~kReadImpliesExec;
  PickMmapLayout(*mm, task.AsCurrent());
  return MapsInstaller(*this, task).Install(lines);
}

Status Kernel::ExecGivenMaps(Task& task, std::string_view path, std::string_view maps) {
  if (task.mm != nullptr) DeThread(*this, task);
  if (task.files.use_count() > 1) task.files = std::make_shared<FilesTable>(*task.files);
  task.files->CloseOnExec();
  task.comm = std::string(BaseName(path)).substr(0, 15);
  task.pkru = Task().pkru;
  ++task.exec_count;
  return InstallMaps(task, maps);
}

}  // namespace mmsim
