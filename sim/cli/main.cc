// SPDX-License-Identifier: Apache-2.0
// The program `mmsim`: each command adds itself; nothing is done here.
#include <exception>
#include <new>

#include "CLI/CLI.hpp"
#include "sim/base/check.h"
#include "sim/base/host_limit.h"
#include "sim/cli/blame.h"
#include "sim/cli/compare.h"
#include "sim/cli/generate.h"
#include "sim/cli/record.h"
#include "sim/cli/run.h"
#include "sim/cli/show.h"
#include "sim/cli/shrink.h"
#include "sim/cli/verify.h"

namespace {

// An exception that nobody expects is a bug of ours.
[[noreturn]] void Unexpected() {
  try {
    std::rethrow_exception(std::current_exception());
  } catch (const std::exception& e) {
    mmsim::CheckFailed(__FILE__, __LINE__, e.what());
  }
}

}  // namespace

// NOLINTNEXTLINE(bugprone-exception-escape)
int main(int argc, char** argv) {
  std::set_terminate(Unexpected);
  CLI::App app("A simulator of the Linux memory manager", "mmsim");
  app.require_subcommand(1);
  int exit_status = 0;
  mmsim::cli::AddBlameCommand(app, exit_status);
  mmsim::cli::AddCompareCommand(app, exit_status);
  mmsim::cli::AddGenerateCommand(app, exit_status);
  mmsim::cli::AddRecordCommand(app, exit_status);
  mmsim::cli::AddRunCommand(app, exit_status);
  mmsim::cli::AddShrinkCommand(app, exit_status);
  mmsim::cli::AddShowCommand(app, exit_status);
  mmsim::cli::AddVerifyCommand(app, exit_status);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int status = app.exit(error);
    return status == 0 ? 0 : 2;
  } catch (const std::bad_alloc&) {
    mmsim::HostLimit("this host has no memory left");
  }
  return exit_status;
}
