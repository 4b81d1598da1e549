// SPDX-License-Identifier: Apache-2.0
// Files of the guest on the scenario's behalf, and the return to a clean state after it.
#pragma once

#include "sys.h"

// What write(2) returned, or a negative errno; `flags`: of open(2), beside O_WRITE. Nothing of it is undone
// later.
long WriteFile(const char* path, int flags, const void* data, size_t bytes);
// What write(2) returned, or a negative errno. `used_files`: see ResetFiles.
long WriteWholeFile(const char* path, const void* data, size_t bytes);
long ReadWholeFile(const char* path, void* to, size_t bytes);
// The scenario makes this system call: the reset must undo what it can leave behind outside of processes.
void NoteCall(uint64_t number, int has_input);
// Fresh /tmp, /dev/shm and System V segments, and what was written to /proc/sys and /sys is written back.
void ResetFiles(void);
