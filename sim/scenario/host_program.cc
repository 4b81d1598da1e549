// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/host_program.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>
#include <utility>

#include "sim/kernel/elf_image.h"

namespace mmsim::scenario {
namespace {

constexpr int kMaxDepth = 6;  // of scripts that name scripts; Linux: fs/exec.c exec_binprm()
constexpr uintmax_t kMaxBytes = uintmax_t{1} << 30;

// "/bin/sh" of "#!/bin/sh -e\n...".
std::string ScriptInterpreter(std::string_view contents) {
  constexpr std::string_view kBlanks = " \t";
  std::string_view line = contents.substr(2, contents.find('\n') - 2);
  line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
  return std::string(line.substr(0, line.find_first_of(kBlanks)));
}

// "": it needs none.
std::string InterpreterOf(std::string_view contents) {
  if (contents.starts_with("#!")) return ScriptInterpreter(contents);
  const Result<ElfImage> image = ReadElf(contents);
  if (!image.ok()) return "";
  const Result<std::string> interpreter = ElfInterpreter(*image, contents);
  return interpreter.ok() ? *interpreter : "";
}

void Provide(Vfs& vfs, const std::string& path, int depth) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  if (error || !fs::is_regular_file(real, error) || fs::file_size(real, error) > kMaxBytes) return;
  std::ifstream in(real, std::ios::binary);
  std::string contents((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const std::string interpreter = InterpreterOf(contents);
  vfs.Provide(path, real.string(), std::move(contents));
  if (interpreter.starts_with('/') && depth < kMaxDepth) Provide(vfs, interpreter, depth + 1);
}

}  // namespace

void ProvideHostProgram(Vfs& vfs, const std::string& path) {
  if (path.starts_with('/')) Provide(vfs, path, 0);
}

}  // namespace mmsim::scenario
