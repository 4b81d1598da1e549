// SPDX-License-Identifier: Apache-2.0
// What is written in each of a number of 4 KiB frames, at a cost that follows what differs: a frame of one
// repeated byte (zero, at first) costs nothing or one word; a few bytes that differ cost one word; some words
// more a small block; and only where many bytes differ is there a real page. Copying a uniform frame copies
// one word.
//
// A frame's word holds a form in its low bits, and lies in a leaf of a two-level array that is made where
// first written:
//     63             24 23  16 15     4 3    0
//    | up to five bytes | fill | offset | form |  form 1..5: that many bytes at `offset` differ from `fill`
//    | block's number   | fill | class, count | 6 |  up to 32 aligned 8-byte words differ from `fill`
//    | block's number   |  0   |   0    |  7   |  a whole page, aside
//    |  0               | fill |   0    |  0   |  uniform
//    |  0               |  0   |   0    |  8   |  the bytes are at the frame's place in the direct map
//    (PhysMem's tables)
// The same bytes may be held in more than one form; Hash and Equal see bytes alone.
//
// It knows nothing of who owns a frame; a swap area may have a FrameContents of its own. Not modelled:
// caches, bus order.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "mmsim/types.h"
#include "sim/base/check.h"

namespace mmsim {

// Blocks of one size, numbered, recycled, taken from the host in chunks.
class BlockPool {
 public:
  explicit BlockPool(uint32_t block_bytes);
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;
  ~BlockPool();

  uint32_t Take();            // its bytes are arbitrary
  void Give(uint32_t block);  // Precondition: taken
  uint8_t* At(uint32_t block) const {
    return chunks_[block / blocks_per_chunk_] + uint64_t{block % blocks_per_chunk_} * block_bytes_;
  }
  uint64_t taken() const { return used_ - free_.size(); }
  uint32_t block_bytes() const { return block_bytes_; }

 private:
  uint32_t block_bytes_, blocks_per_chunk_;
  uint32_t used_ = 0;  // blocks ever taken
  std::vector<uint8_t*> chunks_;
  std::vector<uint32_t> free_;
};

class FrameContents {
 public:
  // `direct_map`: where the frame 0 of form 8 would lie; null if there is no such form.
  explicit FrameContents(uint64_t nr_frames, uint8_t* direct_map = nullptr);
  FrameContents(const FrameContents&) = delete;
  FrameContents& operator=(const FrameContents&) = delete;
  ~FrameContents();

  // Bytes [offset, offset + size) of a frame. Precondition: they lie within it.
  void Read(uint64_t frame, uint32_t offset, std::span<uint8_t> out) const;
  void Write(uint64_t frame, uint32_t offset, std::span<const uint8_t> in);
  // The same, of what nearly every store is: one to five bytes onto a frame that is uniform, the first and
  // the last of which differ from it. False: it is not that, and nothing was done.
  bool WriteFew(uint64_t frame, uint64_t offset, std::span<const uint8_t> in) {
    if (in.size() - 1 >= kMaxInline || frame >= nr_frames_) return false;
    uint64_t* leaf = leaves_.get()[frame >> kLeafShift];
    if (leaf == nullptr) return false;
    uint64_t& word = leaf[frame & (kLeafFrames - 1)];
    const uint8_t fill = FillOf(word);
    if ((word & kFormMask) != 0 || in.front() == fill || in.back() == fill) return false;
    uint64_t value = 0;
    for (size_t i = in.size(); i > 0; --i) value = value << 8 | in[i - 1];
    word |= value << kValueShift | offset << kOffsetShift | in.size();
    return true;
  }
  // Every byte of the frame becomes `byte`.
  void Fill(uint64_t frame, uint8_t byte) {
    if (Word(frame) != uint64_t{byte} << kFillShift) Replace(frame, uint64_t{byte} << kFillShift);
  }
  // The frame becomes one of zeros, and costs nothing but its word.
  void Discard(uint64_t frame) { Fill(frame, 0); }
  // `to` becomes a copy of frame `from` of `source`, which may be this. Precondition: `to` is not of form 8.
  void Copy(const FrameContents& source, uint64_t from, uint64_t to);
  // From now on the frame's bytes are those of the direct map, whatever they are.
  void UseDirectMap(uint64_t frame) { Replace(frame, kDirect); }

  // Whether the frame's word alone says that it is zeros. Precondition: there is such a frame.
  bool IsPlainlyZero(uint64_t frame) const { return Word(frame) == 0; }
  bool IsUniform(uint64_t frame, uint8_t byte) const;
  bool Equal(uint64_t a, uint64_t b) const;
  // A hash of the 4096 bytes, whatever the form they are held in; the same on every machine.
  uint64_t Hash(uint64_t frame) const;

  uint64_t nr_frames() const { return nr_frames_; }
  // Bytes of host memory in use for contents (leaves and blocks taken), for benchmarks and tests.
  uint64_t HostBytes() const;

 private:
  static constexpr uint64_t kFormMask = 15, kSparse = 6, kPage = 7, kDirect = 8;
  static constexpr uint64_t kMaxInline = 5;
  static constexpr int kOffsetShift = 4, kFillShift = 16, kValueShift = 24;
  static constexpr int kClassShift = 4, kCountShift = 8;
  static constexpr int kNrClasses = 6;  // 1, 2, 4 ... 32 words
  static constexpr uint32_t kMaxWords = 1u << (kNrClasses - 1);
  static constexpr int kLeafShift = 11;  // frames a leaf: 2048, 16 KiB
  static constexpr uint64_t kLeafFrames = uint64_t{1} << kLeafShift;

  // From calloc, so that what is never used costs the host nothing.
  struct Freed {
    void operator()(void* p) const { std::free(p); }
  };
  struct Sparse {  // a view of a block of form 6: words sorted by their index in the frame
    uint64_t* values;
    uint16_t* indices;
  };

  uint64_t Word(uint64_t frame) const {
    const uint64_t* leaf = leaves_.get()[frame >> kLeafShift];
    return leaf == nullptr ? 0 : leaf[frame & (kLeafFrames - 1)];
  }
  uint64_t& WordRef(uint64_t frame) {
    uint64_t* leaf = leaves_.get()[frame >> kLeafShift];
    if (leaf == nullptr) [[unlikely]]
      leaf = MakeLeaf(frame);
    return leaf[frame & (kLeafFrames - 1)];
  }
  [[gnu::cold]] uint64_t* MakeLeaf(uint64_t frame);
  // Stores a word that needs no block in place of whatever was there.
  void Replace(uint64_t frame, uint64_t word);
  void FreeBlocks(uint64_t word);
  void CopyBlock(const FrameContents& source, uint64_t from, uint64_t to);

  static uint8_t FillOf(uint64_t word) { return static_cast<uint8_t>(word >> kFillShift); }
  static uint32_t BlockOf(uint64_t word) { return static_cast<uint32_t>(word >> kValueShift); }
  static int ClassOf(uint64_t word) { return static_cast<int>((word >> kClassShift) & 15); }
  static uint32_t CountOf(uint64_t word) { return static_cast<uint32_t>((word >> kCountShift) & 255); }
  static uint64_t SparseWord(uint32_t block, int size_class, uint32_t count, uint8_t fill);
  Sparse SparseAt(int size_class, uint32_t block) const;

  const uint8_t* PageOf(uint64_t frame, uint64_t word) const;
  void WriteSmall(uint64_t frame, uint64_t word, uint32_t offset, std::span<const uint8_t> in);
  void WriteSparse(uint64_t frame, uint32_t offset, std::span<const uint8_t> in);
  bool IsBehindAll(uint64_t word, uint32_t index) const;
  uint64_t GetWord(uint64_t word, uint32_t index) const;
  bool PutWord(uint64_t& word, uint32_t index, uint64_t value);
  static bool MustBePage(std::span<const uint8_t> in, uint32_t offset, uint8_t fill);
  void InlineToSparse(uint64_t& word);
  void ToPage(uint64_t frame);

  uint64_t nr_frames_;
  uint8_t* direct_map_;
  std::unique_ptr<uint64_t*, Freed> leaves_;
  BlockPool leaf_pool_;
  std::unique_ptr<BlockPool> sparse_[kNrClasses];
  BlockPool pages_;
};

}  // namespace mmsim
