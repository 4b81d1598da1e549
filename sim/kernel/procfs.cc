// SPDX-License-Identifier: Apache-2.0
// /proc/PID/maps: its lines, printed and parsed. Linux: fs/proc/task_mmu.c
#include "sim/kernel/procfs.h"

#include <fmt/format.h>

#include <charconv>

#include "sim/kernel/arch/abi.h"
#include "sim/kernel/kernel.h"

namespace mmsim {
namespace {

// Linux: include/linux/mm.h vma_is_initial_heap(), vma_is_initial_stack()
bool IsInitialHeap(const Mm& mm, const Vma& vma) {
  return vma.start < mm.brk && vma.end > mm.start_brk;
}
bool IsInitialStack(const Mm& mm, const Vma& vma) {
  return vma.start <= mm.start_stack && vma.end >= mm.start_stack;
}

// Linux: fs/proc/task_mmu.c get_vma_name()
std::string VmaName(const Mm& mm, const Vma& vma) {
  if (vma.file != nullptr)
    return vma.file->path + (vma.file->deleted || vma.file->inode->nlink == 0 ? " (deleted)" : "");
  if (vma.special != nullptr) return std::string(vma.special->name);
  if (IsInitialHeap(mm, vma)) return "[heap]";
  if (IsInitialStack(mm, vma)) return "[stack]";
  return "";
}

MapsLine LineOf(const Mm& mm, const Vma& vma) {
  MapsLine line;
  line.start = vma.start.value;
  line.end = vma.end.value;
  line.perms[0] = vma.Has(kVmRead) ? 'r' : '-';
  line.perms[1] = vma.Has(kVmWrite) ? 'w' : '-';
  line.perms[2] = vma.Has(kVmExec) ? 'x' : '-';
  line.perms[3] = vma.Has(kVmMayShare) ? 's' : 'p';
  if (vma.file != nullptr) {
    const Inode& inode = *vma.file->inode;
    line.offset_bytes = vma.pgoff << kPageShift;
    line.dev_major = inode.dev_major;
    line.dev_minor = inode.dev_minor;
    line.inode = inode.id;
  }
  line.name = VmaName(mm, vma);
  return line;
}

// A number that the text starts with, up to `end`, which follows it.
bool TakeNumber(std::string_view* text, int base, char end, uint64_t* value) {
  const char* last = text->data() + text->size();
  const auto [at, error] = std::from_chars(text->data(), last, *value, base);
  if (error != std::errc() || at == text->data() || at == last || *at != end) return false;
  text->remove_prefix(static_cast<size_t>(at - text->data()) + 1);
  return true;
}

// seq_path() writes a newline as \\012, and nothing else.
std::string Unescape(std::string_view text) {
  constexpr std::string_view kNewline = "\\012";
  std::string out;
  while (!text.empty()) {
    const bool newline = text.starts_with(kNewline);
    out.push_back(newline ? '\n' : text.front());
    text.remove_prefix(newline ? kNewline.size() : 1);
  }
  return out;
}

}  // namespace

std::vector<MapsLine> MapsLines(const Kernel& kernel, const Mm& mm) {
  std::vector<MapsLine> lines;
  for (const Vma& vma : mm.vmas) lines.push_back(LineOf(mm, vma));
  if (uint64_t page = abi::VsyscallPage(kernel.arch()); page != 0 && kernel.system().profile.vsyscall) {
    MapsLine gate;
    gate.start = page;
    gate.end = page + kPageSize;
    gate.perms[2] = 'x';
    gate.name = "[vsyscall]";
    lines.push_back(gate);
  }
  return lines;
}

// Linux: fs/proc/task_mmu.c show_vma_header_prefix(), show_map_vma()
void AppendMapsLine(const MapsLine& line, std::string* out) {
  constexpr size_t kNameColumn = 25 + 8 * 6 - 1;
  const size_t begin = out->size();
  fmt::format_to(std::back_inserter(*out), "{:08x}-{:08x} {} {:08x} {:02x}:{:02x} {} ", line.start, line.end,
                 line.perms, line.offset_bytes, line.dev_major, line.dev_minor, line.inode);
  if (!line.name.empty()) {
    if (out->size() - begin < kNameColumn) out->append(kNameColumn - (out->size() - begin), ' ');
    out->push_back(' ');  // seq_pad() pads to the column, and one more
    for (char c : line.name) {
      if (c == '\n') {
        out->append("\\012");  // seq_path() escapes what would end the line
      } else {
        out->push_back(c);
      }
    }
  }
  out->push_back('\n');
}

std::string MapsText(const Kernel& kernel, const Task& task) {
  std::string text;
  if (task.mm == nullptr) return text;
  for (const MapsLine& line : MapsLines(kernel, *task.mm)) AppendMapsLine(line, &text);
  return text;
}

bool ParseMapsLine(std::string_view text, MapsLine* line) {
  *line = {};
  if (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  uint64_t major = 0, minor = 0;
  if (!TakeNumber(&text, 16, '-', &line->start) || !TakeNumber(&text, 16, ' ', &line->end)) return false;
  if (text.size() < 5 || text[4] != ' ') return false;
  for (size_t i = 0; i < 4; ++i) {
    if (text[i] != "rwxp"[i] && text[i] != '-' && !(i == 3 && text[i] == 's')) return false;
  }
  text.copy(line->perms, 4);
  text.remove_prefix(5);
  std::string padded(text);
  padded.push_back(' ');  // a line without a name may have lost its last blank
  text = padded;
  if (!TakeNumber(&text, 16, ' ', &line->offset_bytes) || !TakeNumber(&text, 16, ':', &major) ||
      !TakeNumber(&text, 16, ' ', &minor) || !TakeNumber(&text, 10, ' ', &line->inode)) {
    return false;
  }
  line->dev_major = static_cast<uint32_t>(major);
  line->dev_minor = static_cast<uint32_t>(minor);
  const size_t name = text.find_first_not_of(' ');
  if (name != std::string_view::npos) line->name = Unescape(text.substr(name, text.size() - 1 - name));
  return line->start < line->end;
}

}  // namespace mmsim
