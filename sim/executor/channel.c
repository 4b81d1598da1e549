// SPDX-License-Identifier: Apache-2.0
// See channel.h. Buffers are reserved address space: what is never touched costs nothing.
#include "channel.h"

#define IN_BYTES (4ul << 20)
#define OUT_BYTES (1ul << 30)
#define FLUSH_BYTES (64ul << 10)
#define KEEP_BYTES (8ul << 20)

static int port = -1;
static char *in, *out;
static size_t in_start, in_end;  // [in_start, in_end) of `in` has been read and not been used
static size_t out_end, report_start, chunk_start;

void OpenChannel(void) {
  in = Reserve(IN_BYTES);
  out = Reserve(OUT_BYTES);
  for (int tries = 0; tries < 1000 && port < 0; ++tries) {
    port = (int)Open("/dev/vport0p1", O_RDWRITE, 0);
    if (port < 0) SleepMs(5);
  }
  if (port < 0) Die("there is no serial port to the host:", port);
}

void FlushReports(void) {
  for (size_t done = 0; done < out_end;) {
    const long n = CALL3(__NR_write, port, out + done, out_end - done);
    if (n == -ERR_INTR) continue;
    if (n <= 0) Die("writing to the host failed:", n);
    done += (size_t)n;
  }
  if (out_end > KEEP_BYTES) Release(out, out_end);
  out_end = 0;
}

// Until `bytes` of the stream are in `in` at in_start.
static void Need(size_t bytes) {
  if (bytes > IN_BYTES) Die("a step is too large:", (long)bytes);
  if (in_start + bytes > IN_BYTES) {
    memmove(in, in + in_start, in_end - in_start);
    in_end -= in_start;
    in_start = 0;
  }
  while (in_end - in_start < bytes) {
    if (out_end > 0) {  // before waiting, but not when more is there already
      struct {
        int fd;
        short events, revents;
      } poll = {port, 1, 0};
      struct {
        long sec, nsec;
      } now = {0, 0};
      if (CALL5(__NR_ppoll, &poll, 1, &now, 0, 8) <= 0) FlushReports();
    }
    const long n = CALL3(__NR_read, port, in + in_end, IN_BYTES - in_end);
    if (n == -ERR_INTR) continue;
    if (n < 0) Die("reading from the host failed:", n);
    if (n == 0) SleepMs(1);  // the host has not opened its end yet
    in_end += (size_t)n;
  }
}

const struct observe_step* NextStep(void) {
  if (in_start == in_end) in_start = in_end = 0;
  Need(sizeof(struct observe_step));
  const struct observe_step* step = (const struct observe_step*)(in + in_start);
  if (step->size < sizeof(*step) || step->size % 8 != 0) Die("the stream of steps is broken:", step->size);
  Need(step->size);
  step = (const struct observe_step*)(in + in_start);
  in_start += step->size;
  return step;
}

struct observe_report* BeginReport(void) {
  report_start = out_end;
  struct observe_report* r = (struct observe_report*)(out + out_end);
  memset(r, 0, sizeof(*r));
  out_end += sizeof(*r);
  return r;
}

void* BeginChunk(uint16_t kind, uint32_t id, size_t bytes) {
  if (out_end + sizeof(struct observe_chunk) + bytes + 8 > OUT_BYTES)
    Die("a report is too large:", (long)bytes);
  chunk_start = out_end;
  struct observe_chunk* c = (struct observe_chunk*)(out + out_end);
  *c = (struct observe_chunk){.kind = kind, .id = id};
  return c + 1;
}

void EndChunk(size_t bytes) {
  if (bytes == 0) return;
  struct observe_chunk* c = (struct observe_chunk*)(out + chunk_start);
  c->bytes = bytes;
  char* data = (char*)(c + 1);
  const size_t padded = (bytes + 7) & ~7ul;
  for (size_t i = bytes; i < padded; ++i) data[i] = 0;
  out_end = chunk_start + sizeof(*c) + padded;
}

void AddChunk(uint16_t kind, uint32_t id, const void* data, size_t bytes) {
  memcpy(BeginChunk(kind, id, bytes), data, bytes);
  EndChunk(bytes);
}

void EndReport(int flush) {
  struct observe_report* r = (struct observe_report*)(out + report_start);
  const size_t size = out_end - report_start;
  if (size > 0xfffffff8ul) Die("a report is too large:", (long)size);
  r->size = (uint32_t)size;
  if (flush || out_end >= FLUSH_BYTES) FlushReports();
}
