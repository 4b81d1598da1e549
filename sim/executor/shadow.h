// SPDX-License-Identifier: Apache-2.0
// The shadow page table of a kernel that has the calls (include/uapi/shadowpt.h): its entries, as they stand
// in the kernel's memory. Neither a tracer nor pagemap sees the inspector's mapping of them (VM_PFNMAP), so a
// probe on the function that maps them tells their frames, which are then read as physical memory: nothing
// runs in the inspector for it, and what it does to its mapping makes no difference.
#pragma once

#include "victims.h"

// 1: this kernel has the calls.
int ShadowThere(void);
// Once, at the start.
void OpenShadowMemory(void);
// A victim of the thread group `group` has made the call; `dest` is its second argument.
void NoteShadowCall(struct space* s, uint32_t group, uint64_t number, uint64_t dest, int64_t result);
// Appends the entries that have changed since they were last reported as a chunk.
void ReportShadow(void);
// Nothing is open, and nothing has been reported. Precondition: no victim lives.
void ForgetShadow(void);
