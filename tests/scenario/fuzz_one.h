// SPDX-License-Identifier: Apache-2.0
// Everything that the scenario room does with a text, for any text: what the fuzzers run.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "sim/scenario/lower.h"
#include "sim/scenario/step.h"

namespace mmsim::scenario {

// Returns whether the text was accepted. It must not crash, and an error must say where.
inline bool FuzzOne(const std::string& text) {
  auto parsed = Scenario::FromText(text, "fuzz");
  if (!parsed.ok()) {
    const std::string message(parsed.status().message());
    EXPECT_EQ(message.rfind("fuzz:", 0), 0u) << message;
    EXPECT_LT(message.size(), 1000u) << message;
    return false;
  }
  const Scenario& s = **parsed;
  const Names names = {{"a", 0x7000}, {"b", 0x9000}};
  LoweredCall call;
  for (const Arch arch : {Arch::kX86_64, Arch::kArm64}) {
    EXPECT_LT(Check(s, arch).message().size(), 1000u);
    for (const Step& step : s.steps()) {
      EXPECT_LE(step.first_line, step.last_line);
      EXPECT_EQ(s.Locate(step.text).line, step.first_line);
      s.ResultPath(step);
      s.ResultToken(step);
      if (step.kind == StepKind::kCall) {
        Lower(s, step, arch, names, &call).IgnoreError();
        for (size_t i = 0; i < call.args.size(); ++i) {
          EXPECT_LE(call.args[i].offset + call.args[i].len, call.bytes.size());
        }
      } else if (step.kind == StepKind::kAccess) {
        LoweredAccess access;
        LowerAccess(s, step, arch, names, &access).IgnoreError();
      } else if (step.kind == StepKind::kSignal) {
        LowerSignal(s, step, arch, names).status().IgnoreError();
      }
    }
  }
  return true;
}

}  // namespace mmsim::scenario
