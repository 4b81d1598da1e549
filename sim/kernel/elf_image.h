// SPDX-License-Identifier: Apache-2.0
// The headers of an ELF file as the loader reads them: through libelf, with the kernel's own checks on top.
// Linux: fs/binfmt_elf.c load_elf_phdrs()
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/errno.h"

namespace mmsim {

inline constexpr uint32_t kPtLoad = 1, kPtInterp = 3, kPtGnuStack = 0x6474e551;
inline constexpr uint32_t kPfX = 1, kPfW = 2, kPfR = 4;
inline constexpr uint16_t kEtExec = 2, kEtDyn = 3;

struct ElfPhdr {
  uint32_t type = 0, flags = 0;
  uint64_t offset = 0, vaddr = 0, filesz = 0, memsz = 0, align = 0;
};

struct ElfImage {
  uint16_t type = 0, machine = 0;
  uint64_t entry = 0, phoff = 0;
  std::vector<ElfPhdr> phdrs;
};

// ENOEXEC for what is no 64-bit ELF file with sane program headers; the caller maps it to ELIBBAD for an
// interpreter.
Result<ElfImage> ReadElf(std::string_view file);
// The path in PT_INTERP, "" for none. ENOEXEC, EIO.
Result<std::string> ElfInterpreter(const ElfImage& image, std::string_view file);

}  // namespace mmsim
