// SPDX-License-Identifier: Apache-2.0
// Random programs for the shadow page table: a target, its threads and its children do to their memory
// whatever the model knows, and end; an inspector watches, starts, stops, opens again, mistreats its entries,
// executes another program, ends. The same seed gives the same lines, and the lines are a scenario file.
#pragma once

#include <string>
#include <vector>

#include "fmt/format.h"
#include "sim/base/random.h"

namespace mmsim::scenario {

class ShadowGenerator {
 public:
  explicit ShadowGenerator(uint64_t seed) : random_(seed) {}

  // The lines that everything else stands on.
  std::vector<std::string> Setup() {
    return {"set swap_pages 4096", "pid 100 privileged", NewTarget(101), Inspector(Open()),
            Inspector("shadowpt_start() = ?")};
  }
  std::string Step() {
    switch (Below(44)) {
      case 0:
        return Fork();
      case 1:
        return End();
      case 2:
        return Inspector(Below(3) != 0 ? "shadowpt_start() = ?" : "shadowpt_stop() = ?");
      case 3:
        return Below(4) == 0 ? Inspector("shadowpt_close() = ?") : OpenAndMaybeStart();
      case 4:
        return Below(3) == 0 ? Mistreat() : Inspector("shadowpt_start() = ?");
      case 5:
        return Below(8) == 0 ? Exec() : File();
      case 6:
        return Inject();
      case 7:
        return Huge();
      case 8:
        return Thread();
      case 9:
        return Vfork();
      case 10:
        return Below(4) == 0 ? TargetEnds() : By(Brk());
      case 11:
        return Below(4) == 0 ? InspectorEnds() : Vdso();
      default:
        return By(Call());
    }
  }

 private:
  // A huge page's worth and what lies around it; at the end a place for stacks, which keep their protection:
  // the kernel charges the growth of one without VM_ACCOUNT and never gives it back (acct_stack_growth()).
  static constexpr uint64_t kBase = 0x10000000, kPages = 640, kStack = 600;

  uint64_t Below(uint64_t n) { return random_.Below(n); }
  uint64_t Page() {  // mostly where others are too
    return kBase + (Below(3) != 0 ? 0x1f8 + Below(24) : Below(kStack)) * 0x1000;
  }
  uint64_t Len() { return (Below(8) == 0 ? 1 + Below(0x210) : 1 + Below(6)) * 0x1000; }
  std::string Pick(std::initializer_list<const char*> words) {
    return *(words.begin() + Below(words.size()));
  }
  // The target, one of its threads, or one of its relatives.
  std::string By(const std::string& event) {
    const std::vector<int>& others = Below(2) == 0 ? threads_ : relatives_;
    const int pid = others.empty() || Below(2) == 0 ? target_ : others[Below(others.size())];
    return fmt::format("{} {}", pid, event);
  }
  std::string Target(const std::string& event) { return fmt::format("{} {}", target_, event); }
  std::string Inspector(const std::string& event) { return fmt::format("{} {}", inspector_, event); }

  // Fresh memory each time: open refuses what was touched. What is watched begins where a table of PTEs does;
  // it may be the heap, or what the kernel maps of its own, where the architectures put it.
  std::string Open() {
    next_entries_ += 0x8000;
    const auto open = [&](const std::string& range) {
      return fmt::format("{} shadowpt_open({}, {{{}, entries={:#x}}}) = ?", inspector_, target_, range,
                         next_entries_ + 0x1000);
    };
    const std::string lines = fmt::format(
        "mmap({0:#x}, 0x6000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0) = ?\n",
        next_entries_);
    switch (Below(12)) {
      case 0:
        return lines + open("start_vaddr=$b, end_vaddr=$b+0x8000");
      case 1:
        return lines + "on x86_64 " + open("start_vaddr=0x7ffff7ff9000, end_vaddr=0x7ffff8000000") +
               "\non arm64 " + open("start_vaddr=0xfffff7ffc000, end_vaddr=0xfffff8001000");
      default:
        return lines +
               open(fmt::format("start_vaddr={:#x}, end_vaddr={:#x}", kBase, kBase + kPages * 0x1000));
    }
  }
  std::string OpenAndMaybeStart() {
    const std::string lines = Inspector(Open());
    return Below(4) == 0 ? lines : lines + "\n" + Inspector("shadowpt_start() = ?");
  }
  std::string NewTarget(int pid) {
    target_ = pid;
    threads_.clear();
    return fmt::format(
        "pid {0}\n{0} openat(AT_FDCWD, \"/tmp/f\", O_RDWR|O_CREAT, 0600) = ?\n"
        "{0} ftruncate(3, 0x40000) = ?\n{0} brk(0) = $b",
        pid);
  }
  std::string Death(int pid) {
    return fmt::format("{} {}\n", pid, Pick({"exit_group(0) = ?", "+++ killed by SIGKILL +++"}));
  }
  // Whoever shares its address space stays; another target comes.
  std::string TargetEnds() {
    std::string lines = Death(target_);
    lines += NewTarget(next_pid_++) + "\n";
    return lines + OpenAndMaybeStart();
  }
  std::string InspectorEnds() {
    if (Below(3) == 0)
      return Inspector("execve(\"/victim\", [\"/victim\"], NULL) = ?\n") + OpenAndMaybeStart();
    const std::string lines = Death(inspector_);
    inspector_ = next_pid_++;
    return lines + fmt::format("pid {} privileged\n", inspector_) + OpenAndMaybeStart();
  }
  std::string Thread() {
    if (threads_.size() < 3) {
      threads_.push_back(next_pid_++);
      return Target(fmt::format(
          "clone(child_stack=NULL, flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD) = {}",
          threads_.back()));
    }
    const int pid = threads_.back();
    threads_.pop_back();
    return fmt::format("{} exit(0) = ?", pid);
  }
  // By whichever thread: the others are gone afterwards, and it is the target.
  std::string Exec() {
    const int pid = threads_.empty() ? target_ : threads_[Below(threads_.size())];
    threads_.clear();
    return fmt::format("{} execve(\"/victim\", [\"/victim\"], NULL) = ?", pid);
  }
  std::string Vfork() {
    const int pid = next_pid_++;
    std::string lines = Target(fmt::format("vfork() = {}\n", pid));
    if (Below(2) == 0) lines += fmt::format("{} {}\n", pid, Call());
    if (Below(2) == 0) lines += fmt::format("{} execve(\"/victim\", [\"/victim\"], NULL) = ?\n", pid);
    return lines + fmt::format("{} exit_group(0) = ?", pid);
  }
  std::string Brk() {
    const uint64_t offset = Below(9) * 0x1000;
    return Below(3) == 0 ? fmt::format("store($b+{:#x}, \"x\") = ?", offset)
                         : fmt::format("brk($b+{:#x}) = ?", offset);
  }
  std::string Vdso() {
    return fmt::format("on x86_64 {0} load({1:#x}, 1) = ?\non arm64 {0} load({2:#x}, 1) = ?", target_,
                       0x7ffff7ff9000 + Below(6) * 0x1000, 0xfffff7ffc000 + Below(4) * 0x1000);
  }
  std::string Mistreat() {
    const uint64_t at = next_entries_ + Below(6) * 0x1000, len = (1 + Below(3)) * 0x1000;
    switch (Below(5)) {
      case 0:
        return Inspector(fmt::format("munmap({:#x}, {:#x}) = ?", at, len));
      case 1:
        return Inspector(fmt::format("mprotect({:#x}, {:#x}, {}) = ?", at, len,
                                     Pick({"PROT_NONE", "PROT_READ", "PROT_READ|PROT_EXEC"})));
      case 2:
        return Inspector(
            fmt::format("mremap({0:#x}, {1:#x}, {1:#x}, MREMAP_MAYMOVE|MREMAP_FIXED, {2:#x}) = ?", at, len,
                        0x60000000 + Below(64) * 0x1000));
      case 3:
        return Inspector(fmt::format(
            "mmap({:#x}, {:#x}, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0) = ?", at, len));
      default:
        return Inspector(fmt::format("fork() = {}\n", next_pid_++)) + Inspector("shadowpt_start() = ?");
    }
  }
  std::string Fork() {
    if (relatives_.size() >= 4) return End();
    const int pid = next_pid_++;
    relatives_.push_back(pid);
    if (Below(2) == 0) return Target(fmt::format("fork() = {}", pid));
    return Target(fmt::format("clone(child_stack=NULL, flags=CLONE_VM|SIGCHLD) = {}", pid));
  }
  std::string End() {
    if (relatives_.empty()) return By(Call());
    const size_t i = Below(relatives_.size());
    const int pid = relatives_[i];
    relatives_.erase(relatives_.begin() + static_cast<ptrdiff_t>(i));
    return fmt::format("{} exit_group(0) = ?", pid);
  }
  std::string File() {
    if (Below(2) == 0) return Target(fmt::format("ftruncate(3, {:#x}) = ?", Below(0x41) * 0x1000));
    return Target(fmt::format("fallocate(3, FALLOC_FL_PUNCH_HOLE|FALLOC_FL_KEEP_SIZE, {:#x}, {:#x}) = ?",
                              Below(0x40) * 0x1000, Len()));
  }
  std::string Inject() {
    return fmt::format("inject {} {}\n{}\ninject off", Pick({"frame", "table", "vma"}), 1 + Below(3),
                       By(Call()));
  }
  // Memory for a huge page, some of it touched, and made one, or moved, or split for a part of it.
  std::string Huge() {
    std::string lines = Target(
        "mmap(0x10000000, 0x280000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0) = ?\n");
    if (Below(2) == 0) lines += Target("madvise(0x10000000, 0x200000, MADV_HUGEPAGE) = ?\n");
    for (uint64_t n = Below(4); n > 0; --n) lines += Target(fmt::format("store({:#x}, \"x\") = ?\n", Page()));
    switch (Below(4)) {
      case 0:
        return lines + Target("madvise(0x10000000, 0x200000, MADV_COLLAPSE) = ?");
      case 1:
        return lines + Target(fmt::format("madvise({:#x}, 0x1000, {}) = ?", Page(),
                                          Pick({"MADV_COLD", "MADV_FREE", "MADV_PAGEOUT"})));
      case 2:
        return lines + Target(
                           "mremap(0x10000000, 0x200000, 0x200000, MREMAP_MAYMOVE|MREMAP_FIXED, "
                           "0x20000000) = ?");
      default:
        return lines + Target("load(0x10000000, 1) = ?");
    }
  }
  std::string Stack() {
    if (Below(2) == 0)
      return fmt::format("store({:#x}, \"x\") = ?", kBase + (kStack + 8 + Below(32)) * 0x1000);
    return fmt::format(
        "mmap({:#x}, 0x1000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED|MAP_GROWSDOWN, "
        "-1, 0) = ?",
        kBase + (kStack + 16 + Below(24)) * 0x1000);
  }
  std::string Mmap() {
    const uint64_t at = Page();
    const std::string prot = Pick({"PROT_READ|PROT_WRITE", "PROT_READ|PROT_WRITE", "PROT_READ", "PROT_NONE"});
    if (Below(4) == 0) {
      return fmt::format("mmap({:#x}, {:#x}, {}, {}|MAP_FIXED, 3, {:#x}) = ?", at, Len(), prot,
                         Pick({"MAP_PRIVATE", "MAP_SHARED"}), Below(0x40) * 0x1000);
    }
    const std::string more = Pick({"", "", "|MAP_POPULATE", "|MAP_NORESERVE", "|MAP_LOCKED"});
    if (Below(8) == 0) {
      return "mmap(0x10000000, 0x280000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0) = "
             "?";
    }
    return fmt::format("mmap({:#x}, {:#x}, {}, {}|MAP_ANONYMOUS|MAP_FIXED{}, -1, 0) = ?", at, Len(), prot,
                       Pick({"MAP_PRIVATE", "MAP_PRIVATE", "MAP_SHARED"}), more);
  }
  std::string Mremap() {
    if (Below(6) == 0) {
      return fmt::format("mremap({:#x}, 0x200000, 0x200000, MREMAP_MAYMOVE|MREMAP_FIXED, {:#x}) = ?",
                         Below(2) == 0 ? kBase : 0x20000000, Below(2) == 0 ? 0x20000000 : kBase);
    }
    const uint64_t len = Len();
    switch (Below(3)) {
      case 0:
        return fmt::format("mremap({:#x}, {:#x}, {:#x}, MREMAP_MAYMOVE) = ?", Page(), len, Len());
      case 1:
        return fmt::format(
            "mremap({0:#x}, {1:#x}, {1:#x}, MREMAP_MAYMOVE|MREMAP_FIXED|MREMAP_DONTUNMAP, {2:#x}) = ?",
            Page(), len, Page());
      default:
        return fmt::format("mremap({:#x}, {:#x}, {:#x}, MREMAP_MAYMOVE|MREMAP_FIXED, {:#x}) = ?", Page(), len,
                           Len(), Page());
    }
  }
  std::string Madvise() {
    if (Below(4) == 0) {
      return fmt::format("madvise(0x10000000, 0x200000, {}) = ?",
                         Pick({"MADV_HUGEPAGE", "MADV_COLLAPSE", "MADV_NOHUGEPAGE", "MADV_PAGEOUT"}));
    }
    return fmt::format("madvise({:#x}, {:#x}, {}) = ?", Page(), Len(),
                       Pick({"MADV_DONTNEED", "MADV_FREE", "MADV_PAGEOUT", "MADV_COLD", "MADV_POPULATE_READ",
                             "MADV_POPULATE_WRITE", "MADV_RANDOM", "MADV_DONTFORK", "MADV_REMOVE"}));
  }
  std::string Call() {
    switch (Below(13)) {
      case 12:
        return Stack();
      case 0:
      case 1:
        return Mmap();
      case 2:
        return fmt::format("munmap({:#x}, {:#x}) = ?", Page(), Len());
      case 3:
        return Mremap();
      case 4:
      case 5:
        return Madvise();
      case 6:
        return fmt::format("mprotect({:#x}, {:#x}, {}) = ?", Page(), (1 + Below(6)) * 0x1000,
                           Pick({"PROT_NONE", "PROT_READ", "PROT_READ|PROT_WRITE"}));
      case 7:
        return fmt::format("{}({:#x}, {:#x}) = ?", Pick({"mlock", "munlock"}), Page(), Len());
      case 8:
      case 9:
        return fmt::format("load({:#x}, 1) = ?", Page());
      default:
        return fmt::format("store({:#x}, \"x\") = ?", Page());
    }
  }

  Random random_;
  int target_ = 0, inspector_ = 100;
  std::vector<int> threads_;    // of the target, beside its first
  std::vector<int> relatives_;  // of whoever was the target, alive
  int next_pid_ = 200;
  uint64_t next_entries_ = 0x70000000;
};

}  // namespace mmsim::scenario
