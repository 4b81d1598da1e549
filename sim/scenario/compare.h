// SPDX-License-Identifier: Apache-2.0
// Compares what two kernels made of the same scenario, step by step: the real one's word is the measure, the
// model's is judged.
//
// Everything must be equal but what a kernel may choose: frame numbers, swap offsets, inode numbers and the
// numbers of address spaces are renamed one to one. A frame's name lasts as long as one page keeps the frame
// there: a page that kept its frame there must have kept it here, two pages that share one must share it
// here; a number that comes back after a free is a new frame.
//
// An entry of the shadow page table names a frame too: when it changed in this step, the page has that frame
// now, or none has it; when it did not, its frame was compared before.
//
// No part of a comparison (see kMeaningful... in compare.cc): page flags that depend on the timing of reclaim
// (LRU, ACTIVE, REFERENCED, IDLE ...), and fields of smaps that only one side knows.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "sim/guest/program.h"

namespace mmsim::scenario {

// One thing that is not the same.
struct Difference {
  std::string subject;      // result, signal, live, maps, smaps, page, frame ...
  std::string where;        // "100:0x7ffff7fc0000", "100"; empty for the step itself
  std::string there, here;  // what the real kernel has, what the model has

  // "page 100:0x7ffff7fc0000: present exclusive there, present here": what a known difference's pattern
  // matches.
  std::string Text() const;
};

// A step as one executor reports it.
struct StepReport {
  const guest::Outcome* outcome = nullptr;
  const guest::State* state = nullptr;
  uint32_t what = ~uint32_t{0};  // OBSERVE_*: what of the state is of this step
};

// Pages that a step replaced in place: [start, end) of the space of `process`. The kernel may give a new page
// the frame that the old one had, which then says nothing (mmap with MAP_FIXED and MAP_POPULATE).
struct Replaced {
  uint32_t process = 0;
  uint64_t start = 0, end = 0;
};

class Comparer {
 public:
  explicit Comparer(uint32_t what) : what_(what) {}  // OBSERVE_*: what both sides observe

  // Before the first step of each scenario, and where the guest was booted anew: nothing has a name yet.
  void Begin();
  // One step on both sides; the differences in a fixed order, at most kMaxDifferences.
  std::vector<Difference> Compare(const StepReport& there, const StepReport& here,
                                  const Replaced& replaced = {});

  static constexpr size_t kMaxDifferences = 40;

 private:
  // Names that are equal on both sides although the numbers are not.
  class Renaming {
   public:
    // Whether a and b may be the same thing; binds them when neither is bound.
    bool Same(uint64_t a, uint64_t b);
    void Clear();
    // Forgets the pairs that `keep` does not name.
    template <typename Keep>
    void KeepOnly(Keep keep);

   private:
    absl::flat_hash_map<uint64_t, uint64_t> to_here_, to_there_;
  };
  // A page that both sides have, after a step.
  struct Page {
    uint32_t space;  // its number there
    uint64_t vaddr;
    uint64_t there, here;  // pagemap entries
    friend bool operator<(const Page& a, const Page& b) {
      return a.space != b.space ? a.space < b.space : a.vaddr < b.vaddr;
    }
  };

  void Add(std::string_view subject, std::string where, std::string there, std::string here);
  void CompareOutcome(const guest::Outcome& there, const guest::Outcome& here);
  void CompareLive(const guest::State& there, const guest::State& here);
  void CompareMaps(uint32_t process, std::string_view there, std::string_view here);
  void CompareSmaps(uint32_t process, std::string_view there, std::string_view here);
  void ComparePages(uint32_t process, uint32_t number, const guest::Space& there, const guest::Space& here);
  void ComparePage(uint32_t process, const Page& page);
  void CompareFrames(const guest::State& there, const guest::State& here);
  void CompareShadow(const std::vector<shadow_pte>& there, const std::vector<shadow_pte>& here);
  bool SameMapsLine(std::string_view there, std::string_view here);
  const Page* Before(uint32_t space, uint64_t vaddr) const;
  void ForgetNames(const guest::State& there, const Replaced& replaced);

  const uint32_t what_;
  uint32_t boot_ = 0;   // of the guest, at the last step
  bool smaps_ = false;  // the step at hand is observed with them
  std::vector<Difference> differences_;
  Renaming frames_, swap_, inodes_;
  Renaming spaces_;                 // never forgotten: the number of an address space does not come back
  std::vector<Page> before_, now_;  // after the last step, sorted; of this one
  std::vector<std::pair<uint64_t, uint64_t>> frame_pairs_;  // bound in this step: there, here
  std::vector<shadow_pte> shadow_there_, shadow_here_;      // after the last step
};

}  // namespace mmsim::scenario
