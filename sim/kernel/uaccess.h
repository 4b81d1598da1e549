// SPDX-License-Identifier: Apache-2.0
// The kernel's own copies from and to a program's memory: they fault pages in as the program's accesses do,
// and what the program may not access ends them. All return how many bytes were done. Linux:
// include/linux/uaccess.h, lib/usercopy.c
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "mmsim/types.h"
#include "sim/base/errno.h"

namespace mmsim {

class Kernel;
struct Task;

uint64_t CopyFromUser(Kernel& kernel, Task& task, VirtAddr from, std::span<uint8_t> to);
uint64_t CopyToUser(Kernel& kernel, Task& task, VirtAddr to, std::span<const uint8_t> from);
// Zeros. Linux: clear_user()
uint64_t ClearUser(Kernel& kernel, Task& task, VirtAddr to, uint64_t len_bytes);
// Faults the pages in as a copy does, without copying.
uint64_t TouchUser(Kernel& kernel, Task& task, VirtAddr address, uint64_t len_bytes, bool write);
// Bytes up to a NUL, which is not returned. ENAMETOOLONG when there is none within max_bytes, EFAULT.
Result<std::string> StringFromUser(Kernel& kernel, Task& task, VirtAddr from, uint64_t max_bytes);

}  // namespace mmsim
