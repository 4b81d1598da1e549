// SPDX-License-Identifier: Apache-2.0
// Page faults as the kernel's own tracepoints tell of them, with their error codes:
// exceptions:page_fault_user and _kernel, where the architecture has them.
#pragma once

#include "channel.h"

// 1: this kernel has them.
int FaultsThere(void);
// Begins to listen, once; what was heard before is dropped.
void ListenForFaults(void);
// Appends the victims' faults since ListenForFaults() as a chunk.
void ReportFaults(void);
