// SPDX-License-Identifier: Apache-2.0
// Pages that some VMA locks: PG_mlocked at once, PG_unevictable and the count of locks when the batch is
// moved. Linux: mm/mlock.c
#include "sim/mm/folio.h"
#include "sim/mm/lru.h"
#include "sim/mm/system.h"

namespace mmsim {
namespace {

// Linux: mm/mlock.c __mlock_folio()
void LruMlock(System& system, Pfn folio) {
  Page& page = system.pages[folio];
  if (!page.Has(kPgLru)) return;
  if (!page.Has(kPgMlocked)) {
    page.Clear(kPgUnevictable);
  } else if (page.Has(kPgUnevictable)) {
    ++system.lru.mlock_count[folio.value];
  } else {
    page.Clear(kPgActive);
    page.Set(kPgUnevictable);
    system.lru.mlock_count[folio.value] = 1;
  }
}

// Linux: mm/mlock.c __mlock_new_folio()
void LruMlockNew(System& system, Pfn folio) {
  Page& page = system.pages[folio];
  if (page.Has(kPgMlocked)) {
    page.Set(kPgUnevictable);
    system.lru.mlock_count[folio.value] = 1;
  }
  page.Set(kPgLru);
}

// Linux: mm/mlock.c __munlock_folio()
void LruMunlock(System& system, Pfn folio) {
  Page& page = system.pages[folio];
  const bool isolated = page.Has(kPgLru);
  if (isolated && page.Has(kPgUnevictable)) {
    uint32_t& count = system.lru.mlock_count[folio.value];
    if (count != 0) --count;
    if (count != 0) return;
  }
  page.Clear(kPgMlocked);
  if (!isolated) return;
  page.Clear(kPgUnevictable);
  system.lru.mlock_count.erase(folio.value);
}

void AddWork(System& system, Pfn folio, MlockWork work) {
  MlockBatch& batch = system.lru.mlock;
  ++system.pages[folio].refcount;
  batch.folios[batch.nr] = folio;
  batch.work[batch.nr++] = work;
  if (batch.nr == kPagevecSize || system.pages[folio].IsLarge()) MlockDrain(system);
}

}  // namespace

void MlockFolio(System& system, Pfn folio) {
  system.pages[folio].Set(kPgMlocked);
  AddWork(system, folio, MlockWork::kLru);
}

void MlockNewFolio(System& system, Pfn folio) {
  system.pages[folio].Set(kPgMlocked);
  AddWork(system, folio, MlockWork::kNew);
}

void MunlockFolio(System& system, Pfn folio) {
  AddWork(system, folio, MlockWork::kMunlock);
}

void MlockDrain(System& system) {
  MlockBatch& batch = system.lru.mlock;
  const uint32_t nr = batch.nr;
  batch.nr = 0;
  for (uint32_t i = 0; i < nr; ++i) {
    switch (batch.work[i]) {
      case MlockWork::kLru:
        LruMlock(system, batch.folios[i]);
        break;
      case MlockWork::kNew:
        LruMlockNew(system, batch.folios[i]);
        break;
      case MlockWork::kMunlock:
        LruMunlock(system, batch.folios[i]);
        break;
    }
  }
  for (uint32_t i = 0; i < nr; ++i) PutFolio(system, batch.folios[i]);
}

}  // namespace mmsim
