// SPDX-License-Identifier: Apache-2.0
// The forms of a frame's contents and the ways from one to the next: uniform -> a few bytes -> some words ->
// a page.
#include "sim/hw/frame_contents.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

#include "sim/base/host_limit.h"

namespace mmsim {
namespace {

static_assert(std::endian::native == std::endian::little, "entries are read as words and as bytes");

constexpr uint64_t kPoolChunk = uint64_t{1} << 20;
constexpr uint64_t kPoolStep = uint64_t{64} << 10;  // host memory is populated this much at a time

uint64_t Repeated(uint8_t byte) {
  return byte * uint64_t{0x0101010101010101};
}

uint64_t Mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}
// What a word of a frame adds to its hash: nothing if it is zero, so that the sparse forms need not look at
// the rest.
uint64_t HashTerm(uint32_t index, uint64_t value) {
  return value == 0 ? 0 : Mix(value + Mix((index + 1) * uint64_t{0x9e3779b97f4a7c15}));
}

// `in` without the bytes at either end that are `fill`; `offset` moves along.
std::span<const uint8_t> Trim(std::span<const uint8_t> in, uint8_t fill, uint32_t& offset) {
  while (!in.empty() && in.back() == fill) in = in.first(in.size() - 1);
  while (!in.empty() && in.front() == fill) {
    in = in.subspan(1);
    ++offset;
  }
  return in;
}

bool AllEqual(std::span<const uint8_t> bytes) {
  return std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

}  // namespace

BlockPool::BlockPool(uint32_t block_bytes)
    : block_bytes_(block_bytes), blocks_per_chunk_(static_cast<uint32_t>(kPoolChunk / block_bytes)) {}

BlockPool::~BlockPool() {
  for (uint8_t* chunk : chunks_) munmap(chunk, kPoolChunk);
}

uint32_t BlockPool::Take() {
  if (!free_.empty()) {
    const uint32_t block = free_.back();
    free_.pop_back();
    return block;
  }
  const uint32_t block = used_++;
  if (block % blocks_per_chunk_ == 0) {
    void* at = mmap(nullptr, kPoolChunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) HostLimit("this host has no memory left for the contents of simulated frames");
    chunks_.push_back(static_cast<uint8_t*>(at));
  }
  // The step that this block's last byte is the first to reach is populated by one call; it is only a
  // speed-up.
  const uint64_t start = uint64_t{block % blocks_per_chunk_} * block_bytes_;
  const uint64_t step = (start + block_bytes_ - 1) / kPoolStep;
  if (start == 0 || (start - 1) / kPoolStep != step) {
    madvise(chunks_.back() + step * kPoolStep, kPoolStep, MADV_POPULATE_WRITE);
  }
  return block;
}

void BlockPool::Give(uint32_t block) {
  MMSIM_CHECK(block < used_);
  free_.push_back(block);
}

FrameContents::FrameContents(uint64_t nr_frames, uint8_t* direct_map)
    : nr_frames_(nr_frames),
      direct_map_(direct_map),
      leaves_(static_cast<uint64_t**>(std::calloc((nr_frames >> kLeafShift) + 1, sizeof(uint64_t*)))),
      leaf_pool_(kLeafFrames * sizeof(uint64_t)),
      pages_(kPageSize) {
  if (leaves_ == nullptr) HostLimit("this host has no memory left for the contents of simulated frames");
  for (int c = 0; c < kNrClasses; ++c) {
    const uint32_t words = 1u << c;
    const uint32_t bytes = words * (sizeof(uint64_t) + sizeof(uint16_t));
    sparse_[c] = std::make_unique<BlockPool>((bytes + 7) & ~7u);
  }
}

FrameContents::~FrameContents() = default;

uint64_t* FrameContents::MakeLeaf(uint64_t frame) {
  MMSIM_CHECK(frame < nr_frames_);
  auto* leaf = reinterpret_cast<uint64_t*>(leaf_pool_.At(leaf_pool_.Take()));
  std::memset(leaf, 0, kLeafFrames * sizeof(uint64_t));
  return leaves_.get()[frame >> kLeafShift] = leaf;
}

void FrameContents::Replace(uint64_t frame, uint64_t word) {
  uint64_t& ref = WordRef(frame);
  FreeBlocks(ref);
  ref = word;
}

void FrameContents::FreeBlocks(uint64_t word) {
  const uint64_t form = word & kFormMask;
  if (form == kSparse) sparse_[ClassOf(word)]->Give(BlockOf(word));
  if (form == kPage) pages_.Give(BlockOf(word));
}

uint64_t FrameContents::SparseWord(uint32_t block, int size_class, uint32_t count, uint8_t fill) {
  return uint64_t{block} << kValueShift | uint64_t{fill} << kFillShift | uint64_t{count} << kCountShift |
         static_cast<uint64_t>(size_class) << kClassShift | kSparse;
}

FrameContents::Sparse FrameContents::SparseAt(int size_class, uint32_t block) const {
  uint8_t* at = sparse_[size_class]->At(block);
  return {reinterpret_cast<uint64_t*>(at),
          reinterpret_cast<uint16_t*>(at + (sizeof(uint64_t) << size_class))};
}

const uint8_t* FrameContents::PageOf(uint64_t frame, uint64_t word) const {
  return (word & kFormMask) == kPage ? pages_.At(BlockOf(word)) : direct_map_ + (frame << kPageShift);
}

void FrameContents::Read(uint64_t frame, uint32_t offset, std::span<uint8_t> out) const {
  MMSIM_CHECK(frame < nr_frames_ && offset + out.size() <= kPageSize);
  const uint64_t word = Word(frame);
  const uint64_t form = word & kFormMask;
  if (form >= kPage) {
    std::copy_n(PageOf(frame, word) + offset, out.size(), out.data());
    return;
  }
  std::fill(out.begin(), out.end(), FillOf(word));
  const uint64_t end = offset + out.size();
  // Lays bytes [at, at + size) of the frame over what of them was asked for.
  const auto overlay = [&](uint64_t at, const uint8_t* bytes, uint64_t size) {
    const uint64_t from = std::max<uint64_t>(at, offset), to = std::min(at + size, end);
    if (from < to) std::copy_n(bytes + (from - at), to - from, out.data() + (from - offset));
  };
  if (form == kSparse) {
    const Sparse s = SparseAt(ClassOf(word), BlockOf(word));
    for (uint32_t i = 0; i < CountOf(word); ++i) {
      overlay(s.indices[i] * sizeof(uint64_t), reinterpret_cast<const uint8_t*>(&s.values[i]),
              sizeof(uint64_t));
    }
  } else if (form != 0) {
    const uint64_t bytes = word >> kValueShift;
    overlay((word >> kOffsetShift) & (kPageSize - 1), reinterpret_cast<const uint8_t*>(&bytes), form);
  }
}

void FrameContents::Write(uint64_t frame, uint32_t offset, std::span<const uint8_t> in) {
  MMSIM_CHECK(frame < nr_frames_ && offset + in.size() <= kPageSize);
  if (in.empty()) return;
  uint64_t word = Word(frame);
  uint64_t form = word & kFormMask;
  if (form >= kPage) {
    std::copy(in.begin(), in.end(), const_cast<uint8_t*>(PageOf(frame, word)) + offset);
    return;
  }
  if (in.size() == kPageSize && AllEqual(in)) {
    Fill(frame, in[0]);
    return;
  }
  if (MustBePage(in, offset, FillOf(word))) {
    ToPage(frame);
    Write(frame, offset, in);
    return;
  }
  if (in.size() == kPageSize && form != 0) {  // nothing of what was there stays
    Fill(frame, FillOf(word));
    word = Word(frame);
    form = 0;
  }
  if (form <= kMaxInline) {
    WriteSmall(frame, word, offset, in);
  } else {
    WriteSparse(frame, offset, in);
  }
}

// Whether more words of the frame would differ from the fill than form 6 has room for, whatever is there now.
bool FrameContents::MustBePage(std::span<const uint8_t> in, uint32_t offset, uint8_t fill) {
  const uint64_t uniform = Repeated(fill);
  uint32_t differing = 0;
  for (size_t at = -offset % sizeof(uint64_t); at + sizeof(uint64_t) <= in.size(); at += sizeof(uint64_t)) {
    uint64_t word;
    std::memcpy(&word, in.data() + at, sizeof(word));
    differing += word != uniform;
    if (differing > kMaxWords) return true;
  }
  return false;
}

// Onto a uniform frame, or one with a few bytes aside.
void FrameContents::WriteSmall(uint64_t frame, uint64_t word, uint32_t offset, std::span<const uint8_t> in) {
  // The fill, but for at most kMaxInline bytes at `at`.
  const auto inline_word = [word](std::span<const uint8_t> bytes, uint32_t at) {
    const uint64_t uniform = uint64_t{FillOf(word)} << kFillShift;
    if (bytes.empty()) return uniform;
    uint64_t value = 0;
    std::copy(bytes.begin(), bytes.end(), reinterpret_cast<uint8_t*>(&value));
    return value << kValueShift | uniform | uint64_t{at} << kOffsetShift | bytes.size();
  };
  const uint64_t nr_old = word & kFormMask;
  const uint32_t old_offset = static_cast<uint32_t>(word >> kOffsetShift) & (kPageSize - 1);
  if (nr_old == 0) {
    in = Trim(in, FillOf(word), offset);
    if (in.empty()) return;
    if (in.size() <= kMaxInline) {
      WordRef(frame) = inline_word(in, offset);
      return;
    }
  }
  const uint64_t start = nr_old == 0 ? offset : std::min(offset, old_offset);
  const uint64_t end = nr_old == 0 ? offset + in.size() : std::max(offset + in.size(), old_offset + nr_old);
  if (end - start > 8) {
    uint64_t& ref = WordRef(frame);
    InlineToSparse(ref);
    WriteSparse(frame, offset, in);
    return;
  }
  // Both together lie within eight bytes: read these, lay the new over them, and see what is left that
  // differs.
  uint8_t together[8];
  Read(frame, static_cast<uint32_t>(start), std::span(together, end - start));
  std::copy(in.begin(), in.end(), together + (offset - start));
  uint32_t at = static_cast<uint32_t>(start);
  const std::span<const uint8_t> rest =
      Trim(std::span<const uint8_t>(together, end - start), FillOf(word), at);
  uint64_t& ref = WordRef(frame);
  if (rest.size() <= kMaxInline) {
    ref = inline_word(rest, at);
    return;
  }
  InlineToSparse(ref);
  WriteSparse(frame, offset, in);
}

// A frame of form 0 to 5 becomes one of form 6, or stays uniform if nothing differs.
void FrameContents::InlineToSparse(uint64_t& word) {
  const uint64_t nr = word & kFormMask, bytes = word >> kValueShift;
  const uint64_t offset = (word >> kOffsetShift) & (kPageSize - 1);
  const uint8_t fill = FillOf(word);
  uint64_t values[2] = {Repeated(fill), Repeated(fill)};
  const uint64_t first = offset / sizeof(uint64_t);
  std::copy_n(reinterpret_cast<const uint8_t*>(&bytes), nr,
              reinterpret_cast<uint8_t*>(values) + offset % sizeof(uint64_t));
  word = SparseWord(sparse_[0]->Take(), 0, 0, fill);
  for (uint32_t i = 0; i < 2; ++i) {
    if (values[i] != Repeated(fill)) PutWord(word, static_cast<uint32_t>(first) + i, values[i]);
  }
}

// Sets one word of a form-6 frame, the block growing as it must. False, with nothing changed, if it may not
// grow further.
bool FrameContents::PutWord(uint64_t& word, uint32_t index, uint64_t value) {
  int size_class = ClassOf(word);
  uint32_t block = BlockOf(word), count = CountOf(word);
  const uint8_t fill = FillOf(word);
  Sparse s = SparseAt(size_class, block);
  uint32_t at = static_cast<uint32_t>(std::lower_bound(s.indices, s.indices + count, index) - s.indices);
  if (at < count && s.indices[at] == index) {
    s.values[at] = value;
    return true;
  }
  if (value == Repeated(fill)) return true;
  if (count == 1u << size_class) {
    if (count == kMaxWords) return false;
    const uint32_t larger = sparse_[size_class + 1]->Take();
    const Sparse to = SparseAt(size_class + 1, larger);
    std::copy_n(s.values, count, to.values);
    std::copy_n(s.indices, count, to.indices);
    sparse_[size_class]->Give(block);
    ++size_class;
    block = larger;
    s = to;
  }
  std::copy_backward(s.values + at, s.values + count, s.values + count + 1);
  std::copy_backward(s.indices + at, s.indices + count, s.indices + count + 1);
  s.values[at] = value;
  s.indices[at] = static_cast<uint16_t>(index);
  word = SparseWord(block, size_class, count + 1, fill);
  return true;
}

// Whether the words of a form-6 frame from here on are the fill.
bool FrameContents::IsBehindAll(uint64_t word, uint32_t index) const {
  const uint32_t count = CountOf(word);
  return count == 0 || SparseAt(ClassOf(word), BlockOf(word)).indices[count - 1] < index;
}

// One word of a form-6 frame.
uint64_t FrameContents::GetWord(uint64_t word, uint32_t index) const {
  const Sparse s = SparseAt(ClassOf(word), BlockOf(word));
  const uint16_t* const end = s.indices + CountOf(word);
  const uint16_t* const at = std::lower_bound<const uint16_t*>(s.indices, end, index);
  return at != end && *at == index ? s.values[at - s.indices] : Repeated(FillOf(word));
}

void FrameContents::WriteSparse(uint64_t frame, uint32_t offset, std::span<const uint8_t> in) {
  uint64_t& word = WordRef(frame);
  const uint64_t uniform = Repeated(FillOf(word));
  while (!in.empty()) {
    const uint32_t index = offset / sizeof(uint64_t), skip = offset % sizeof(uint64_t);
    const uint64_t part = std::min<uint64_t>(in.size(), sizeof(uint64_t) - skip);
    const bool behind = IsBehindAll(word, index);
    uint64_t value = behind ? uniform : GetWord(word, index);
    std::memcpy(reinterpret_cast<uint8_t*>(&value) + skip, in.data(), part);
    if (!(behind && value == uniform) && !PutWord(word, index, value)) {
      ToPage(frame);
      Write(frame, offset, in);
      return;
    }
    in = in.subspan(part);
    offset += static_cast<uint32_t>(part);
  }
}

void FrameContents::ToPage(uint64_t frame) {
  const uint32_t page = pages_.Take();
  Read(frame, 0, std::span(pages_.At(page), kPageSize));
  Replace(frame, uint64_t{page} << kValueShift | kPage);
}

void FrameContents::Copy(const FrameContents& source, uint64_t from, uint64_t to) {
  MMSIM_CHECK(from < source.nr_frames_ && to < nr_frames_);
  if (&source == this && from == to) return;
  const uint64_t word = source.Word(from), old = Word(to);
  MMSIM_CHECK((old & kFormMask) != kDirect && "a table is no frame to copy to");
  if ((word & kFormMask) > kMaxInline) {
    CopyBlock(source, from, to);
  } else if (word != old) {
    Replace(to, word);
  }
}

void FrameContents::CopyBlock(const FrameContents& source, uint64_t from, uint64_t to) {
  const uint64_t word = source.Word(from);
  const uint64_t form = word & kFormMask;
  if (form == kSparse) {
    const int size_class = ClassOf(word);
    const uint32_t block = sparse_[size_class]->Take();
    std::copy_n(source.sparse_[size_class]->At(BlockOf(word)), sparse_[size_class]->block_bytes(),
                sparse_[size_class]->At(block));
    Replace(to, SparseWord(block, size_class, CountOf(word), FillOf(word)));
    return;
  }
  const uint32_t page = pages_.Take();
  std::copy_n(source.PageOf(from, word), kPageSize, pages_.At(page));
  Replace(to, uint64_t{page} << kValueShift | kPage);
}

bool FrameContents::IsUniform(uint64_t frame, uint8_t byte) const {
  const uint64_t word = Word(frame);
  if ((word & kFormMask) == 0) return FillOf(word) == byte;
  if ((word & kFormMask) <= kMaxInline && FillOf(word) != byte) return false;
  uint8_t bytes[kPageSize];
  Read(frame, 0, bytes);
  return bytes[0] == byte && AllEqual(bytes);
}

bool FrameContents::Equal(uint64_t a, uint64_t b) const {
  const uint64_t word_a = Word(a), word_b = Word(b);
  if (word_a == word_b && (word_a & kFormMask) <= kMaxInline) return true;
  if ((word_a & kFormMask) == 0) return IsUniform(b, FillOf(word_a));
  if ((word_b & kFormMask) == 0) return IsUniform(a, FillOf(word_b));
  uint8_t bytes_a[kPageSize], bytes_b[kPageSize];
  Read(a, 0, bytes_a);
  Read(b, 0, bytes_b);
  return std::memcmp(bytes_a, bytes_b, kPageSize) == 0;
}

uint64_t FrameContents::Hash(uint64_t frame) const {
  const uint64_t word = Word(frame);
  const uint64_t form = word & kFormMask;
  uint64_t sum = 0;
  if (form < kPage && FillOf(word) == 0) {
    if (form == kSparse) {
      const Sparse s = SparseAt(ClassOf(word), BlockOf(word));
      for (uint32_t i = 0; i < CountOf(word); ++i) sum += HashTerm(s.indices[i], s.values[i]);
    } else if (form != 0) {
      const uint64_t offset = (word >> kOffsetShift) & (kPageSize - 1);
      const unsigned __int128 wide = static_cast<unsigned __int128>(word >> kValueShift) << (offset % 8 * 8);
      const uint32_t index = static_cast<uint32_t>(offset / 8);
      sum += HashTerm(index, static_cast<uint64_t>(wide)) +
             HashTerm(index + 1, static_cast<uint64_t>(wide >> 64));
    }
    return Mix(sum);
  }
  uint64_t words[kPageSize / sizeof(uint64_t)];
  Read(frame, 0, std::span(reinterpret_cast<uint8_t*>(words), kPageSize));
  for (uint32_t i = 0; i < kPageSize / sizeof(uint64_t); ++i) sum += HashTerm(i, words[i]);
  return Mix(sum);
}

uint64_t FrameContents::HostBytes() const {
  uint64_t bytes = leaf_pool_.taken() * leaf_pool_.block_bytes() + pages_.taken() * pages_.block_bytes();
  for (const auto& pool : sparse_) bytes += pool->taken() * pool->block_bytes();
  return bytes;
}

}  // namespace mmsim
