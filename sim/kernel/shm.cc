// SPDX-License-Identifier: Apache-2.0
#include "sim/kernel/shm.h"

#include <fmt/core.h>

#include <algorithm>
#include <string>
#include <utility>

#include "sim/kernel/arch/abi.h"
#include "sim/kernel/call.h"
#include "sim/kernel/uapi.h"
#include "sim/mm/gup.h"
#include "sim/mm/verbs.h"

namespace mmsim {
namespace {

constexpr uint32_t kIpcCreat = 01000, kIpcExcl = 02000, kShmHugetlb = 04000, kShmNoreserve = 010000;
constexpr uint32_t kShmRdonly = 010000, kShmRnd = 020000, kShmRemap = 040000, kShmExec = 0100000;
constexpr int32_t kIpcPrivate = 0;
constexpr int kIpcmniShift = 15;
constexpr int kIpcmniSeqMax = 0x7fffffff >> kIpcmniShift;

// Linux: ipc/util.c ipcperms()
bool IpcPerms(const Task& task, const ShmRecord& shm, uint32_t flag) {
  const uint32_t requested = (flag >> 6) | (flag >> 3) | flag;
  uint32_t granted = shm.mode;
  if (task.cred.uid == shm.cuid || task.cred.uid == shm.uid) {
    granted >>= 6;
  } else if (task.cred.gid == shm.cgid || task.cred.gid == shm.gid) {
    granted >>= 3;
  }
  return !(requested & ~granted & 7) || task.cred.cap_ipc_owner;
}

// Linux: ipc/shm.c newseg()
int64_t NewSeg(Call& call, int32_t key, uint64_t size, uint32_t flags) {
  ShmTable& table = call.kernel.shm();
  const uint64_t pages = (size + kPageSize - 1) >> kPageShift;
  if (size < 1 || size > ShmTable::kShmMax) return Call::Err(Errno::kEINVAL);
  if (pages << kPageShift < size) return Call::Err(Errno::kENOSPC);
  if (table.total_pages + pages > ShmTable::kShmAll) return Call::Err(Errno::kENOSPC);
  if (flags & kShmHugetlb) return call.NotModelled();
  if (static_cast<int64_t>(size) < 0)
    return Call::Err(Errno::kEINVAL);  // shmem_file_setup(): MAX_LFS_FILESIZE
  System& system = call.kernel.system();
  const bool noreserve = (flags & kShmNoreserve) && system.sysctl.overcommit_memory != 2;
  if (!noreserve) {
    Status status = VmEnoughMemory(call.mm(), call.task.AsCurrent(), pages);
    if (!status.ok()) return Call::Err(Errno::kENOMEM);
  }
  InodeRef inode = call.kernel.vfs().NewShmem(size);
  inode->noreserve = noreserve;
  if (!noreserve) inode->accounted_pages = pages;
  inode->seals = 1;  // F_SEAL_SEAL
  ShmRecord* shm = table.New();
  if (shm == nullptr) return Call::Err(Errno::kENOSPC);
  inode->id = static_cast<uint64_t>(shm->segment.id);
  shm->segment.inode = inode;
  shm->file = call.kernel.vfs().Open(inode, fmt::format("/SYSV{:08x}", static_cast<uint32_t>(key)), kORdwr);
  shm->file->deleted = true;
  shm->key = key;
  shm->mode = flags & 0777;
  shm->size_bytes = size;
  shm->uid = shm->cuid = call.task.cred.uid;
  shm->gid = shm->cgid = call.task.cred.gid;
  shm->cpid = call.task.tgid;
  table.total_pages += pages;
  return shm->segment.id;
}

struct ShmatPlan {
  uint64_t addr = 0, prot = 0, map_flags = kMapShared;
  uint32_t open_flags = kORdwr, access = 0;
};

// Linux: ipc/shm.c do_shmat(), up to the segment's lookup
Status PlanShmat(uint64_t addr, uint32_t flags, ShmatPlan* plan) {
  if (addr != 0) {
    if (addr % kPageSize != 0) {  // SHMLBA
      if (!(flags & kShmRnd)) return Errno::kEINVAL;
      addr &= kPageMask;
      if (addr == 0 && (flags & kShmRemap)) return Errno::kEINVAL;
    }
    plan->map_flags |= kMapFixed;
  } else if (flags & kShmRemap) {
    return Errno::kEINVAL;
  }
  plan->addr = addr;
  plan->prot = kProtRead;
  plan->access = 0444;
  if (flags & kShmRdonly) {
    plan->open_flags = kORdonly;
  } else {
    plan->prot |= kProtWrite;
    plan->access |= 0222;
  }
  if (flags & kShmExec) {
    plan->prot |= kProtExec;
    plan->access |= 0111;
  }
  return {};
}

int64_t MapSegment(Call& call, const FileRef& file, const ShmatPlan& plan, uint32_t flags) {
  Mm& mm = call.mm();
  const uint64_t size = file->inode->size_bytes;
  if (plan.addr != 0 && !(flags & kShmRemap)) {
    if (plan.addr + size < plan.addr) return Call::Err(Errno::kEINVAL);
    if (mm.vmas.FindIntersection(VirtAddr(plan.addr), VirtAddr(plan.addr + size)) != nullptr) {
      return Call::Err(Errno::kEINVAL);
    }
  }
  uint64_t populate = 0;
  const int64_t at =
      DoMmap(mm, call.task.AsCurrent(), file, plan.addr, size, plan.prot, plan.map_flags, 0, 0, &populate);
  if (populate != 0) {
    Status ignored =
        MmPopulate(mm, VirtAddr(plan.addr != 0 ? plan.addr : static_cast<uint64_t>(at)), populate, true);
    static_cast<void>(ignored);
  }
  return at;
}

struct UserShmid64 {  // struct shmid64_ds of both architectures
  int32_t key;
  uint32_t uid, gid, cuid, cgid, mode;
  uint16_t seq, pad2;
  uint32_t pad;
  uint64_t unused1, unused2;
  uint64_t segsz;
  int64_t atime, dtime, ctime;
  int32_t cpid, lpid;
  uint64_t nattch, unused4, unused5;
};
static_assert(sizeof(UserShmid64) == 112);

UserShmid64 Describe(const ShmRecord& shm) {
  constexpr uint32_t kShmDest = 01000, kShmLocked = 02000;
  UserShmid64 user{};
  user.key = shm.key;
  user.uid = shm.uid;
  user.gid = shm.gid;
  user.cuid = shm.cuid;
  user.cgid = shm.cgid;
  user.mode = shm.mode | (shm.segment.destroy ? kShmDest : 0) | (shm.locked ? kShmLocked : 0);
  user.seq = static_cast<uint16_t>(shm.segment.id >> kIpcmniShift);
  user.segsz = shm.size_bytes;
  user.cpid = shm.cpid;
  user.lpid = shm.lpid;
  user.nattch = shm.segment.nattch;
  return user;
}

}  // namespace

ShmRecord* ShmTable::Find(int id) {
  auto it = records_.find(id);
  return it == records_.end() ? nullptr : it->second.get();
}

ShmRecord* ShmTable::FindKey(int32_t key) {
  for (auto& [id, record] : records_) {
    if (record->key == key) return record.get();
  }
  return nullptr;
}

// Linux: ipc/util.c ipc_addid(), ipc_idr_alloc(): indices go round, and the sequence grows when they fall
// back.
ShmRecord* ShmTable::New() {
  if (records_.size() >= static_cast<size_t>(kShmMni)) return nullptr;
  constexpr int kMinCycle = 64;  // ipc_min_cycle: RADIX_TREE_MAP_SIZE
  const int max_index = std::max(static_cast<int>(records_.size()) * 3 / 2, kMinCycle);
  const auto is_used = [this](int index) {
    return std::any_of(records_.begin(), records_.end(),
                       [index](const auto& r) { return (r.first & ((1 << kIpcmniShift) - 1)) == index; });
  };
  int index = last_index_ + 1;
  for (; index >= max_index || is_used(index); ++index) {
    if (index >= max_index) index = -1;
  }
  if (index <= last_index_ && ++sequence_ > kIpcmniSeqMax) sequence_ = 0;
  last_index_ = index;
  int id = (sequence_ << kIpcmniShift) + index;
  if (int hint = std::exchange(next_id_hint_, -1); hint >= 0 && !records_.contains(hint)) id = hint;
  auto record = std::make_unique<ShmRecord>();
  record->segment.id = id;
  record->segment.owner = this;
  record->segment.on_unused = [](ShmSegment* segment) {
    auto* table = static_cast<ShmTable*>(segment->owner);
    table->Destroy(*table->Find(segment->id));
  };
  return records_.emplace(id, std::move(record)).first->second.get();
}

void ShmTable::Destroy(ShmRecord& record) {
  total_pages -= (record.size_bytes + kPageSize - 1) >> kPageShift;
  records_.erase(record.segment.id);
}

// Linux: ipc/shm.c do_shm_rmid()
void ShmTable::Remove(ShmRecord& record) {
  if (record.segment.nattch == 0) {
    Destroy(record);
    return;
  }
  record.segment.destroy = true;
  record.key = kIpcPrivate;
}

// Linux: ipc/shm.c ksys_shmget(), ipc/util.c ipcget()
int64_t Do_shmget(Call& call) {
  const int32_t key = call.Int(0);
  const uint64_t size = call.U(1);
  const uint32_t flags = call.Uint(2);
  if (key == kIpcPrivate) return NewSeg(call, key, size, flags);
  ShmRecord* shm = call.kernel.shm().FindKey(key);
  if (shm == nullptr) return (flags & kIpcCreat) ? NewSeg(call, key, size, flags) : Call::Err(Errno::kENOENT);
  if ((flags & kIpcCreat) && (flags & kIpcExcl)) return Call::Err(Errno::kEEXIST);
  if (shm->size_bytes < size) return Call::Err(Errno::kEINVAL);  // shm_more_checks()
  if (!IpcPerms(call.task, *shm, flags)) return Call::Err(Errno::kEACCES);
  return shm->segment.id;
}

// Linux: ipc/shm.c do_shmat()
int64_t Do_shmat(Call& call) {
  const uint32_t flags = call.Uint(2);
  if (call.Int(0) < 0) return Call::Err(Errno::kEINVAL);
  ShmatPlan plan;
  Status status = PlanShmat(call.U(1), flags, &plan);
  if (!status.ok()) return status.AsReturn();
  ShmRecord* shm = call.kernel.shm().Find(call.Int(0));
  if (shm == nullptr) return Call::Err(Errno::kEINVAL);
  if (!IpcPerms(call.task, *shm, plan.access)) return Call::Err(Errno::kEACCES);
  // The attachment in the making holds the segment; its VMA counts for itself.
  ShmOpen(shm->segment);
  FileRef file = call.kernel.vfs().Open(shm->segment.inode, shm->file->path, plan.open_flags);
  file->deleted = true;
  file->shm = &shm->segment;
  const int64_t at = MapSegment(call, file, plan, flags);
  if (at >= 0) shm->lpid = call.task.tgid;
  ShmClose(&shm->segment);
  return at;
}

// Linux: ipc/shm.c ksys_shmdt()
int64_t Do_shmdt(Call& call) {
  Mm& mm = call.mm();
  const uint64_t addr = call.U(0);
  if (addr % kPageSize != 0) return Call::Err(Errno::kEINVAL);
  const auto matches = [addr](const Vma& vma) {
    return vma.ops == VmOps::kSysvShm && (vma.start.value - addr) / kPageSize == vma.pgoff;
  };
  Vma* vma = mm.vmas.Find(VirtAddr(addr));
  while (vma != nullptr && !matches(*vma)) vma = vma->Next();
  if (vma == nullptr) return Call::Err(Errno::kEINVAL);
  const FileRef file = vma->file;
  const uint64_t size = VirtAddr(file->inode->size_bytes).PageCeil().value;
  while (vma != nullptr) {
    Vma* next = vma->Next();
    if (matches(*vma) && vma->file == file) SysMunmap(mm, vma->start.value, vma->end - vma->start);
    vma = next;
    if (vma != nullptr && vma->end.value - addr > size) break;
  }
  return 0;
}

// Linux: ipc/shm.c ksys_shmctl()
int64_t Do_shmctl(Call& call) {
  enum : int {
    kIpcRmid = 0,
    kIpcSet = 1,
    kIpcStat = 2,
    kIpcInfo = 3,
    kShmLock = 11,
    kShmUnlock = 12,
    kShmStat = 13,
    kShmInfo = 14,
    kShmStatAny = 15
  };
  const int id = call.Int(0), cmd = call.Int(1);
  if (cmd < 0 || id < 0) return Call::Err(Errno::kEINVAL);
  if (cmd == kIpcInfo || cmd == kShmInfo || cmd == kShmStat || cmd == kShmStatAny) return call.NotModelled();
  if (cmd > kShmStatAny || (cmd > kIpcInfo && cmd < kShmLock)) return Call::Err(Errno::kEINVAL);
  UserShmid64 user{};
  if (cmd == kIpcSet && !call.CopyIn(2, &user, sizeof(user))) return Call::Err(Errno::kEFAULT);
  ShmRecord* shm = call.kernel.shm().Find(id);
  if (shm == nullptr) return Call::Err(Errno::kEINVAL);
  const bool owner =
      call.task.cred.uid == shm->uid || call.task.cred.uid == shm->cuid || call.task.cred.cap_sys_admin;
  switch (cmd) {
    case kIpcStat:
      if (!IpcPerms(call.task, *shm, 0444)) return Call::Err(Errno::kEACCES);
      return call.PutOut(2, Describe(*shm)) ? 0 : Call::Err(Errno::kEFAULT);
    case kIpcRmid:
      if (!owner) return Call::Err(Errno::kEPERM);
      call.kernel.shm().Remove(*shm);
      return 0;
    case kIpcSet:
      if (!owner) return Call::Err(Errno::kEPERM);
      shm->uid = user.uid;
      shm->gid = user.gid;
      shm->mode = user.mode & 0777;
      return 0;
    default:  // SHM_LOCK, SHM_UNLOCK: pages stay in memory, which nothing here shows
      if (!call.task.cred.cap_ipc_lock && !owner) return Call::Err(Errno::kEPERM);
      shm->locked = cmd == kShmLock;
      return 0;
  }
}

}  // namespace mmsim
