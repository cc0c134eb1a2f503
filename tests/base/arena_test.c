/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdbool.h>

#include "tests/test.h"

static bool is_zeroed(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != 0) return false;
    }
    return true;
}

TEST(arena_gives_aligned_and_separate_memory)
{
    fl_arena arena;
    fl_arena_init(&arena, 1000);
    uint8_t *a = fl_arena_take(&arena, 1);
    uint8_t *b = fl_arena_take(&arena, 65);
    uint8_t *c = fl_arena_take(&arena, 100);
    assert_int_equal((uintptr_t)a % 64 | (uintptr_t)b % 64, 0);
    assert_int_equal((uintptr_t)c % 64, 0);
    assert_true(a + 1 <= b && b + 65 <= c);
    fl_arena_fini(&arena);
}

TEST(arena_gives_zeros_again_after_a_reset)
{
    fl_arena arena;
    fl_arena_init(&arena, 1000);
    uint8_t *first = fl_arena_take(&arena, 1000);
    assert_true(is_zeroed(first, 1000));
    memset(first, 0xff, 1000);
    fl_arena_reset(&arena);
    uint8_t *again = fl_arena_take(&arena, 1000);
    assert_ptr_equal(again, first);  // the memory was kept
    assert_true(is_zeroed(again, 1000));
    fl_arena_fini(&arena);
}

TEST(arena_refuses_more_than_its_maximum)
{
    fl_arena arena;
    fl_arena_init(&arena, 100);
    assert_non_null(fl_arena_take(&arena, 60));
    assert_null(fl_arena_take(&arena, 41));
    assert_null(fl_arena_take(&arena, SIZE_MAX));
    assert_non_null(fl_arena_take(&arena, 40));
    assert_null(fl_arena_take(&arena, 1));
    assert_int_equal(arena.used, 100);
    fl_arena_fini(&arena);
}

TEST(arena_refuses_what_memory_cannot_hold)
{
    fl_arena arena;
    fl_arena_init(&arena, SIZE_MAX);
    assert_null(fl_arena_take(&arena, SIZE_MAX));
    assert_null(fl_arena_take(&arena, SIZE_MAX / 2));
    assert_non_null(fl_arena_take(&arena, 10));
    fl_arena_fini(&arena);
}

TEST(arena_counts_empty_takes)
{
    fl_arena arena;
    fl_arena_init(&arena, 2);
    assert_non_null(fl_arena_take(&arena, 0));
    assert_non_null(fl_arena_take(&arena, 0));
    assert_null(fl_arena_take(&arena, 0));
    fl_arena_fini(&arena);
}

TEST(arena_grows_in_blocks)
{
    enum { TAKES = 300, LEN = 5000 };
    fl_arena arena;
    fl_arena_init(&arena, (size_t)TAKES * LEN);
    for (int round = 0; round < 3; round++) {
        uint8_t *taken[TAKES];
        for (int i = 0; i < TAKES; i++) {
            taken[i] = fl_arena_take(&arena, LEN);
            assert_non_null(taken[i]);
            memset(taken[i], i, LEN);
        }
        for (int i = 0; i < TAKES; i++) {
            assert_int_equal(taken[i][0], (uint8_t)i);
            assert_int_equal(taken[i][LEN - 1], (uint8_t)i);
        }
        fl_arena_reset(&arena);
    }
    fl_arena_fini(&arena);
}

RUN_TESTS(cmocka_unit_test(arena_gives_aligned_and_separate_memory),
          cmocka_unit_test(arena_gives_zeros_again_after_a_reset),
          cmocka_unit_test(arena_refuses_more_than_its_maximum),
          cmocka_unit_test(arena_refuses_what_memory_cannot_hold),
          cmocka_unit_test(arena_counts_empty_takes),
          cmocka_unit_test(arena_grows_in_blocks))
