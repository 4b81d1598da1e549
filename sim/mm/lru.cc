// SPDX-License-Identifier: Apache-2.0
// The LRU batches of lru.h. Invariant: each page in a batch has one reference from it. Not modelled: the
// lists, their generations, batches of other CPUs.
#include "sim/mm/lru.h"

#include "sim/mm/folio.h"
#include "sim/mm/system.h"

namespace mmsim {
namespace {

// Linux: mm/swap.c lru_add(), include/linux/mm_inline.h lru_gen_add_folio()
void LruAdd(System& system, Pfn folio) {
  Page& page = system.pages[folio];
  if (page.Has(kPgMlocked)) [[unlikely]] {
    page.Clear(kPgActive);
    page.Set(kPgUnevictable | kPgLru);
    system.lru.mlock_count[folio.value] = 0;
  } else {
    if (page.Has(kPgActive)) [[likely]]
      page.Clear(kPgActive | kPgReferenced);
    page.Clear(kPgUnevictable);
    page.Set(kPgLru);
  }
}

// Linux: mm/swap.c lru_deactivate()
void LruDeactivate(System& system, Pfn folio) {
  Page& page = system.pages[folio];
  if (page.Has(kPgLru) && !page.Has(kPgUnevictable)) page.Clear(kPgActive | kPgReferenced);
}

// Linux: mm/swap.c lru_lazyfree()
void LruLazyfree(System& system, Pfn folio) {
  Page& page = system.pages[folio];
  if (!page.Has(kPgLru) || !page.IsAnon() || !page.Has(kPgSwapBacked) ||
      page.Has(kPgSwapCache | kPgUnevictable)) {
    return;
  }
  page.Clear(kPgActive | kPgReferenced | kPgSwapBacked);
}

template <void (*kMove)(System&, Pfn)>
void Move(System& system, FolioBatch& batch) {
  const uint32_t nr = batch.nr;
  batch.nr = 0;
  for (uint32_t i = 0; i < nr; ++i) {
    kMove(system, batch.folios[i]);
    PutFolio(system, batch.folios[i]);
  }
}

// Linux: mm/swap.c folio_batch_add_and_move()
template <void (*kMove)(System&, Pfn)>
void AddAndMove(System& system, FolioBatch& batch, Pfn folio) {
  if (AddToBatch(batch, system.pages[folio], folio)) Move<kMove>(system, batch);
}

}  // namespace

void MoveLruAdd(System& system) {
  Move<LruAdd>(system, system.lru.add);
}

void FolioDeactivate(System& system, Pfn folio) {
  const Page& page = system.pages[folio];
  if (page.Has(kPgUnevictable) || !page.Has(kPgLru)) return;
  AddAndMove<LruDeactivate>(system, system.lru.deactivate, folio);
}

void FolioMarkLazyfree(System& system, Pfn folio) {
  const Page& page = system.pages[folio];
  if (!page.IsAnon() || !page.Has(kPgSwapBacked) || !page.Has(kPgLru) ||
      page.Has(kPgSwapCache | kPgUnevictable)) {
    return;
  }
  AddAndMove<LruLazyfree>(system, system.lru.lazyfree, folio);
}

void FolioMarkAccessed(System& system, Pfn folio) {
  Page& page = system.pages[folio];
  if (!page.Has(kPgUnevictable)) page.Set(page.Has(kPgReferenced) ? kPgWorkingset : kPgReferenced);
}

void LruAddDrain(System& system) {
  LruBatches& lru = system.lru;
  if (lru.Empty()) return;
  Move<LruAdd>(system, lru.add);
  Move<LruDeactivate>(system, lru.deactivate);
  Move<LruLazyfree>(system, lru.lazyfree);
  MlockDrain(system);
}

}  // namespace mmsim
