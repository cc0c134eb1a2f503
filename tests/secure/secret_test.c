/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/secure.h"
#include "tests/test.h"

TEST(secret_random_gives_something_else_each_time)
{
    uint8_t a[32] = {0}, b[32] = {0}, zeros[32] = {0};
    fl_secret_random(a, sizeof a);
    fl_secret_random(b, sizeof b);
    assert_memory_not_equal(a, zeros, sizeof a);
    assert_memory_not_equal(a, b, sizeof a);
}

TEST(secret_draw_fills_all_of_it_and_nothing_else)
{
    uint8_t seen[10] = {0}, bytes[10] = {0};
    for (int i = 0; i < 20; i++) {  // a zero 20 times is no chance
        fl_secret_draw(NULL, bytes + 1, 8);
        for (size_t k = 0; k < sizeof bytes; k++)
            seen[k] |= bytes[k];
    }
    for (size_t k = 0; k < sizeof seen; k++)
        assert_int_equal(seen[k] != 0, k > 0 && k < 9);
}

TEST(secret_wipe_leaves_zeros_and_touches_nothing_else)
{
    uint8_t bytes[5] = {1, 2, 3, 4, 5};
    fl_secret_wipe(bytes + 1, 3);
    assert_memory_equal(bytes, ((uint8_t[]){1, 0, 0, 0, 5}), 5);
}

TEST(secret_equal_sees_a_difference_in_every_bit)
{
    uint8_t a[32], b[32];
    fl_secret_random(a, sizeof a);
    memcpy(b, a, sizeof b);
    assert_true(fl_secret_equal(a, b, sizeof a));
    assert_true(fl_secret_equal(a, b, 0));
    for (size_t bit = 0; bit < 8 * sizeof b; bit++) {
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(fl_secret_equal(a, b, sizeof a));
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

RUN_TESTS(cmocka_unit_test(secret_random_gives_something_else_each_time),
          cmocka_unit_test(secret_draw_fills_all_of_it_and_nothing_else),
          cmocka_unit_test(secret_wipe_leaves_zeros_and_touches_nothing_else),
          cmocka_unit_test(secret_equal_sees_a_difference_in_every_bit))
