// SPDX-License-Identifier: Apache-2.0
#include "sim/mm/vma_tree.h"

#include <algorithm>
#include <array>

#include "sim/base/check.h"
#include "sim/mm/vma.h"

namespace mmsim {

namespace {

constexpr unsigned kLeafSlots = 16, kInnerSlots = 16;
constexpr uint64_t kUnused = ~uint64_t{0};
constexpr int kMaxHeight = 14;

// The number of keys that are <= address, which is the first slot whose range ends after it. Unused slots
// hold kUnused, so that the loop has a fixed length and no branch.
template <unsigned kSlots>
inline unsigned FirstEndAfter(const uint64_t* ends, uint64_t address) {
  unsigned n = 0;
  for (unsigned i = 0; i < kSlots; ++i) n += ends[i] <= address ? 1 : 0;
  return n;
}

template <typename T>
void OpenSlot(T* array, unsigned at, unsigned count) {
  std::copy_backward(array + at, array + count, array + count + 1);
}
template <typename T>
void CloseSlot(T* array, unsigned at, unsigned count) {
  std::copy(array + at + 1, array + count, array + at);
}

}  // namespace

struct alignas(64) VmaTree::Leaf {
  uint64_t end[kLeafSlots];
  uint64_t start[kLeafSlots];
  Vma* vma[kLeafSlots];
  unsigned count = 0;

  Leaf() { std::fill(end, end + kLeafSlots, kUnused); }
  Summary Summarize() const {
    if (count == 0) return {};
    uint64_t gap = 0;
    for (unsigned i = 1; i < count; ++i) gap = std::max(gap, start[i] - end[i - 1]);
    return {start[0], end[count - 1], gap};
  }
  void Set(unsigned i, Vma* v) {
    start[i] = v->start.value;
    end[i] = v->end.value;
    vma[i] = v;
  }
  void Open(unsigned at) {
    OpenSlot(end, at, count);
    OpenSlot(start, at, count);
    OpenSlot(vma, at, count);
    ++count;
  }
  void Close(unsigned at) {
    CloseSlot(end, at, count);
    CloseSlot(start, at, count);
    CloseSlot(vma, at, count);
    end[--count] = kUnused;
  }
  // Moves slots [from, count) to the end of `to`.
  void MoveTail(unsigned from, Leaf* to) {
    for (unsigned i = from; i < count; ++i, ++to->count) {
      to->end[to->count] = end[i];
      to->start[to->count] = start[i];
      to->vma[to->count] = vma[i];
      end[i] = kUnused;
    }
    count = from;
  }
};

struct alignas(64) VmaTree::Inner {
  uint64_t last_end[kInnerSlots];
  void* child[kInnerSlots];
  uint64_t first_start[kInnerSlots];
  uint64_t max_gap[kInnerSlots];
  unsigned count = 0;

  Inner() { std::fill(last_end, last_end + kInnerSlots, kUnused); }
  Summary Summarize() const {
    uint64_t gap = max_gap[0];
    for (unsigned i = 1; i < count; ++i) gap = std::max({gap, max_gap[i], first_start[i] - last_end[i - 1]});
    return {first_start[0], last_end[count - 1], gap};
  }
  void Set(unsigned i, Summary s) {
    first_start[i] = s.first_start;
    last_end[i] = s.last_end;
    max_gap[i] = s.max_gap;
  }
  void Open(unsigned at) {
    OpenSlot(last_end, at, count);
    OpenSlot(child, at, count);
    OpenSlot(first_start, at, count);
    OpenSlot(max_gap, at, count);
    ++count;
  }
  void Close(unsigned at) {
    CloseSlot(last_end, at, count);
    CloseSlot(child, at, count);
    CloseSlot(first_start, at, count);
    CloseSlot(max_gap, at, count);
    last_end[--count] = kUnused;
  }
  void MoveTail(unsigned from, Inner* to) {
    for (unsigned i = from; i < count; ++i, ++to->count) {
      to->last_end[to->count] = last_end[i];
      to->child[to->count] = child[i];
      to->first_start[to->count] = first_start[i];
      to->max_gap[to->count] = max_gap[i];
      last_end[i] = kUnused;
    }
    count = from;
  }
  // The child in which `address` belongs: the last one for what lies behind all.
  unsigned ChildFor(uint64_t address) const {
    return std::min(FirstEndAfter<kInnerSlots>(last_end, address), count - 1);
  }
};

// The way from the root (level 0) to a leaf.
struct VmaTree::Path {
  std::array<Inner*, kMaxHeight> node;
  std::array<unsigned, kMaxHeight> slot;
};

VmaTree::VmaTree() : root_(new Leaf) {}
VmaTree::~VmaTree() {
  FreeNode(root_, height_);
}

void VmaTree::FreeNode(void* node, int height) {
  if (height == 0) {
    delete static_cast<Leaf*>(node);
    return;
  }
  Inner* inner = static_cast<Inner*>(node);
  for (unsigned i = 0; i < inner->count; ++i) FreeNode(inner->child[i], height - 1);
  delete inner;
}

VmaTree::Iterator& VmaTree::Iterator::operator++() {
  vma_ = vma_->Next();
  return *this;
}

Vma* VmaTree::First() const {
  return first_;
}
Vma* VmaTree::Last() const {
  return last_;
}

Vma* VmaTree::FindSlow(VirtAddr address) const {
  const void* node = root_;
  for (int h = height_; h > 0; --h) {
    const Inner* inner = static_cast<const Inner*>(node);
    const unsigned i = FirstEndAfter<kInnerSlots>(inner->last_end, address.value);
    if (i >= inner->count) return nullptr;
    node = inner->child[i];
  }
  const Leaf* leaf = static_cast<const Leaf*>(node);
  const unsigned i = FirstEndAfter<kLeafSlots>(leaf->end, address.value);
  if (i >= leaf->count) return nullptr;
  cache_ = {leaf->start[i], leaf->end[i] - leaf->start[i], leaf->vma[i]};
  return leaf->vma[i];
}

Vma* VmaTree::Lookup(VirtAddr address) const {
  Vma* vma = Find(address);
  // Find left the bounds of what it found in the cache; a null leaves the cache as it was.
  return vma != nullptr && address.value - cache_.start < cache_.length ? vma : nullptr;
}

Vma* VmaTree::FindIntersection(VirtAddr start, VirtAddr end) const {
  Vma* vma = Find(start);
  return vma != nullptr && vma->start < end ? vma : nullptr;
}

Vma* VmaTree::FindPrev(VirtAddr address, Vma** prev) const {
  Vma* vma = Find(address);
  *prev = vma != nullptr ? vma->Prev() : last_;
  return vma;
}

VmaTree::Leaf* VmaTree::Descend(uint64_t address, Path* path) const {
  void* node = root_;
  for (int level = 0; level < height_; ++level) {
    Inner* inner = static_cast<Inner*>(node);
    const unsigned i = inner->ChildFor(address);
    path->node[level] = inner;
    path->slot[level] = i;
    node = inner->child[i];
  }
  return static_cast<Leaf*>(node);
}

// The child at `level`'s slot now has `summary`; tells everybody above who does not know yet.
void VmaTree::Propagate(Path* path, int level, Summary summary) {
  for (; level >= 0; --level) {
    Inner* inner = path->node[level];
    const unsigned i = path->slot[level];
    if (Summary{inner->first_start[i], inner->last_end[i], inner->max_gap[i]} == summary) return;
    inner->Set(i, summary);
    summary = inner->Summarize();
  }
}

void VmaTree::InsertInLeaf(Leaf* leaf, unsigned at, Vma* vma) {
  leaf->Open(at);
  leaf->Set(at, vma);
}

void VmaTree::Insert(Vma* vma) {
  const uint64_t start = vma->start.value;
  Path path;
  Leaf* leaf = Descend(start, &path);
  const unsigned at = FirstEndAfter<kLeafSlots>(leaf->end, start);
  Vma* next = at < leaf->count ? leaf->vma[at] : (leaf->count > 0 ? leaf->vma[at - 1]->next_ : nullptr);
  Vma* prev = next != nullptr ? next->prev_ : last_;
  MMSIM_CHECK(vma->start < vma->end);
  MMSIM_CHECK(prev == nullptr || prev->end <= vma->start);
  MMSIM_CHECK(next == nullptr || vma->end <= next->start);
  vma->prev_ = prev;
  vma->next_ = next;
  (prev != nullptr ? prev->next_ : first_) = vma;
  (next != nullptr ? next->prev_ : last_) = vma;
  ++size_;
  if (leaf->count == kLeafSlots) {
    SplitLeaf(&path, leaf, at, vma);
    return;
  }
  InsertInLeaf(leaf, at, vma);
  Propagate(&path, height_ - 1, leaf->Summarize());
}

// A full leaf becomes two, and `vma` goes into one of them. Who adds at an end of the leaf adds there again,
// most likely, so the other leaf is left full.
void VmaTree::SplitLeaf(Path* path, Leaf* leaf, unsigned at, Vma* vma) {
  Leaf* right = new Leaf;
  const unsigned middle = at == 0 ? 1 : at == kLeafSlots ? kLeafSlots - 1 : kLeafSlots / 2;
  leaf->MoveTail(middle, right);
  if (at <= middle) {
    InsertInLeaf(leaf, at, vma);
  } else {
    InsertInLeaf(right, at - middle, vma);
  }
  InsertChild(path, height_ - 1, leaf, leaf->Summarize(), right, right->Summarize());
}

// `left`, the child at `level`'s slot, was split: `right` gets the slot after it.
void VmaTree::InsertChild(Path* path, int level, void* left, Summary left_summary, void* right,
                          Summary right_summary) {
  if (level < 0) {
    Inner* root = new Inner;
    root->count = 2;
    root->child[0] = left;
    root->child[1] = right;
    root->Set(0, left_summary);
    root->Set(1, right_summary);
    root_ = root;
    ++height_;
    MMSIM_CHECK(height_ <= kMaxHeight);
    return;
  }
  Inner* inner = path->node[level];
  const unsigned at = path->slot[level];
  inner->Set(at, left_summary);
  Inner* sibling = nullptr;
  Inner* target = inner;
  unsigned target_at = at + 1;
  if (inner->count == kInnerSlots) {
    sibling = new Inner;
    const unsigned middle = at == 0 ? 2 : (at == kInnerSlots - 1 ? kInnerSlots - 1 : kInnerSlots / 2);
    inner->MoveTail(middle, sibling);
    if (target_at > middle) {
      target = sibling;
      target_at -= middle;
    }
  }
  target->Open(target_at);
  target->child[target_at] = right;
  target->Set(target_at, right_summary);
  if (sibling != nullptr) {
    InsertChild(path, level - 1, inner, inner->Summarize(), sibling, sibling->Summarize());
  } else {
    Propagate(path, level - 1, inner->Summarize());
  }
}

void VmaTree::Erase(Vma* vma) {
  Path path;
  Leaf* leaf = Descend(vma->start.value, &path);
  const unsigned at = FirstEndAfter<kLeafSlots>(leaf->end, vma->start.value);
  MMSIM_CHECK(at < leaf->count && leaf->vma[at] == vma);
  (vma->prev_ != nullptr ? vma->prev_->next_ : first_) = vma->next_;
  (vma->next_ != nullptr ? vma->next_->prev_ : last_) = vma->prev_;
  vma->prev_ = vma->next_ = nullptr;
  --size_;
  cache_ = {};
  leaf->Close(at);
  if (leaf->count == 0 && height_ > 0) {
    delete leaf;
    RemoveChild(&path, height_ - 1);
    return;
  }
  Propagate(&path, height_ - 1, leaf->Summarize());
  if (leaf->count < kLeafSlots / 4 && height_ > 0) MergeSmallLeaf(&path, leaf);
}

// The child at `level`'s slot is gone.
void VmaTree::RemoveChild(Path* path, int level) {
  Inner* inner = path->node[level];
  inner->Close(path->slot[level]);
  if (inner->count == 0) {
    delete inner;
    if (level == 0) {  // the last VMA of all
      root_ = new Leaf;
      height_ = 0;
      return;
    }
    RemoveChild(path, level - 1);
    return;
  }
  Propagate(path, level - 1, inner->Summarize());
  while (height_ > 0 && static_cast<Inner*>(root_)->count == 1) {
    Inner* old = static_cast<Inner*>(root_);
    root_ = old->child[0];
    --height_;
    delete old;
  }
}

// Joins a leaf with a neighbour under the same parent when both fit well into one.
void VmaTree::MergeSmallLeaf(Path* path, Leaf* leaf) {
  const int level = height_ - 1;
  Inner* inner = path->node[level];
  const unsigned slot = path->slot[level];
  constexpr unsigned kRoomy = kLeafSlots * 3 / 4;
  unsigned left_slot = slot;
  if (slot + 1 < inner->count && static_cast<Leaf*>(inner->child[slot + 1])->count + leaf->count <= kRoomy) {
    left_slot = slot;
  } else if (slot > 0 && static_cast<Leaf*>(inner->child[slot - 1])->count + leaf->count <= kRoomy) {
    left_slot = slot - 1;
  } else {
    return;
  }
  Leaf* left = static_cast<Leaf*>(inner->child[left_slot]);
  Leaf* right = static_cast<Leaf*>(inner->child[left_slot + 1]);
  right->MoveTail(0, left);
  inner->Set(left_slot, left->Summarize());
  delete right;
  path->slot[level] = left_slot + 1;
  RemoveChild(path, level);
}

void VmaTree::Update(Vma* vma, VirtAddr old_start, VirtAddr old_end, VirtAddr start, VirtAddr end) {
  MMSIM_CHECK(start < end);
  MMSIM_CHECK(vma->prev_ == nullptr || vma->prev_->end <= start);
  MMSIM_CHECK(vma->next_ == nullptr || end <= vma->next_->start);
  cache_ = {};
  Path path;
  Leaf* leaf = Descend(old_start.value, &path);
  const unsigned at = FirstEndAfter<kLeafSlots>(leaf->end, old_start.value);
  MMSIM_CHECK(at < leaf->count && leaf->vma[at] == vma && leaf->end[at] == old_end.value);
  leaf->start[at] = start.value;
  leaf->end[at] = end.value;
  Propagate(&path, height_ - 1, leaf->Summarize());
}

namespace {

// [start, end) clamped to [min, max), when `size` bytes of it are left.
bool Fits(uint64_t start, uint64_t end, Vma* next, uint64_t min, uint64_t max, uint64_t size,
          VmaTree::Gap* gap) {
  const uint64_t lo = std::max(start, min), hi = std::min(end, max);
  if (hi <= lo || hi - lo < size) return false;
  *gap = {VirtAddr(lo), VirtAddr(hi), next, true};
  return true;
}

}  // namespace

// Of a child whose largest gap is large enough and which lies inside the limits wholly, the search is sure to
// succeed; at most two children a level are cut by a limit, so it stays O(log n).
bool VmaTree::HighestIn(const void* node, int height, uint64_t min, uint64_t max, uint64_t size,
                        Gap* gap) const {
  if (height == 0) {
    const Leaf* leaf = static_cast<const Leaf*>(node);
    for (unsigned i = leaf->count - 1; i > 0 && leaf->start[i] > min; --i) {
      if (Fits(leaf->end[i - 1], leaf->start[i], leaf->vma[i], min, max, size, gap)) return true;
    }
    return false;
  }
  const Inner* inner = static_cast<const Inner*>(node);
  for (unsigned i = inner->count; i-- > 0;) {
    if (i + 1 < inner->count && inner->last_end[i] < max) {
      const uint64_t start = inner->last_end[i], end = inner->first_start[i + 1];
      if (Fits(start, end, nullptr, min, max, size, gap)) {
        gap->next = Find(VirtAddr(end));
        return true;
      }
    }
    if (inner->last_end[i] <= min) return false;
    if (inner->max_gap[i] >= size && inner->first_start[i] < max &&
        HighestIn(inner->child[i], height - 1, min, max, size, gap)) {
      return true;
    }
  }
  return false;
}

bool VmaTree::LowestIn(const void* node, int height, uint64_t min, uint64_t max, uint64_t size,
                       Gap* gap) const {
  if (height == 0) {
    const Leaf* leaf = static_cast<const Leaf*>(node);
    for (unsigned i = 1; i < leaf->count && leaf->end[i - 1] < max; ++i) {
      if (Fits(leaf->end[i - 1], leaf->start[i], leaf->vma[i], min, max, size, gap)) return true;
    }
    return false;
  }
  const Inner* inner = static_cast<const Inner*>(node);
  for (unsigned i = 0; i < inner->count; ++i) {
    if (inner->first_start[i] >= max) return false;
    if (inner->max_gap[i] >= size && inner->last_end[i] > min &&
        LowestIn(inner->child[i], height - 1, min, max, size, gap)) {
      return true;
    }
    if (i + 1 < inner->count) {
      const uint64_t start = inner->last_end[i], end = inner->first_start[i + 1];
      if (Fits(start, end, nullptr, min, max, size, gap)) {
        gap->next = Find(VirtAddr(end));
        return true;
      }
    }
  }
  return false;
}

VmaTree::Gap VmaTree::HighestGap(VirtAddr min, VirtAddr max, uint64_t size) const {
  Gap gap;
  if (min >= max || size == 0 || max - min < size) return gap;
  const uint64_t after = last_ != nullptr ? last_->end.value : 0;
  if (Fits(after, ~uint64_t{0}, nullptr, min.value, max.value, size, &gap)) return gap;
  if (size_ == 0) return gap;
  if (HighestIn(root_, height_, min.value, max.value, size, &gap)) return gap;
  Fits(0, first_->start.value, first_, min.value, max.value, size, &gap);
  return gap;
}

VmaTree::Gap VmaTree::LowestGap(VirtAddr min, VirtAddr max, uint64_t size) const {
  Gap gap;
  if (min >= max || size == 0 || max - min < size) return gap;
  if (size_ != 0) {
    if (Fits(0, first_->start.value, first_, min.value, max.value, size, &gap)) return gap;
    if (LowestIn(root_, height_, min.value, max.value, size, &gap)) return gap;
  }
  const uint64_t after = last_ != nullptr ? last_->end.value : 0;
  Fits(after, ~uint64_t{0}, nullptr, min.value, max.value, size, &gap);
  return gap;
}

VmaTree::Summary VmaTree::CheckNode(const void* node, int height, size_t* count) const {
  if (height == 0) {
    const Leaf* leaf = static_cast<const Leaf*>(node);
    for (unsigned i = 0; i < kLeafSlots; ++i) {
      if (i >= leaf->count) {
        MMSIM_CHECK(leaf->end[i] == kUnused);
        continue;
      }
      const Vma* v = leaf->vma[i];
      MMSIM_CHECK(v->attached && v->start.value == leaf->start[i] && v->end.value == leaf->end[i]);
      MMSIM_CHECK(v->start < v->end && (v->prev_ == nullptr || v->prev_->end <= v->start));
      MMSIM_CHECK((v->prev_ != nullptr ? v->prev_->next_ : first_) == v);
      MMSIM_CHECK((v->next_ != nullptr ? v->next_->prev_ : last_) == v);
      if (i > 0) MMSIM_CHECK(leaf->vma[i - 1] == v->prev_);
    }
    *count += leaf->count;
    return leaf->Summarize();
  }
  const Inner* inner = static_cast<const Inner*>(node);
  MMSIM_CHECK(inner->count > 0);
  for (unsigned i = 0; i < kInnerSlots; ++i) {
    if (i >= inner->count) {
      MMSIM_CHECK(inner->last_end[i] == kUnused);
      continue;
    }
    const Summary s = CheckNode(inner->child[i], height - 1, count);
    MMSIM_CHECK((s == Summary{inner->first_start[i], inner->last_end[i], inner->max_gap[i]}));
    if (i > 0) MMSIM_CHECK(inner->last_end[i - 1] <= inner->first_start[i]);
  }
  return inner->Summarize();
}

void VmaTree::CheckInvariants() const {
  size_t count = 0;
  CheckNode(root_, height_, &count);
  MMSIM_CHECK(count == size_ && (size_ == 0) == (first_ == nullptr));
}

}  // namespace mmsim
