// SPDX-License-Identifier: Apache-2.0
// PhysMem's arena: its reservation, and the host's memory for tables, taken in groups.
#include "sim/hw/phys_mem.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "sim/base/host_limit.h"

namespace mmsim {
namespace {

uint8_t* Reserve(uint64_t bytes) {
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return at == MAP_FAILED ? nullptr : static_cast<uint8_t*>(at);
}

constexpr uint64_t kMinFrames = 16;  // a group

uint64_t ArenaBytes(uint64_t nr_frames) {
  return std::bit_ceil(std::max(nr_frames, kMinFrames)) << kPageShift;
}

}  // namespace

bool PhysMem::CanReserve(uint64_t nr_frames) {
  if (nr_frames == 0 || nr_frames > kMaxFrames) return false;
  uint8_t* at = Reserve(ArenaBytes(nr_frames));
  if (at == nullptr) return false;
  munmap(at, ArenaBytes(nr_frames));
  return true;
}

PhysMem::PhysMem(uint64_t nr_frames)
    : nr_frames_(nr_frames),
      arena_bytes_(ArenaBytes(nr_frames)),
      arena_(Reserve(arena_bytes_)),
      populated_(static_cast<uint64_t*>(std::calloc(nr_frames / kGroupFrames / 64 + 1, sizeof(uint64_t)))),
      contents_(nr_frames, arena_) {
  MMSIM_CHECK(nr_frames > 0 && nr_frames <= kMaxFrames);
  if (populated_ == nullptr) HostLimit("this host has no memory left for the records of simulated memory");
  if (arena_ == nullptr) {
    HostLimit(
        "this host grants no address space for simulated memory (see ulimit -v and vm.overcommit_memory)");
  }
}

PhysMem::~PhysMem() {
  munmap(arena_, arena_bytes_);
}

void PhysMem::MakeTable(Pfn frame) {
  MMSIM_CHECK(frame.value < nr_frames_);
  const uint64_t group = frame.value / kGroupFrames;
  uint64_t& bits = populated_.get()[group / 64];
  if ((bits >> (group % 64) & 1) == 0) {
    bits |= uint64_t{1} << (group % 64);
    // One call for the group costs what the host's fault for a single page does; without the call (a kernel
    // before 5.14) each page faults by itself, slowly but rightly.
    madvise(arena_ + group * kGroupFrames * kPageSize, kGroupFrames * kPageSize, MADV_POPULATE_WRITE);
  }
  contents_.UseDirectMap(frame.value);
  std::memset(TableAt(frame), 0, kPageSize);
}

void PhysMem::ReadBytes(PhysAddr at, std::span<uint8_t> out) const {
  while (!out.empty()) {
    const uint64_t part = std::min<uint64_t>(out.size(), kPageSize - at.PageOffset());
    contents_.Read(at.PageNumber(), static_cast<uint32_t>(at.PageOffset()), out.first(part));
    out = out.subspan(part);
    at += part;
  }
}

void PhysMem::WriteBytes(PhysAddr at, std::span<const uint8_t> in) {
  while (!in.empty()) {
    const uint64_t part = std::min<uint64_t>(in.size(), kPageSize - at.PageOffset());
    WriteInFrame(at, in.first(part));
    in = in.subspan(part);
    at += part;
  }
}

}  // namespace mmsim
