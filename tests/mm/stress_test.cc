// SPDX-License-Identifier: Apache-2.0
// Random programs in several processes, and the validator after every step. What it finds no example found:
// the steps are mixed as no person would mix them. The same seed gives the same steps; a failure names both.
#include <fmt/format.h>

#include <cstdlib>

#include "sim/base/random.h"
#include "tests/mm/machine.h"

namespace mmsim::testing {
namespace {

constexpr uint64_t kArena = 0x40000000, kArenaPages = 1536;  // three huge pages' worth, aligned
constexpr size_t kMaxProcesses = 4;

class Stress {
 public:
  Stress(Arch arch, uint64_t seed) : m_(arch), random_(seed) {
    for (const InodeKind kind : {InodeKind::kDisk, InodeKind::kShmem}) files_.push_back(m_.NewFile(kind, 48));
    processes_.push_back(m_.NewMm());
  }
  ~Stress() {
    for (Mm* mm : processes_) mm->Put();
    files_.clear();
    LruAddDrain(m_.system);
    EXPECT_THAT(Validate(m_.system), ::testing::IsEmpty()) << "at the end";
  }
  // One step; false when the validator has something to say.
  bool Step() {
    const std::string what = Act();
    const std::vector<std::string> findings = Validate(m_.system);
    EXPECT_THAT(findings, ::testing::IsEmpty()) << "after " << what;
    return findings.empty();
  }

 private:
  Mm& Process() { return *processes_[random_.Below(processes_.size())]; }
  VirtAddr Address() {
    // Mostly near the boundaries of huge pages.
    const uint64_t page =
        random_.Percent(70) ? 512 * random_.Below(3) + random_.Below(24) : random_.Below(kArenaPages);
    return VirtAddr(kArena + page * kPageSize);
  }
  uint64_t Pages() { return random_.Percent(20) ? 512 + random_.Below(513) : random_.Between(1, 24); }

  std::string Act() {
    const uint64_t dice = random_.Below(100);
    if (dice < 40) return Touch();
    if (dice < 52) return Map();
    if (dice < 57) return Unmap();
    if (dice < 64) return Protect();
    if (dice < 78) return Advise();
    if (dice < 82) return Move();
    if (dice < 87) return ForkOrExit();
    if (dice < 91) return Lock();
    if (dice < 95) return File();
    return Pin();
  }
  std::string Touch() {
    Mm& mm = Process();
    const VirtAddr a = Address();
    const uint64_t n = random_.Between(1, 4);
    const auto kind = static_cast<AccessKind>(random_.Below(3));
    for (uint64_t i = 0; i < n; ++i) {
      const Machine::Outcome o = m_.Access(mm, a + i * kPageSize, kind);
      const uint8_t byte = static_cast<uint8_t>(random_.Below(3));
      if (o.ok() && kind == AccessKind::kWrite) m_.system.phys.WriteBytes(o.phys, {&byte, 1});
    }
    return fmt::format("touch {:x} {} kind {}", a.value, n, static_cast<int>(kind));
  }
  std::string Map() {
    const uint64_t prot = random_.Percent(70) ? kProtRead | kProtWrite : random_.Below(8);
    uint64_t flags = random_.Percent(75) ? kMapPrivate : kMapShared;
    FileRef file;
    uint64_t offset = 0;
    if (random_.Percent(50)) {
      file = files_[random_.Below(files_.size())];
      offset = random_.Below(40) * kPageSize;
    } else {
      flags |= kMapAnonymous;
    }
    if (random_.Percent(15)) flags |= kMapPopulate;
    if (random_.Percent(5)) flags |= kMapLocked;
    const VirtAddr a = Address();
    const uint64_t pages = Pages();
    const int64_t ret =
        SysMmap(Process(), m_.current, a.value, pages * kPageSize, prot, flags | kMapFixed, file, offset);
    if (ret > 0 && (flags & (kMapPopulate | kMapLocked)) != 0)
      (void)MmPopulate(Process(), a, pages * kPageSize, true);
    return fmt::format("mmap {:x} {} prot {} flags {:x} = {:x}", a.value, pages, prot, flags, ret);
  }
  std::string Unmap() {
    const VirtAddr a = Address();
    const uint64_t pages = Pages();
    SysMunmap(Process(), a.value, pages * kPageSize);
    return fmt::format("munmap {:x} {}", a.value, pages);
  }
  std::string Protect() {
    const VirtAddr a = Address();
    const uint64_t pages = Pages(), prot = random_.Percent(50) ? kProtRead | kProtWrite : random_.Below(8);
    SysMprotect(Process(), m_.current, a.value, pages * kPageSize, prot, -1);
    return fmt::format("mprotect {:x} {} {}", a.value, pages, prot);
  }
  std::string Advise() {
    static constexpr int kAdvices[] = {kMadvDontneed,      kMadvFree,     kMadvRemove,     kMadvHugepage,
                                       kMadvNohugepage,    kMadvCold,     kMadvPageout,    kMadvPopulateRead,
                                       kMadvPopulateWrite, kMadvCollapse, kMadvWipeonfork, kMadvDontfork,
                                       kMadvDofork,        kMadvHugepage, kMadvPageout,    kMadvFree};
    const int advice = kAdvices[random_.Below(std::size(kAdvices))];
    const VirtAddr a = Address();
    const uint64_t pages = Pages();
    const int64_t ret = SysMadvise(Process(), m_.current, a.value, pages * kPageSize, advice);
    return fmt::format("madvise {:x} {} {} = {}", a.value, pages, advice, ret);
  }
  std::string Move() {
    const VirtAddr from = Address(), to = Address();
    const uint64_t pages = Pages();
    const uint64_t flags = kMremapMaymove | kMremapFixed | (random_.Percent(20) ? kMremapDontunmap : 0);
    const int64_t ret =
        SysMremap(Process(), m_.current, from.value, pages * kPageSize, pages * kPageSize, flags, to.value);
    return fmt::format("mremap {:x} {} {:x} flags {} = {:x}", from.value, pages, to.value, flags, ret);
  }
  std::string ForkOrExit() {
    if (processes_.size() < kMaxProcesses && random_.Percent(60)) {
      processes_.push_back(m_.Fork(Process()));
      return "fork";
    }
    if (processes_.size() == 1) return "nothing";
    const size_t i = random_.Below(processes_.size());
    processes_[i]->Put();
    processes_.erase(processes_.begin() + static_cast<ptrdiff_t>(i));
    return "exit";
  }
  std::string Lock() {
    const VirtAddr a = Address();
    const uint64_t pages = Pages();
    if (random_.Percent(50)) {
      SysMlock(Process(), m_.current, a.value, pages * kPageSize, kVmLocked);
      return fmt::format("mlock {:x} {}", a.value, pages);
    }
    SysMunlock(Process(), a.value, pages * kPageSize);
    return fmt::format("munlock {:x} {}", a.value, pages);
  }
  std::string File() {
    Inode& inode = *files_[random_.Below(files_.size())]->inode;
    const uint64_t at = random_.Below(48 * kPageSize);
    switch (random_.Below(5)) {
      case 0:
        (void)InodeTruncate(inode, at);
        return fmt::format("truncate {:x}", at);
      case 1:
        (void)InodePunchHole(inode, at, random_.Between(1, 8 * kPageSize));
        return fmt::format("punch {:x}", at);
      case 2: {
        const std::vector<uint8_t> bytes(random_.Between(1, 3 * kPageSize), 7);
        InodeWrite(inode, at, bytes);
        return fmt::format("write {:x} {}", at, bytes.size());
      }
      case 3:
        FilemapWriteback(inode, 0, 100);
        return "writeback";
      default:
        (void)ClearRefs(Process(), static_cast<int>(random_.Between(1, 5)));
        return "clear_refs";
    }
  }
  std::string Pin() {
    if (!pinned_.empty()) {
      UnpinUserPages(m_.system, pinned_, true);
      pinned_.clear();
      return "unpin";
    }
    const VirtAddr a = Address();
    const GupFlags flags = kFollPin | (random_.Percent(50) ? kFollWrite : 0);
    const int64_t ret = GetUserPages(Process(), a, random_.Between(1, 4), flags, &pinned_);
    return fmt::format("pin {:x} flags {:x} = {}", a.value, flags, ret);
  }

  Machine m_;
  Random random_;
  std::vector<FileRef> files_;
  std::vector<Mm*> processes_;
  std::vector<Pfn> pinned_;
};

class StressTest : public ::testing::TestWithParam<Arch> {};
MMSIM_BOTH_ARCHS(StressTest);

TEST_P(StressTest, TheValidatorHasNothingToSay) {
  // MMSIM_STRESS_SEEDS: how many programs, for a longer look.
  const char* wanted = std::getenv("MMSIM_STRESS_SEEDS");
  const uint64_t seeds = wanted == nullptr ? 12 : std::strtoull(wanted, nullptr, 10);
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE(seed);
    Stress stress(GetParam(), seed);
    for (uint64_t step = 1; step <= 250; ++step) {
      g_check_context = {.scenario = "StressTest", .step = step, .seed = seed};
      SCOPED_TRACE(step);
      ASSERT_TRUE(stress.Step());
    }
  }
}

}  // namespace
}  // namespace mmsim::testing
