// SPDX-License-Identifier: Apache-2.0
// The observer finds what shadowpt must not do to an entry, at the moment at which it is done: a value that
// was remembered, an update before the change, a removal that comes late, and one that never comes.
#include "sim/audit/shadow_observer.h"

#include <cstring>
#include <functional>
#include <optional>

#include "sim/kernel/shadowpt.h"
#include "tests/kernel/kernel_fixture.h"

namespace mmsim {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr uint64_t kRange = 0x10000000, kEntries = 0x20000000, kArgument = 0x30000000;

// What a bad implementation would do to the entries, at hooks and notifier calls of the target's.
struct Spoiler : MmuNotifier {
  explicit Spoiler(Mm& watched) : mm(watched) {
    plan = {kAllHooks, [](void* self, const HookEvent& e) { static_cast<Spoiler*>(self)->OnHook(e); }, this};
    AttachHooks(mm, plan);
  }
  // Of notifiers the last one is the first to hear, as in the kernel.
  void Register() { ASSERT_TRUE(MmuNotifierRegister(*this, mm, false).ok()); }
  ~Spoiler() override {
    DetachHooks(mm, plan);
    MmuNotifierUnregister(*this, mm);
  }
  void OnHook(const HookEvent& event) {
    if (on_hook) on_hook(event.point);
  }
  void InvalidateRangeStart(const MmuNotifierRange& /*range*/) override {
    if (on_start) on_start();
  }

  Mm& mm;
  HookPlan plan;
  std::function<void(HookPoint)> on_hook;
  std::function<void()> on_start;
};

class ShadowObserverTest : public KernelTest {
 protected:
  // Of `without` shadowpt hears nothing.
  void Begin(HookMask without = 0) {
    Boot(false, without);
    target = Spawn("/victim");
    observer.emplace(*kernel);
    for (const uint64_t at : {kEntries, kArgument}) Map(*task, at);
    Map(*target, kRange);
    const user_shadow_pt dest{kRange, kRange + kPageSize, reinterpret_cast<shadow_pte*>(kEntries)};
    ASSERT_TRUE(
        kernel->Store(*task, VirtAddr(kArgument), {reinterpret_cast<const uint8_t*>(&dest), sizeof(dest)})
            .ok());
    ASSERT_EQ(Call(Sys::k_shadowpt_open, {static_cast<uint64_t>(target->pid), kArgument}), 0);
    ASSERT_EQ(Call(Sys::k_shadowpt_start, {}), 0);
    spoiler.emplace(*target->mm);  // hears before the observer
    observer->AfterStep();
    spoiler->Register();
  }
  void TearDown() override {
    spoiler.reset();
    observer.reset();
  }
  void Map(Task& who, uint64_t at) {
    ASSERT_EQ(CallWith(who, Sys::k_mmap, {at, kPageSize, 3, 0x32, ~uint64_t{0}, 0}).value,
              static_cast<int64_t>(at));
  }
  shadow_pte& Entry() { return const_cast<shadow_pte&>(kernel->shadowpt().entries()[0]); }
  void Touch() { ASSERT_TRUE(Store(*target, kRange, 1).ok()); }
  void Drop() { ASSERT_EQ(CallWith(*target, Sys::k_madvise, {kRange, kPageSize, 4}).value, 0); }

  Task* target = nullptr;
  std::optional<ShadowObserver> observer;
  std::optional<Spoiler> spoiler;
};

TEST_P(ShadowObserverTest, IsSilentAboutWhatIsRight) {
  Begin();
  Touch();
  Drop();
  Touch();
  observer->AfterStep();
  EXPECT_THAT(observer->findings(), IsEmpty());
  EXPECT_GT(observer->nr_observations(), 4u);
}

TEST_P(ShadowObserverTest, ARememberedValue) {
  Begin();
  Touch();
  const shadow_pte remembered = Entry();
  Drop();
  spoiler->on_hook = [&](HookPoint point) {
    if (point != HookPoint::kDoAnonymousPage) return;
    Entry() = remembered;
    ++Entry().pfn;  // the frame that it had; another is there now
  };
  Touch();
  ASSERT_FALSE(observer->findings().empty());
  EXPECT_THAT(observer->findings()[0], HasSubstr("do_anonymous_page: entry of 10000000 shows pfn"));
  EXPECT_THAT(observer->findings()[0], HasSubstr("set to what the page is not"));
}

TEST_P(ShadowObserverTest, AnUpdateBeforeTheChange) {
  Begin();
  Touch();
  spoiler->on_start = [&] { Entry().state_flags &= ~uint64_t{SPTE_PTE_MAPPED}, Entry().pfn = 0; };
  Drop();
  ASSERT_FALSE(observer->findings().empty());
  EXPECT_THAT(observer->findings()[0], HasSubstr("invalidate_range_start: entry of 10000000 shows pfn 0"));
  EXPECT_THAT(observer->findings()[0], HasSubstr("set to what the page is not"));
  observer->AfterStep();  // true again by now: only who looks between the steps sees it
  EXPECT_EQ(observer->findings().size(), 1u);
}

TEST_P(ShadowObserverTest, AClearThatComesLate) {
  Begin(HookBit(HookPoint::kInvalidateRangeEnd));
  Touch();
  Drop();
  Entry().state_flags &= ~uint64_t{SPTE_PTE_MAPPED}, Entry().pfn = 0;  // before the return to user mode
  observer->AfterStep();
  ASSERT_EQ(observer->findings().size(), 1u);
  EXPECT_THAT(observer->findings()[0], HasSubstr("invalidate_range_end: entry of 10000000"));
  EXPECT_THAT(observer->findings()[0], HasSubstr("the page table changed and the entry did not"));
}

TEST_P(ShadowObserverTest, AClearThatNeverComes) {
  Begin(HookBit(HookPoint::kInvalidateRangeEnd));
  Touch();
  Drop();
  observer->AfterStep();
  EXPECT_THAT(observer->findings(), testing::Contains(HasSubstr("not true at the return to user mode")));
}

TEST_P(ShadowObserverTest, AChangeAfterStop) {
  Begin();
  Touch();
  ASSERT_EQ(Call(Sys::k_shadowpt_stop, {}), 0);
  observer->AfterStep();
  Entry().pfn = 1;
  observer->AfterStep();
  ASSERT_EQ(observer->findings().size(), 1u);
  EXPECT_THAT(observer->findings()[0], HasSubstr("changed after stop"));
}

MMSIM_FOR_BOTH_ARCHITECTURES(ShadowObserverTest);

}  // namespace
}  // namespace mmsim
