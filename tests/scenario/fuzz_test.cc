// SPDX-License-Identifier: Apache-2.0
// The parser against texts that nobody wrote: a bounded number of mutations of real lines, the same in each
// run. The environment variable MMSIM_FUZZ_INPUTS asks for more of them, MMSIM_FUZZ_SEED for others.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iterator>

#include "sim/base/random.h"
#include "tests/scenario/fuzz_one.h"

namespace mmsim::scenario {
namespace {

// NOLINTBEGIN(bugprone-suspicious-missing-comma): literals that were too long for a line
constexpr std::string_view kSeeds[] = {
    "5070  mmap(0x7ffff7f8c000, 110592, PROT_READ|PROT_EXEC, MAP_PRIVATE|MAP_FIXED, 3</usr/lib/x.so>, "
    "0x7000) = "
    "0x7ffff7f8c000 <0.000012>\n",
    "5070  execve(\"/usr/bin/ls\", [\"ls\", \"/\"...], 0x7fffffffe678 /* 41 vars */) = 0\n",
    "7 20:21:03.394393 munmap(0x1000, 4096 <unfinished ...>\n7 20:21:04 <... munmap resumed>) = -1 EINVAL "
    "(Invalid "
    "argument)\n",
    "8 clone3({flags=CLONE_VM|CLONE_FS, exit_signal=SIGCHLD, stack=0x7000} <unfinished ...>\n8 <... clone3 "
    "resumed> => "
    "{parent_tid=[9]}, 88) = 9\n",
    "7 --- SIGSEGV {si_signo=SIGSEGV, si_code=SEGV_ACCERR, si_addr=0x1000} ---\n7 +++ killed by SIGSEGV "
    "(core dumped) "
    "+++\n",
    "[pid    21] <... brk resumed>) = 0x1\nstrace: Process 22 attached\n[pid 22] syscall_0x1ce(0, 0x1000, 0) "
    "= 0\n",
    "clone(child_stack=NULL, flags=SIGCHLDstrace: Process 21 attached\n, child_tidptr=0x7000) = 21\n",
    "5 prlimit64(0, RLIMIT_STACK, NULL, {rlim_cur=8192*1024, rlim_max=RLIM64_INFINITY}) = 0\n",
    "5 process_vm_readv(5, [{iov_base=\"ab\", iov_len=2}], 1, [{iov_base=0x1000, iov_len=2}], 1, 0) = 2\n",
    "5 pipe2([3<pipe:[1]>, 4<TCP:[1.1.1.1:1->2.2.2.2:2]>], O_CLOEXEC) = 0\n5 exit_group(0",
    "# Shows: x\narch x86_64 \"why\"\nset max_map_count 100\nlimit RLIMIT_AS 1<<20 RLIM_INFINITY\npid 100 "
    "privileged\n",
    "100 mmap(NULL, 0x2000, 3, MAP_PRIVATE|MAP_ANONYMOUS|21<<MAP_HUGE_SHIFT, -1, 0) = $a\n100 store($a, "
    "\"a\\0\\x41\") = "
    "3\n100 load($a+0x1000, 1) = \"a\"\non arm64 100 fetch($a) = 0\nlet $b = ($a|1)+2*~3\ninject frame 2\n",
    "expect 100 maps $a-$a+0x3000 {\n  00400000-00401000 r-xp 00000000 00:00 0 /victim (deleted) # x\n  "
    "...\n}\n",
    "expect 100 smaps $a { Rss: 4 kB VmFlags: rd wr }\nexpect 100 pte 0x1000 { pmd: table; pte: = present "
    "!write; pud: "
    "0x67/0xfff }\n",
    "expect frame 100:$a == 101:$a+1\nexpect 1 bytes $a \"x\"\nexpect 1 signal SIGBUS {si_code=BUS_ADRERR, "
    "si_addr=$a}\nexpect counters { Committed_AS: 4 kB }\nexpect 1 pagemap $a { present !file }\n",
};
// NOLINTEND(bugprone-suspicious-missing-comma)

constexpr std::string_view kPieces[] = {"(",
                                        ")",
                                        "[",
                                        "]",
                                        "{",
                                        "}",
                                        "<",
                                        ">",
                                        "\"",
                                        "\\",
                                        ",",
                                        "=",
                                        " = ",
                                        "|",
                                        "<<",
                                        "/*",
                                        "*/",
                                        "...",
                                        "$a",
                                        "\n",
                                        "# ",
                                        "0x",
                                        "-1",
                                        "~",
                                        "<unfinished ...>",
                                        "<... mmap resumed>",
                                        " attached",
                                        "strace: Process ",
                                        "'",
                                        "99999999999999999999",
                                        ";",
                                        "expect ",
                                        "on x86_64 "};

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}

  std::string Next() {
    std::string text;
    for (uint64_t n = random_.Between(1, 4); n > 0; --n) text += Seed();
    for (uint64_t n = random_.Below(8); n > 0; --n) Mutate(&text);
    return text;
  }

 private:
  std::string Seed() { return std::string(kSeeds[random_.Below(std::size(kSeeds))]); }

  void Mutate(std::string* text) {
    if (text->empty()) return;
    const size_t at = random_.Below(text->size());
    const size_t len = std::min<size_t>(random_.Between(1, 24), text->size() - at);
    switch (random_.Below(7)) {
      case 0:
        text->erase(at, len);
        break;
      case 1:
        text->insert(at, kPieces[random_.Below(std::size(kPieces))]);
        break;
      case 2:
        (*text)[at] = static_cast<char>(random_.Below(256));
        break;
      case 3:
        text->insert(at, text->substr(random_.Below(text->size()), len));
        break;
      case 4:
        text->resize(at);
        break;
      case 5: {
        const std::string_view piece = kPieces[random_.Below(std::size(kPieces))];
        for (uint64_t n = random_.Below(100); n > 0; --n) text->insert(at, piece);
        break;
      }
      default:
        std::swap((*text)[at], (*text)[random_.Below(text->size())]);
    }
  }

  Random random_;
};

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 0);
}

TEST(Fuzz, NoTextBreaksTheParser) {
  const uint64_t inputs = FromEnvironment("MMSIM_FUZZ_INPUTS", 10000);
  Mutator mutator(FromEnvironment("MMSIM_FUZZ_SEED", 1));
  uint64_t accepted = 0;
  for (uint64_t i = 0; i < inputs; ++i) {
    const std::string text = mutator.Next();
    SCOPED_TRACE(text);
    accepted += FuzzOne(text);
    if (HasFailure()) FAIL() << "input " << i;
  }
  // Neither kind of input is rare, or the fuzzer tests less than it seems to.
  EXPECT_GT(accepted * 20, inputs);
  EXPECT_LT(accepted * 2, inputs);
}

TEST(Fuzz, EveryPrefixOfEverySeed) {
  for (const std::string_view seed : kSeeds) {
    for (size_t n = 0; n <= seed.size(); ++n) FuzzOne(std::string(seed.substr(0, n)));
  }
}

}  // namespace
}  // namespace mmsim::scenario
