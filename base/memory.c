/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory.h"

#include <stdlib.h>
#ifdef __GLIBC__
#    include <malloc.h>
#endif

// glibc begins like this, but takes the size of the first large block that is
// freed for the new threshold: after a data set was read, everything up to its
// size stays on the heap, full of holes (10 MB of an aggregator's 32).
enum { LARGE_BYTES = 128 * 1024, HEAPS = 2 };

void fl_memory_give_back(void)
{
#ifdef __GLIBC__
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, LARGE_BYTES);
    (void)mallopt(M_ARENA_MAX, HEAPS);
#endif
}

void fl_memory_trim(void)
{
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}
