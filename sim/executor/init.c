// SPDX-License-Identifier: Apache-2.0
// The guest's first process. It prepares the machine and starts the executor in a process id namespace of its
// own, where every id but 1 is free for the scenario; it ends the machine when the executor ends.
#include <linux/sched.h>

#include "channel.h"
#include "faults.h"
#include "files.h"
#include "pages.h"
#include "shadow.h"
#include "spaces.h"
#include "steps.h"
#include "uapi/victim.h"

#define POWER_OFF 0x4321fedc
#define RESTART 0x01234567

static void MakeFolder(const char* path) {
  CALL3(__NR_mkdirat, AT_CWD, path, 0755);
}

static void MountAll(void) {
  static const char* const mounts[][3] = {
      {"/proc", "proc", "proc"},
      {"/sys", "sysfs", "sysfs"},
      {"/dev", "devtmpfs", "devtmpfs"},
      {"/dev/shm", "tmpfs", "tmpfs"},
      {"/tmp", "tmpfs", "tmpfs"},
      {"/sys/kernel/tracing", "tracefs", "tracefs"},
      {"/sys/fs/cgroup", "cgroup2", "cgroup2"},
  };
  for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); ++i) {
    MakeFolder(mounts[i][0]);
    const long error = Mount(mounts[i][1], mounts[i][0], mounts[i][2], 0);
    if (error < 0 && i < 5) Die("mounting a file system failed:", error);
  }
  CALL4(__NR_fchmodat, AT_CWD, "/tmp", 01777, 0);
  CALL4(__NR_fchmodat, AT_CWD, "/dev/shm", 01777, 0);
}

static void Set(const char* path, const char* value) {
  const long fd = Open(path, O_WRITE, 0);
  if (fd < 0) return;
  CALL3(__NR_write, fd, value, StringLength(value));
  Close((int)fd);
}

static void WriteVictim(void) {
#if defined(__x86_64__)
  const uint8_t* bytes = kVictim_x86_64;
  const size_t size = sizeof(kVictim_x86_64);
#else
  const uint8_t* bytes = kVictim_arm64;
  const size_t size = sizeof(kVictim_arm64);
#endif
  const long fd = Open("/victim", O_WRITE | O_CREATE | O_TRUNCATE, 0755);
  if (fd < 0 || CALL3(__NR_write, fd, bytes, size) != (long)size) Die("/victim cannot be written:", fd);
  Close((int)fd);
}

static void SayHello(void) {
  static struct { char system[65], node[65], release[65], version[65], machine[65], domain[65]; } names;
  CALL1(__NR_uname, &names);
  struct observe_report* report = BeginReport();
  report->kind = 0;
  struct observe_hello* hello = BeginChunk(OBSERVE_CHUNK_HELLO, 0, sizeof(*hello) + 65);
  *hello = (struct observe_hello){
      .version = OBSERVE_VERSION,
      .page_size = 4096,
      .scratch_bytes = VICTIM_SCRATCH_BYTES,
      .features = OBSERVE_MAPS | OBSERVE_SMAPS | OBSERVE_PAGES | OBSERVE_FRAMES |
                  (FaultsThere() ? OBSERVE_FAULTS : 0) | (ShadowThere() ? OBSERVE_SHADOW : 0),
  };
  const size_t length = StringLength(names.release);
  memcpy(hello + 1, names.release, length);
  EndChunk(sizeof(*hello) + length);
  EndReport(1);
}

static __attribute__((noreturn)) void RunExecutor(void) {
  Mount("proc", "/proc", "proc", 0);  // of this namespace
  const uint64_t first_cpu = 1;
  CALL3(__NR_sched_setaffinity, 0, sizeof(first_cpu), &first_cpu);
  OpenChannel();
  OpenFrameFiles();
  OpenShadowMemory();
  ReserveSpaces();
  InitSteps();
  SayHello();
  for (;;) {
    const struct observe_step* step = NextStep();
    const int kind = step->kind;
    CarryOut(step);
    if (kind == OBSERVE_STEP_OFF) CALL1(__NR_exit_group, 0);
  }
}

// khugepaged would make huge pages at moments of its own. It sleeps for scan_sleep_millisecs once it has been
// round and an address space is left for it to look at; with none left it would wait for the next, and begin
// at once. So it gets this program's, which stays, and finds nothing there.
static void SendKhugepagedToSleep(void) {
  const size_t bytes = 4ul << 20;
  char* const memory = Reserve(bytes);
  *memory = 1;  // memory that was never written to is not looked at
  Set("/sys/kernel/mm/transparent_hugepage/khugepaged/max_ptes_none", "0");
  Set("/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs", "4000000000");
  CALL3(__NR_madvise, memory, bytes, 14 /* MADV_HUGEPAGE */);
  SleepMs(20);
}

__attribute__((noreturn)) void ExecutorMain(void) {
  MountAll();
  for (int fd = 0; fd < 3; ++fd) {
    Close(fd);
    CALL4(__NR_openat, AT_CWD, "/dev/null", O_RDWRITE, 0);  // becomes the victims' 0, 1 and 2
  }
  Set("/sys/kernel/mm/transparent_hugepage/enabled", "madvise");
  SendKhugepagedToSleep();
  Set("/proc/sys/kernel/pid_max", "4194304");
  // Else pages move to other frames when a step takes long, and kcompactd's hour has come.
  Set("/proc/sys/vm/compaction_proactiveness", "0");
  // What is in swap comes back a page at a time, and no neighbours with it.
  Set("/proc/sys/vm/page-cluster", "0");
  WriteVictim();
  struct clone_args args = {.flags = CLONE_NEWPID, .exit_signal = 17};
  const long executor = CALL2(__NR_clone3, &args, sizeof(args));
  if (executor == 0) RunExecutor();
  if (executor < 0) Say("starting the executor failed:", executor);
  int status = 0;
  while (executor > 0 && CALL4(__NR_wait4, executor, &status, 0x40000000, 0) == -ERR_INTR) continue;
  if (status) Say("the executor ended:", status);
  CALL4(__NR_reboot, 0xfee1dead, 672274793, status ? RESTART : POWER_OFF, 0);
  for (;;) SleepMs(1000);
}
