// SPDX-License-Identifier: Apache-2.0
// The guest's first process: makes a system of an initramfs, runs the programs that the kernel's command line
// names after "--", one argument a program with its arguments divided by commas (`selftest,open stress,20`),
// says for each how it ended, and powers the machine off. The last line is "init: N of M programs failed".
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static void Mount(const char* type, const char* where) {
  mkdir(where, 0755);
  if (mount(type, where, type, 0, NULL) != 0 && errno != EBUSY) printf("init: no %s\n", type);
}

// What mkswap writes: the header page of a swap area of the whole device.
static void MakeSwap(const char* device) {
  static char header[4096];
  const int fd = open(device, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  const off_t size = lseek(fd, 0, SEEK_END);
  unsigned* fields = (unsigned*)(header + 1024);
  fields[0] = 1;                            // version
  fields[1] = (unsigned)(size / 4096 - 1);  // last page
  memcpy(header + 4096 - 10, "SWAPSPACE2", 10);
  if (pwrite(fd, header, sizeof header, 0) == (ssize_t)sizeof header) {
    fsync(fd);
    close(fd);
    if (swapon(device, 0) != 0) printf("init: no swap on %s\n", device);
  }
}

static int Run(char* command) {
  char* argv[16];
  int argc = 0;
  for (char* word = strtok(command, ","); word != NULL && argc < 15; word = strtok(NULL, ","))
    argv[argc++] = word;
  argv[argc] = NULL;
  char path[64];
  snprintf(path, sizeof path, "/bin/%s", argv[0]);
  fflush(stdout);
  const pid_t pid = fork();
  if (pid == 0) {
    setsid();
    execv(path, argv);
    printf("init: no %s\n", path);
    _exit(127);
  }
  int status = 0;
  for (;;) {
    const pid_t gone = waitpid(-1, &status, 0);
    if (gone == pid || gone < 0) break;
  }
  if (WIFEXITED(status))
    printf("init: %s ended with status %d\n", argv[0], WEXITSTATUS(status));
  else
    printf("init: %s was ended by signal %d\n", argv[0], WTERMSIG(status));
  return status == 0 ? 0 : 1;
}

int main(int argc, char** argv) {
  Mount("devtmpfs", "/dev");
  const int console = open("/dev/console", O_RDWR);
  for (int fd = 0; fd < 3; ++fd) dup2(console, fd);
  Mount("proc", "/proc");
  Mount("sysfs", "/sys");
  Mount("debugfs", "/sys/kernel/debug");
  Mount("tmpfs", "/tmp");
  Mount("tmpfs", "/dev/shm");
  MakeSwap("/dev/ram0");
  int failed = 0;
  for (int i = 1; i < argc; ++i) failed += Run(argv[i]);
  printf("init: %d of %d programs failed\n", failed, argc - 1);
  fflush(stdout);
  sync();
  reboot(RB_POWER_OFF);
  reboot(RB_AUTOBOOT);
  for (;;) pause();
}
