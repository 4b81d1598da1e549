// SPDX-License-Identifier: Apache-2.0
// An execve under way. Linux: include/linux/binfmts.h struct linux_binprm
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sim/kernel/elf_image.h"
#include "sim/kernel/kernel.h"

namespace mmsim {

enum class ExecutableStack : uint8_t { kDefault, kDisableX, kEnableX };

struct Bprm {
  Kernel& kernel;
  Task& task;
  Mm* mm = nullptr;    // the new address space; the task's own once begin_new_exec() has run
  Vma* vma = nullptr;  // the new stack
  FileRef file;        // the program, its inode closed to writers
  FileRef next_file;   // a script's interpreter: exec goes on with it
  std::string filename, interp;
  std::string arg_zero;  // argv[0] as it lies at `p`
  uint64_t p = 0;        // the lowest address of the stack in use
  uint64_t argmin = 0;   // p may not get below
  uint64_t exec = 0;     // where the file name lies
  int argc = 0, envc = 0;
  RlimitPair rlim_stack;
  bool point_of_no_return = false;

  explicit Bprm(Kernel& k, Task& t) : kernel(k), task(t) {}
};

// An open program, closed to writers; ENOENT, EACCES, ETXTBSY. Linux: fs/exec.c do_open_execat()
Result<FileRef> OpenExec(Kernel& kernel, const Task& task, std::string_view path);
Result<FileRef> OpenExecInode(Kernel& kernel, const InodeRef& inode, std::string_view path);
// Linux: fs/exec.c copy_string_kernel()
Status CopyStringKernel(Bprm& bprm, std::string_view text);
// ENOEXEC when the file is none of its kind. Linux: fs/binfmt_script.c, fs/binfmt_elf.c
Status LoadScript(Bprm& bprm);
Status LoadElfBinary(Bprm& bprm);
// Linux: fs/exec.c begin_new_exec(), setup_new_exec(), setup_arg_pages()
Status BeginNewExec(Bprm& bprm);
void SetupNewExec(Bprm& bprm);
Status SetupArgPages(Bprm& bprm, uint64_t stack_top, ExecutableStack executable_stack);
// What the program finds on its stack beside the strings. Linux: fs/binfmt_elf.c create_elf_tables()
struct ElfTables {
  uint64_t interp_load_addr = 0, entry = 0, phdr_addr = 0, phnum = 0;
};
Status CreateElfTables(Bprm& bprm, const ElfTables& tables);

}  // namespace mmsim
