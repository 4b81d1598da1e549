// SPDX-License-Identifier: Apache-2.0
// A simulated processor, as far as translation goes: the root register, the controls, the TLB. The one switch
// between architectures on the way of an access is here; below it everything is a template.
//
// Invariant: a translation from the TLB is one that a walk came to earlier, by the same root's address space.
// Not modelled: instructions, registers, timing; a processor that can switch between architectures.
#pragma once

#include <cstdint>

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

  // CR3 with its PCID and bit 63 set; TTBR0_EL1 with its ASID: nothing is invalidated.
  void SetRoot(PhysAddr root, uint16_t asid) {
    root_ = root;
    asid_ = asid;
  }
  PhysAddr root() const { return root_; }
  uint16_t asid() const { return asid_; }
  // WRPKRU; no effect on arm64. Nothing is invalidated: the TLB holds keys, not what they allow.
  void SetPkru(uint32_t pkru) { x86_64_.pkru = pkru; }
  uint32_t pkru() const { return x86_64_.pkru; }
  // New controls invalidate everything.
  void Configure(const x86_64::Config& config) {
    const uint32_t pkru = x86_64_.pkru;
    x86_64_ = x86_64::Controls(config, mem_.AddressMask());
    x86_64_.pkru = pkru;
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
  void InvalidatePage(VirtAddr va) { tlb_.InvalidatePage(TlbPage(va), asid_, geometry()); }
  void InvalidateRange(VirtRange range) { tlb_.InvalidateRange(range, asid_, geometry()); }

  // One access by one instruction to bytes within one page: where they are, or a trap.
  WalkResult Translate(VirtAddr va, Access access) {
    return arch_ == Arch::kX86_64 ? TranslateAs<x86_64::Codec>(x86_64_, va, access)
                                  : TranslateAs<arm64::Codec>(arm64_, va, access);
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
  template <class Codec>
  WalkResult TranslateAs(const typename Codec::Controls& controls, VirtAddr va, Access access) {
    const VirtAddr page = Codec::TlbPage(controls, va);
    if (tlb_on_ && Codec::MayHitTlb(va, access)) {
      const Tlb::Entry* e = tlb_.Find(page, asid_, Codec::kGeometry);
      if (e != nullptr && Codec::ServesFromTlb(controls, e->attributes, access)) {
        const uint64_t offset = va.value & (Codec::kGeometry.LevelSize(e->level) - 1);
        return WalkResult::Translation(PhysAddr(e->frame + offset), e->level, e->attributes);
      }
    }
    const WalkResult result = Walk<Codec>(mem_, root_, va, access, controls, &sink_);
    if (tlb_on_ && result.ok()) {
      tlb_.Insert(page, asid_, Codec::IsGlobal(result.attributes()), result.phys(), result.level(),
                  result.attributes(), Codec::kGeometry);
    }
    return result;
  }
  VirtAddr TlbPage(VirtAddr va) const {
    return arch_ == Arch::kX86_64 ? x86_64::Codec::TlbPage(x86_64_, va) : arm64::Codec::TlbPage(arm64_, va);
  }

  PhysMem& mem_;
  Arch arch_;
  bool tlb_on_ = true;
  uint16_t asid_ = 0;
  PhysAddr root_;
  HardwareSink sink_;
  x86_64::Controls x86_64_;
  arm64::Controls arm64_;
  Tlb tlb_;
};

}  // namespace mmsim
