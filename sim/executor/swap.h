// SPDX-License-Identifier: Apache-2.0
// A swap area on a RAM disk, while a scenario asks for one.
#pragma once

#include "sys.h"

// What a scenario writes its number of pages to; no file. See OBSERVE_STEP_WRITE_FILE.
#define SWAP_PAGES "/swap_pages"

// The text is the number of pages, the area's header included. What write(2) would return, or a negative
// errno.
long SwitchSwapOn(const char* text, size_t bytes);
int SwapIsOn(void);
// Nothing when none is on. Precondition: no victim lives.
void SwitchSwapOff(void);
