// SPDX-License-Identifier: Apache-2.0
// See swap.h. The disk is the kernel's own brd, a module that the initramfs brings along; its pages cost
// memory when they are written. Documented format of a swap area: include/linux/swap.h union swap_header.
#include "swap.h"

#define MODULE "/brd.ko.xz"
#define DISK "/dev/ram0"
#define DISK_OPTIONS "rd_nr=1 rd_size=262144"  // KiB
#define MAX_SWAP_PAGES (262144 / 4)
#define MODULE_COMPRESSED 4  // MODULE_INIT_COMPRESSED_FILE
#define ERR_INVALID 22
#define ERR_BUSY 16
#define PAGE_BYTES 4096

static int loaded, on;

static long LoadDisk(void) {
  const long disk = Open(DISK, O_READ, 0);  // a kernel may have it built in
  if (disk >= 0) {
    Close((int)disk);
    loaded = 1;
  }
  if (loaded) return 0;
  const long fd = Open(MODULE, O_READ, 0);
  if (fd < 0) return fd;
  const long error = CALL3(__NR_finit_module, fd, DISK_OPTIONS, MODULE_COMPRESSED);
  Close((int)fd);
  if (error < 0) return error;
  loaded = 1;
  return 0;
}

// What mkswap(8) writes.
static long WriteHeader(uint32_t pages) {
  static union {
    char bytes[PAGE_BYTES];
    struct {
      char boot[1024];
      uint32_t version, last_page, nr_badpages;
    } info;
  } header;
  header.info.version = 1;
  header.info.last_page = pages - 1;
  memcpy(header.bytes + PAGE_BYTES - 10, "SWAPSPACE2", 10);
  const long fd = Open(DISK, O_WRITE, 0);
  if (fd < 0) return fd;
  const long n = WriteAt((int)fd, header.bytes, PAGE_BYTES, 0);
  Close((int)fd);
  return n < 0 ? n : 0;
}

long SwitchSwapOn(const char* text, size_t bytes) {
  uint32_t pages = 0;
  for (size_t i = 0; i < bytes; ++i) {
    if (text[i] < '0' || text[i] > '9' || pages > MAX_SWAP_PAGES) return -ERR_INVALID;
    pages = pages * 10 + (uint32_t)(text[i] - '0');
  }
  if (pages < 2 || pages > MAX_SWAP_PAGES) return -ERR_INVALID;
  if (on) return -ERR_BUSY;
  long error = LoadDisk();
  if (error >= 0) error = WriteHeader(pages);
  if (error >= 0) error = CALL2(__NR_swapon, DISK, 0);
  if (error < 0) {
    Say("a swap area could not be switched on:", error);
    return error;
  }
  on = 1;
  return (long)bytes;
}

int SwapIsOn(void) {
  return on;
}

void SwitchSwapOff(void) {
  if (!on) return;
  const long error = CALL1(__NR_swapoff, DISK);
  if (error < 0) Die("the swap area could not be switched off:", error);
  on = 0;
}
