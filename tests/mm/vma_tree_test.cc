// SPDX-License-Identifier: Apache-2.0
// The tree against a sorted list that is searched from end to end, over random histories.
#include "sim/mm/vma_tree.h"

#include <algorithm>
#include <vector>

#include "sim/base/random.h"
#include "tests/mm/mm_fixture.h"

namespace mmsim {
namespace {

constexpr uint64_t kTop = uint64_t{1} << 30;

class TreeModel {
 public:
  explicit TreeModel(Mm& mm) : mm_(mm), edit_(mm) {}
  ~TreeModel() {
    while (!list_.empty()) Erase(list_.size() - 1);
  }

  const VmaTree& tree() const { return mm_.vmas; }
  size_t size() const { return list_.size(); }

  // False when it would overlap.
  bool Insert(uint64_t start, uint64_t end) {
    const size_t at = FirstEndingAfter(start);
    if (at < list_.size() && list_[at]->start.value < end) return false;
    Vma* vma = VmAreaAlloc(mm_);
    edit_.SetRange(*vma, VirtAddr(start), VirtAddr(end), 0);
    edit_.Attach(*vma);
    list_.insert(list_.begin() + static_cast<ptrdiff_t>(at), vma);
    return true;
  }
  void Erase(size_t i) {
    edit_.Detach(*list_[i]);
    VmAreaFree(list_[i]);
    list_.erase(list_.begin() + static_cast<ptrdiff_t>(i));
  }
  // Moves one VMA's ends to random places between its neighbours.
  void Resize(size_t i, Random& random) {
    const uint64_t low = i > 0 ? list_[i - 1]->end.value : 0;
    const uint64_t high = i + 1 < list_.size() ? list_[i + 1]->start.value : kTop;
    const uint64_t pages = (high - low) >> kPageShift;
    const uint64_t a = random.Below(pages), b = a + 1 + random.Below(pages - a);
    edit_.SetRange(*list_[i], VirtAddr(low + (a << kPageShift)), VirtAddr(low + (b << kPageShift)), 0);
  }

  void CheckLookups(Random& random) const {
    const VirtAddr address(random.Below(kTop + 0x10000));
    const size_t at = FirstEndingAfter(address.value);
    Vma* expected = at < list_.size() ? list_[at] : nullptr;
    Vma* before = at > 0 ? list_[at - 1] : nullptr;
    for (int repeat = 0; repeat < 2; ++repeat) {  // the second is answered by the cache
      EXPECT_EQ(tree().Find(address), expected);
      EXPECT_EQ(tree().Lookup(address),
                expected != nullptr && expected->start <= address ? expected : nullptr);
    }
    Vma* prev = nullptr;
    EXPECT_EQ(tree().FindPrev(address, &prev), expected);
    EXPECT_EQ(prev, before);
    const VirtAddr end = address + 1 + random.Below(kTop / 16);
    EXPECT_EQ(tree().FindIntersection(address, end),
              expected != nullptr && expected->start < end ? expected : nullptr);
  }

  void CheckGaps(Random& random) const {
    uint64_t min = random.Below(kTop), max = random.Below(kTop + (kTop >> 2));
    if (random.Percent(20)) min = 0;
    if (random.Percent(20)) max = ~uint64_t{0};
    const uint64_t size = (1 + random.Below(random.Percent(50) ? 8 : 4000)) << kPageShift;
    Gap lowest, highest;
    for (size_t i = 0; i <= list_.size(); ++i) {
      const uint64_t start = std::max(min, i > 0 ? list_[i - 1]->end.value : 0);
      const uint64_t end = std::min(max, i < list_.size() ? list_[i]->start.value : ~uint64_t{0});
      if (end <= start || end - start < size) continue;
      highest = {start, end, i < list_.size() ? list_[i] : nullptr};
      if (lowest.end == 0) lowest = highest;
    }
    ExpectGap(tree().LowestGap(VirtAddr(min), VirtAddr(max), size), lowest);
    ExpectGap(tree().HighestGap(VirtAddr(min), VirtAddr(max), size), highest);
  }

  void CheckOrder() const {
    tree().CheckInvariants();
    EXPECT_EQ(tree().size(), list_.size());
    size_t i = 0;
    for (Vma& vma : tree()) ASSERT_EQ(&vma, list_[i++]);
    EXPECT_EQ(i, list_.size());
  }

 private:
  struct Gap {
    uint64_t start = 0, end = 0;
    Vma* next = nullptr;
  };
  static void ExpectGap(const VmaTree::Gap& got, const Gap& expected) {
    ASSERT_EQ(got.found, expected.end != 0);
    if (!got.found) return;
    EXPECT_EQ(got.start.value, expected.start);
    EXPECT_EQ(got.end.value, expected.end);
    EXPECT_EQ(got.next, expected.next);
  }
  size_t FirstEndingAfter(uint64_t address) const {
    return static_cast<size_t>(
        std::find_if(list_.begin(), list_.end(), [&](Vma* v) { return v->end.value > address; }) -
        list_.begin());
  }

  Mm& mm_;
  VmaEdit edit_;
  std::vector<Vma*> list_;
};

// How a history fills the address space.
enum class Fill { kRandom, kFromAbove, kFromBelow };

void RunHistory(Mm& mm, uint64_t seed, size_t most, int steps) {
  SCOPED_TRACE(seed);
  Random random(seed);
  TreeModel model(mm);
  const Fill fill = static_cast<Fill>(seed % 3);
  uint64_t low = kTop / 2, high = kTop / 2;
  for (int step = 0; step < steps && !testing::Test::HasFailure(); ++step) {
    // Grows to its size, and shrinks to nothing at times.
    const bool shrink = (step / 500) % 4 == 3;
    if (model.size() < most && random.Percent(shrink ? 10 : 60)) {
      uint64_t length = (1 + random.Below(6)) << kPageShift;
      uint64_t start = random.Below(kTop >> kPageShift) << kPageShift;
      if (fill == Fill::kFromAbove && random.Percent(90))
        start = low -= length + (random.Below(2) << kPageShift);
      if (fill == Fill::kFromBelow && random.Percent(90)) {
        start = high + (random.Below(2) << kPageShift);
        high = start + length;
      }
      model.Insert(start, start + length);
    } else if (model.size() > 0) {
      const size_t i = random.Below(model.size());
      random.Percent(70) ? model.Erase(i) : model.Resize(i, random);
    }
    model.CheckLookups(random);
    model.CheckGaps(random);
    if (step % 50 == 0) model.CheckOrder();
  }
  model.CheckOrder();
}

TEST_F(MmTest, TreeAgreesWithAListOverSmallHistories) {
  for (uint64_t seed = 0; seed < 60; ++seed) RunHistory(*mm, seed, 12 + seed, 600);
}

TEST_F(MmTest, TreeAgreesWithAListOverLargeHistories) {
  for (uint64_t seed = 100; seed < 106; ++seed) RunHistory(*mm, seed, 3000, 8000);
}

// What lib/test_maple_tree.c tries at the ends of the range (check_ranges, check_alloc_range,
// check_rev_find).
TEST_F(MmTest, TreeEnds) {
  TreeModel model(*mm);
  EXPECT_EQ(mm->vmas.Find(VirtAddr(0)), nullptr);
  EXPECT_EQ(mm->vmas.First(), nullptr);
  VmaTree::Gap gap = mm->vmas.HighestGap(VirtAddr(0x1000), VirtAddr(0x5000), 0x4000);
  EXPECT_TRUE(gap.found);
  EXPECT_EQ(gap.end, VirtAddr(0x5000));
  EXPECT_FALSE(mm->vmas.HighestGap(VirtAddr(0x1000), VirtAddr(0x5000), 0x4001).found);
  EXPECT_FALSE(mm->vmas.LowestGap(VirtAddr(0x5000), VirtAddr(0x1000), 0x1000).found);
  EXPECT_FALSE(mm->vmas.LowestGap(VirtAddr(0x1000), VirtAddr(0x5000), 0).found);
  model.Insert(0, 0x1000);
  model.Insert(0x2000, 0x3000);
  EXPECT_EQ(mm->vmas.First()->start, VirtAddr(0));
  gap = mm->vmas.LowestGap(VirtAddr(0), VirtAddr(0x2000), 0x1000);
  EXPECT_EQ(gap.start, VirtAddr(0x1000));
  EXPECT_EQ(gap.next, mm->vmas.Last());
  EXPECT_FALSE(mm->vmas.LowestGap(VirtAddr(0), VirtAddr(0x1fff), 0x1000).found);
  gap = mm->vmas.LowestGap(VirtAddr(0x1001), VirtAddr(~uint64_t{0}), 0x1000);
  EXPECT_EQ(gap.start, VirtAddr(0x3000));
  EXPECT_EQ(gap.next, nullptr);
}

}  // namespace
}  // namespace mmsim
