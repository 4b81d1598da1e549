// SPDX-License-Identifier: Apache-2.0
// The victims' committed bytes against their source, wherever an assembler for the architecture is installed,
// and against what the executor and the simulated kernel take for granted everywhere.
#include "uapi/victim.h"

#include <elf.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>

#include "sim/guest/subprocess.h"

namespace mmsim::guest {
namespace {

struct Victim {
  std::string_view name;    // of the source
  std::string_view prefix;  // of the assembler's tools
  std::string_view bytes;
  uint16_t machine;
};
template <size_t n>
std::string_view View(const uint8_t (&bytes)[n]) {
  return {reinterpret_cast<const char*>(bytes), n};
}
const Victim kVictims[] = {
    {"x86_64", "x86_64-linux-gnu-", View(kVictim_x86_64), EM_X86_64},
    {"arm64", "aarch64-linux-gnu-", View(kVictim_arm64), EM_AARCH64},
};

TEST(Victim, IsOneSegmentOfOnePageThatExecMustClear) {
  for (const Victim& v : kVictims) {
    Elf64_Ehdr header;
    std::memcpy(&header, v.bytes.data(), sizeof(header));
    EXPECT_EQ(std::memcmp(header.e_ident, ELFMAG, SELFMAG), 0);
    EXPECT_EQ(header.e_machine, v.machine);
    EXPECT_EQ(header.e_entry, VICTIM_STUB(VICTIM_ENTRY));
    ASSERT_EQ(header.e_phnum, 2);
    Elf64_Phdr segments[2];
    std::memcpy(segments, v.bytes.data() + header.e_phoff, sizeof(segments));
    EXPECT_EQ(segments[0].p_type, uint32_t{PT_LOAD});
    EXPECT_EQ(segments[0].p_flags, uint32_t{PF_R | PF_W | PF_X});
    EXPECT_EQ(segments[0].p_vaddr, VICTIM_BASE);
    EXPECT_EQ(segments[0].p_filesz, v.bytes.size());
    EXPECT_EQ(segments[0].p_memsz, 4096u);
    EXPECT_EQ(segments[1].p_type, uint32_t{PT_GNU_STACK});
    EXPECT_LE(VICTIM_BASE + v.bytes.size(), VICTIM_SCRATCH);
    EXPECT_EQ(VICTIM_SCRATCH + VICTIM_SCRATCH_BYTES, VICTIM_BASE + 4096);
  }
}

TEST(Victim, BytesAreWhatTheSourceAssemblesTo) {
  char folder[] = "/tmp/victim.XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  for (const Victim& v : kVictims) {
    const std::string as = std::string(v.prefix) + "as", objcopy = std::string(v.prefix) + "objcopy";
    if (FindProgram(as).empty() || FindProgram(objcopy).empty()) {
      std::cout << "  not checked: " << as << " is not installed\n";
      continue;
    }
    const std::string source =
        std::string(MMSIM_SOURCE_DIR "/sim/executor/arch/victim_") + std::string(v.name) + ".S";
    const std::string object = std::string(folder) + "/o", binary = std::string(folder) + "/b";
    ASSERT_EQ(RunProgram({as, "-o", object, source})->exit_status, 0);
    ASSERT_EQ(RunProgram({objcopy, "-O", "binary", "-j", ".text", object, binary})->exit_status, 0);
    std::ifstream file(binary, std::ios::binary);
    const std::string assembled{std::istreambuf_iterator<char>(file), {}};
    EXPECT_TRUE(assembled == v.bytes) << "include/uapi/victim.h is not what " << source << " says";
    std::remove(object.c_str());
    std::remove(binary.c_str());
  }
  rmdir(folder);
}

}  // namespace
}  // namespace mmsim::guest
