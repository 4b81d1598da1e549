// SPDX-License-Identifier: Apache-2.0
// The kernel's error numbers (asm-generic/errno-base.h, errno.h), the same on every architecture modelled
// here, and Result<T>, which is a value or one of them. They are the simulated kernel's answers to a
// simulated program; what goes wrong for the person at the keyboard is absl::Status and lives in sim/scenario
// and sim/cli.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <variant>

#include "sim/base/check.h"

namespace mmsim {

// X(name, number): one line an errno, the table that names, numbers and printing come from.
// clang-format off
#define MMSIM_ERRNOS(X)                                                                                      \
  X(EPERM, 1)                                                                                                \
  X(ENOENT, 2)                                                                                               \
  X(ESRCH, 3)                                                                                                \
  X(EINTR, 4) X(EIO, 5) X(ENXIO, 6) X(E2BIG, 7) X(ENOEXEC, 8) X(EBADF, 9) X(ECHILD, 10) X(EAGAIN, 11)        \
      X(ENOMEM, 12) X(EACCES, 13) X(EFAULT, 14) X(ENOTBLK, 15) X(EBUSY, 16) X(EEXIST, 17) X(EXDEV, 18)       \
          X(ENODEV, 19) X(ENOTDIR, 20) X(EISDIR, 21) X(EINVAL, 22) X(ENFILE, 23) X(EMFILE, 24) X(ENOTTY, 25) \
              X(ETXTBSY, 26) X(EFBIG, 27) X(ENOSPC, 28) X(ESPIPE, 29) X(EROFS, 30) X(EMLINK, 31)             \
                  X(EPIPE, 32) X(EDOM, 33) X(ERANGE, 34) X(EDEADLK, 35) X(ENAMETOOLONG, 36) X(ENOLCK, 37)    \
                      X(ENOSYS, 38) X(ENOTEMPTY, 39) X(ELOOP, 40) X(EIDRM, 43) X(ENODATA, 61)                \
                          X(EOVERFLOW, 75) X(ELIBBAD, 80) X(EUSERS, 87) X(EOPNOTSUPP, 95) X(ETIMEDOUT, 110)  \
                              X(EHWPOISON, 133) X(ERESTARTSYS, 512) X(ERESTARTNOINTR, 513)                   \
                                  X(ERESTARTNOHAND, 514) X(ERESTART_RESTARTBLOCK, 516)
// clang-format on

enum class Errno : int32_t {
#define MMSIM_X(name, number) k##name = number,
  MMSIM_ERRNOS(MMSIM_X)
#undef MMSIM_X
};

// A system call's return below zero is an errno when it is not below -kMaxErrno (MAX_ERRNO).
inline constexpr int64_t kMaxErrno = 4095;

// "ENOMEM" for kENOMEM; "E?" for a number that is none of the table's.
constexpr std::string_view ErrnoName(Errno e) {
  switch (e) {
#define MMSIM_X(name, number) \
  case Errno::k##name:        \
    return #name;
    MMSIM_ERRNOS(MMSIM_X)
#undef MMSIM_X
  }
  return "E?";
}

// The number of "ENOMEM"; 0 for a name that is none of the table's.
constexpr int ErrnoNumber(std::string_view name) {
#define MMSIM_X(n, number) \
  if (name == #n) return number;
  MMSIM_ERRNOS(MMSIM_X)
#undef MMSIM_X
  return 0;
}

// A value or an errno, as the kernel's ERR_PTR and negative returns carry them. Never default-constructed.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : v_(std::in_place_index<0>, std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(Errno error) : v_(std::in_place_index<1>, error) {}         // NOLINT(google-explicit-constructor)

  bool ok() const { return v_.index() == 0; }
  // Precondition: ok().
  T& value() {
    MMSIM_CHECK(ok());
    return *std::get_if<0>(&v_);
  }
  const T& value() const {
    MMSIM_CHECK(ok());
    return *std::get_if<0>(&v_);
  }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  // Precondition: !ok().
  Errno error() const {
    MMSIM_CHECK(!ok());
    return *std::get_if<1>(&v_);
  }

 private:
  std::variant<T, Errno> v_;
};

// Success or an errno; for operations without a value.
class [[nodiscard]] Status {
 public:
  constexpr Status() = default;
  constexpr Status(Errno error)
      : error_(static_cast<int32_t>(error)) {}  // NOLINT(google-explicit-constructor)
  constexpr bool ok() const { return error_ == 0; }
  // Precondition: !ok().
  constexpr Errno error() const { return static_cast<Errno>(error_); }
  // What a system call returns for it: 0 or the negative errno.
  constexpr int64_t AsReturn() const { return -int64_t{error_}; }

 private:
  int32_t error_ = 0;
};

}  // namespace mmsim
