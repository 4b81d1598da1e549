// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/shapes.h"

#include <vector>

namespace mmsim::scenario {
namespace {

std::vector<CallShape> MakeShapes() {
  std::vector<CallShape> shapes(static_cast<size_t>(Sys::kCount) + 1);
  const auto shape = [&](Sys sys, int arg, Shape s) { shapes[static_cast<size_t>(sys)].args[arg] = s; };
  for (const Sys sys : {Sys::k_read, Sys::k_pread64, Sys::k_readlink, Sys::k_recvfrom})
    shape(sys, 1, Shape::kOutBytes);
  shape(Sys::k_readlinkat, 2, Shape::kOutBytes);
  shape(Sys::k_getrandom, 0, Shape::kOutBytes);
  shape(Sys::k_getcwd, 0, Shape::kOutBytes);
  shape(Sys::k_setrlimit, 1, Shape::kRlimitIn);
  shape(Sys::k_getrlimit, 1, Shape::kRlimitOut);
  shape(Sys::k_prlimit64, 2, Shape::kRlimitIn);
  shape(Sys::k_prlimit64, 3, Shape::kRlimitOut);
  shape(Sys::k_clone3, 0, Shape::kCloneArgs);
  shape(Sys::k_openat2, 2, Shape::kOpenHow);
  shape(Sys::k_execve, 1, Shape::kStrings);
  shape(Sys::k_execve, 2, Shape::kEnvironment);
  shape(Sys::k_execveat, 2, Shape::kStrings);
  shape(Sys::k_execveat, 3, Shape::kEnvironment);
  for (const Sys sys : {Sys::k_process_vm_readv, Sys::k_process_vm_writev}) {
    shape(sys, 1, Shape::kIovecs);
    shape(sys, 3, Shape::kIovecs);
  }
  shape(Sys::k_process_madvise, 1, Shape::kIovecs);
  shape(Sys::k_pipe, 0, Shape::kOutInts);
  shape(Sys::k_pipe2, 0, Shape::kOutInts);
  shape(Sys::k_socketpair, 3, Shape::kOutInts);
  shape(Sys::k_mincore, 2, Shape::kOutChars);
  shape(Sys::k_shadowpt_open, 1, Shape::kShadowTable);

  const auto maps = [&](Sys sys, int min, int max) {
    CallShape& s = shapes[static_cast<size_t>(sys)];
    s.maps_memory = true;
    s.min_args = static_cast<int8_t>(min);
    s.max_args = static_cast<int8_t>(max);
  };
  maps(Sys::k_mmap, 6, 6);
  maps(Sys::k_munmap, 2, 2);
  maps(Sys::k_mprotect, 3, 3);
  maps(Sys::k_pkey_mprotect, 4, 4);
  maps(Sys::k_mremap, 3, 5);
  maps(Sys::k_brk, 1, 1);
  maps(Sys::k_madvise, 3, 3);
  maps(Sys::k_mlock, 2, 2);
  maps(Sys::k_mlock2, 3, 3);
  maps(Sys::k_munlock, 2, 2);
  maps(Sys::k_mlockall, 1, 1);
  maps(Sys::k_munlockall, 0, 0);
  maps(Sys::k_msync, 3, 3);
  maps(Sys::k_mincore, 3, 3);
  maps(Sys::k_remap_file_pages, 5, 5);
  maps(Sys::k_shmat, 3, 3);
  maps(Sys::k_shmdt, 1, 1);
  maps(Sys::k_mseal, 3, 6);
  maps(Sys::k_shadowpt_open, 2, 2);
  maps(Sys::k_shadowpt_close, 0, 0);
  maps(Sys::k_shadowpt_start, 0, 0);
  maps(Sys::k_shadowpt_stop, 0, 0);
  maps(Sys::k_shadowpt_page_contents, 2, 2);
  return shapes;
}

}  // namespace

const CallShape& ShapeOf(Sys sys) {
  static const auto* const kShapes = new std::vector<CallShape>(MakeShapes());
  return (*kShapes)[static_cast<size_t>(sys)];
}

// clone(flags, stack, parent_tid, child_tid, tls) on x86-64; CLONE_BACKWARDS, so on arm64, swaps the last
// two. Linux: kernel/fork.c
int CloneArgPosition(std::string_view name, Arch arch) {
  const bool backwards = arch == Arch::kArm64;
  if (name == "flags") return 0;
  if (name == "child_stack") return 1;
  if (name == "parent_tid" || name == "parent_tidptr" || name == "pidfd") return 2;
  if (name == "child_tid" || name == "child_tidptr") return backwards ? 4 : 3;
  if (name == "tls") return backwards ? 3 : 4;
  return -1;
}

}  // namespace mmsim::scenario
