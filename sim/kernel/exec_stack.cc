// SPDX-License-Identifier: Apache-2.0
// What a program finds on its stack: argc, argv, envp, the auxiliary vector. Sizes and places are the
// kernel's; values that no memory manager sees (processor features, random bytes) are made up. Linux:
// fs/binfmt_elf.c create_elf_tables()
#include <cstring>
#include <vector>

#include "sim/kernel/arch/abi.h"
#include "sim/kernel/arch/fault.h"
#include "sim/kernel/bprm.h"
#include "sim/kernel/uaccess.h"

namespace mmsim {
namespace {

// include/uapi/linux/auxvec.h
enum : uint64_t {
  kAtNull = 0,
  kAtPhdr = 3,
  kAtPhent = 4,
  kAtPhnum = 5,
  kAtPagesz = 6,
  kAtBase = 7,
  kAtFlags = 8,
  kAtEntry = 9,
  kAtUid = 11,
  kAtEuid = 12,
  kAtGid = 13,
  kAtEgid = 14,
  kAtPlatform = 15,
  kAtHwcap = 16,
  kAtClktck = 17,
  kAtSecure = 23,
  kAtRandom = 25,
  kAtHwcap2 = 26,
  kAtRseqFeatureSize = 27,
  kAtRseqAlign = 28,
  kAtExecfn = 31,
  kAtSysinfoEhdr = 33,
  kAtMinsigstksz = 51
};

bool Put(Bprm& bprm, uint64_t at, const void* bytes, uint64_t len) {
  return CopyToUser(bprm.kernel, bprm.task, VirtAddr(at), {static_cast<const uint8_t*>(bytes), len}) == len;
}

// The auxiliary vector without its end; the order and number of entries is the kernel's.
std::vector<uint64_t> Auxv(const Bprm& bprm, const ElfTables& t, uint64_t platform_at, uint64_t random_at) {
  const Credentials& cred = bprm.task.cred;
  return {kAtSysinfoEhdr,
          bprm.mm->vdso_base,
          kAtMinsigstksz,
          2048,
          kAtHwcap,
          0,
          kAtPagesz,
          kPageSize,
          kAtClktck,
          100,
          kAtPhdr,
          t.phdr_addr,
          kAtPhent,
          56,
          kAtPhnum,
          t.phnum,
          kAtBase,
          t.interp_load_addr,
          kAtFlags,
          0,
          kAtEntry,
          t.entry,
          kAtUid,
          cred.uid,
          kAtEuid,
          cred.uid,
          kAtGid,
          cred.gid,
          kAtEgid,
          cred.gid,
          kAtSecure,
          0,
          kAtRandom,
          random_at,
          kAtHwcap2,
          0,
          kAtExecfn,
          bprm.exec,
          kAtPlatform,
          platform_at,
          kAtRseqFeatureSize,
          28,
          kAtRseqAlign,
          32,
          kAtNull,
          0};
}

// Pointers to `count` strings from *at on, which moves behind them; each string is read to find its end.
Status PutPointers(Bprm& bprm, int count, uint64_t* at, uint64_t* sp) {
  constexpr uint64_t kMaxArgStrlen = 32 * kPageSize;
  for (; count > 0; --count) {
    if (!Put(bprm, *sp, at, sizeof(*at))) return Errno::kEFAULT;
    *sp += sizeof(uint64_t);
    Result<std::string> text = StringFromUser(bprm.kernel, bprm.task, VirtAddr(*at), kMaxArgStrlen);
    if (!text.ok()) return Errno::kEINVAL;
    *at += text->size() + 1;
  }
  const uint64_t null = 0;
  if (!Put(bprm, *sp, &null, sizeof(null))) return Errno::kEFAULT;
  *sp += sizeof(uint64_t);
  return {};
}

}  // namespace

Status CreateElfTables(Bprm& bprm, const ElfTables& tables) {
  Mm& mm = *bprm.mm;
  uint64_t p = bprm.p & ~uint64_t{15};  // arch_align_stack()
  const std::string platform(abi::ElfPlatform(bprm.kernel.arch()));
  p -= platform.size() + 1;
  const uint64_t platform_at = p;
  if (!Put(bprm, p, platform.c_str(), platform.size() + 1)) return Errno::kEFAULT;
  const uint8_t random_bytes[16] = {0x6d, 0x6d, 0x73, 0x69, 0x6d};
  p -= sizeof(random_bytes);
  const uint64_t random_at = p;
  if (!Put(bprm, p, random_bytes, sizeof(random_bytes))) return Errno::kEFAULT;

  const std::vector<uint64_t> auxv = Auxv(bprm, tables, platform_at, random_at);
  const uint64_t items = static_cast<uint64_t>(bprm.argc) + 1 + static_cast<uint64_t>(bprm.envc) + 1 + 1;
  uint64_t sp = (p - (auxv.size() + items) * sizeof(uint64_t)) & ~uint64_t{15};
  bprm.p = sp;
  if (FindVmaOrGrow(bprm.task, VirtAddr(sp)) == nullptr) return Errno::kEFAULT;

  const uint64_t argc = static_cast<uint64_t>(bprm.argc);
  if (!Put(bprm, sp, &argc, sizeof(argc))) return Errno::kEFAULT;
  sp += sizeof(uint64_t);
  uint64_t at = mm.arg_start.value;
  Status status = PutPointers(bprm, bprm.argc, &at, &sp);
  if (!status.ok()) return status;
  mm.arg_end = mm.env_start = VirtAddr(at);
  status = PutPointers(bprm, bprm.envc, &at, &sp);
  if (!status.ok()) return status;
  mm.env_end = VirtAddr(at);
  if (!Put(bprm, sp, auxv.data(), auxv.size() * sizeof(uint64_t))) return Errno::kEFAULT;
  return {};
}

}  // namespace mmsim
