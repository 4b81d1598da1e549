// SPDX-License-Identifier: Apache-2.0
// Small ELF files for the tests of exec: a header, program headers, nothing else that the loader looks at.
#pragma once

#include <elf.h>

#include <cstring>
#include <string>
#include <vector>

#include "mmsim/types.h"

namespace mmsim {

class ElfBuilder {
 public:
  ElfBuilder(Arch arch, uint16_t type, uint64_t entry) {
    std::memcpy(header_.e_ident, ELFMAG, SELFMAG);
    header_.e_ident[EI_CLASS] = ELFCLASS64;
    header_.e_ident[EI_DATA] = ELFDATA2LSB;
    header_.e_ident[EI_VERSION] = EV_CURRENT;
    header_.e_type = type;
    header_.e_machine = arch == Arch::kX86_64 ? EM_X86_64 : EM_AARCH64;
    header_.e_version = EV_CURRENT;
    header_.e_entry = entry;
    header_.e_phoff = sizeof(header_);
    header_.e_ehsize = sizeof(header_);
    header_.e_phentsize = sizeof(Elf64_Phdr);
  }
  ElfBuilder& Load(uint32_t flags, uint64_t offset, uint64_t vaddr, uint64_t filesz, uint64_t memsz,
                   uint64_t align = 0x1000) {
    phdrs_.push_back({PT_LOAD, flags, offset, vaddr, vaddr, filesz, memsz, align});
    return *this;
  }
  ElfBuilder& Stack(uint32_t flags) {
    phdrs_.push_back({PT_GNU_STACK, flags, 0, 0, 0, 0, 0, 16});
    return *this;
  }
  ElfBuilder& Interp(const std::string& path) {
    interp_ = path;
    return *this;
  }
  // The file, zeros up to the end of its last segment. PT_INTERP's string lies at offset 0x800.
  std::string Build() const {
    std::vector<Elf64_Phdr> phdrs = phdrs_;
    if (!interp_.empty())
      phdrs.insert(phdrs.begin(), {PT_INTERP, PF_R, 0x800, 0, 0, interp_.size() + 1, 0, 1});
    Elf64_Ehdr header = header_;
    header.e_phnum = static_cast<uint16_t>(phdrs.size());
    std::string file(0x1000, '\0');
    for (const Elf64_Phdr& p : phdrs) {
      if (file.size() < p.p_offset + p.p_filesz) file.resize(p.p_offset + p.p_filesz, '\0');
    }
    std::memcpy(file.data(), &header, sizeof(header));
    std::memcpy(file.data() + sizeof(header), phdrs.data(), phdrs.size() * sizeof(Elf64_Phdr));
    std::memcpy(file.data() + 0x800, interp_.c_str(), interp_.size() + 1);
    return file;
  }

 private:
  Elf64_Ehdr header_{};
  std::vector<Elf64_Phdr> phdrs_;
  std::string interp_;
};

}  // namespace mmsim
