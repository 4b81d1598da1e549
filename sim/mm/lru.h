// SPDX-License-Identifier: Apache-2.0
// What one CPU's LRU batches hold. The lists themselves are not modelled; the batches are, because each holds
// a reference to its pages, which decides whether a write reuses a page, and because MADV_FREE and MADV_COLD
// take effect only when a batch is moved. Linux: mm/swap.c struct cpu_fbatches, lru_add_drain()
#pragma once

#include <array>
#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "mmsim/types.h"
#include "sim/mm/page_alloc.h"

namespace mmsim {

struct System;

inline constexpr uint32_t kPagevecSize = 31;  // PAGEVEC_SIZE

struct FolioBatch {
  std::array<Pfn, kPagevecSize> folios;
  uint32_t nr = 0;
};

// A small folio that has the batch's reference already. True: the batch is to be moved now.
inline bool PutInBatch(FolioBatch& batch, Pfn folio) {
  batch.folios[batch.nr++] = folio;
  return batch.nr == kPagevecSize;
}
// Any folio, with a reference of the batch.
inline bool AddToBatch(FolioBatch& batch, Page& page, Pfn folio) {
  ++page.refcount;
  return PutInBatch(batch, folio) || page.IsLarge();
}

// What is to be done with a page of the mlock batch. Linux: mm/mlock.c LRU_FOLIO, NEW_FOLIO
enum class MlockWork : uint8_t { kMunlock, kLru, kNew };

struct MlockBatch {
  std::array<Pfn, kPagevecSize> folios;
  std::array<MlockWork, kPagevecSize> work;
  uint32_t nr = 0;
};

struct LruBatches {
  FolioBatch add, deactivate, lazyfree;
  MlockBatch mlock;
  absl::flat_hash_map<uint64_t, uint32_t> mlock_count;  // by frame number, of unevictable pages
  bool in_fault = false;  // current->in_lru_fault: what is added now is the youngest generation's
  bool Empty() const { return add.nr + deactivate.nr + lazyfree.nr + mlock.nr == 0; }
};

// What a full batch of new pages comes to; what puts them there is in folio.h. Linux: mm/swap.c
// folio_batch_move_lru() with lru_add()
void MoveLruAdd(System& system);
// Linux: mm/swap.c folio_deactivate(), folio_mark_lazyfree(), folio_mark_accessed() (of the
// multi-generational LRU, which Debian's kernels enable)
void FolioDeactivate(System& system, Pfn folio);
void FolioMarkLazyfree(System& system, Pfn folio);
void FolioMarkAccessed(System& system, Pfn folio);
// Linux: mm/mlock.c mlock_folio(), mlock_new_folio(), munlock_folio(), mlock_drain_local()
void MlockFolio(System& system, Pfn folio);
void MlockNewFolio(System& system, Pfn folio);
void MunlockFolio(System& system, Pfn folio);
void MlockDrain(System& system);
// Moves everything that the batches hold and drops their references; what madvise, munmap, mlock and exit
// begin with. Linux: mm/swap.c lru_add_drain()
void LruAddDrain(System& system);

}  // namespace mmsim
