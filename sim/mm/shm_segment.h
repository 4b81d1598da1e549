// SPDX-License-Identifier: Apache-2.0
// A System V shared memory segment as far as its VMAs concern it: they count as attachments, one each, and
// the last one takes a segment with it that was marked for removal. Keys, ids and calls are
// sim/kernel/shm.cc. Linux: ipc/shm.c struct shmid_kernel
#pragma once

#include <cstdint>

#include "sim/mm/filemap.h"

namespace mmsim {

struct ShmSegment {
  int id = 0;
  InodeRef inode;
  uint64_t nattch = 0;
  bool destroy = false;  // SHM_DEST: goes with the last attachment
  // Called when nothing is attached any more to a segment that is to go; it frees the segment.
  void (*on_unused)(ShmSegment* segment) = nullptr;
  void* owner = nullptr;
};

// A VMA of the segment begins to exist: mmap, fork, split, mremap. Linux: ipc/shm.c shm_open(), shm_mmap()
inline void ShmOpen(ShmSegment& segment) {
  ++segment.nattch;
}
// It ends. The segment may be gone afterwards. Linux: ipc/shm.c shm_close()
inline void ShmClose(ShmSegment* segment) {
  if (--segment->nattch == 0 && segment->destroy) segment->on_unused(segment);
}

}  // namespace mmsim
