// SPDX-License-Identifier: Apache-2.0
#include "sim/cli/state_printer.h"

#include <gtest/gtest.h>

namespace mmsim::cli {
namespace {

constexpr const char* kHeap = "1000-3000 rw-p [heap]\n";

TEST(ChangedLines, MarksWhatCameAndWhatWent) {
  EXPECT_EQ(ChangedLines("", "process 1:\n1000-3000 rw-p [heap]\n"), "process 1:\n+ 1000-3000 rw-p [heap]\n");
  EXPECT_EQ(ChangedLines("process 1:\n1000-3000 rw-p\n5000-6000 r--p\n",
                         "process 1:\n1000-2000 rw-p\n2000-3000 r--p\n5000-6000 r--p\n"),
            "process 1:\n- 1000-3000 rw-p\n+ 1000-2000 rw-p\n+ 2000-3000 r--p\n");
}

TEST(ChangedLines, WhereNothingChangesNothingIsSaid) {
  const std::string state =
      std::string("process 1:\n") + kHeap + "process 2: shares the address space above\n";
  EXPECT_EQ(ChangedLines(state, state), "");
}

TEST(ChangedLines, ProcessesComeAndGo) {
  EXPECT_EQ(ChangedLines("process 1:\na\nprocess 2:\nb\n", "process 2:\nb\nprocess 3:\nb\n"),
            "- process 1:\nprocess 3:\n+ b\n");
}

// Fields have the same names in each mapping: a change is below the mapping that it is in.
TEST(ChangedLines, AFieldIsOfItsMapping) {
  EXPECT_EQ(ChangedLines("process 1:\n1-2 rw-p\nRss: 0 kB\nPss: 0 kB\n3-4 rw-p\nRss: 0 kB\n",
                         "process 1:\n1-2 rw-p\nRss: 0 kB\nPss: 0 kB\n3-4 rw-p\nRss: 4 kB\n"),
            "process 1:\n  3-4 rw-p\n- Rss: 0 kB\n+ Rss: 4 kB\n");
}

}  // namespace
}  // namespace mmsim::cli
