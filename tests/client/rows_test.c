/*
 * Rows: who is held out, and who is in a sample.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "client/rows.h"
#include "tests/test.h"

enum { ROWS = 23 };

static void fill(uint32_t own[ROWS])
{
    for (uint32_t i = 0; i < ROWS; i++)
        own[i] = 1000 + 7 * i;
}

static uint32_t split(uint32_t *rows, const uint32_t own[ROWS],
                      uint32_t holdout, bool wants_held_out)
{
    const fl_own_rows all = {.rows = own, .count = ROWS};
    return fl_rows_split(rows, &all, holdout, wants_held_out);
}

TEST(rows_held_out_and_others_are_all_rows_in_their_order)
{
    uint32_t own[ROWS], out[ROWS], in[ROWS];
    fill(own);
    for (uint32_t holdout = 2; holdout <= ROWS / 4; holdout++) {
        const uint32_t out_count = split(out, own, holdout, true);
        const uint32_t in_count = split(in, own, holdout, false);
        assert_int_equal(out_count, ROWS / holdout);
        assert_int_equal(out_count + in_count, ROWS);
        uint32_t o = 0, n = 0;
        for (uint32_t i = 0; i < ROWS; i++) {
            if (i % holdout == holdout - 1)
                assert_int_equal(out[o++], own[i]);
            else
                assert_int_equal(in[n++], own[i]);
        }
    }
}

// Half of the rows come later, in between the others: nobody changes sides.
TEST(rows_with_places_stay_on_their_side_while_others_come)
{
    uint32_t rows[ROWS], own[ROWS];
    uint64_t places[ROWS];
    bool was_out[ROWS] = {false};
    fill(own);
    const uint32_t holdout = 2;
    for (uint32_t count = ROWS / 2; count <= ROWS; count += ROWS - ROWS / 2) {
        uint32_t now[ROWS], found = 0;
        for (uint32_t i = 0; i < count; i++) {
            now[i] = count < ROWS ? own[2 * i] : own[i];
            places[i] = now[i] * UINT64_C(0x9e3779b97f4a7c15) >> 7;
        }
        const fl_own_rows all = {now, places, count};
        found = fl_rows_split(rows, &all, holdout, true);
        assert_in_range(found, 4, count - 1);
        bool is_out[ROWS] = {false};
        for (uint32_t i = 0; i < found; i++)
            is_out[(rows[i] - 1000) / 7] = true;
        for (uint32_t i = 0; i < ROWS - 1; i += 2)
            if (count == ROWS) assert_int_equal(is_out[i], was_out[i]);
        memcpy(was_out, is_out, sizeof is_out);
        const uint32_t others = fl_rows_split(rows, &all, holdout, false);
        assert_int_equal(found + others, count);
    }
}

// Few are held out: they are not measured alone, and not trained on either,
// since there may be more of them tomorrow.
TEST(rows_with_places_that_are_held_out_are_never_trained_on)
{
    const uint32_t own[] = {10, 11, 12, 13, 14};
    const uint64_t places[] = {7, 1, 4, 3, 0};  // 7, 1 and 3: three of five
    uint32_t rows[5];
    const fl_own_rows all = {own, places, 5};
    assert_int_equal(fl_rows_split(rows, &all, 2, false), 2);
    assert_int_equal(rows[0], 12);
    assert_int_equal(rows[1], 14);
    assert_int_equal(fl_rows_split(rows, &all, 2, true), 5);
    assert_int_equal(fl_rows_split(rows, &all, 0, false), 5);
    const fl_own_rows none = {NULL, NULL, 0};
    assert_int_equal(fl_rows_split(rows, &none, 2, true), 0);
    assert_int_equal(fl_rows_split(rows, &none, 0, false), 0);
}

TEST(rows_too_few_to_hold_four_out_are_all_there_for_both)
{
    uint32_t own[ROWS], rows[ROWS];
    fill(own);
    const uint32_t holdouts[] = {0, ROWS / 4 + 1, ROWS, ROWS + 1, 1 << 16};
    for (size_t i = 0; i < sizeof holdouts / sizeof *holdouts; i++) {
        for (int wants = 0; wants <= 1; wants++) {
            assert_int_equal(split(rows, own, holdouts[i], wants), ROWS);
            assert_memory_equal(rows, own, sizeof own);
        }
    }
}

TEST(rows_of_a_sample_are_rows_in_their_order)
{
    uint32_t own[ROWS];
    for (uint32_t cap = 0; cap <= ROWS + 1; cap++) {
        uint32_t rows[ROWS];
        fl_random random;
        fill(own);
        fill(rows);
        fl_random_init(&random, 3, FL_RANDOM_TEST, cap);
        const uint32_t count = fl_rows_sample(rows, ROWS, cap, &random);
        assert_int_equal(count, cap == 0 || cap > ROWS ? ROWS : cap);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal((rows[i] - 1000) % 7, 0);
            if (i > 0) assert_true(rows[i] > rows[i - 1]);
        }
    }
}

// 4000 samples of 5 of 20 rows: each is in about 1000, deviation 27.
TEST(rows_are_in_a_sample_with_the_same_chance)
{
    uint32_t hits[20] = {0};
    fl_random random;
    fl_random_init(&random, 3, FL_RANDOM_TEST, 99);
    for (int i = 0; i < 4000; i++) {
        uint32_t rows[20];
        for (uint32_t r = 0; r < 20; r++)
            rows[r] = r;
        assert_int_equal(fl_rows_sample(rows, 20, 5, &random), 5);
        for (int r = 0; r < 5; r++)
            hits[rows[r]]++;
    }
    for (int r = 0; r < 20; r++)
        assert_in_range(hits[r], 870, 1130);
}

TEST(rows_of_a_survey_are_three_quarters_rounded_up)
{
    static const uint32_t expected[] = {0, 1, 2, 3, 3, 4, 5, 6, 6};
    for (uint32_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_int_equal(fl_rows_survey_cap(i), expected[i]);
    assert_int_equal(fl_rows_survey_cap(UINT32_MAX), 0xc0000000);
}

RUN_TESTS(
    cmocka_unit_test(rows_held_out_and_others_are_all_rows_in_their_order),
    cmocka_unit_test(rows_with_places_stay_on_their_side_while_others_come),
    cmocka_unit_test(rows_with_places_that_are_held_out_are_never_trained_on),
    cmocka_unit_test(rows_too_few_to_hold_four_out_are_all_there_for_both),
    cmocka_unit_test(rows_of_a_survey_are_three_quarters_rounded_up),
    cmocka_unit_test(rows_of_a_sample_are_rows_in_their_order),
    cmocka_unit_test(rows_are_in_a_sample_with_the_same_chance))
