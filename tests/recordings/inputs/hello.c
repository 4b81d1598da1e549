// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>

static int by_value(const void* a, const void* b) { return *(const int*)a - *(const int*)b; }

int main(void) {
  int values[] = {3, 1, 2};
  qsort(values, 3, sizeof values[0], by_value);
  for (int i = 0; i < 3; ++i) printf("%d\n", values[i]);
  return 0;
}
