// SPDX-License-Identifier: Apache-2.0
// Address spaces, shared by the victims that share memory, and what was last reported of each.
#pragma once

#include "channel.h"

struct space {
  uint32_t id;     // 0: this record is free
  uint32_t users;  // victims
  uint32_t owner;  // the victim through which the files below were opened; 0: none is open
  int maps_fd, smaps_fd, pagemap_fd, memory_fd;
  struct text_buffer {
    char* now;
    char* before;
    size_t now_bytes, before_bytes;
  } maps, smaps;
  struct range {
    uint64_t start, end;
  } * ranges;  // of the VMAs, from maps.now, but for those that have no page tables of the victim's
  size_t nr_ranges;
  struct observe_page* pages;  // what was last reported
  size_t nr_pages;
  int stale;        // its maps may have changed since they were read
  int pages_stale;  // its pages, by what its own victims did
  int smaps_stale;  // its smaps
};

struct space* NewSpace(void);
void JoinSpace(struct space* s);
void LeaveSpace(struct space* s, uint32_t pid);
// The numbers start from 1 again. Precondition: no space has users.
void ForgetSpaces(void);

// Reads and writes the memory of the space as a debugger does; the bytes done, or a negative errno.
long ReadMemory(struct space* s, uint64_t address, void* to, size_t bytes);
long WriteMemory(struct space* s, uint64_t address, const void* from, size_t bytes);

// A system call may have changed anything about it.
void NoteCallIn(struct space* s);
// An access to [address, address + bytes): it changes no VMA, unless it is outside of all that are known.
void NoteAccessIn(struct space* s, uint64_t address, uint64_t bytes);
// A step that may have moved pages between memory and swap that no table holds.
void NoteSwap(void);
// A step that may have changed any space.
void NoteChangeAnywhere(void);

// Once, at the start: the memory for the records.
void ReserveSpaces(void);
// Appends to the report that is begun what `mask` asks for and has changed since it was last reported.
void Observe(uint32_t mask);
