// SPDX-License-Identifier: Apache-2.0
// The shadow page table's self-test, to be run as root in a kernel that has it: every rule of the
// specification, every errno, every kind of change. `selftest [FILTER]` runs the tests whose names contain
// FILTER.
#include "selftest.h"

int main(int argc, char** argv) {
  if (argc >= 3 && strcmp(argv[1], "--serve") == 0) {
    if (argc >= 4 && atoi(argv[3]) > 1) {
      char left[16];
      snprintf(left, sizeof left, "%d", atoi(argv[3]) - 1);
      char* next[] = {argv[0], argv[1], argv[2], left, NULL};
      char* envp[] = {NULL};
      execve("/proc/self/exe", next, envp);
    }
    ServeAfterExec(atoi(argv[2]));
  }
  const char* filter = argc >= 2 ? argv[1] : NULL;
  static const struct test* const groups[] = {open_tests,    close_tests,    vma_tests,
                                              pte_tests,     huge_tests,     uffd_tests,
                                              process_tests, contents_tests, memory_tests};
  int failed = 0;
  for (size_t i = 0; i < sizeof groups / sizeof groups[0]; ++i) failed += RunTests(groups[i], filter);
  printf("selftest: %d failed\n", failed);
  return failed == 0 ? 0 : 1;
}
