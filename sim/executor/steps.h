// SPDX-License-Identifier: Apache-2.0
// Carries out one step and reports it.
#pragma once

#include "channel.h"

void InitSteps(void);
void CarryOut(const struct observe_step* step);
