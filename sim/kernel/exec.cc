// SPDX-License-Identifier: Apache-2.0
// execve as far as it knows no file format: opening, the new address space with its temporary stack, argument
// strings, the point of no return, scripts. Linux: fs/exec.c, fs/binfmt_script.c Not modelled: set-user-id
// programs, other binary formats (binfmt_misc, 32-bit programs), limits of processes.
#include "sim/kernel/exec.h"

#include <algorithm>
#include <utility>

#include "sim/kernel/arch/abi.h"
#include "sim/kernel/bprm.h"
#include "sim/kernel/call.h"
#include "sim/kernel/exit.h"
#include "sim/kernel/mm_ref.h"
#include "sim/kernel/path.h"
#include "sim/kernel/uapi.h"
#include "sim/mm/arch/default_flags.h"
#include "sim/mm/gup.h"
#include "sim/mm/page_table.h"
#include "sim/mm/verbs.h"

namespace mmsim {
namespace {

constexpr uint64_t kStkLim = uint64_t{8} << 20;     // _STK_LIM
constexpr uint64_t kArgMax = 131072;                // ARG_MAX
constexpr uint64_t kMaxArgStrlen = 32 * kPageSize;  // MAX_ARG_STRLEN
constexpr int kMaxInterpreterDepth = 5;

// Linux: fs/exec.c __bprm_mm_init(): the stack begins at the top of the address space.
Status BprmMmInit(Bprm& bprm) {
  const Arch arch = bprm.kernel.arch();
  Mm* mm = Mm::Alloc(bprm.kernel.system());
  if (mm == nullptr) return Errno::kENOMEM;
  bprm.mm = mm;
  bprm.rlim_stack = bprm.task.signal->rlimits[Rlimit::kStack];
  mm->task_size = abi::TaskSize(arch);
  if (bprm.task.mm != nullptr) InheritMmFlags(*mm, *bprm.task.mm);
  Vma* vma = VmAreaAlloc(*mm);
  if (vma == nullptr) return Errno::kENOMEM;
  VmaEdit edit(*mm);
  const VirtAddr end(abi::StackTop(arch));
  edit.SetRange(*vma, end - kPageSize, end, 0);
  edit.SetFlags(*vma, bprm.kernel.system().SoftDirtyFlag() | VmStackFlags(arch, bprm.task.personality) |
                          kVmStackIncompleteSetup);
  edit.SetPageProt(*vma);
  const Current current = bprm.task.AsCurrent();
  Status status = InsertVmStruct(*mm, current, vma);
  if (!status.ok()) {
    VmAreaFree(vma);
    return status;
  }
  mm->stack_vm = mm->total_vm = 1;
  bprm.vma = vma;
  bprm.p = vma->end.value - sizeof(uint64_t);
  return {};
}

// Linux: fs/exec.c bprm_stack_limits()
Status BprmStackLimits(Bprm& bprm) {
  uint64_t limit = std::min(kStkLim / 4 * 3, bprm.rlim_stack.cur / 4);
  limit = std::max(limit, kArgMax);
  const uint64_t pointers = static_cast<uint64_t>(std::max(bprm.argc, 1) + bprm.envc) * sizeof(uint64_t);
  if (limit <= pointers) return Errno::kE2BIG;
  limit -= pointers;
  if (bprm.p < limit) return Errno::kE2BIG;
  bprm.argmin = bprm.p - limit;
  return {};
}

// The page of the new stack at `pos` is there and may be written. Linux: fs/exec.c get_arg_page()
bool WriteArgPage(Bprm& bprm, uint64_t pos, std::string_view bytes) {
  if (pos < bprm.vma->start.value &&
      !ExpandDownwards(*bprm.vma, bprm.task.AsCurrent(), VirtAddr(pos).PageFloor()).ok()) {
    return false;
  }
  std::string copy(bytes);
  return AccessRemoteVm(*bprm.mm, VirtAddr(pos), copy.data(), copy.size(), true, false) == copy.size();
}

// Linux: fs/exec.c begin_new_exec(): the others of the group are gone, and files are no longer shared.
void LeaveTheOldProgram(Bprm& bprm) {
  Task& task = bprm.task;
  if (task.mm != nullptr) DeThread(bprm.kernel, task);
  if (task.files.use_count() > 1) task.files = std::make_shared<FilesTable>(*task.files);
  task.files->CloseOnExec();
}

// Linux: fs/exec.c exec_binprm(), search_binary_handler()
Status ExecBinprm(Bprm& bprm) {
  for (int depth = 0;; ++depth) {
    if (depth > kMaxInterpreterDepth) return Errno::kELOOP;
    Status status = LoadScript(bprm);
    if (!status.ok() && status.error() == Errno::kENOEXEC) status = LoadElfBinary(bprm);
    if (!status.ok()) return status;
    if (bprm.next_file == nullptr) return {};
    AllowWriteAccess(*bprm.file->inode);
    bprm.file = std::exchange(bprm.next_file, nullptr);
  }
}

Status CopyStrings(Bprm& bprm, const std::vector<std::string>& strings) {
  for (auto it = strings.rbegin(); it != strings.rend(); ++it) {
    Status status = CopyStringKernel(bprm, *it);
    if (!status.ok()) return status;
  }
  return {};
}

// Linux: fs/exec.c do_execveat_common(), after the file was opened
Status ExecOpened(Bprm& bprm, const ExecArgs& args) {
  Status status = BprmMmInit(bprm);
  if (!status.ok()) return status;
  bprm.argc = static_cast<int>(args.argv.size());
  bprm.envc = static_cast<int>(args.envp.size());
  status = BprmStackLimits(bprm);
  if (!status.ok()) return status;
  status = CopyStringKernel(bprm, bprm.filename);
  if (!status.ok()) return status;
  bprm.exec = bprm.p;
  status = CopyStrings(bprm, args.envp);
  if (!status.ok()) return status;
  status = CopyStrings(bprm, args.argv);
  if (!status.ok()) return status;
  bprm.arg_zero = args.argv.empty() ? "" : args.argv.front();
  if (bprm.argc == 0) {
    status = CopyStringKernel(bprm, "");
    if (!status.ok()) return status;
    bprm.argc = 1;
  }
  return ExecBinprm(bprm);
}

}  // namespace

Result<FileRef> OpenExecInode(Kernel& kernel, const InodeRef& inode, std::string_view path) {
  if (inode->kind == InodeKind::kOther || inode->kind == InodeKind::kDevZero) return Errno::kEACCES;
  if (inode->noexec || !kernel.vfs().IsExecutable(*inode)) return Errno::kEACCES;
  Status status = DenyWriteAccess(*inode);
  if (!status.ok()) return status.error();
  return kernel.vfs().Open(inode, path, kORdonly);
}

Result<FileRef> OpenExec(Kernel& kernel, const Task& task, std::string_view path) {
  const std::string absolute = AbsolutePath(*task.cwd, path);
  InodeRef inode = kernel.vfs().Lookup(absolute);
  if (inode == nullptr) return Errno::kENOENT;
  return OpenExecInode(kernel, inode, kernel.vfs().ShownPath(absolute));
}

Status CopyStringKernel(Bprm& bprm, std::string_view text) {
  std::string bytes(text);
  bytes.push_back('\0');
  if (bytes.size() > kMaxArgStrlen) return Errno::kE2BIG;
  uint64_t pos = bprm.p;
  bprm.p -= bytes.size();
  if (bprm.p < bprm.argmin) return Errno::kE2BIG;
  // Backwards, a page at a time, so that the stack grows as the kernel lets it.
  while (!bytes.empty()) {
    const uint64_t in_page = pos % kPageSize == 0 ? kPageSize : pos % kPageSize;
    const uint64_t n = std::min<uint64_t>(in_page, bytes.size());
    pos -= n;
    if (!WriteArgPage(bprm, pos, std::string_view(bytes).substr(bytes.size() - n))) return Errno::kE2BIG;
    bytes.resize(bytes.size() - n);
  }
  return {};
}

Status LoadScript(Bprm& bprm) {
  constexpr size_t kBufSize = 256;  // BINPRM_BUF_SIZE
  std::string buf = bprm.file->inode->backing.substr(0, kBufSize);
  if (!buf.starts_with("#!")) return Errno::kENOEXEC;
  buf.resize(kBufSize, '\0');
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  const auto is_end = [&](char c) { return is_blank(c) || c == '\0'; };
  size_t end = buf.find('\n');
  if (end == std::string::npos || std::string_view(buf).substr(0, end).find('\0') != std::string::npos) {
    end = kBufSize - 1;
    size_t name = buf.find_first_not_of(" \t", 2);
    if (name >= end) return Errno::kENOEXEC;
    if (std::find_if(buf.begin() + static_cast<ptrdiff_t>(name),
                     buf.begin() + static_cast<ptrdiff_t>(end) + 1,
                     is_end) == buf.begin() + static_cast<ptrdiff_t>(end) + 1) {
      return Errno::kENOEXEC;  // the path may be cut
    }
  }
  std::string line = buf.substr(2, end - 2);
  if (size_t nul = line.find('\0'); nul != std::string::npos) line.resize(nul);
  while (!line.empty() && is_blank(line.back())) line.pop_back();
  line.erase(0, std::min(line.find_first_not_of(" \t"), line.size()));
  if (line.empty()) return Errno::kENOEXEC;
  const size_t sep = std::min(line.find_first_of(" \t"), line.size());
  const std::string name = line.substr(0, sep);
  std::string argument = line.substr(sep);
  argument.erase(0, std::min(argument.find_first_not_of(" \t"), argument.size()));

  bprm.p += bprm.arg_zero.size() + 1;  // remove_arg_zero()
  Status status = CopyStringKernel(bprm, bprm.interp);
  if (!status.ok()) return status;
  if (!argument.empty()) {
    status = CopyStringKernel(bprm, argument);
    if (!status.ok()) return status;
    ++bprm.argc;
  }
  status = CopyStringKernel(bprm, name);
  if (!status.ok()) return status;
  ++bprm.argc;
  bprm.arg_zero = bprm.interp = name;
  Result<FileRef> file = OpenExec(bprm.kernel, bprm.task, name);
  if (!file.ok()) return file.error();
  bprm.next_file = *file;
  return {};
}

Status BeginNewExec(Bprm& bprm) {
  Task& task = bprm.task;
  bprm.point_of_no_return = true;
  LeaveTheOldProgram(bprm);
  Status status = SetMmExeFile(*bprm.mm, bprm.file);
  if (!status.ok()) return status;
  if (task.mm != nullptr) ReleaseVforkAndTid(bprm.kernel, task);
  SwitchMm(task, bprm.mm);
  task.comm = std::string(BaseName(bprm.filename)).substr(0, 15);
  task.pkru = Task().pkru;
  ++task.exec_count;
  return {};
}

// Linux: fs/exec.c setup_new_exec()
void SetupNewExec(Bprm& bprm) {
  Rlimits limits = bprm.task.signal->rlimits;
  limits[Rlimit::kStack] = bprm.rlim_stack;
  Current current = bprm.task.AsCurrent();
  current.rlimits = &limits;
  PickMmapLayout(*bprm.mm, current);
  bprm.mm->task_size = abi::TaskSize(bprm.kernel.arch());
}

Status SetupArgPages(Bprm& bprm, uint64_t stack_top, ExecutableStack executable_stack) {
  Mm& mm = *bprm.mm;
  Vma& vma = *bprm.vma;
  const Arch arch = bprm.kernel.arch();
  MMSIM_CHECK(stack_top == vma.end.value);  // no program here has a lower stack: nothing to shift
  const uint64_t min_addr = bprm.kernel.sysctls().mmap_min_addr;
  if (stack_top < min_addr || vma.end - vma.start >= stack_top - min_addr) return Errno::kENOMEM;
  mm.arg_start = VirtAddr(bprm.p);

  VmFlags flags = VmStackFlags(arch, bprm.task.personality);
  if (executable_stack == ExecutableStack::kEnableX) flags |= kVmExec;
  if (executable_stack == ExecutableStack::kDisableX) flags &= ~kVmExec;
  flags |= mm.def_flags;
  // mprotect_fixup() of the only VMA: no neighbour, and no counter moves. VM_SOFTDIRTY is lost here.
  const VmFlags old_flags = vma.flags;
  VmaEdit edit(mm);
  if (old_flags != (flags | kVmStackIncompleteSetup)) {
    edit.SetFlags(vma, flags | kVmStackIncompleteSetup);
    edit.SetPageProt(vma);
    ChangeProtection(vma, vma.Range(), old_flags);
  }
  edit.ClearFlags(vma, kVmStackIncompleteSetup);

  constexpr uint64_t kStackExpand = 131072;
  const uint64_t stack_size = vma.end - vma.start;
  const uint64_t rlim_stack = bprm.rlim_stack.cur & kPageMask;
  const uint64_t expand = std::min(rlim_stack, stack_size + kStackExpand);
  mm.start_stack = VirtAddr(bprm.p);
  const VirtAddr base = vma.end - expand;
  if (base < vma.start && !ExpandDownwards(vma, bprm.task.AsCurrent(), base).ok()) return Errno::kEFAULT;
  return {};
}

ExecOutcome Execve(Kernel& kernel, Task& task, const ExecArgs& args) {
  Bprm bprm(kernel, task);
  Result<FileRef> file = args.file != nullptr ? OpenExecInode(kernel, args.file->inode, args.file->path)
                                              : OpenExec(kernel, task, args.path);
  if (!file.ok()) return {file.error(), false};
  bprm.file = *file;
  bprm.filename = bprm.interp = args.path;
  const Status status = ExecOpened(bprm, args);
  if (!bprm.point_of_no_return && bprm.mm != nullptr) MmPut(bprm.mm);
  if (status.ok()) task.signal->rlimits[Rlimit::kStack] = bprm.rlim_stack;  // finalize_exec()
  AllowWriteAccess(*bprm.file->inode);  // the running program holds it by mm->exe_file
  return {status, bprm.point_of_no_return};
}

Status ExecveSpawned(Kernel& kernel, Task& task, const ExecArgs& args) {
  return Execve(kernel, task, args).status;
}

namespace {

int64_t ExecveCall(Call& call, ExecArgs args, int argv_index) {
  if (call.kernel.options().open_world) {
    InodeRef inode = args.file != nullptr ? args.file->inode
                                          : call.kernel.vfs().Lookup(AbsolutePath(*call.task.cwd, args.path));
    if (inode == nullptr || inode->backing.empty()) return call.NotModelled();
  }
  // The file is opened before the arguments are looked at.
  Result<FileRef> opened = args.file != nullptr
                               ? OpenExecInode(call.kernel, args.file->inode, args.file->path)
                               : OpenExec(call.kernel, call.task, args.path);
  if (!opened.ok()) return Call::Err(opened.error());
  AllowWriteAccess(*(*opened)->inode);
  Result<std::vector<std::string>> argv = call.CopyStrings(argv_index);
  if (!argv.ok()) return Call::Err(argv.error());
  Result<std::vector<std::string>> envp = call.CopyStrings(argv_index + 1);
  if (!envp.ok()) return Call::Err(envp.error());
  args.argv = std::move(*argv);
  args.envp = std::move(*envp);
  const ExecOutcome outcome = Execve(call.kernel, call.task, args);
  if (outcome.status.ok()) return 0;
  if (!outcome.point_of_no_return) return outcome.status.AsReturn();
  call.kernel.Kill(call.task, kSigSegv);
  return call.NoReturn();
}

}  // namespace

int64_t Do_execve(Call& call) {
  Result<std::string> path = call.CopyString(0, kPathMax);
  if (!path.ok()) return Call::Err(path.error());
  if (path->empty()) return Call::Err(Errno::kENOENT);
  ExecArgs args;
  args.path = *path;
  return ExecveCall(call, std::move(args), 1);
}

// Linux: fs/exec.c do_open_execat(), alloc_bprm()
int64_t Do_execveat(Call& call) {
  const uint32_t flags = call.Uint(4);
  Result<std::string> path = call.CopyString(1, kPathMax);
  if (!path.ok()) return Call::Err(path.error());
  if (path->empty() && !(flags & kAtEmptyPath)) return Call::Err(Errno::kENOENT);
  if (flags & ~static_cast<uint32_t>(kAtSymlinkNofollow | kAtEmptyPath)) return Call::Err(Errno::kEINVAL);
  ExecArgs args;
  args.path = *path;
  if (call.Int(0) != kAtFdcwd && !path->starts_with('/')) {
    FileRef dir = call.File(0);
    if (dir == nullptr) return Call::Err(Errno::kEBADF);
    const std::string fd_path = "/dev/fd/" + std::to_string(call.Int(0));
    if (path->empty()) {
      args.file = dir;
      args.path = fd_path;
    } else {
      InodeRef inode = call.kernel.vfs().Lookup(AbsolutePath(dir->path, *path));
      if (inode == nullptr) return Call::Err(Errno::kENOENT);
      args.file = call.kernel.vfs().Open(inode, AbsolutePath(dir->path, *path), kORdonly);
      args.path = fd_path + "/" + *path;
    }
  }
  return ExecveCall(call, std::move(args), 2);
}

}  // namespace mmsim
