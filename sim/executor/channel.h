// SPDX-License-Identifier: Apache-2.0
// The serial port to the host: steps come in, reports go out. Reports gather in a buffer and are sent when it
// is large, when the host has nothing more to do for us, or when a step asks for it.
#pragma once

#include "sys.h"
#include "uapi/observe.h"

void OpenChannel(void);
// The next step; waits for it (after everything reported so far has been sent). Valid until the next call.
const struct observe_step* NextStep(void);

// A report is begun, gets its chunks, and is ended.
struct observe_report* BeginReport(void);
// Room for a chunk of at most `bytes`; EndChunk says how many there are in the end (0: there is no such
// chunk).
void* BeginChunk(uint16_t kind, uint32_t id, size_t bytes);
void EndChunk(size_t bytes);
void AddChunk(uint16_t kind, uint32_t id, const void* data, size_t bytes);
void EndReport(int flush);
void FlushReports(void);
