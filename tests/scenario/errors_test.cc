// SPDX-License-Identifier: Apache-2.0
// What a file that is no scenario gets: its place, its line, a caret, and what was expected there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdio>
#include <fstream>

#include "sim/scenario/lower.h"
#include "sim/scenario/step.h"

namespace mmsim::scenario {
namespace {

// The message for `text`: of its parsing, or of the check of its steps.
std::string MessageOf(const std::string& text) {
  auto scenario = Scenario::FromText(text, "f.scn");
  if (!scenario.ok()) return std::string(scenario.status().message());
  const absl::Status status = Check(**scenario, Arch::kX86_64);
  return std::string(status.message());
}

TEST(Errors, APlaceALineACaretAndWhatWasExpected) {
  EXPECT_EQ(MessageOf("# header\n100 mmpa(NULL, 4096) = 0\n"),
            "f.scn:2:5: unknown system call 'mmpa', did you mean mmap?\n"
            "  100 mmpa(NULL, 4096) = 0\n"
            "      ^");
}

struct Case {
  std::string text;
  std::string first_line;  // of the message
};

TEST(Errors, EachMalformedLine) {
  const Case kCases[] = {
      {"100 mmap(NULL, 4096\n", "f.scn:1:20: expected ')' or ','"},
      {"100 mmap(NULL, 4096", "f.scn:1:20: expected ')' or ','"},
      {"100 mmap(NULL, 4096)\n", "f.scn:1:21: expected '=' and the result (`= ?` when any will do)"},
      {"100 mmap(NULL, 4096) =\n",
       "f.scn:1:23: expected a result: a number, -1 and an errno, ?, a $name or a string"},
      {"100 mmap(NULL,, 4096) = 0\n", "f.scn:1:15: expected an argument"},
      {"100 mmap(NULL, 4096) = 0 foo\n", "f.scn:1:26: expected the end of the line"},
      {"100 mmap(NULL, 4096 = 0\n", "f.scn:1:24: expected ')' or ','"},
      {"100 write(1, \"abc) = 0\n", "f.scn:1:23: expected '\"' to close the string"},
      {"100 write(1, [1, 2}) = 0\n", "f.scn:1:19: expected ']'"},
      {"100 write(1, {a=1) = 0\n", "f.scn:1:18: expected '}'"},
      {"100 write(1</x, 2) = 0\n", "f.scn:1:23: expected '>' to close the path of the descriptor"},
      {"100 write(1 /* x) = 0\n", "f.scn:1:22: expected '*/' to close the comment"},
      {"100 write(1, \x01) = 0\n", "f.scn:1:14: expected an argument; a scenario is text, this is byte 0x01"},
      {"garbage\n", "f.scn:1:1: unknown word 'garbage'"},
      {"exepct 100 maps { }\n", "f.scn:1:1: unknown word 'exepct', did you mean expect?"},
      {"100 munmap 0x1000\n", "f.scn:1:11: expected '(' after the name of a system call or access"},
      {"100 write(1, \"a\", 1) = \"a\"\n", "f.scn:1:24: only a load has a string as its result"},
      {"100 syscall_zz(1) = 0\n", "f.scn:1:5: unknown system call 'syscall_zz'"},
      {"100 munmap(1, 2) = 99999999999999999999\n",
       "f.scn:1:20: expected a number of at most 64 bits, not '99999999999999999999'"},
      {"99999999999 brk(NULL) = 0\n", "f.scn:1:1: expected a process id below 2^31"},
      {"100 munmap(1, 2) = 0\nmunmap(1, 2) = 0\n",
       "f.scn:2:1: expected a process id before this, as in the lines above"},
      {"munmap(1, 2) = 0\n100 munmap(1, 2) = 0\n",
       "f.scn:2:5: this line names a process, but lines before it name none"},
      {"100 --- SEGV ---\n", "f.scn:1:9: expected the name of a signal, as SIGSEGV"},
      {"100 --- SIGSEGV {si_signo=SIGSEGV\n", "f.scn:1:34: expected '}'"},
      {"100 --- SIGSEGV {} --\n", "f.scn:1:20: expected '---' at the end of the signal"},
      {"100 +++ exited 0 +++\n",
       "f.scn:1:9: expected 'exited with STATUS', 'killed by SIGNAL' or 'superseded by execve in pid PID'"},
      {"100 +++ exited with 0\n", "f.scn:1:22: expected '+++'"},
      {"100 brk(NULL) = 0\n100 <... mmap resumed>) = 0\n",
       "f.scn:2:5: process 100 has no unfinished call to resume"},
      {"100 brk(NULL <unfinished ...>\n100 <... mmap resumed>) = 0\n",
       "f.scn:2:5: process 100 left another call unfinished (line 1)"},
      {"100 munmap(1, <unfinished ...>\n100 <... munmap resumed>) = 0\n", "f.scn:2:25: expected an argument"},
      {"set overcomit_memory 1\n",
       "f.scn:1:5: unknown setting 'overcomit_memory', did you mean overcommit_memory?"},
      {"set overcommit_memory\n", "f.scn:1:22: expected a value"},
      {"inject frme 2\n", "f.scn:1:8: unknown seam 'frme', did you mean frame?"},
      {"inject frame\n",
       "f.scn:1:8: expected 'inject SEAM N' (the Nth allocation from here fails) or 'inject off'"},
      {"arch mips\n", "f.scn:1:6: unknown architecture 'mips', expected x86_64 or arm64"},
      {"on mips 100 brk(NULL) = 0\n", "f.scn:1:4: unknown architecture 'mips', expected x86_64 or arm64"},
      {"pid\n", "f.scn:1:1: expected more after 'pid'"},
      {"let a = 1\n", "f.scn:1:5: expected a $name"},
      {"let $a 1\n", "f.scn:1:8: expected '='"},
  };
  for (const Case& c : kCases) {
    const std::string message = MessageOf(c.text);
    EXPECT_EQ(message.substr(0, message.find('\n')), c.first_line) << c.text;
  }
}

TEST(Errors, EachMalformedExpectation) {
  const Case kCases[] = {
      {"expect 100 mapz { }\n",
       "f.scn:1:12: expected maps, smaps, pte, pagemap, pageflags, pagecount, bytes, shadow, signal, "
       "error_code or "
       "counters, "
       "did you mean maps?"},
      {"expect maps { }\n", "f.scn:1:8: expected a process id, 'frame' or 'counters'"},
      {"expect 100 maps {\n1000-2000 rwxp\n",
       "f.scn:1:1: the block of this expectation is not closed by a line '}'"},
      {"expect 100 maps { 1000-2000 rwx }\n", "f.scn:1:29: expected permissions, as r-xp"},
      {"expect 100 maps {\n  1000 rwxp\n}\n", "f.scn:2:7: expected '-' and the end of the range"},
      {"expect 100 maps { zz }\n", "f.scn:1:19: expected a line of maps, '...' or '}'"},
      {"expect 100 smaps { Rss: 4 kB }\n", "f.scn:1:18: expected an address"},
      {"expect 100 smaps 0x1000 { Rss 4 kB }\n", "f.scn:1:30: expected ':'"},
      {"expect 100 smaps 0x1000 { Rss: }\n", "f.scn:1:32: expected a value"},
      {"expect 100 pte 0x1000 { ptw: table }\n", "f.scn:1:25: unknown level 'ptw', did you mean pte?"},
      {"expect 100 pte 0x1000 { pte: presnt }\n",
       "f.scn:1:30: unknown word for a table entry 'presnt', did you mean present?"},
      {"expect 100 pagemap 0x1000 { presen }\n",
       "f.scn:1:29: unknown bit of pagemap 'presen', did you mean present?"},
      {"expect 100 pageflags 0x1000 { ANNO }\n", "f.scn:1:31: unknown page flag 'ANNO', did you mean ANON?"},
      {"expect frame 100:0x1000 = zero\n", "f.scn:1:25: expected == or !="},
      {"expect frame 100 == zero\n", "f.scn:1:17: expected ':' and an address"},
      {"expect frame $f == $g\n", "f.scn:1:14: this name has no frame yet; compare it with a page first"},
      {"expect 100 bytes 0x1000 x\n", "f.scn:1:25: expected a string"},
      {"expect 100 signal SEGV\n", "f.scn:1:19: expected 'none' or the name of a signal"},
      {"expect 100 pagecount 0x1000 many\n", "f.scn:1:29: expected a number"},
      {"expect 100 signal none now\n", "f.scn:1:24: expected the end of the expectation"},
      {"expect 100 bytes $a \"x\"\n", "f.scn:1:18: $a has no value here"},
  };
  for (const Case& c : kCases) {
    const std::string message = MessageOf(c.text);
    EXPECT_EQ(message.substr(0, message.find('\n')), c.first_line) << c.text;
  }
}

TEST(Errors, WhatNoTableHas) {
  const Case kCases[] = {
      {"100 mmap(NULL, 4096, PROT_REED, MAP_PRIVATE, -1, 0) = $a\n",
       "f.scn:1:22: unknown constant 'PROT_REED', did you mean PROT_READ?"},
      {"100 munmap($a, 4096) = 0\nlet $a = 1\n", "f.scn:1:12: $a has no value here"},
      {"100 munmap(0x1000) = $a\n", "f.scn:1:5: munmap takes 2 arguments, not 1"},
      {"100 munmap(1 +, 2) = $a\n",
       "f.scn:1:15: expected a number, a constant or a $name after the operator"},
      {"100 munmap(1 2, 2) = $a\n", "f.scn:1:14: expected an operator or the end of the number"},
      {"100 store(0x1000) = 1\n", "f.scn:1:5: expected store(ADDRESS, \"BYTES\")"},
      {"100 store(0x1000, 5) = 1\n", "f.scn:1:19: expected the bytes to store, as a string"},
      {"100 load(0x1000, 2) = \"abc\"\n", "f.scn:1:23: expected a string of 2 bytes, not 3"},
      {"100 load(0x1000, 0) = ?\n", "f.scn:1:18: expected a length from 1 to 16 MiB"},
      {"100 prlimit64(0, RLIMIT_AS, {rlim_cut=1}, NULL) = $a\n",
       "f.scn:1:39: the structure has no field 'rlim_cut'"},
      {"on x86_64 100 mmap(0, 1, PROT_BTI, 0, -1, 0) = $a\n",
       "f.scn:1:26: PROT_BTI does not exist on x86_64"},
      {"limit RLIMIT_BS 1\n", "f.scn:1:7: unknown constant 'RLIMIT_BS', did you mean RLIMIT_AS?"},
  };
  for (const Case& c : kCases) {
    const std::string message = MessageOf(c.text);
    EXPECT_EQ(message.substr(0, message.find('\n')), c.first_line) << c.text;
  }
}

// In a log of strace a strange constant of a call that maps nothing is strace's business.
TEST(Errors, ALogIsNotJudgedByItsOtherCalls) {
  auto log = Scenario::FromText(
      "1 ioctl(3</dev/tty>, TCGETS_NEW, {B38400 opost}) = 0\n1 madvise(0x1000, 1, MADV_X) = 0\n", "f");
  ASSERT_TRUE(log.ok()) << log.status().message();
  LoweredCall call;
  EXPECT_TRUE(Lower(**log, (*log)->steps()[0], Arch::kX86_64, {}, &call).ok());
  EXPECT_EQ(call.args[1].kind, ArgKind::kUnknown);
  EXPECT_FALSE(Lower(**log, (*log)->steps()[1], Arch::kX86_64, {}, &call).ok());
}

TEST(Errors, LongLinesAreShownAroundThePlace) {
  const std::string many(500, '1');
  EXPECT_EQ(MessageOf("100 write(1, \"" + many + "\", oh no, \"" + many + "\") = "),
            "f.scn:1:1030: expected a result: a number, -1 and an errno, ?, a $name or a string\n"
            "  ..." +
                std::string(46, '1') + "\") = \n" + std::string(55, ' ') + "^");
}

TEST(Errors, NestingIsBounded) {
  const std::string open(100000, '('), close(100000, ')');
  const std::string message = MessageOf("1 write(" + open + close + ") = 0\n");
  EXPECT_EQ(message.substr(0, message.find('\n')), "f.scn:1:73: brackets nest deeper than 64");
  EXPECT_THAT(MessageOf("1 brk(" + std::string(100001, '<') + ") = 0\n"), testing::StartsWith("f.scn:1:"));
  EXPECT_THAT(MessageOf("1 brk(3" + std::string(100000, '<') + "1) = $a\n"), testing::StartsWith("f.scn:1:"));
  EXPECT_THAT(MessageOf("1 brk(" + std::string(100000, '-') + "1) = $a\n"),
              testing::HasSubstr("nest deeper than 64"));
  EXPECT_THAT(MessageOf("1 brk(" + std::string(100000, '~') + "1) = $a\n"),
              testing::HasSubstr("nest deeper than 64"));
}

class Files : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/mmsimXXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
  }
  void TearDown() override {
    for (const std::string& file : files_) unlink(file.c_str());
    rmdir(dir_.c_str());
  }
  std::string Path(const std::string& name) {
    files_.push_back(dir_ + "/" + name);
    return files_.back();
  }
  static std::string MessageOfFile(const std::string& path) {
    auto scenario = Scenario::Open(path);
    return scenario.ok() ? "" : std::string(scenario.status().message());
  }
  std::string dir_;
  std::vector<std::string> files_;
};

TEST_F(Files, MissingFilesAndFolders) {
  EXPECT_EQ(MessageOfFile(dir_ + "/none"), dir_ + "/none: No such file or directory");
  EXPECT_EQ(MessageOfFile(dir_), dir_ + ": is a directory, not a scenario");
  const std::string path = Path("locked");
  std::ofstream(path) << "x";
  chmod(path.c_str(), 0);
  if (access(path.c_str(), R_OK) != 0) {  // root reads everything
    EXPECT_EQ(MessageOfFile(path), path + ": Permission denied");
  }
}

TEST_F(Files, ALineOfAGigabyteIsRefusedAndNotRead) {
  const std::string path = Path("huge");
  std::ofstream(path) << "100 brk(NULL) = 0\n";
  ASSERT_EQ(truncate(path.c_str(), off_t{1} << 30), 0);
  const std::string message = MessageOfFile(path);
  EXPECT_EQ(message.substr(0, message.find('\n')), path + ":2:1: the line is longer than 16 MiB");
  ASSERT_EQ(truncate(path.c_str(), off_t{1} << 40), 0);
  EXPECT_EQ(MessageOfFile(path), path + ": larger than 4 GiB");
  EXPECT_EQ(MessageOfFile("/dev/zero"), "/dev/zero:1:1: the line is longer than 16 MiB");
}

std::string Gzip(const std::string& text) {
  std::string out(compressBound(text.size()) + 64, '\0');
  z_stream stream{};
  deflateInit2(&stream, 1, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

TEST_F(Files, GzipIsInflatedWhateverItsName) {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += "100 munmap(0x" + std::to_string(i) + "000, 4096) = 0\n";
  const std::string path = Path("log");
  // Two members, as gzip appends them.
  std::ofstream(path) << Gzip(text) << Gzip("100 brk(NULL) = 0x1\n");
  auto scenario = Scenario::Open(path);
  ASSERT_TRUE(scenario.ok()) << scenario.status().message();
  EXPECT_EQ((*scenario)->steps().size(), 20001u);
  EXPECT_EQ((*scenario)->steps().back().sys, Sys::k_brk);
}

TEST_F(Files, DamagedAndExplosiveGzip) {
  const std::string whole = Gzip(std::string(100000, '#') + "\n");
  const std::string path = Path("a.gz");
  std::ofstream(path) << whole.substr(0, whole.size() / 2);
  EXPECT_THAT(MessageOfFile(path), testing::HasSubstr("a.gz: the gzip data is damaged or cut off"));
  std::ofstream(path, std::ios::trunc) << Gzip(std::string(size_t{20} << 20, '#'));
  EXPECT_EQ(MessageOfFile(path), path + ":1:1: the line is longer than 16 MiB");
}

}  // namespace
}  // namespace mmsim::scenario
