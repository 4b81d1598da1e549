// SPDX-License-Identifier: Apache-2.0
// Hook points and the mmu notifier: who hears what, in which order, with which range.
#include "sim/mm/hooks.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "sim/mm/mmu_notifier.h"
#include "tests/mm/machine.h"

namespace mmsim::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string EventName(MmuNotifyEvent event) {
  static constexpr std::string_view kNames[] = {"UNMAP", "CLEAR", "PROTECTION_VMA", "PROTECTION_PAGE",
                                                "SOFT_DIRTY"};
  return std::string(kNames[static_cast<size_t>(event)]);
}

// Writes down all that it hears.
struct Listener : MmuNotifier {
  Listener() {
    plan = {kAllHooks,
            [](void* self, const HookEvent& e) {
              static_cast<Listener*>(self)->heard.push_back(fmt::format(
                  "{} {:x}-{:x}", InfoOf(e.point).function, e.range.start.value, e.range.end.value));
            },
            this};
  }
  void InvalidateRangeStart(const MmuNotifierRange& r) override {
    heard.push_back(fmt::format("start {} {:x}-{:x}", EventName(r.event), r.start.value, r.end.value));
  }
  void InvalidateRangeEnd(const MmuNotifierRange& r) override {
    heard.push_back(fmt::format("end {} {:x}-{:x}", EventName(r.event), r.start.value, r.end.value));
  }
  void Release(Mm& /*mm*/) override { heard.push_back("release"); }
  std::vector<std::string> Take() { return std::exchange(heard, {}); }

  HookPlan plan;
  std::vector<std::string> heard;
};

class HooksTest : public PagesTest {
 public:
  HooksTest() : mm(m->NewMm()) {}
  void Listen(HookMask mask) {
    listener.plan.mask = mask;
    AttachHooks(*mm, listener.plan);
    ASSERT_TRUE(MmuNotifierRegister(listener, *mm, false).ok());
  }
  void Stop() {
    DetachHooks(*mm, listener.plan);
    MmuNotifierUnregister(listener, *mm);
  }
  Mm* mm;
  Listener listener;
};

TEST_P(HooksTest, AFaultAndAnUnmapping) {
  const VirtAddr at(0x10000000);
  Listen(kAllHooks & ~HookBit(HookPoint::kInvalidateRangeEnd));
  m->Map(*mm, 4, kProtRead | kProtWrite, kMapPrivate | kMapAnonymous, at.value);
  m->Store(*mm, at + kPageSize, 1);
  EXPECT_THAT(listener.Take(),
              ElementsAre("__mmap_region 10000000-10004000", "do_anonymous_page 10001000-10002000"));
  SysMunmap(*mm, (at + kPageSize).value, kPageSize);
  EXPECT_THAT(listener.Take(), ElementsAre("do_vmi_align_munmap 10001000-10002000",
                                           "start UNMAP 10001000-10002000", "end UNMAP 10001000-10002000"));
  Stop();
  EXPECT_THAT(listener.Take(), ElementsAre("release"));
  m->Store(*mm, at, 1);
  EXPECT_THAT(listener.Take(), IsEmpty());
  EXPECT_EQ(mm->hooks, 0u);
  mm->Put();
}

TEST_P(HooksTest, TheNotifierSpeaksOfWhatGoes) {
  const VirtAddr at(0x10000000), to(0x10800000);
  m->Map(*mm, 4, kProtRead | kProtWrite, kMapPrivate | kMapAnonymous, at.value);
  m->Load(*mm, at);
  m->Store(*mm, at + kPageSize, 1);
  Listen(0);
  m->Store(*mm, at, 1);
  EXPECT_THAT(listener.Take(), ElementsAre("start CLEAR 10000000-10001000", "end CLEAR 10000000-10001000"));
  SysMadvise(*mm, m->current, at.value, 2 * kPageSize, kMadvDontneed);
  EXPECT_THAT(listener.Take(), ElementsAre("start CLEAR 10000000-10002000", "end CLEAR 10000000-10002000"));
  SysMprotect(*mm, m->current, at.value, 2 * kPageSize, kProtRead, -1);
  EXPECT_THAT(listener.Take(),
              ElementsAre("start PROTECTION_VMA 10000000-10002000", "end PROTECTION_VMA 10000000-10002000"));
  // Of a move, the old range alone; nothing of what appears.
  m->Store(*mm, at + 2 * kPageSize, 1);
  EXPECT_THAT(listener.Take(), IsEmpty());
  SysMremap(*mm, m->current, (at + 2 * kPageSize).value, kPageSize, kPageSize, kMremapMaymove | kMremapFixed,
            to.value);
  EXPECT_THAT(listener.Take(), ElementsAre("start UNMAP 10002000-10003000", "end UNMAP 10002000-10003000",
                                           "start UNMAP 10002000-10003000", "end UNMAP 10002000-10003000"));
  // fork: a range a VMA that may be written to.
  Mm* child = m->Fork(*mm);
  EXPECT_THAT(listener.Take(), ::testing::Contains("end PROTECTION_PAGE 10800000-10801000"));
  child->Put();
  // Once release was called, silence; whoever unregisters afterwards is not called again.
  mm->Grab();
  mm->Put();
  EXPECT_THAT(listener.Take(), ElementsAre("release"));
  Stop();
  EXPECT_THAT(listener.Take(), IsEmpty());
  mm->Drop();
}

TEST_P(HooksTest, ACollapseIsToldWhileNothingIsThere) {
  const VirtAddr at(0x10000000);
  m->Map(*mm, kHugePages, kProtRead | kProtWrite, kMapPrivate | kMapAnonymous, at.value);
  m->Store(*mm, at, 1);
  Listen(HookBit(HookPoint::kCollapseHugePage) | HookBit(HookPoint::kInvalidateRangeEnd));
  EXPECT_EQ(SysMadvise(*mm, m->current, at.value, kHugeSize, kMadvCollapse), 0);
  EXPECT_THAT(
      listener.Take(),
      ElementsAre("start CLEAR 10000000-10200000", "mmu_notifier_invalidate_range_end 10000000-10200000",
                  "end CLEAR 10000000-10200000", "collapse_huge_page 10000000-10200000"));
  Stop();
  mm->Put();
}

// setup_arg_pages() moves the stack when its top was randomised, which no program here sees.
TEST_P(HooksTest, TheStackThatExecMovesDown) {
  const VirtAddr at(0x10010000);
  m->Map(*mm, 2, kProtRead | kProtWrite, kMapPrivate | kMapAnonymous | kMapGrowsDown, at.value);
  m->Store(*mm, at + kPageSize, 1);
  Listen(kAllHooks & ~HookBit(HookPoint::kInvalidateRangeEnd));
  EXPECT_TRUE(RelocateVmaDown(*mm->vmas.Lookup(at), 4 * kPageSize).ok());
  EXPECT_THAT(listener.Take(), ElementsAre("commit_merge 1000c000-10010000", "start UNMAP 10010000-10012000",
                                           "move_ptes 1000c000-1000e000", "end UNMAP 10010000-10012000",
                                           "vma_shrink 1000c000-10012000"));
  Stop();
  mm->Put();
}

// A plan may take itself and others out while it is called.
TEST_P(HooksTest, PlansComeAndGoWhileTheyAreCalled) {
  HookPlan first{HookBit(HookPoint::kMmapRegion),
                 [](void* self, const HookEvent& e) {
                   auto& test = *static_cast<HooksTest*>(self);
                   DetachHooks(e.mm, test.listener.plan);
                 },
                 this};
  AttachHooks(*mm, first);
  AttachHooks(*mm, listener.plan);
  m->Map(*mm, 1);
  EXPECT_THAT(listener.Take(), IsEmpty());
  DetachHooks(*mm, first);
  DetachHooks(*mm, first);  // not attached: nothing
  EXPECT_EQ(mm->hooks, 0u);
  mm->Put();
}

TEST(HookPoints, AreFoundByTheirFunctions) {
  EXPECT_EQ(FindHookPoint("move_ptes"), HookPoint::kMovePtes);
  EXPECT_EQ(FindHookPoint("commit"), std::nullopt);
  EXPECT_EQ(InfoOf(HookPoint::kExpandDownwards).file, "mm/mmap.c");
}

MMSIM_BOTH_ARCHS(HooksTest);

}  // namespace
}  // namespace mmsim::testing
