// SPDX-License-Identifier: Apache-2.0
// session [SECONDS]: a target, and an inspector that watches it as the target's first lines say, in one
// console. The inspector looks several times between two changes, so that each is seen by itself, and is
// interrupted when the target ends.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t Start(char** argv, int* output) {
  int pipes[2] = {-1, -1};
  if (output != NULL && pipe(pipes) != 0) return -1;
  fflush(stdout);
  const pid_t pid = fork();
  if (pid == 0) {
    if (output != NULL) {
      dup2(pipes[1], 1);
      close(pipes[0]);
      close(pipes[1]);
    }
    execv(argv[0], argv);
    _exit(127);
  }
  if (output != NULL) {
    close(pipes[1]);
    *output = pipes[0];
  }
  return pid;
}

int main(int argc, char** argv) {
  char* seconds = argc >= 2 ? argv[1] : (char*)"1";
  char* target_argv[] = {(char*)"/bin/target", seconds, NULL};
  int output = -1;
  const pid_t target = Start(target_argv, &output);
  FILE* lines = fdopen(output, "r");
  if (target < 0 || lines == NULL) return 1;
  pid_t inspector = 0;
  char interval[32];
  const double pause_seconds = atof(seconds);
  snprintf(interval, sizeof interval, "%g", pause_seconds > 0.04 ? pause_seconds / 4 : 0.01);
  char line[256], pid[32], start[32], end[32];
  while (fgets(line, sizeof line, lines) != NULL) {
    fputs(line, stdout);
    fflush(stdout);
    if (inspector == 0 &&
        sscanf(line, "target: watch me with: inspector -c %31s %31s %31s", pid, start, end) == 3) {
      char* inspector_argv[] = {
          (char*)"/bin/inspector", (char*)"-c", (char*)"-i", interval, pid, start, end, NULL};
      inspector = Start(inspector_argv, NULL);
    }
  }
  int target_status = 1, inspector_status = 1;
  waitpid(target, &target_status, 0);
  sleep(2);
  if (inspector > 0) {
    kill(inspector, SIGINT);
    waitpid(inspector, &inspector_status, 0);
  }
  printf("session: the target ended with %d, the inspector with %d\n", target_status, inspector_status);
  return target_status == 0 && inspector_status == 0 ? 0 : 1;
}
