// SPDX-License-Identifier: Apache-2.0
// Carries a scenario out on the simulated kernel, step by step. What a step of the file says of its result is
// checked: a result that the model does not reproduce is a Mismatch, and the run goes on from the recorded
// result where it can, so that one mismatch does not become a hundred.
//
// What counts as touched, when a log is replayed: strace does not log page faults, but whether two
// neighbouring VMAs merge can depend on them (anon_vma). The rule: a private VMA that may be written has been
// written by the time of the process's next call that splits or moves it, that reaches or adjoins it and so
// could merge it, or that copies it (fork). run_call.cc carries the rule out; who knows better of some
// places says so (RunnerOptions::untouched).
//
// Calls of several threads that overlapped may have taken effect in any order within the overlap. A call
// takes effect when it returned, unless the recorded result of another one can only be had if it took effect
// before (schedule.cc).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "sim/guest/program.h"
#include "sim/kernel/kernel.h"
#include "sim/scenario/claims.h"
#include "sim/scenario/kernel_witness.h"
#include "sim/scenario/lower.h"
#include "sim/scenario/step.h"

namespace mmsim::scenario {

// What a recording knows beside its log, asked when a program is executed or ends; maps listings, empty:
// unknown.
struct RecordedMaps {
  virtual ~RecordedMaps() = default;
  // Just after process `pid` executed its `nth` program (from 1).
  virtual std::string Start(int pid, int nth) = 0;
  // Called just before process `pid` leaves (exit_group) with its address space still there.
  virtual void AtEnd(Kernel& kernel, const Task& task, const Step& step) = 0;
  // Whether page faults were recorded: then nothing else counts as touched.
  virtual bool KnowsFaults() const { return false; }
  // Just before the thread makes its next call; `executes`: a new program.
  virtual void BeforeCall(Kernel& /*kernel*/, int /*thread*/, bool /*executes*/) {}
};

struct RunnerOptions {
  KernelOptions kernel;
  bool check_results = true;  // false: two executors are compared, the file's results are nobody's business
  RecordedMaps* recorded = nullptr;      // of `mmsim verify`
  Credentials credentials;               // of the processes of a log that no fork made
  uint32_t last_line = ~uint32_t{0};     // of the file: what stands behind it is not carried out
  std::vector<VirtRange> untouched;      // VMAs that do not count as touched by the rule above
  std::function<void(Kernel&)> prepare;  // once, before the first step: limits, sysctls
  std::function<void(Kernel&)> audit;    // after each step: the validator
};

class Runner {
 public:
  Runner(const Scenario& scenario, const RunnerOptions& options);
  ~Runner();
  Runner(const Runner&) = delete;

  // Everything. An error is the scenario's (FILE:LINE:COLUMN) and ends the run.
  absl::Status RunAll(const std::function<void(const Step&, const guest::Outcome&)>& after_step = nullptr);
  // RunAll ends after the step that is under way.
  void Stop() { stopped_ = true; }
  // One step by itself, in the file's order; what it came to in `outcome`. False: nothing to carry out (an
  // expectation, a step of the other architecture, a call that the model lacks).
  absl::StatusOr<bool> RunStep(const Step& step, guest::Outcome* outcome);

  Kernel& kernel() { return *kernel_; }
  const Names& names() const { return names_; }
  // The last call, as it was lowered.
  const LoweredCall& last_call() const { return call_; }
  const std::vector<Mismatch>& mismatches() const { return mismatches_; }
  // The VMAs that count as touched by that rule.
  const std::vector<VirtRange>& touched() const { return touched_; }
  uint64_t steps_done() const { return steps_done_; }
  // Calls that the model lacks, by name, and how often they were skipped.
  const std::map<std::string, uint64_t>& skipped() const { return skipped_; }
  // Who carries the step out, which the first process does where the line names none; null: it is gone.
  Task* TaskOf(const Step& step);

 private:
  // What is known of the layout that a log's process had, when neither an ELF file nor a listing said it.
  struct Layout {
    bool brk_known = true, mmap_known = true;
    std::vector<VirtRange> unmapped;  // by the log
  };
  using AfterStep = std::function<void(const Step&, const guest::Outcome&)>;

  // run_call.cc
  absl::StatusOr<bool> DoCall(const Step& step, guest::Outcome* outcome);
  absl::StatusOr<Task*> CallerOf(const Step& step);
  bool LearnBefore(Task& task, const Step& step);
  void NoteOutcome(Task& task, const Step& step, const SyscallResult& result, guest::Outcome* outcome);
  SyscallResult Invoke(Task& task, const Step& step, const LoweredCall& call);
  SyscallResult InvokeLogged(Task& task, const LoweredCall& call);
  bool ExecHostProgram(Task& task, const std::string& path, std::string_view argv);
  SyscallResult Exec(Task& task, const Step& step, const LoweredCall& call);
  absl::StatusOr<Task*> AttachInTheMiddle(const Step& step);
  void CountAsTouched(Vma& vma);
  void TouchAsLogged(Task& task, const Step& step, const LoweredCall& call);
  void CheckResult(Task& task, const Step& step, const LoweredCall& call, const SyscallResult& result);
  void Follow(Task& task, const Step& step, const LoweredCall& call, const SyscallResult& result);
  void LearnRegion(Task& task, const Step& step, const LoweredCall& call);
  bool LearnLayout(Task& task, const Step& step, const LoweredCall& call, const SyscallResult& result);
  // run_descriptors.cc
  void InstallSeen(Task& task, int fd, std::string_view path);
  void KnowDescriptor(Task& task, int fd, std::string_view path);
  void KnowDescriptors(Task& task, const LoweredCall& call);
  void FollowDescriptorsOfText(Task& task, const Step& step);
  bool BelieveFile(const Task& task, const Step& step, LoweredCall* call);
  bool MayBeOpen(const Task& task, const Step& step, int fd);
  void LearnNumber(Task& task, const Step& step, const LoweredCall& call);
  bool LearnDescriptor(Task& task, const Step& step, const LoweredCall& call);
  void FollowDescriptors(Task& task, const Step& step, const LoweredCall& call, const SyscallResult& result);
  // schedule.cc
  absl::Status Complete(const Step& step, const AfterStep& after_step);
  absl::Status CompleteUpTo(uint32_t line, const AfterStep& after_step);
  absl::Status RunEarlier(const Step& step, const AfterStep& after_step);
  bool WouldReproduce(const Step& step);
  // runner.cc
  static bool OpensFile(Sys sys) { return sys == Sys::k_openat || sys == Sys::k_open || sys == Sys::k_creat; }
  absl::Status RunNow(const Step& step, const AfterStep& after_step);
  absl::StatusOr<bool> DoAccess(const Step& step, guest::Outcome* outcome);
  absl::Status DoLet(const Step& step);
  bool DoExit(const Step& step);
  // run_victim.cc
  void AddVictimFile();
  absl::StatusOr<bool> DoSpawn(const Step& step, guest::Outcome* outcome);
  absl::StatusOr<Task*> SpawnVictim(const Step& step, int pid, bool privileged);
  absl::StatusOr<Task*> VictimOf(const Step& step);
  SyscallResult InvokeVictim(Task& task, const LoweredCall& call);
  static void TouchScratch(Mm& mm);
  void PartScratch(Task& parent, Task* child);
  void EndVictimStep(int pid_of_step, guest::Outcome* outcome);
  absl::Status Check(const Step& step);
  // run_settings.cc
  absl::StatusOr<bool> DoSet(const Step& step, guest::Outcome* outcome);
  absl::StatusOr<bool> DoLimit(const Step& step, guest::Outcome* outcome);
  absl::StatusOr<bool> DoInject(const Step& step);
  bool ChecksClaims() const { return options_.check_results && !scenario_.is_log(); }
  void AddMismatch(const Step& step, std::string expected, std::string actual);

  const Scenario& scenario_;
  RunnerOptions options_;
  std::unique_ptr<Kernel> kernel_;
  Names names_;
  LoweredCall call_;
  std::vector<Mismatch> mismatches_;
  std::map<std::string, uint64_t> skipped_;
  uint64_t steps_done_ = 0;
  bool hung_on_touch_ = false, stopped_ = false;
  std::vector<VirtRange> touched_;
  int first_pid_ = 0;                             // the process of a file whose lines name none
  absl::flat_hash_map<uint64_t, Layout> layout_;  // by Mm::id
  std::map<int, int> execs_;                      // by process: programs that it executed
  std::vector<const Step*> in_flight_;            // calls that began and have not returned
  std::vector<observe_died> died_;                // a file written by hand: tasks that ended in this step
  Claims claims_;                                 // and what it says of its steps
};

}  // namespace mmsim::scenario
