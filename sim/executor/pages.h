// SPDX-License-Identifier: Apache-2.0
// Pages and frames: pagemap of every space, kpagecount and kpageflags of every frame that one of them maps,
// reported as what changed.
#pragma once

#include "spaces.h"

#define MAX_PAGES (1ul << 22)  // of a space, that are reported

void OpenFrameFiles(void);
int ObservePages(struct space* s);  // 1: something has changed
void ForgetPages(struct space* s);
// Nothing has been reported any more. Precondition: no space has pages.
void ForgetFrames(void);
// 1: a frame that was reported before and is still mapped has changed, or is mapped more or less often.
int ObserveFrames(void);
// 1: the space maps such a frame, by the last observation.
int MapsChangedFrame(const struct space* s);
