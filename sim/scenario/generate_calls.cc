// SPDX-License-Identifier: Apache-2.0
// The verbs of generated scenarios: what a step can be.
#include "fmt/format.h"
#include "sim/scenario/generator.h"

namespace mmsim::scenario {
namespace {

constexpr const char* kProts[] = {"PROT_READ|PROT_WRITE",
                                  "PROT_READ|PROT_WRITE",
                                  "PROT_READ|PROT_WRITE",
                                  "PROT_READ",
                                  "PROT_NONE",
                                  "PROT_READ|PROT_EXEC",
                                  "PROT_READ|PROT_WRITE|PROT_EXEC",
                                  "PROT_WRITE",
                                  "PROT_EXEC"};
constexpr size_t kMaxGeneratedProcesses = 5;

// Emits a call that makes a mapping, and remembers the mapping.
void EmitMapping(Generator& g, const std::string& call, uint64_t pages, bool named) {
  if (!named || g.limited()) return g.Emit(call);
  const std::string name = g.NewName('a');
  g.Emit(call, name);
  g.AddRegion(name, pages);
}

std::string MoreFlags(Generator& g) {
  static constexpr const char* kFlags[] = {"|MAP_NORESERVE", "|MAP_POPULATE", "|MAP_STACK",    "|MAP_LOCKED",
                                           "|MAP_GROWSDOWN", "|MAP_NONBLOCK", "|MAP_DENYWRITE"};
  return g.random().Percent(12) ? OneOf(g.random(), kFlags) : std::string();
}

void MmapAnonymous(Generator& g) {
  Random& r = g.random();
  const uint64_t pages = g.PickPages();
  const bool fixed = r.Percent(45);
  std::string address = fixed ? g.PickFixed(pages) : "NULL";
  std::string flags = r.Percent(85) ? "MAP_PRIVATE|MAP_ANONYMOUS" : "MAP_SHARED|MAP_ANONYMOUS";
  if (fixed) flags += r.Percent(85) ? "|MAP_FIXED" : "|MAP_FIXED_NOREPLACE";
  if (!fixed && r.Percent(20)) address = g.PickAddress(r.Percent(80));  // a hint
  EmitMapping(g,
              fmt::format("mmap({}, {:#x}, {}, {}, -1, 0)", address, pages * 0x1000, OneOf(r, kProts),
                          flags + MoreFlags(g)),
              pages, !fixed);
}

// A new file in memory, and its length.
void EmitFile(Generator& g) {
  const GeneratedFile file{g.NewName('f'), 1 + g.random().Below(12)};
  g.Emit("memfd_create(\"file\", 0)", file.fd);
  g.Emit(fmt::format("ftruncate({}, {:#x})", file.fd, file.pages * 0x1000));
  g.process().files->push_back(file);
}

void MmapFile(Generator& g) {
  Random& r = g.random();
  std::vector<GeneratedFile>& files = *g.process().files;
  if (files.empty()) {
    return EmitFile(g);
  }
  const GeneratedFile& file = files[r.Below(files.size())];
  const uint64_t pages = 1 + r.Below(file.pages + 1), offset = r.Percent(50) ? 0 : r.Below(file.pages);
  const bool fixed = r.Percent(40);
  static constexpr const char* kKinds[] = {"MAP_PRIVATE", "MAP_SHARED", "MAP_SHARED_VALIDATE"};
  EmitMapping(g,
              fmt::format("mmap({}, {:#x}, {}, {}{}{}, {}, {:#x})", fixed ? g.PickFixed(pages) : "NULL",
                          pages * 0x1000, OneOf(r, kProts), OneOf(r, kKinds), fixed ? "|MAP_FIXED" : "",
                          r.Percent(8) ? "|MAP_POPULATE" : "", file.fd, offset * 0x1000),
              pages, !fixed);
}

void ChangeFile(Generator& g) {
  Random& r = g.random();
  std::vector<GeneratedFile>& files = *g.process().files;
  if (files.empty() || (files.size() < 3 && r.Percent(20))) {
    return EmitFile(g);
  }
  const size_t which = r.Below(files.size());
  if (r.Percent(10)) {
    g.Emit(fmt::format("close({})", files[which].fd));
    files.erase(files.begin() + static_cast<std::ptrdiff_t>(which));
    return;
  }
  files[which].pages = 1 + r.Below(12);
  g.Emit(fmt::format("ftruncate({}, {:#x})", files[which].fd,
                     files[which].pages * 0x1000 - (r.Percent(30) ? r.Below(0x1000) : 0)));
}

void Munmap(Generator& g) {
  const RangeText range = g.PickRange();
  g.Emit(fmt::format("munmap({}, {})", range.start, range.len));
}

void Mprotect(Generator& g) {
  const RangeText range = g.PickRange();
  g.Emit(fmt::format("mprotect({}, {}, {}{})", range.start, range.len, OneOf(g.random(), kProts),
                     g.random().Percent(2) ? "|PROT_GROWSDOWN" : ""));
}

void Mremap(Generator& g) {
  Random& r = g.random();
  const RangeText range = g.PickRange();
  const uint64_t pages = r.Percent(25) ? range.pages : g.PickPages();
  const std::string head =
      fmt::format("mremap({}, {}, {:#x}, ", range.start, r.Percent(2) ? "0" : range.len, pages * 0x1000);
  const uint64_t kind = r.Below(100);
  if (kind < 25) return g.Emit(head + "0)");
  if (kind < 55) return EmitMapping(g, head + "MREMAP_MAYMOVE)", pages, true);
  if (kind < 62) return EmitMapping(g, head + "MREMAP_MAYMOVE|MREMAP_DONTUNMAP)", pages, false);
  if (kind < 68)
    return g.Emit(
        fmt::format("{}MREMAP_MAYMOVE|MREMAP_FIXED|MREMAP_DONTUNMAP, {})", head, g.PickFixed(pages)));
  g.Emit(fmt::format("{}MREMAP_MAYMOVE|MREMAP_FIXED, {})", head, g.PickFixed(pages)));
}

void Brk(Generator& g) {
  g.Emit(fmt::format("brk({:#x})", 0x401000 + g.random().Below(24) * 0x1000 +
                                       (g.random().Percent(20) ? g.random().Below(0x1000) : 0)));
  if (g.random().Percent(20)) g.AddRegion("0x401000", 24);
}

void MadviseVma(Generator& g) {
  static constexpr const char* kAdvice[] = {"MADV_DONTFORK", "MADV_DOFORK",     "MADV_DONTDUMP",
                                            "MADV_DODUMP",   "MADV_WIPEONFORK", "MADV_KEEPONFORK",
                                            "MADV_HUGEPAGE", "MADV_NOHUGEPAGE", "MADV_SEQUENTIAL",
                                            "MADV_RANDOM",   "MADV_NORMAL"};
  const RangeText range = g.PickRange();
  g.Emit(fmt::format("madvise({}, {}, {})", range.start, range.len, OneOf(g.random(), kAdvice)));
}

void MadvisePages(Generator& g) {
  static constexpr const char* kAdvice[] = {
      "MADV_DONTNEED",        "MADV_DONTNEED", "MADV_FREE",   "MADV_POPULATE_READ", "MADV_POPULATE_WRITE",
      "MADV_DONTNEED_LOCKED", "MADV_COLD",     "MADV_REMOVE", "MADV_WILLNEED",      "MADV_COLLAPSE",
      "MADV_PAGEOUT",         "MADV_PAGEOUT",  "MADV_PAGEOUT"};
  const RangeText range = g.PickRange();
  g.Emit(fmt::format("madvise({}, {}, {})", range.start, range.len, OneOf(g.random(), kAdvice)));
}

void Lock(Generator& g) {
  Random& r = g.random();
  const RangeText range = g.PickRange();
  const uint64_t kind = r.Below(100);
  if (kind < 40) return g.Emit(fmt::format("mlock({}, {})", range.start, range.len));
  if (kind < 55) return g.Emit(fmt::format("mlock2({}, {}, MLOCK_ONFAULT)", range.start, range.len));
  if (kind < 90) return g.Emit(fmt::format("munlock({}, {})", range.start, range.len));
  static constexpr const char* kFlags[] = {"MCL_CURRENT",
                                           "MCL_FUTURE",
                                           "MCL_CURRENT|MCL_FUTURE",
                                           "MCL_CURRENT|MCL_ONFAULT",
                                           "MCL_FUTURE|MCL_ONFAULT",
                                           "MCL_CURRENT|MCL_FUTURE|MCL_ONFAULT"};
  if (kind < 95) return g.Emit("munlockall()");
  g.Emit(fmt::format("mlockall({})", OneOf(r, kFlags)));
}

void Store(Generator& g) {
  static constexpr const char* kBytes[] = {"a", "bc", "defg", "hijklmno", "pqrst"};
  g.Emit(fmt::format("store({}, \"{}\")", g.PickAddress(g.random().Percent(50)), OneOf(g.random(), kBytes)));
}

void Load(Generator& g) {
  static constexpr const char* kLengths[] = {"1", "2", "4", "8", "11"};
  g.Emit(fmt::format("load({}, {})", g.PickAddress(g.random().Percent(50)), OneOf(g.random(), kLengths)));
}

void Fetch(Generator& g) {
  g.Emit(fmt::format("fetch({})", g.PickFixed(1)));
}

// The stack, around where it ends and below.
void Stack(Generator& g) {
  const uint64_t below =
      (g.random().Percent(80) ? 0x22 + g.random().Below(64) : g.random().Below(0x900)) * 0x1000 -
      g.random().Below(0x1000);
  const int pid = g.process().pid;
  const char* what = g.random().Percent(70) ? "store({:#x}, \"s\")" : "load({:#x}, 1)";
  const auto call = [&](uint64_t top) { return fmt::format(fmt::runtime(what), top - below - 16); };
  g.EmitLine(fmt::format("on arm64 {} {} = ?", pid, call(uint64_t{1} << 48)));
  g.EmitLine(fmt::format("on x86_64 {} {} = ?", pid, call(0x7ffffffff000)));
}

void Fork(Generator& g) {
  Random& r = g.random();
  if (g.nr_processes() >= kMaxGeneratedProcesses) return;
  GeneratedProcess child = g.process();
  child.pid = child.group = g.NewPid();
  child.vfork_parent = 0;
  const uint64_t kind = r.Below(100);
  const std::string result = fmt::format("{}", child.pid);
  if (kind < 60) {
    g.Emit("fork()", result);
  } else if (kind < 70) {
    g.Emit("vfork()", result);
    g.process().suspended = true;
    child.vfork_parent = g.process().pid;
  } else if (kind < 82) {
    g.Emit("clone(child_stack=NULL, flags=CLONE_VM|SIGCHLD)", result);
  } else {
    g.Emit(
        "clone(child_stack=NULL, "
        "flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM)",
        result);
    child.group = g.process().group;
  }
  const bool shares_memory = kind >= 60;
  if (!shares_memory) child.space = std::make_shared<GeneratedSpace>(*child.space);
  if (kind < 82) child.files = std::make_shared<std::vector<GeneratedFile>>(*child.files);
  g.AddProcess(std::move(child));
}

void End(Generator& g) {
  Random& r = g.random();
  GeneratedProcess& p = g.process();
  if (g.nr_processes() == 1) return;
  const int pid = p.pid, group = p.group;
  // A leader that exits alone leaves a zombie with its process id; its threads go on.
  if (r.Percent(40) && pid != group) {
    g.Emit("exit(0)");
    return g.EndIf([pid](const GeneratedProcess& other) { return other.pid == pid; });
  }
  if (r.Percent(50)) {
    g.Emit(fmt::format("exit_group({})", r.Below(3)));
  } else {
    g.EmitLine(fmt::format("{} +++ killed by SIGKILL +++", pid));
  }
  g.EndIf([group](const GeneratedProcess& other) { return other.group == group; });
}

void Exec(Generator& g) {
  GeneratedProcess& p = g.process();
  g.Emit("execve(\"/victim\", [\"/victim\"], NULL)");
  g.EndIf([&p](const GeneratedProcess& other) { return other.group == p.group && other.pid != p.pid; });
  p.pid = p.group;
  g.Wake(p);
  const Region fixed = p.space->regions[0];
  p.space = std::make_shared<GeneratedSpace>();
  p.space->regions.push_back(fixed);
  p.files = std::make_shared<std::vector<GeneratedFile>>(*p.files);
}

void SharedMemory(Generator& g) {
  Random& r = g.random();
  if (g.segments().empty() || (g.segments().size() < 3 && r.Percent(15))) {
    const std::string name = g.NewName('s');
    g.Emit(fmt::format("shmget(IPC_PRIVATE, {:#x}, 0600)", (1 + r.Below(6)) * 0x1000 - r.Below(2) * 100),
           name);
    g.segments().push_back(name);
    return;
  }
  const std::string& segment = g.segments()[r.Below(g.segments().size())];
  static constexpr const char* kFlags[] = {"0", "0", "SHM_RDONLY", "SHM_EXEC"};
  if (r.Percent(55))
    return EmitMapping(g, fmt::format("shmat({}, NULL, {})", segment, OneOf(r, kFlags)), 3, true);
  if (r.Percent(30)) return g.Emit(fmt::format("shmat({}, {}, SHM_REMAP)", segment, g.PickFixed(6)));
  if (r.Percent(8)) return g.Emit(fmt::format("shmctl({}, IPC_RMID, NULL)", segment));
  g.Emit(fmt::format("shmdt({})", g.PickAddress(true)));
}

void Limit(Generator& g) {
  if (!g.limited()) return;
  static constexpr const char* kLimits[] = {"AS", "DATA", "STACK", "MEMLOCK"};
  g.Emit(fmt::format("prlimit64(0, RLIMIT_{}, {{rlim_cur={:#x}, rlim_max=RLIM_INFINITY}}, NULL)",
                     OneOf(g.random(), kLimits), 0x40000 + g.random().Below(0x800) * 0x1000));
}

void Look(Generator& g) {
  Random& r = g.random();
  const RangeText range = g.PickRange();
  if (r.Percent(50)) {
    std::string places = "0";
    for (uint64_t i = 1; i < range.pages; ++i) places += ", 0";
    return g.Emit(fmt::format("mincore({}, {}, [{}])", range.start, range.len, places));
  }
  static constexpr const char* kFlags[] = {"MS_ASYNC", "MS_SYNC", "MS_SYNC|MS_INVALIDATE", "0"};
  g.Emit(fmt::format("msync({}, {}, {})", range.start, range.len, OneOf(r, kFlags)));
}

// Soft-dirty bits are cleared, and with them rights to write. (The other numbers make pages old, and when
// they are young again is the TLB's to say.)
void ClearRefs(Generator& g) {
  if (g.limited()) return;
  const std::string fd = g.NewName('r');
  g.Emit("openat(AT_FDCWD, \"/proc/self/clear_refs\", O_WRONLY)", fd);
  g.Emit(fmt::format("write({}, \"4\", 1)", fd));
  g.Emit(fmt::format("close({})", fd));
}

void Seal(Generator& g) {
  const RangeText range = g.PickRange();
  g.Emit(fmt::format("mseal({}, {}, 0)", range.start, range.len));
}

}  // namespace

const std::vector<Verb>& Verbs() {
  static const auto* const kVerbs = new std::vector<Verb>{
      {MmapAnonymous, 22, 12},
      {MmapFile, 8, 8},
      {ChangeFile, 2, 4},
      {Munmap, 12, 5},
      {Mprotect, 14, 8},
      {Mremap, 12, 7},
      {Brk, 5, 2},
      {MadviseVma, 8, 3},
      {MadvisePages, 3, 14},
      {Lock, 6, 3},
      {Store, 10, 26},
      {Load, 5, 14},
      {Fetch, 1, 1},
      {Stack, 2, 2},
      {Fork, 3, 6},
      {End, 2, 3},
      {Exec, 1, 1},
      {SharedMemory, 4, 3},
      {Limit, 3, 1},
      {Look, 2, 3},
      {Seal, 1, 0},
      {ClearRefs, 0, 2},
  };
  return *kVerbs;
}

}  // namespace mmsim::scenario
