// SPDX-License-Identifier: Apache-2.0
// What the files of the page cache say to each other: filemap.cc, shmem.cc, truncate.cc. Everybody else uses
// filemap.h.
#pragma once

#include "sim/mm/filemap.h"

namespace mmsim {

// The caller's reference to a page becomes the cache's. Linux: mm/filemap.c __filemap_add_folio()
void FilemapAddFolio(Inode& inode, uint64_t index, Pfn page);
// Drops the pages (and swap entries) of byte range [start, end); what a page keeps outside of it stays, the
// rest of it becomes zeros. Linux: mm/truncate.c truncate_inode_pages_range(), mm/shmem.c shmem_undo_range()
void TruncateInodePages(Inode& inode, uint64_t start, uint64_t end);

int64_t FilemapRead(Inode& inode, uint64_t position, std::span<uint8_t> out);
int64_t FilemapWrite(Inode& inode, uint64_t position, std::span<const uint8_t> in);
int64_t ShmemRead(Inode& inode, uint64_t position, std::span<uint8_t> out);
int64_t ShmemWrite(Inode& inode, uint64_t position, std::span<const uint8_t> in);

}  // namespace mmsim
