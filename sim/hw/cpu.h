// SPDX-License-Identifier: Apache-2.0
// A simulated processor, as far as translation goes: the root register, the controls, the TLB. The one switch
// between architectures on the way of an access is here; below it everything is a template.
//
// Invariant: a translation from the TLB is one that a walk came to earlier, by the same root's address space.
// Not modelled: instructions, registers, timing; a processor that can switch between architectures.
#pragma once

#include <cstdint>
#include <type_traits>

#include "mmsim/types.h"
#include "sim/hw/arm64/pte.h"
#include "sim/hw/phys_mem.h"
#include "sim/hw/tlb.h"
#include "sim/hw/trap.h"
#include "sim/hw/walk.h"
#include "sim/hw/x86_64/pte.h"

namespace mmsim {

class Cpu {
 public:
  Cpu(PhysMem& mem, const x86_64::Config& config)
      : mem_(mem), arch_(Arch::kX86_64), x86_64_(config, mem.AddressMask()), arm64_({}, mem.AddressMask()) {}
  Cpu(PhysMem& mem, const arm64::Config& config)
      : mem_(mem), arch_(Arch::kArm64), x86_64_({}, mem.AddressMask()), arm64_(config, mem.AddressMask()) {}
  // With the default controls of the architecture.
  Cpu(PhysMem& mem, Arch arch)
      : mem_(mem), arch_(arch), x86_64_({}, mem.AddressMask()), arm64_({}, mem.AddressMask()) {}

  Arch arch() const { return arch_; }
  const Geometry& geometry() const {
    static constexpr Geometry kX86_64 = x86_64::Codec::kGeometry, kArm64 = arm64::Codec::kGeometry;
    return arch_ == Arch::kX86_64 ? kX86_64 : kArm64;
  }

  // CR3 with its PCID and bit 63 set; TTBR0_EL1 with its ASID: nothing is invalidated. Precondition: `root`
  // is a page's address.
  void SetRoot(PhysAddr root, uint16_t asid) {
    root_ = root;
    tag_ = Tlb::AsidTag(asid);
  }
  PhysAddr root() const { return root_; }
  uint16_t asid() const { return Tlb::AsidOf(tag_); }
  // WRPKRU; no effect on arm64. Nothing is invalidated: the TLB holds keys, not what they allow.
  void SetPkru(uint32_t pkru) {
    if (pkru != x86_64_.pkru()) [[unlikely]]
      x86_64_.SetPkru(pkru);
  }
  uint32_t pkru() const { return x86_64_.pkru(); }
  // New controls invalidate everything.
  void Configure(const x86_64::Config& config) {
    const uint32_t pkru = x86_64_.pkru();
    x86_64_ = x86_64::Controls(config, mem_.AddressMask());
    x86_64_.SetPkru(pkru);
    tlb_.InvalidateAll();
  }
  void Configure(const arm64::Config& config) {
    arm64_ = arm64::Controls(config, mem_.AddressMask());
    tlb_.InvalidateAll();
  }

  // Whom to tell of hardware's stores to entries.
  void SetSink(HardwareSink sink) { sink_ = sink; }
  // Off: every access walks, and no stale translation is ever used.
  void EnableTlb(bool on) {
    tlb_on_ = on;
    tlb_.InvalidateAll();
  }
  Tlb& tlb() { return tlb_; }
  const Tlb& tlb() const { return tlb_; }
  void InvalidatePage(VirtAddr va) { InvalidateRange({va.PageFloor(), va.PageFloor() + kPageSize}); }
  void InvalidateRange(VirtRange range) { tlb_.InvalidateRange(range, asid(), geometry()); }

  // One access by one instruction to bytes within one page: where they are, or a trap.
  WalkResult Translate(VirtAddr va, Access access) {
    return ForAccess(access, [&](auto known) {
      return arch_ == Arch::kX86_64 ? TranslateOn<Arch::kX86_64, known()>(va)
                                    : TranslateOn<Arch::kArm64, known()>(va);
    });
  }
  // The same, for those who know what they run on and what they do. Precondition: it is arch().
  template <Arch kArch, Access kAccess>
  [[gnu::always_inline]] inline WalkResult TranslateOn(VirtAddr va) {
    return TranslateAs<CodecOf<kArch>, kAccess>(va);
  }
  // The same for an access that is made again after a trap: the TLB had nothing for it, and is not asked.
  template <Arch kArch, Access kAccess>
  [[gnu::always_inline]] inline WalkResult TranslateAgainOn(VirtAddr va) {
    return TranslateFromTable<CodecOf<kArch>, kAccess>(va);
  }
  // Whether this entry of the TLB serves the access without a walk; for those who audit TLBs.
  bool Serves(const Tlb::Entry& entry, Access access) const {
    return arch_ == Arch::kX86_64 ? x86_64::Codec::ServesFromTlb(x86_64_, entry.attributes, access)
                                  : arm64::Codec::ServesFromTlb(arm64_, entry.attributes, access);
  }
  // What Translate would come to without a TLB, and nothing changes.
  WalkResult Look(VirtAddr va, Access access) {
    return arch_ == Arch::kX86_64 ? Walk<x86_64::Codec, WalkMode::kLook>(mem_, root_, va, access, x86_64_)
                                  : Walk<arm64::Codec, WalkMode::kLook>(mem_, root_, va, access, arm64_);
  }

 private:
  template <Arch kArch>
  using CodecOf = std::conditional_t<kArch == Arch::kX86_64, x86_64::Codec, arm64::Codec>;
  template <class Codec>
  const typename Codec::Controls& Controls() const {
    if constexpr (std::is_same_v<Codec, x86_64::Codec>) {
      return x86_64_;
    } else {
      return arm64_;
    }
  }

  // What nearly every access finds in the TLB needs no call.
  template <class Codec, Access kAccess>
  [[gnu::always_inline]] inline WalkResult TranslateAs(VirtAddr va) {
    if (!Codec::IsPlainAddress(va, kAccess)) [[unlikely]]
      return TranslateStepByStep<Codec>(va, kAccess);
    const Tlb::Small& e = tlb_.SlotOf(va);
    if (e.tag == (tag_ | Tlb::PageTag(va)) && Codec::ServesAtOnce(Controls<Codec>(), e.attributes, kAccess)) {
      return WalkResult::Translation(PhysAddr(e.frame | va.PageOffset()), 0, e.attributes);
    }
    return TranslateFromTable<Codec, kAccess>(va);
  }
  // A walk that begins at the table of PTEs, if the TLB knows it. What is not done here ends in one call, so
  // that no registers are saved.
  template <class Codec, Access kAccess>
  [[gnu::noinline]] WalkResult TranslateFromTable(VirtAddr va) {
    if (tlb_.table().tag != (tag_ | Tlb::TableTag(va))) [[unlikely]]
      return TranslateFromRoot<Codec, kAccess>(va);
    return TranslateByLeaf<Codec, kAccess>(va, tlb_.table().entries);
  }
  // The same from the root on; the TLB then knows the table.
  template <class Codec, Access kAccess>
  [[gnu::noinline]] WalkResult TranslateFromRoot(VirtAddr va) {
    const bool may_keep = tlb_on_ && !tlb_.HasOthers() && Codec::IsPlainAddress(va, kAccess);
    const uint64_t* table = may_keep ? PlainTable<Codec>(mem_, root_, va, Controls<Codec>()) : nullptr;
    if (table == nullptr) return TranslateStepByStep<Codec>(va, kAccess);
    tlb_.KeepTable(tag_ | Tlb::TableTag(va), table);
    return TranslateByLeaf<Codec, kAccess>(va, table);
  }
  // The end of both. Precondition: `table` is the one that the TLB keeps, and it translates `va`.
  template <class Codec, Access kAccess>
  [[gnu::always_inline]] inline WalkResult TranslateByLeaf(VirtAddr va, const uint64_t* table) {
    const typename Codec::Controls& controls = Controls<Codec>();
    const uint64_t leaf = table[Codec::kGeometry.Index(va, 0)];
    if (Codec::IsServingLeaf(controls, leaf, kAccess)) [[likely]] {
      tlb_.InsertSmall(tlb_.SlotOf(va), tag_ | Tlb::PageTag(va), Codec::AddressOf(leaf),
                       Codec::PlainAttributes(controls, leaf));
      return PlainTranslation<Codec>(controls, va, leaf);
    }
    if (!Codec::IsValid(leaf)) return PlainAbsence<Codec>(controls, va, kAccess);
    if (Codec::IsRefusingLeaf(controls, leaf, kAccess))
      return PlainRefusal<Codec>(controls, va, leaf, kAccess);
    return TranslateStepByStep<Codec>(va, kAccess);
  }
  // The rarer entries of the TLB, then a walk, whose result is kept.
  template <class Codec>
  [[gnu::noinline]] WalkResult TranslateStepByStep(VirtAddr va, Access access) {
    const typename Codec::Controls& controls = Controls<Codec>();
    const bool may_keep = tlb_on_ && Codec::IsPlainAddress(va, access);
    Tlb::Entry e;
    if (may_keep && tlb_.FindAny(va, asid(), Codec::kGeometry, e) &&
        Codec::ServesFromTlb(controls, e.attributes, access)) {
      const uint64_t offset = va.value & (Codec::kGeometry.LevelSize(e.level) - 1);
      return WalkResult::Translation(PhysAddr(e.frame | offset), e.level, e.attributes);
    }
    const WalkResult result = Walk<Codec>(mem_, root_, va, access, controls, &sink_);
    if (!may_keep || !result.ok()) return result;
    const uint32_t attributes = result.attributes();
    if (result.level() == 0 && !Codec::IsGlobal(attributes)) {
      tlb_.InsertSmall(tlb_.SlotOf(va), tag_ | Tlb::PageTag(va), result.phys().value & kPageMask, attributes);
    } else {
      tlb_.InsertOther(va, asid(), Codec::IsGlobal(attributes), result.phys(), result.level(), attributes,
                       Codec::kGeometry);
    }
    return result;
  }

  PhysMem& mem_;
  Arch arch_;
  bool tlb_on_ = true;
  uint64_t tag_ = Tlb::AsidTag(0);
  PhysAddr root_;
  HardwareSink sink_;
  x86_64::Controls x86_64_;
  arm64::Controls arm64_;
  Tlb tlb_;
};

}  // namespace mmsim
