// SPDX-License-Identifier: Apache-2.0
// See faults.h. One perf ring for both tracepoints, on the one CPU, shared with the kernel.
#include "faults.h"

#include <linux/perf_event.h>

#define EVENTS "/sys/kernel/tracing/events/exceptions/"
#define RING_PAGES 64
#define MAX_FAULTS 4096

struct fault_sample {  // PERF_SAMPLE_TID | PERF_SAMPLE_RAW of the two tracepoints
  struct perf_event_header header;
  uint32_t pid, tid, raw_bytes;
  uint16_t event;
  uint8_t rest[6];
  uint64_t address, ip, error;
} __attribute__((packed));

static volatile struct perf_event_mmap_page* ring;
static uint16_t user_event;
static int listening;

static long EventNumber(const char* path) {
  char digits[16];
  const long fd = Open(path, O_READ, 0);
  if (fd < 0) return -1;
  const long n = ReadAt((int)fd, digits, sizeof(digits), 0);
  Close((int)fd);
  long number = 0;
  for (long i = 0; i < n && digits[i] >= '0' && digits[i] <= '9'; ++i) number = number * 10 + digits[i] - '0';
  return number;
}

int FaultsThere(void) {
  static int there = -1;
  if (there < 0) there = ARCH_FAULT_TRACEPOINTS && EventNumber(EVENTS "page_fault_user/id") > 0;
  return there;
}

static long OpenEvent(long number) {
  struct perf_event_attr attr = {
      .type = PERF_TYPE_TRACEPOINT,
      .size = sizeof(attr),
      .config = (uint64_t)number,
      .sample_period = 1,
      .sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_RAW,
  };
  return CALL5(__NR_perf_event_open, &attr, -1, 0, -1, 8 /* PERF_FLAG_FD_CLOEXEC */);
}

void ListenForFaults(void) {
  if (listening) {
    ring->data_tail = ring->data_head;
    return;
  }
  listening = 1;
  const long user = EventNumber(EVENTS "page_fault_user/id");
  const long kernel = EventNumber(EVENTS "page_fault_kernel/id");
  user_event = (uint16_t)user;
  const long fd = OpenEvent(user), other = OpenEvent(kernel);
  if (fd < 0 || other < 0) Die("perf_event_open failed:", fd);
  const long p = CALL6(__NR_mmap, 0, (RING_PAGES + 1) * 4096, 3, 1 /* MAP_SHARED */, fd, 0);
  if (p < 0 && p > -4096) Die("mapping the ring of faults failed:", p);
  ring = (volatile struct perf_event_mmap_page*)p;
  CALL3(__NR_ioctl, other, PERF_EVENT_IOC_SET_OUTPUT, fd);
}

// Out of the ring, which a record may wrap around in.
static void CopyOut(void* to, uint64_t at, size_t bytes) {
  const char* data = (const char*)ring + 4096;
  for (size_t i = 0; i < bytes; ++i) ((char*)to)[i] = data[(at + i) % (RING_PAGES * 4096)];
}

void ReportFaults(void) {
  struct observe_fault* faults = BeginChunk(OBSERVE_CHUNK_FAULTS, 0, MAX_FAULTS * sizeof(*faults));
  size_t n = 0;
  const uint32_t self = (uint32_t)CALL0(__NR_getpid);
  const uint64_t head = ring->data_head;
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
  uint64_t at = ring->data_tail;
  while (at < head) {
    struct fault_sample sample;
    CopyOut(&sample, at, sizeof(sample.header));
    if (sample.header.type == PERF_RECORD_SAMPLE && sample.header.size >= sizeof(sample)) {
      CopyOut(&sample, at, sizeof(sample));
      if (sample.pid != self && n < MAX_FAULTS)
        faults[n++] = (struct observe_fault){sample.address, sample.ip, sample.error,
                                             sample.event == user_event, sample.tid};
    } else if (sample.header.type == PERF_RECORD_LOST) {
      Say("faults were lost in this step", 0);
    }
    at += sample.header.size;
  }
  ring->data_tail = head;
  EndChunk(n * sizeof(*faults));
}
