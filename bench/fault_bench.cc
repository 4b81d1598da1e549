// SPDX-License-Identifier: Apache-2.0
// What pages cost: the first write to one, from the store to its success; a copy on write; fork and exit, a
// mapped page; and real memory, a mapped page. Beside them the host kernel's own faults. `--once NAME` does
// one of them once, for a tool that counts instructions (bench/instructions).
#include <benchmark/benchmark.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <memory>
#include <span>
#include <string_view>

#include "bench/four_loads.h"
#include "bench/ratio_reporter.h"
#include "fmt/format.h"
#include "sim/kernel/kernel.h"

namespace mmsim {

constexpr uint64_t kPages = 8192, kBase = 0x10'0000'0000;

// A process with memory of its own; a child of it is made and ended.
struct FaultWorld {
  explicit FaultWorld(uint64_t nr_pages = kPages, uint64_t memory_bytes = uint64_t{1} << 36)
      : pages(nr_pages), kernel([memory_bytes] {
          KernelOptions options;
          options.total_ram_bytes = options.memory_bytes = memory_bytes;
          return options;
        }()) {
    SpawnRequest request;
    request.empty = true;
    parent = *kernel.Spawn(request);
    Map();
  }
  int64_t Call(Sys sys, std::initializer_list<uint64_t> values) {
    SyscallArgs args;
    size_t i = 0;
    for (const uint64_t value : values) args.value[i++] = value;
    return kernel.Syscall(*parent, sys, args).value;
  }
  void Map() {
    MMSIM_CHECK(Call(Sys::k_mmap, {kBase, pages * kPageSize, 3, 0x32, ~uint64_t{0}, 0}) == int64_t{kBase});
  }

  const uint64_t pages;
  Kernel kernel;
  Task* parent;
};

// A byte to each page. Not inlined, as the two below: callgrind counts by function.
[[gnu::noinline]] void StoreToAllPages(FaultWorld& w) {
  static constexpr uint8_t kByte[1] = {1};
  for (uint64_t i = 0; i < w.pages; ++i) {
    MMSIM_CHECK(w.kernel.Store(*w.parent, VirtAddr(kBase + i * kPageSize), kByte).ok());
  }
}

[[gnu::noinline]] Task* ForkWithAllPages(FaultWorld& w) {
  const int64_t pid = w.Call(Sys::k_fork, {});
  MMSIM_CHECK(pid > 0);
  return w.kernel.FindTask(static_cast<int>(pid));
}

[[gnu::noinline]] void ExitWithAllPages(FaultWorld& w, Task& task) {
  w.kernel.ExitTask(task, 0);
  w.kernel.Reap(task);
}

namespace {

void CountPages(benchmark::State& state) {
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kPages));
}

void AnonymousWriteFault(benchmark::State& state) {
  FaultWorld w;
  for (auto _ : state) {
    state.PauseTiming();
    w.Map();  // what was there goes
    state.ResumeTiming();
    StoreToAllPages(w);
  }
  CountPages(state);
}

void CopyOnWriteFault(benchmark::State& state) {
  FaultWorld w;
  StoreToAllPages(w);
  for (auto _ : state) {
    state.PauseTiming();
    Task* child = ForkWithAllPages(w);
    state.ResumeTiming();
    StoreToAllPages(w);
    state.PauseTiming();
    ExitWithAllPages(w, *child);
    state.ResumeTiming();
  }
  CountPages(state);
}

void Fork(benchmark::State& state) {
  FaultWorld w;
  StoreToAllPages(w);
  for (auto _ : state) {
    Task* child = ForkWithAllPages(w);
    state.PauseTiming();
    ExitWithAllPages(w, *child);
    state.ResumeTiming();
  }
  CountPages(state);
}

void Exit(benchmark::State& state) {
  FaultWorld w;
  StoreToAllPages(w);
  for (auto _ : state) {
    state.PauseTiming();
    Task* child = ForkWithAllPages(w);
    state.ResumeTiming();
    ExitWithAllPages(w, *child);
  }
  CountPages(state);
}

// --- the host's

volatile uint8_t* HostMap() {
  void* at = mmap(nullptr, kPages * kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  MMSIM_CHECK(at != MAP_FAILED);
  madvise(at, kPages * kPageSize, MADV_NOHUGEPAGE);
  return static_cast<volatile uint8_t*>(at);
}

void HostAnonymousWriteFault(benchmark::State& state) {
  for (auto _ : state) {
    state.PauseTiming();
    volatile uint8_t* at = HostMap();
    state.ResumeTiming();
    for (uint64_t i = 0; i < kPages; ++i) at[i * kPageSize] = 1;
    state.PauseTiming();
    munmap(const_cast<uint8_t*>(at), kPages * kPageSize);
    state.ResumeTiming();
  }
  CountPages(state);
}

void HostForkAndExit(benchmark::State& state) {
  volatile uint8_t* at = HostMap();
  for (uint64_t i = 0; i < kPages; ++i) at[i * kPageSize] = 1;
  for (auto _ : state) {
    const pid_t child = fork();
    if (child == 0) _exit(0);
    waitpid(child, nullptr, 0);
  }
  munmap(const_cast<uint8_t*>(at), kPages * kPageSize);
  CountPages(state);
}

BENCHMARK(FourLoads);
BENCHMARK(AnonymousWriteFault);
BENCHMARK(CopyOnWriteFault);
BENCHMARK(Fork);
BENCHMARK(Exit);
BENCHMARK(HostAnonymousWriteFault);
BENCHMARK(HostForkAndExit);

uint64_t ResidentBytes() {
  uint64_t size = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

// Real memory a mapped page whose contents are uniform, tables and records included.
void PrintBytesPerPage() {
  constexpr uint64_t kMany = uint64_t{16} << 20;
  const uint64_t before = ResidentBytes();
  FaultWorld w(kMany, uint64_t{1} << 37);
  static constexpr uint8_t kZero[1] = {};
  for (uint64_t i = 0; i < kMany; ++i) {
    MMSIM_CHECK(w.kernel.Store(*w.parent, VirtAddr(kBase + i * kPageSize), kZero).ok());
  }
  fmt::print("{:.1f} bytes of real memory a mapped page, {} pages mapped\n",
             static_cast<double>(ResidentBytes() - before) / static_cast<double>(kMany), kMany);
}

// False: there is no such.
bool Once(std::string_view name) {  // in a machine that callgrind has room for
  FaultWorld w(kPages, uint64_t{1} << 30);
  const bool without_child = name == "anonymous" || name == "mapped";
  if (!without_child && name != "cow" && name != "fork" && name != "exit") return false;
  if (name != "anonymous") w.kernel.Touch(*w.parent, VirtAddr(kBase), w.pages * kPageSize, true);
  if (without_child) {
    StoreToAllPages(w);
    return true;
  }
  Task* child = ForkWithAllPages(w);
  if (name == "cow") StoreToAllPages(w);
  if (name == "exit") ExitWithAllPages(w, *child);
  return true;
}

}  // namespace
}  // namespace mmsim

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "--once") return mmsim::Once(argv[2]) ? 0 : 2;
  const int status = mmsim::RunBenchmarks(argc, argv, "times four dependent loads");
  mmsim::PrintBytesPerPage();
  return status;
}
