// SPDX-License-Identifier: Apache-2.0
// The records of include/uapi/observe.h, made from a Program and turned back into an Outcome and a State.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sim/guest/program.h"

namespace mmsim::guest {

// InvalidArgument, with the step, for what could not be carried out by any guest: too many arguments, a
// reference to a later step, a patch outside of its buffer.
absl::Status CheckProgram(const Program& program);

// Appends the record of a step. Precondition: the program passed CheckProgram.
void AppendStep(const Step& step, uint16_t more_flags, std::string& stream);

// The size of the record that `stream` begins with; 0 when there is not all of it yet.
// DataLoss for bytes that are no record.
absl::StatusOr<size_t> RecordSize(std::string_view stream);

// What a record says: `outcome` is replaced, `state` is brought up to date. DataLoss when it is inconsistent.
absl::Status TakeReport(std::string_view record, observe_report& head, Outcome& outcome, State& state);

struct Hello {
  observe_hello fields{};
  std::string release;
};
absl::StatusOr<Hello> TakeHello(std::string_view record);

}  // namespace mmsim::guest
