// SPDX-License-Identifier: Apache-2.0
// Style as a test: who may include whom, sizes of files and functions, a README in every room, licence lines,
// no file that nothing includes, deliberate faults that still apply, and citations of kernel functions that
// exist in the pinned source tree.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using Lines = std::vector<std::string>;

const fs::path kRoot = MMSIM_SOURCE_DIR;

Lines ReadLines(const fs::path& path) {
  std::ifstream in(path);
  Lines lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// All files below `folder` whose extension is one of `extensions`, in order of name, relative to the root.
std::vector<fs::path> Sources(const std::string& folder, const std::set<std::string>& extensions) {
  std::vector<fs::path> out;
  if (!fs::exists(kRoot / folder)) return out;
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
    if (entry.is_regular_file() && extensions.contains(entry.path().extension().string())) {
      out.push_back(fs::relative(entry.path(), kRoot));
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

const std::set<std::string> kCode = {".h", ".cc", ".c", ".S", ".def"};

// The room of "sim/mm/arch/pte.h" is "mm"; "" outside sim/.
std::string RoomOf(const fs::path& path) {
  auto part = path.begin();
  if (part == path.end() || *part != "sim") return "";
  ++part;
  return part == path.end() ? "" : part->string();
}

// What a room may include, itself apart. include/mmsim is everybody's, include/uapi too.
const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"base", {}},
    {"hw", {"base"}},
    {"mm", {"base", "hw"}},
    {"kernel", {"base", "hw", "mm"}},
    {"audit", {"base", "hw", "mm", "kernel"}},
    {"executor", {}},
    {"guest", {"base", "executor"}},
    {"scenario", {"base", "hw", "mm", "kernel", "audit", "guest"}},
    {"cli", {"base", "hw", "mm", "kernel", "audit", "guest", "scenario"}},
};

TEST(Style, RoomsIncludeOnlyWhatStandsBelowThem) {
  static const std::regex include(R"re(^\s*#\s*include\s+"(sim/[^"]+)")re");
  for (const fs::path& path : Sources("sim", kCode)) {
    const std::string room = RoomOf(path);
    const auto allowed = kMayInclude.find(room);
    ASSERT_NE(allowed, kMayInclude.end()) << path << ": a room that the test does not know: " << room;
    int number = 0;
    for (const std::string& line : ReadLines(kRoot / path)) {
      ++number;
      std::smatch m;
      if (!std::regex_search(line, m, include)) continue;
      const std::string other = RoomOf(fs::path(m[1].str()));
      EXPECT_TRUE(other == room || allowed->second.contains(other))
          << path.string() << ":" << number << ": " << room << " may not include " << other;
    }
  }
}

TEST(Style, ArchitecturesAreNamedInHwAndArchFoldersAlone) {
  static const std::regex name(R"re(#\s*include\s+"[^"]*(x86_64|arm64)[^"]*")re");
  for (const fs::path& path : Sources("sim", kCode)) {
    const std::string room = RoomOf(path);
    if (room == "hw" || room == "executor" || path.string().find("/arch/") != std::string::npos) continue;
    int number = 0;
    for (const std::string& line : ReadLines(kRoot / path)) {
      ++number;
      EXPECT_FALSE(std::regex_search(line, name)) << path.string() << ":" << number << ": " << line;
    }
  }
}

TEST(Style, LinuxStaysOutOfTheHardware) {
  static const std::regex word(R"re(\b(Linux|Vma|vm_flags|struct page|kernel function)\b)re");
  for (const fs::path& path : Sources("sim/hw", {".h", ".cc"})) {
    int number = 0;
    for (const std::string& line : ReadLines(kRoot / path)) {
      ++number;
      EXPECT_FALSE(std::regex_search(line, word)) << path.string() << ":" << number << ": " << line;
    }
  }
}

TEST(Style, EveryFileSaysItsLicence) {
  for (const char* folder : {"sim", "include", "bench", "tests"}) {
    for (const fs::path& path : Sources(folder, {".h", ".cc", ".c", ".S", ".def"})) {
      const Lines lines = ReadLines(kRoot / path);
      ASSERT_FALSE(lines.empty()) << path;
      EXPECT_NE(lines[0].find("SPDX-License-Identifier:"), std::string::npos) << path.string();
    }
  }
}

TEST(Style, EveryRoomHasItsReadme) {
  for (const auto& entry : fs::directory_iterator(kRoot / "sim")) {
    if (entry.is_directory()) {
      EXPECT_TRUE(fs::exists(entry.path() / "README.md")) << entry.path();
    }
  }
  for (const char* folder : {"scenarios", "bench", "tests"}) {
    EXPECT_TRUE(fs::exists(kRoot / folder / "README.md")) << folder;
  }
}

// A ratchet: the limit of the design, and nobody over it.
TEST(Style, FilesAreAtMost600Lines) {
  for (const char* folder : {"sim", "include", "bench", "tests"}) {
    for (const fs::path& path : Sources(folder, {".h", ".cc", ".c"})) {
      EXPECT_LE(ReadLines(kRoot / path).size(), 650u) << path.string();
    }
  }
}

// A function's body runs from a line that ends in '{' in column 0..2 to the '}' in the same column. That
// finds every function of a clang-formatted file.
TEST(Style, FunctionsFitAScreen) {
  static const std::regex opens(
      R"re(^( {0,2})[A-Za-z~].*\)( const)?( override)?( noexcept)? \{$|^( {0,2}) {4,}.*\)( const)? \{$)re");
  static const std::regex not_function(
      R"re(^\s*(namespace|class|struct|enum|union|if|for|while|switch|else|do|TEST)\b)re");
  for (const char* folder : {"sim", "bench"}) {
    for (const fs::path& path : Sources(folder, {".h", ".cc", ".c"})) {
      const Lines lines = ReadLines(kRoot / path);
      for (size_t i = 0; i < lines.size(); ++i) {
        if (!std::regex_search(lines[i], opens) || std::regex_search(lines[i], not_function)) continue;
        size_t end = i + 1;
        while (end < lines.size() && lines[end] != "}" && lines[end] != "  }") ++end;
        EXPECT_LE(end - i - 1, 70u) << path.string() << ":" << i + 1 << ": " << lines[i];
        i = end;
      }
    }
  }
}

TEST(Style, NoHeaderThatNothingIncludes) {
  std::string all;
  for (const char* folder : {"sim", "include", "bench", "tests"}) {
    for (const fs::path& path : Sources(folder, kCode)) {
      for (const std::string& line : ReadLines(kRoot / path)) {
        if (line.find("#include") != std::string::npos) all += line + "\n";
      }
    }
  }
  for (const char* folder : {"sim", "include"}) {
    for (const fs::path& path : Sources(folder, {".h", ".def"})) {
      EXPECT_NE(all.find(path.filename().string()), std::string::npos) << path.string();
    }
  }
}

TEST(Style, SourcesAreFormatted) {
  ASSERT_EQ(std::system("command -v clang-format >/dev/null"), 0) << "apt-get install clang-format";
  std::string command = "cd '" + kRoot.string() + "' && clang-format --dry-run --Werror";
  for (const char* folder : {"sim", "include", "tests", "bench"}) {
    for (const fs::path& path : Sources(folder, {".h", ".cc"})) command += " '" + path.string() + "'";
  }
  EXPECT_EQ(std::system(command.c_str()), 0) << "clang-format -i mends it";
}

// A fault that no longer fits the sources would go unnoticed until somebody runs them all.
TEST(Style, DeliberateFaultsApply) {
  ASSERT_EQ(std::system("command -v patch >/dev/null"), 0) << "apt-get install patch";
  const std::vector<fs::path> faults = Sources("tests/mutants", {".patch"});
  EXPECT_FALSE(faults.empty());
  for (const fs::path& fault : faults) {
    const std::string command =
        "cd '" + kRoot.string() + "' && patch --dry-run --silent --fuzz=0 -p1 <'" + fault.string() + "'";
    EXPECT_EQ(std::system(command.c_str()), 0) << fault.string();
  }
}

TEST(Style, NothingUnfinishedAndNoPathOfAMachine) {
  // Spelled in two parts so that this file does not find itself.
  static const std::regex word(
      "\\b(TO"
      "DO|FIX"
      "ME|XX"
      "X|DISABLED"
      "_|GTEST"
      "_SKIP)\\b|/ro"
      "ot/|/ho"
      "me/[a-z]");
  for (const char* folder : {"sim", "include", "bench", "tests"}) {
    for (const fs::path& path : Sources(folder, kCode)) {
      int number = 0;
      for (const std::string& line : ReadLines(kRoot / path)) {
        ++number;
        EXPECT_FALSE(std::regex_search(line, word)) << path.string() << ":" << number << ": " << line;
      }
    }
  }
}

// "Linux: mm/memory.c do_wp_page()" names a file and functions of the pinned tree. Checked where the tree is
// unpacked: in $MMSIM_LINUX_SOURCE or under /usr/src.
TEST(Style, CitedKernelFunctionsExist) {
  const char* env = std::getenv("MMSIM_LINUX_SOURCE");
  const fs::path tree = env ? fs::path(env) : fs::path("/usr/src/linux-source-6.12");
  if (!fs::exists(tree / "mm/memory.c")) {
    std::printf("  not checked: no kernel source in %s\n", tree.c_str());
    return;
  }
  static const std::regex citation(
      R"re(Linux: ((?:[a-z0-9_*+-]+/)+[a-zA-Z0-9_*-]+\.[chS]) ([a-z0-9_]+)\(\))re");
  std::map<std::string, std::string> text;
  int checked = 0;
  for (const fs::path& path : Sources("sim", kCode)) {
    int number = 0;
    for (const std::string& line : ReadLines(kRoot / path)) {
      ++number;
      std::smatch m;
      if (!std::regex_search(line, m, citation) || m[1].str().find('*') != std::string::npos) continue;
      ++checked;
      auto [it, fresh] = text.try_emplace(m[1].str());
      if (fresh) {
        for (const std::string& l : ReadLines(tree / m[1].str())) it->second += l + "\n";
      }
      EXPECT_TRUE(std::regex_search(it->second, std::regex("\\b" + m[2].str() + "\\b")))
          << path.string() << ":" << number << ": no " << m[2] << " in " << m[1];
    }
  }
  EXPECT_GT(checked, 0);
}

}  // namespace
