// SPDX-License-Identifier: Apache-2.0
// mmsim as a library: a machine with a simulated Linux memory manager, and programs in it. Start here.
//
//   mmsim::Simulator machine(mmsim::Arch::kX86_64);
//   int pid = machine.Spawn();                                           // a process without a program
//   int64_t at = machine.Syscall(pid, "mmap", {0, 8192, 3, 0x22, ~0ull, 0});
//   machine.Store(pid, at, "hello");                                     // faults a page in
//   std::cout << machine.Maps(pid);                                      // as /proc/PID/maps
//
// Threads: one simulator is used by one thread at a time; two simulators share nothing. Determinism: the same
// calls give the same answers and the same texts, on any machine. A pid that no live process has is a
// programming error of the caller's, and so is a name that is no system call: both end the program with a
// message; ask Exists() and IsSyscall().
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "mmsim/types.h"

namespace mmsim {

class Kernel;

// A page fault that came to a signal.
struct Signal {
  int number = 0;                // SIGSEGV 11, SIGBUS 7; 0: none
  int code = 0;                  // si_code
  uint64_t address = 0;          // si_addr
  std::string Name() const;      // "SIGSEGV"
  std::string CodeName() const;  // "SEGV_MAPERR"
};

// What an access by a program came to.
struct AccessOutcome {
  uint64_t done_bytes = 0;
  Signal signal;      // of the first byte that could not be reached
  int nr_faults = 0;  // page faults on the way
  bool ok() const { return signal.number == 0; }
};

class Simulator {
 public:
  explicit Simulator(Arch arch, std::string_view profile = "6.12", uint64_t ram_bytes = uint64_t{1} << 30);
  ~Simulator();
  Simulator(Simulator&&) noexcept;

  // A file, for Spawn, open and execve.
  void AddFile(std::string_view path, std::string_view contents);

  // A process: without a program (an empty address space), or running the ELF file at `path`. Returns its
  // pid, or a negative errno.
  int Spawn();
  int Spawn(std::string_view path, const std::vector<std::string>& argv = {});
  bool Exists(int pid) const;
  void Kill(int pid, int signal);

  // A system call by name with its registers; what the kernel returns: a value or a negative errno. A call
  // that the model lacks returns -ENOSYS and sets *modelled to false.
  int64_t Syscall(int pid, std::string_view name, std::initializer_list<uint64_t> args,
                  bool* modelled = nullptr);
  static bool IsSyscall(std::string_view name);

  // Accesses by the program's own instructions.
  AccessOutcome Store(int pid, uint64_t address, std::string_view bytes);
  AccessOutcome Load(int pid, uint64_t address, uint64_t len_bytes, std::string* bytes = nullptr);
  AccessOutcome Fetch(int pid, uint64_t address);
  // Stores one structure, loads an array of them: what the program's memory holds in the layout of the ABI,
  // which is the host's.
  template <typename T>
  AccessOutcome StoreValue(int pid, uint64_t address, const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    return Store(pid, address, {reinterpret_cast<const char*>(&value), sizeof(value)});
  }
  template <typename T, size_t kExtent>
  AccessOutcome LoadSpan(int pid, uint64_t address, std::span<T, kExtent> to) {
    static_assert(std::is_trivially_copyable_v<T>);
    return LoadBytes(pid, address, std::as_writable_bytes(to));
  }

  // /proc/PID/maps and smaps, byte for byte; the entries of /proc/PID/pagemap.
  std::string Maps(int pid) const;
  std::string Smaps(int pid) const;
  std::vector<uint64_t> Pagemap(int pid, uint64_t address, uint64_t nr_pages) const;

  AccessOutcome LoadBytes(int pid, uint64_t address, std::span<std::byte> to);

  // What is below: the whole of sim/kernel.
  Kernel& kernel() { return *kernel_; }

 private:
  std::unique_ptr<Kernel> kernel_;
};

}  // namespace mmsim
