// SPDX-License-Identifier: Apache-2.0
// Pages and frames: pagemap of every space, kpagecount and kpageflags of every frame that one of them maps,
// reported as what changed.
#pragma once

#include "spaces.h"

#define MAX_PAGES (1ul << 22)  // of a space, that are reported

void OpenFrameFiles(void);
void ObservePages(struct space* s);
void ForgetPages(struct space* s);
// Nothing has been reported any more. Precondition: no space has pages.
void ForgetFrames(void);
// 1: a frame that is still mapped has changed.
int ObserveFrames(void);
