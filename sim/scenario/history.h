// SPDX-License-Identifier: Apache-2.0
// What ever happened to one page of a process, or to one frame: the scenario is replayed twice, first to
// learn what the address is called and which address spaces the process has had, then with recording on.
// Replays come to the same, so what is recorded is what happened.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "sim/scenario/picture.h"
#include "sim/scenario/runner.h"

namespace mmsim::scenario {

// What is asked about: an address of a process, or a frame.
struct HistoryQuery {
  int pid = 0;          // 0: the first process of the file
  std::string address;  // an expression: 0x7ffff7ff7000, $a+0x1000; empty when it is about a frame
  uint64_t frame = 0;
};

// One store to an entry, or a decision about one.
struct HistoryEvent {
  int pid = 0;  // whose address space
  VirtAddr address;
  int level = 0;
  uint64_t before = 0, after = 0;
  std::string function;  // of the kernel; "hardware" for what the processor stores by itself
  std::vector<std::string_view> lost, gained;  // words that held before or hold after, and not the other way
  Pfn from, to;                                // frames that the entry maps before and after
  std::string decision;                        // "copied, because ..."; then no entry is stored to
};

// The page or frame after a step.
struct HistoryState {
  Pfn frame;
  int32_t refcount = 0, mapcount = 0;
  std::vector<Sharer> sharers;
  std::string text;  // "frame 0x10f: 2 references, mapped by 100:7ffff7ff7000, 101:7ffff7ff7000"
  bool operator==(const HistoryState& other) const { return text == other.text; }
};

struct HistoryStep {
  uint64_t number = 0;  // of the steps that were carried out, from 1
  uint32_t line = 0;
  std::string text;  // EventText
  std::vector<HistoryEvent> events;
  std::optional<HistoryState> state;  // where it is another than before
};

struct History {
  std::string subject;             // "100:7ffff7ff7000", "frame 0x10f"
  std::vector<HistoryStep> steps;  // those in which something happened to it
};

absl::StatusOr<History> TellHistory(const Scenario& scenario, const RunnerOptions& options,
                                    const HistoryQuery& query);
std::string HistoryText(const History& history, const Ink& ink);

}  // namespace mmsim::scenario
