// SPDX-License-Identifier: Apache-2.0
// What the generator believes of the processes that its scenario has made so far, and how it picks from it.
// It supposes that every call succeeded; where it is wrong, a later call fails, which is meaningful too.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sim/base/random.h"
#include "sim/scenario/generate.h"

namespace mmsim::scenario {

// Memory that calls can be about: `base` is how the scenario writes its start.
struct Region {
  std::string base;
  uint64_t pages = 0;
};

// A file, by the name of its descriptor.
struct GeneratedFile {
  std::string fd;
  uint64_t pages = 0;
};

// An address space, shared by the processes that have it.
struct GeneratedSpace {
  std::vector<Region> regions;
};

struct GeneratedProcess {
  int pid = 0, group = 0;
  std::shared_ptr<GeneratedSpace> space;
  std::shared_ptr<std::vector<GeneratedFile>> files;
  int vfork_parent = 0;    // who stands still until this one executes a program or ends
  bool suspended = false;  // stands still itself
  bool privileged = false;
};

// A range of pages as two arguments of a call.
struct RangeText {
  std::string start, len;
  uint64_t pages = 0;
};

class Generator;

// What a step can be. `address_space` and `pages`: how often, in scenarios about the one or the other.
struct Verb {
  void (*emit)(Generator& g);
  uint16_t address_space, pages;
};

// One that a scenario is made of, and how often.
struct ChosenVerb {
  void (*emit)(Generator& g);
  uint32_t weight;
};

class Generator {
 public:
  explicit Generator(const GenerateOptions& options);
  std::string Run();

  // For the verbs of generate_calls.cc.
  Random& random() { return random_; }
  GeneratedProcess& process() { return *process_; }
  bool limited() const { return limited_; }
  std::vector<std::string>& segments() { return segments_; }

  // A line "PID CALL", counted under the call's name. `result`: "?", or "$name".
  void Emit(const std::string& call, const std::string& result = "?");
  // The same without a process before it, uncounted.
  void EmitLine(const std::string& line);
  // "$a7", new.
  std::string NewName(char letter);

  // A range that is mostly inside of memory that is there.
  RangeText PickRange();
  // An address in such memory, page-aligned or not.
  std::string PickAddress(bool aligned);
  // A place among the fixed addresses, for MAP_FIXED and its kin.
  std::string PickFixed(uint64_t pages);
  // A number of pages: mostly few, now and then enough for huge ones.
  uint64_t PickPages();
  void AddRegion(const std::string& base, uint64_t pages);

  // Of scenarios about shadowpt: the steps from here on are made by a process that may open a table, or by
  // the one that did last, if there is one that can make steps.
  void BecomeInspector();
  void BecomeOpener();
  void NoteOpener() { opener_ = process_->pid; }
  std::string AnyPid();

  int NewPid() { return next_pid_++; }
  void AddProcess(GeneratedProcess process) {
    processes_.push_back(std::make_unique<GeneratedProcess>(std::move(process)));
  }
  size_t nr_processes() const { return processes_.size(); }
  // They are gone, and their vfork parents go on.
  void EndIf(const std::function<bool(const GeneratedProcess&)>& ends);
  void Wake(GeneratedProcess& process);

 private:
  bool AboutPages() const { return options_.about != About::kAddressSpace; }
  void Become(const std::function<bool(const GeneratedProcess&)>& may);
  void ChooseVerbs();
  void Settings();
  void Spawn();

  const GenerateOptions options_;
  Random random_;
  std::string text_;
  std::vector<std::pair<std::string, uint64_t>> counts_;  // by call
  std::vector<std::unique_ptr<GeneratedProcess>> processes_;
  GeneratedProcess* process_ = nullptr;
  std::vector<std::string> segments_;  // names of System V segments
  std::vector<ChosenVerb> verbs_;
  bool limited_ = false;  // a limit may make any call fail: results get no names
  int next_pid_ = 100, next_name_ = 0, opener_ = 0;
  uint64_t done_ = 0;
};

const std::vector<Verb>& Verbs();
const std::vector<Verb>& ShadowVerbs();  // beside those, in scenarios about shadowpt

// One of the words.
template <size_t N>
std::string OneOf(Random& random, const char* const (&words)[N]) {
  return words[random.Below(N)];
}

}  // namespace mmsim::scenario
