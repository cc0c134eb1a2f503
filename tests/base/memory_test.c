/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/test.h"

static size_t resident_bytes(void)
{
    unsigned long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &size, &resident), 2);
    fclose(file);
    return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void *take(size_t bytes)
{
    void *taken = malloc(bytes);
    assert_non_null(taken);
    memset(taken, 1, bytes);
    return taken;
}

// After a block of 16 MB has come and gone, glibc would by itself keep the
// smaller ones that follow: the last one of them holds the heap up.
TEST(memory_goes_back_when_it_is_freed)
{
    enum { LARGE = 16 << 20, SMALLER = 1 << 20, COUNT = 8 };
    void *blocks[COUNT];
    fl_memory_give_back();
    free(take(LARGE));
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = take(SMALLER);
    }
    void *last = take(100);
    const size_t full = resident_bytes();
    for (int i = 0; i < COUNT; i++) {
        free(blocks[i]);
    }
    const size_t after = resident_bytes();
    free(last);
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
    assert_true(after + COUNT / 2 * SMALLER < full);
#else
    assert_true(after > 0 && full > 0);  // another allocator
#endif
}

RUN_TESTS(cmocka_unit_test(memory_goes_back_when_it_is_freed))
