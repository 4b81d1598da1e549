// SPDX-License-Identifier: Apache-2.0
// Simulated physical memory: a number of 4 KiB frames. Page tables lie in one reserved arena that maps them
// directly, so that a walk is one load a level; what is in all other frames is kept aside at a cost that
// follows what differs (frame_contents.h). Both are one memory: reading a table's frame byte by byte gives
// its entries.
//
// Who owns which frame is the kernel's to know. Two wishes to it: take the frames of tables close to each
// other, because the host's memory for them comes 16 frames (64 KiB, aligned) at a time; and Discard a frame
// when it is freed.
//
// Not modelled: holes in the physical address space, devices, NUMA distances, caches.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include "mmsim/types.h"
#include "sim/base/check.h"
#include "sim/hw/frame_contents.h"

namespace mmsim {

class PhysMem {
 public:
  static constexpr uint64_t kDefaultFrames = uint64_t{1} << 24;  // 64 GiB
  static constexpr uint64_t kMaxFrames = uint64_t{1} << 30;      // 4 TiB
  static constexpr uint64_t kEntriesPerTable = kPageSize / sizeof(uint64_t);

  // Only address space is taken. Precondition: 0 < nr_frames <= kMaxFrames, and the host grants the
  // reservation (valgrind: at most 32 GiB); CanReserve tells.
  explicit PhysMem(uint64_t nr_frames = kDefaultFrames);
  PhysMem(const PhysMem&) = delete;
  PhysMem& operator=(const PhysMem&) = delete;
  ~PhysMem();
  static bool CanReserve(uint64_t nr_frames);

  uint64_t nr_frames() const { return nr_frames_; }
  // The bits of an address that may be set in this machine: its size, rounded up to a power of two. Every
  // address within is safe to follow: it reads as zeros where no frame is.
  uint64_t AddressMask() const { return arena_bytes_ - 1; }

  // The table that starts at a physical address; the walker's one way. Precondition: within AddressMask(); a
  // frame for which MakeTable was not called reads as zeros.
  uint64_t* TableAt(PhysAddr table) const { return reinterpret_cast<uint64_t*>(arena_ + table.value); }
  uint64_t* TableAt(Pfn table) const { return TableAt(table.Base()); }
  // Where an entry lies. Precondition: it is one of a table of this memory.
  PhysAddr AddressOf(const uint64_t* entry) const {
    return PhysAddr(static_cast<uint64_t>(reinterpret_cast<const uint8_t*>(entry) - arena_));
  }
  // The frame becomes a table of zeros in the direct map. Discard ends it.
  void MakeTable(Pfn frame);

  // Bytes [at, at + size), over as many frames as that are.
  void ReadBytes(PhysAddr at, std::span<uint8_t> out) const;
  void WriteBytes(PhysAddr at, std::span<const uint8_t> in);
  // The same where they lie in one frame.
  void WriteInFrame(PhysAddr at, std::span<const uint8_t> in) {
    if (contents_.WriteFew(at.PageNumber(), at.PageOffset(), in)) [[likely]]
      return;
    contents_.Write(at.PageNumber(), static_cast<uint32_t>(at.PageOffset()), in);
  }
  // All of a frame, which is no table.
  void Fill(Pfn frame, uint8_t byte) { contents_.Fill(frame.value, byte); }
  // Precondition: `to` is no table, and of zeros, as a new frame is.
  void CopyFrame(Pfn from, Pfn to) {
    if (!contents_.IsPlainlyZero(from.value)) contents_.Copy(contents_, from.value, to.value);
  }
  void Discard(Pfn frame) { contents_.Discard(frame.value); }
  uint64_t HashFrame(Pfn frame) const { return contents_.Hash(frame.value); }
  bool FramesEqual(Pfn a, Pfn b) const { return contents_.Equal(a.value, b.value); }
  bool IsUniform(Pfn frame, uint8_t byte) const { return contents_.IsUniform(frame.value, byte); }

  // For what lies elsewhere, a swap area for one: FrameContents::Copy goes both ways.
  FrameContents& contents() { return contents_; }
  const FrameContents& contents() const { return contents_; }

 private:
  static constexpr uint64_t kGroupFrames = 16;  // host memory for tables comes this many frames at a time
  struct Freed {
    void operator()(void* p) const { std::free(p); }
  };

  uint64_t nr_frames_;
  uint64_t arena_bytes_;
  uint8_t* arena_;
  std::unique_ptr<uint64_t, Freed> populated_;  // a bit a group
  FrameContents contents_;
};

}  // namespace mmsim
