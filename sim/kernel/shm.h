// SPDX-License-Identifier: Apache-2.0
// System V shared memory: the segments of a machine by id and by key. Their attachments are VMAs
// (sim/mm/shm_segment.h). Linux: ipc/shm.c, ipc/util.c Not modelled: namespaces, huge-page segments, times,
// kernel.shm_rmid_forced.
#pragma once

#include <absl/container/btree_map.h>

#include <cstdint>
#include <memory>

#include "sim/mm/shm_segment.h"
#include "sim/mm/system.h"

namespace mmsim {

struct ShmRecord {
  ShmSegment segment;
  FileRef file;
  int32_t key = 0;  // 0: found by id alone
  uint64_t size_bytes = 0;
  uint32_t mode = 0, uid = 0, gid = 0, cuid = 0, cgid = 0;
  int32_t cpid = 0, lpid = 0;
  bool locked = false;
};

class ShmTable {
 public:
  static constexpr uint64_t kShmMax = ~uint64_t{0} - (uint64_t{1} << 24);  // SHMMAX, bytes
  static constexpr uint64_t kShmAll = ~uint64_t{0} - (uint64_t{1} << 24);  // SHMALL, pages
  static constexpr int kShmMni = 4096;

  explicit ShmTable(System& system) : system_(system) {}
  ShmRecord* Find(int id);
  ShmRecord* FindKey(int32_t key);
  // The record of a new segment with an id; null when there are too many.
  ShmRecord* New();
  // Frees a segment that nothing is attached to.
  void Destroy(ShmRecord& record);
  // IPC_RMID: now, or with the last attachment.
  void Remove(ShmRecord& record);
  // The id that New() gives out next: a recording's.
  void SetNextId(int id) { next_id_hint_ = id; }
  uint64_t total_pages = 0;
  const absl::btree_map<int, std::unique_ptr<ShmRecord>>& records() const { return records_; }

 private:
  System& system_;
  absl::btree_map<int, std::unique_ptr<ShmRecord>> records_;  // by id
  int next_id_hint_ = -1;
  int last_index_ = -1, sequence_ = 0;
};

}  // namespace mmsim
