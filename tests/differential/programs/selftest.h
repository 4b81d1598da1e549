// SPDX-License-Identifier: Apache-2.0
// The self-test's groups, each a file.
#ifndef MMSIM_TESTS_DIFFERENTIAL_PROGRAMS_SELFTEST_H
#define MMSIM_TESTS_DIFFERENTIAL_PROGRAMS_SELFTEST_H

#include "lab.h"

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

extern const struct test open_tests[];
extern const struct test close_tests[];
extern const struct test vma_tests[];
extern const struct test pte_tests[];
extern const struct test huge_tests[];
extern const struct test uffd_tests[];
extern const struct test process_tests[];
extern const struct test contents_tests[];
extern const struct test memory_tests[];

#endif  // MMSIM_TESTS_DIFFERENTIAL_PROGRAMS_SELFTEST_H
