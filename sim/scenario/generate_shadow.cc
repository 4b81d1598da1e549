// SPDX-License-Identifier: Apache-2.0
// The verbs of generated scenarios about shadowpt: the calls in and out of order, by the inspector and by
// others, and what an inspector may do to the mapping of the entries. Everything else is done by the verbs of
// generate_calls.cc, mostly within the range that is watched.
#include "fmt/format.h"
#include "sim/scenario/generator.h"

namespace mmsim::scenario {
namespace {

// Where inspectors keep their entries: room for two tables of the greatest size, and a buffer for one page.
constexpr uint64_t kEntriesStart = 0x40000000, kEntriesPages = 32, kBuffer = 0x48000000;
constexpr uint64_t kMostPages = 2048;  // of a table

std::string Here(uint64_t page) {
  return fmt::format("{:#x}", kEntriesStart + page * 0x1000);
}

// A range to watch, as two fields.
std::string Range(Generator& g) {
  Random& r = g.random();
  const auto fields = [](const std::string& base, uint64_t start, uint64_t end) {
    return fmt::format("start_vaddr={0}+{1:#x}, end_vaddr={0}+{2:#x}", base, start * 0x1000, end * 0x1000);
  };
  const uint64_t kind = r.Below(100);
  if (kind < 60)
    return fields("0x10000000", r.Percent(60) ? 0 : r.Below(32), 64 - (r.Percent(60) ? 0 : r.Below(32)));
  if (kind < 75) return fields("0x20000000", 0, kMostPages + (r.Percent(20) ? r.Below(4) : 0));
  if (kind < 82) return fields("0x400000", 0, 1 + r.Below(40));
  if (kind < 84) return fields("0x10000000", 0x20, r.Below(0x20));
  const std::string address = g.PickAddress(true);
  return fields(address, 0, 1 + r.Below(24));
}

void Open(Generator& g) {
  Random& r = g.random();
  g.BecomeInspector();
  if (r.Percent(85)) {
    g.Emit(fmt::format("mmap({}, {:#x}, {}, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED{}, -1, 0)", Here(0),
                       kEntriesPages * 0x1000, r.Percent(85) ? "PROT_READ|PROT_WRITE" : "PROT_READ",
                       r.Percent(3) ? "|MAP_LOCKED" : ""));
  }
  g.Emit(fmt::format("shadowpt_open({}, {{{}, entries={}}})", g.AnyPid(), Range(g), Here(r.Below(20))));
  g.NoteOpener();
  if (r.Percent(75)) g.Emit("shadowpt_start()");
}

void Start(Generator& g) {
  if (g.random().Percent(85)) g.BecomeOpener();
  g.Emit("shadowpt_start()");
}

void Stop(Generator& g) {
  if (g.random().Percent(85)) g.BecomeOpener();
  g.Emit("shadowpt_stop()");
  if (g.random().Percent(70)) g.Emit("shadowpt_start()");
}

void Close(Generator& g) {
  if (g.random().Percent(85)) g.BecomeOpener();
  g.Emit("shadowpt_close()");
}

// What the inspector sees, and the page that an entry names.
void Contents(Generator& g) {
  Random& r = g.random();
  if (r.Percent(90)) g.BecomeOpener();
  if (r.Percent(20)) return g.Emit(fmt::format("load({}+{:#x}, 24)", Here(r.Below(20)), r.Below(160) * 24));
  if (r.Percent(30))
    g.Emit(fmt::format(
        "mmap({:#x}, 0x1000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)", kBuffer));
  const std::string name = g.NewName('p');
  g.Emit(fmt::format("load({}+{:#x}, 8)", Here(r.Below(20)), r.Below(80) * 24 + 8), name);
  g.Emit(fmt::format("shadowpt_page_contents({}, {:#x})", name, kBuffer));
  if (r.Percent(50)) g.Emit(fmt::format("load({:#x}, 16)", kBuffer + r.Below(255) * 16));
}

// The inspector and the mapping of its entries.
void Meddle(Generator& g) {
  Random& r = g.random();
  if (r.Percent(90)) g.BecomeOpener();
  const std::string start = Here(r.Below(24));
  const uint64_t len = (1 + r.Below(6)) * 0x1000, kind = r.Below(100);
  if (kind < 20) return g.Emit(fmt::format("munmap({}, {:#x})", start, len));
  if (kind < 40)
    return g.Emit(fmt::format("mremap({}, {:#x}, {:#x}, MREMAP_MAYMOVE|MREMAP_FIXED, {:#x})", start, len, len,
                              kEntriesStart + (0x1000 + r.Below(64)) * 0x1000));
  if (kind < 60) {
    static constexpr const char* kProts[] = {"PROT_NONE", "PROT_READ", "PROT_READ|PROT_WRITE",
                                             "PROT_READ|PROT_EXEC"};
    return g.Emit(fmt::format("mprotect({}, {:#x}, {})", start, len, OneOf(r, kProts)));
  }
  if (kind < 75) return g.Emit(fmt::format("store({}+{:#x}, \"w\")", start, r.Below(len)));
  if (kind < 85)
    return g.Emit(fmt::format(
        "mmap({}, {:#x}, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)", start, len));
  static constexpr const char* kAdvice[] = {"MADV_DONTNEED", "MADV_DONTFORK", "MADV_DOFORK",
                                            "MADV_DONTDUMP", "MADV_DODUMP",   "MADV_POPULATE_READ",
                                            "MADV_COLD",     "MADV_HUGEPAGE", "MADV_WIPEONFORK"};
  g.Emit(fmt::format("madvise({}, {:#x}, {})", start, len, OneOf(r, kAdvice)));
}

}  // namespace

const std::vector<Verb>& ShadowVerbs() {
  static const auto* const kVerbs = new std::vector<Verb>{
      {Open, 0, 9}, {Start, 0, 4}, {Stop, 0, 2}, {Close, 0, 2}, {Contents, 0, 8}, {Meddle, 0, 4},
  };
  return *kVerbs;
}

}  // namespace mmsim::scenario
