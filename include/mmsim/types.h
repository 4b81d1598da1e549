// SPDX-License-Identifier: Apache-2.0
// The strong types that everybody shares: addresses, frame numbers and half-open ranges. An address of one
// kind never turns into another by accident. All of them are trivially copyable and cost what a uint64_t
// costs.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

namespace mmsim {

inline constexpr int kPageShift = 12;
inline constexpr uint64_t kPageSize = uint64_t{1} << kPageShift;  // bytes
inline constexpr uint64_t kPageMask = ~(kPageSize - 1);

// The processor architectures of the hardware model.
enum class Arch : uint8_t { kX86_64, kArm64 };
// "x86_64", "arm64"
constexpr std::string_view ArchName(Arch arch) {
  return arch == Arch::kX86_64 ? "x86_64" : "arm64";
}

// An unsigned 64-bit number of one kind; Tag tells the kinds apart.
template <typename Tag>
struct Address {
  uint64_t value = 0;

  constexpr Address() = default;
  constexpr explicit Address(uint64_t v) : value(v) {}

  constexpr auto operator<=>(const Address&) const = default;
  constexpr Address operator+(uint64_t bytes) const { return Address(value + bytes); }
  constexpr Address operator-(uint64_t bytes) const { return Address(value - bytes); }
  // The distance in bytes, modulo 2^64.
  constexpr uint64_t operator-(Address other) const { return value - other.value; }
  constexpr Address& operator+=(uint64_t bytes) {
    value += bytes;
    return *this;
  }
  constexpr Address& operator-=(uint64_t bytes) {
    value -= bytes;
    return *this;
  }
  constexpr uint64_t PageOffset() const { return value & ~kPageMask; }
  constexpr bool IsPageAligned() const { return PageOffset() == 0; }
  constexpr Address PageFloor() const { return Address(value & kPageMask); }
  // The next page boundary, `this` if it is one; wraps to 0 in the last page of the address space, as
  // PAGE_ALIGN does.
  constexpr Address PageCeil() const { return Address((value + kPageSize - 1) & kPageMask); }
  constexpr uint64_t PageNumber() const { return value >> kPageShift; }
};

using VirtAddr = Address<struct VirtTag>;
using PhysAddr = Address<struct PhysTag>;

// A page frame number.
struct Pfn {
  uint64_t value = 0;
  constexpr Pfn() = default;
  constexpr explicit Pfn(uint64_t v) : value(v) {}
  constexpr auto operator<=>(const Pfn&) const = default;
  constexpr Pfn operator+(uint64_t frames) const { return Pfn(value + frames); }
  constexpr uint64_t operator-(Pfn other) const { return value - other.value; }
  constexpr PhysAddr Base() const { return PhysAddr(value << kPageShift); }
  static constexpr Pfn Of(PhysAddr a) { return Pfn(a.value >> kPageShift); }
};

// [start, end) in bytes. Empty when start >= end.
struct VirtRange {
  VirtAddr start, end;
  constexpr bool operator==(const VirtRange&) const = default;
  constexpr uint64_t LenBytes() const { return end > start ? end - start : 0; }
  constexpr uint64_t NrPages() const { return LenBytes() >> kPageShift; }
  constexpr bool Empty() const { return start >= end; }
  constexpr bool Contains(VirtAddr a) const { return a >= start && a < end; }
  constexpr bool Contains(VirtRange r) const { return r.start >= start && r.end <= end; }
  constexpr bool Overlaps(VirtRange r) const { return start < r.end && r.start < end; }
};

}  // namespace mmsim

template <typename Tag>
struct std::hash<mmsim::Address<Tag>> {
  size_t operator()(mmsim::Address<Tag> a) const { return std::hash<uint64_t>()(a.value); }
};
template <>
struct std::hash<mmsim::Pfn> {
  size_t operator()(mmsim::Pfn p) const { return std::hash<uint64_t>()(p.value); }
};
