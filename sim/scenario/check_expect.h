// SPDX-License-Identifier: Apache-2.0
// Whether expectations hold, whichever kernel carried the scenario out. One file a subject: check_maps.cc,
// check_fields.cc (smaps, counters), check_pages.cc (entries, pagemap, kpageflags, frames), check_shadow.cc.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "mmsim/types.h"
#include "sim/scenario/lower.h"
#include "sim/scenario/step.h"
#include "sim/scenario/witness.h"

namespace mmsim::scenario {

class ExpectChecker {
 public:
  // What does not hold.
  struct Finding {
    std::string expected, actual;
  };

  // `names` is looked at when an expectation is checked.
  ExpectChecker(const Scenario& scenario, Arch arch, const Names& names)
      : scenario_(scenario), arch_(arch), names_(names) {}

  // Holds the expectation of `step` against the witness; `default_pid` is the process of a file whose lines
  // name none. False: the witness cannot tell. An error is the scenario's (FILE:LINE:COLUMN).
  absl::StatusOr<bool> Check(const Step& step, int default_pid, Witness& witness,
                             std::vector<Finding>* findings);

 private:
  // One check: what it is about, whom it asks, and what it found.
  struct Asked {
    const Step& step;
    const Expect& expect;
    int default_pid;
    int pid;
    Witness& witness;
    std::vector<Finding>* findings;
    void Add(std::string expected, std::string actual) const {
      findings->push_back({std::move(expected), std::move(actual)});
    }
  };
  // An Unimplemented or NotFound is the witness's, anything else the scenario's.
  absl::Status One(const Asked& a);
  absl::StatusOr<uint64_t> Number(std::string_view expression) const {
    return Eval(scenario_, expression, arch_, names_);
  }
  absl::StatusOr<uint64_t> MapsNumber(std::string_view expression) const {
    return EvalMapsAddress(scenario_, expression, arch_, names_);
  }
  absl::Status Bytes(const Asked& a);
  absl::Status Signal(const Asked& a);
  absl::Status ErrorCode(const Asked& a);
  // check_maps.cc
  absl::Status Maps(const Asked& a);
  // check_fields.cc
  absl::Status Smaps(const Asked& a);
  absl::Status Counters(const Asked& a);
  // check_pages.cc
  absl::Status Entries(const Asked& a);
  absl::Status Pagemap(const Asked& a);
  absl::Status PageFlags(const Asked& a);
  absl::Status PageCount(const Asked& a);
  absl::Status Frame(const Asked& a);
  // check_shadow.cc
  absl::Status Shadow(const Asked& a);
  // The frame of a page of the operand, `offset_bytes` behind it; NotFound when none is there.
  absl::StatusOr<uint64_t> FrameOf(const Asked& a, const ExpectFrame& side, uint64_t offset_bytes);
  absl::StatusOr<uint64_t> FrameAt(const Asked& a, int pid, std::string_view address,
                                   uint64_t offset_bytes = 0);

  const Scenario& scenario_;
  const Arch arch_;
  const Names& names_;
  std::map<std::string, uint64_t> frame_names_;  // $f of `expect frame`: frame numbers
};

// Text in C's quotes.
std::string Quoted(std::string_view bytes);

}  // namespace mmsim::scenario
