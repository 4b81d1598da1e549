// SPDX-License-Identifier: Apache-2.0
// The executor's victim, executed by the model: every fact that was measured of a fresh one in the
// packaged 6.12 kernels (sim/executor/README.md).
#include "tests/kernel/kernel_fixture.h"
#include "uapi/victim.h"

namespace mmsim {
namespace {

using testing::HasSubstr;

class VictimExecTest : public KernelTest {
 protected:
  VictimExecTest() {
    const bool x86 = GetParam() == Arch::kX86_64;
    AddFile("/victim",
            x86 ? std::string(reinterpret_cast<const char*>(kVictim_x86_64), sizeof(kVictim_x86_64))
                : std::string(reinterpret_cast<const char*>(kVictim_arm64), sizeof(kVictim_arm64)));
    task = Spawn("/victim");
  }
  bool x86() const { return GetParam() == Arch::kX86_64; }
  uint64_t Word(uint64_t address) {
    uint64_t value = 0;
    EXPECT_TRUE(kernel->Load(*task, VirtAddr(address), {reinterpret_cast<uint8_t*>(&value), 8}).ok());
    return value;
  }
};
MMSIM_FOR_BOTH_ARCHITECTURES(VictimExecTest);

TEST_P(VictimExecTest, Maps) {
  ASSERT_NE(task, nullptr);
  std::vector<std::string> ranges;
  for (const MapsLine& line : MapsLines(*kernel, *task->mm)) {
    ranges.push_back(fmt::format("{:x}-{:x} {} {}", line.start, line.end, line.perms, line.name));
  }
  if (x86()) {
    EXPECT_THAT(ranges,
                testing::ElementsAre("400000-401000 rwxp /victim", "7ffff7ff9000-7ffff7ffd000 r--p [vvar]",
                                     "7ffff7ffd000-7ffff7fff000 r-xp [vdso]",
                                     "7ffffffde000-7ffffffff000 rw-p [stack]"));
  } else {
    EXPECT_THAT(ranges,
                testing::ElementsAre("400000-401000 rwxp /victim", "fffff7ffc000-fffff7ffe000 r--p [vvar]",
                                     "fffff7ffe000-fffff8000000 r-xp [vdso]",
                                     "fffffffdf000-1000000000000 rw-p [stack]"));
  }
}

TEST_P(VictimExecTest, VmFlags) {
  std::vector<std::string> flags;
  const std::string smaps = SmapsText(*kernel, *task);
  for (size_t at = 0; (at = smaps.find("VmFlags: ", at)) != std::string::npos;) {
    const size_t end = smaps.find(" \n", at);
    flags.push_back(smaps.substr(at + 9, end - at - 9));
    at = end;
  }
  if (x86()) {
    EXPECT_THAT(flags, testing::ElementsAre("rd wr ex mr mw me ac sd", "rd mr pf io de dd sd",
                                            "rd ex mr mw me de sd", "rd wr mr mw me gd ac"));
  } else {
    EXPECT_THAT(flags, testing::ElementsAre("rd wr ex mr mw me ac", "rd mr pf de", "rd ex mr mw me de",
                                            "rd wr mr mw me gd ac"));
  }
}

TEST_P(VictimExecTest, Counters) {
  Mm& mm = *task->mm;
  EXPECT_EQ(mm.total_vm, x86() ? 40u : 38u);
  EXPECT_EQ(mm.Rss(RssType::kAnon), 2);
  EXPECT_EQ(mm.Rss(RssType::kFile), 0);
  EXPECT_EQ(mm.pgtables_bytes, 24u * 1024);
  EXPECT_EQ(mm.start_brk.value, 0x401000u);
  EXPECT_EQ(mm.mmap_base.value, x86() ? 0x7ffff7fff000u : 0xfffff8000000u);
}

TEST_P(VictimExecTest, PresentPages) {
  const uint64_t top = x86() ? 0x7fffffffe000 : 0xfffffffff000;
  std::vector<uint64_t> present;
  for (const Vma& vma : task->mm->vmas) {
    const std::vector<uint64_t> entries = Pagemap(*task, vma.start, vma.NrPages());
    for (size_t i = 0; i < entries.size(); ++i) {
      if (entries[i] >> 63) present.push_back(vma.start.value + i * kPageSize);
    }
  }
  EXPECT_THAT(present, testing::ElementsAre(0x400000, top));
}

TEST_P(VictimExecTest, StackContents) {
  const uint64_t sp = x86() ? 0x7fffffffee30 : 0xfffffffffe30;
  EXPECT_EQ(task->stack_pointer, sp);
  EXPECT_EQ(Word(sp), 1u);
  const uint64_t argv0 = Word(sp + 8);
  EXPECT_EQ(argv0 & 0xfff, 0xfe8u);
  EXPECT_EQ(LoadByte(*task, argv0), '/');
  std::vector<uint64_t> types;
  for (uint64_t at = sp + 4 * 8;; at += 16) {
    types.push_back(Word(at));
    if (types.back() == 0) break;
  }
  EXPECT_THAT(types, testing::ElementsAre(33, 51, 16, 6, 17, 3, 4, 5, 7, 8, 9, 11, 12, 13, 14, 23, 25, 26, 31,
                                          15, 27, 28, 0));
}

}  // namespace
}  // namespace mmsim
