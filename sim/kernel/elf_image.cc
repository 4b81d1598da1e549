// SPDX-License-Identifier: Apache-2.0
#include "sim/kernel/elf_image.h"

#include <gelf.h>
#include <libelf.h>

#include <memory>

namespace mmsim {
namespace {

struct ElfEnd {
  void operator()(Elf* elf) const { elf_end(elf); }
};

}  // namespace

Result<ElfImage> ReadElf(std::string_view file) {
  constexpr uint64_t kMaxPhdrBytes = 4096;  // ELF_MIN_ALIGN
  if (elf_version(EV_CURRENT) == EV_NONE || file.size() < sizeof(Elf64_Ehdr)) return Errno::kENOEXEC;
  // libelf takes a writable pointer and does not write.
  std::unique_ptr<Elf, ElfEnd> elf(elf_memory(const_cast<char*>(file.data()), file.size()));
  GElf_Ehdr header;
  if (elf == nullptr || elf_kind(elf.get()) != ELF_K_ELF || gelf_getclass(elf.get()) != ELFCLASS64 ||
      gelf_getehdr(elf.get(), &header) == nullptr) {
    return Errno::kENOEXEC;
  }
  ElfImage image{header.e_type, header.e_machine, header.e_entry, header.e_phoff, {}};
  const uint64_t bytes = uint64_t{header.e_phnum} * sizeof(Elf64_Phdr);
  if (header.e_phentsize != sizeof(Elf64_Phdr) || bytes == 0 || bytes > kMaxPhdrBytes) return Errno::kENOEXEC;
  for (int i = 0; i < header.e_phnum; ++i) {
    GElf_Phdr p;
    if (gelf_getphdr(elf.get(), i, &p) == nullptr) return Errno::kENOEXEC;
    image.phdrs.push_back({p.p_type, p.p_flags, p.p_offset, p.p_vaddr, p.p_filesz, p.p_memsz, p.p_align});
  }
  return image;
}

Result<std::string> ElfInterpreter(const ElfImage& image, std::string_view file) {
  constexpr uint64_t kPathMax = 4096;
  for (const ElfPhdr& p : image.phdrs) {
    if (p.type != kPtInterp) continue;
    if (p.filesz > kPathMax || p.filesz < 2) return Errno::kENOEXEC;
    if (p.offset > file.size() || p.filesz > file.size() - p.offset) return Errno::kEIO;
    std::string_view path = file.substr(p.offset, p.filesz);
    if (path.back() != '\0') return Errno::kENOEXEC;
    return std::string(path.substr(0, path.find('\0')));
  }
  return std::string();
}

}  // namespace mmsim
